"""Every fault that a lab host can be given, as data: how it is made, how it is undone, and the row that it has to give.

Faults of hops that leave each other alone are made together, as a round, and looked for in one run. What is a hostile server
instead is in tests/unit/plugins/module_utils/hostile_servers.py. The words go into docs/diagnoses.md.
"""

from __future__ import annotations

import typing as t

#: With what is not needed, so that it can be broken too.
DUAL = {"coolify_access": "dual", "coolify_tunnel_state": "present", "coolify_traefik_state": "present"}


class Fault(t.NamedTuple):
    """A fault of the Coolify host.

    `make` and `undo` are shell scripts on it, which have the functions of `TOOLS`. `gives` has by id the hop of its
    row, `follows` the ids that come with it, since what is behind a fault is not reached. `entry`: variables of one more
    inventory entry for the same host, which alone has the fault.
    """

    words: str
    gives: t.Mapping[str, str]
    make: str = ""
    undo: str = ""
    follows: t.Sequence[str] = ()
    entry: t.Mapping[str, t.Any] | None = None


class Round(t.NamedTuple):
    """Faults that are looked for together, by this playbook. Those that are not `quick` are left to `make test-all`."""

    faults: t.Mapping[str, Fault]
    variables: t.Mapping[str, t.Any] = DUAL
    playbook: str = "playbooks/verify.yml"
    quick: bool = True


# `back` writes into the file that is there, since the container has .env mounted.
TOOLS = r"""
set -e
kept=/root/faults
source=/data/coolify/source
dynamic=/data/coolify/proxy/dynamic
ours=$dynamic/coolify-websocket.yaml
tunnel=/etc/cloudflared/config.yml
rules=/etc/coolify-websocket/firewall.nft
unit=coolify-websocket
site=/etc/nginx/site-opts.d/http.conf
reverb=/etc/s6-overlay/s6-rc.d/reverb/run
mkdir -p $kept
keep() { cp -p "$1" "$kept/$(echo "$1" | tr / _)"; }
back() { cp -p "$kept/$(echo "$1" | tr / _)" "$1"; }
within() { docker exec -u "$1" coolify sh -c "$2"; }
until_true() { for _ in $(seq 300); do if eval "$1" >/dev/null 2>&1; then return; fi; sleep 0.2; done; echo "never: $1"; exit 1; }
values() {
    keep $source/.env
    for pair in "$@"; do
        grep -v "^${pair%%=*}=" $source/.env >$kept/new
        echo "$pair" >>$kept/new
        cat $kept/new >$source/.env
    done
}
own() { ip -4 -o addr show eth0 | sed -n '1s/.* inet \([0-9.]*\).*/\1/p'; }
proxied() {
    domain=$(sed -n 's/.*Host(`\([^`]*\)`).*/\1/p' $dynamic/coolify.yaml | head -n 1)
    curl -sk -o /dev/null -w '%{http_code}' --resolve "$domain:443:127.0.0.1" "https://$domain$1" || :
}
up() {
    until_true 'curl -fs http://127.0.0.1:8000/api/health && curl -fs http://127.0.0.1:6001/up'
    until_true 'curl -fs http://127.0.0.1:6002/ready && ! docker ps | grep -E "starting|unhealthy"'
}
# In a network namespace of that name, and in a private network with the host.
neighbour() {
    ip netns add neighbour; ip link add to-neighbour type veth peer name to-host netns neighbour
    ip addr add 192.168.77.1/24 dev to-neighbour; ip link set to-neighbour up
    ip -n neighbour addr add 192.168.77.103/24 dev to-host; ip -n neighbour link set to-host up
}
create() {
    LATEST_IMAGE=$(docker inspect -f '{{.Config.Image}}' coolify | sed 's/.*://') docker compose --env-file $source/.env \
        -f $source/docker-compose.yml -f $source/docker-compose.prod.yml -f $source/docker-compose.custom.yml \
        up -d --no-deps --pull never coolify
}
"""

_WITHOUT_ROUTES = "within www-data 'cp -p '$site' /tmp/kept; sed -i \"/^# BEGIN selfhosted/,/^# END selfhosted/d\" '$site"
_NGINX_BACK = "within www-data 'cat /tmp/kept >'$site' && nginx -s reload'"
_EVERYBODY = ("CWT-601",)
# What is not reached where the realtime server is not.
_NO_EVENTS = ("CWT-901", "CWT-904", "CWT-914", "CWT-512")
# Of the page's port, where nginx has no routes.
_PAGES = ("CWT-911", "CWT-912", "CWT-329")
_AGAIN = "systemctl daemon-reload; systemctl reset-failed $unit || :; systemctl restart $unit"

_UNTREATED = Round(
    {
        "nginx": Fault(
            "http.conf in the container is without the routes, as in a fresh container",
            {"CWT-201": "nginx", "CWT-211": "nginx"},
            f"{_WITHOUT_ROUTES}; within www-data 'nginx -s reload'",
            _NGINX_BACK,
            follows=_PAGES,
        ),
        "self-heal": Fault(
            "the unit's file is gone",
            {"CWT-401": "self-heal"},
            "systemctl stop $unit; mv /etc/systemd/system/$unit.service $kept/; systemctl daemon-reload",
            f"mv $kept/$unit.service /etc/systemd/system/; {_AGAIN}",
        ),
        "firewall": Fault(
            "the table and its file are gone",
            {"CWT-602": "firewall", "CWT-601": "firewall"},
            "nft delete table inet coolify_websocket; keep $rules; rm $rules",
            "back $rules; nft -f $rules",
        ),
        "tunnel": Fault(
            "the list has no rule for either path",
            {"CWT-802": "tunnel"},
            "keep $tunnel; cat $kept/untreated >$tunnel",
            "back $tunnel",
        ),
        "traefik": Fault(
            "our file is gone", {"CWT-501": "traefik"}, "keep $ours; rm $ours", "back $ours"
        ),
        "environment": Fault(
            "PUSHER_HOST and PUSHER_BACKEND_PORT in .env are other ones",
            {"CWT-303": "environment", "CWT-309": "environment"},
            "values PUSHER_HOST=203.0.113.9 PUSHER_BACKEND_PORT=443",
            "back $source/.env",
            follows=("CWT-306",),
        ),
    }
)

_CHANGED = Round(
    {
        "nginx": Fault(
            "a time-out in the routes is another one",
            {"CWT-202": "nginx"},
            "within www-data 'cp -p '$site' /tmp/kept; sed -i s/86400s/60s/ '$site",
            _NGINX_BACK,
        ),
        "self-heal": Fault(
            "the service ends at once, and is not started again",
            {"CWT-402": "self-heal"},
            "drop_in=/run/systemd/system/$unit.service.d; mkdir -p $drop_in\n"
            "printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\nRestart=no\\n' >$drop_in/fault.conf\n"
            "systemctl daemon-reload; systemctl restart $unit || :",
            f"rm -r /run/systemd/system/$unit.service.d; {_AGAIN}",
        ),
        "firewall": Fault(
            "the table was deleted, and its unit stopped",
            {"CWT-603": "firewall", "CWT-606": "firewall"},
            "systemctl stop coolify-websocket-firewall; nft delete table inet coolify_websocket",
            "systemctl start coolify-websocket-firewall",
            follows=_EVERYBODY,
        ),
        "tunnel": Fault(
            "the zone's wildcard stands before the rules for the two paths",
            {"CWT-801": "tunnel"},
            "keep $tunnel; python3 -c '\n"
            "import re, sys\n"
            "text = open(sys.argv[1]).read()\n"
            'rule = re.search(r"(?m)^( *)- hostname: .*[*][.].*\\n(?:\\1  .*\\n)+", text).group()\n'
            'text = re.sub(r"(?m)^ingress:.*\\n", lambda found: found.group() + rule, text.replace(rule, ""), count=1)\n'
            'open(sys.argv[1], "w").write(text)\' $tunnel',
            "back $tunnel",
        ),
        "traefik": Fault(
            "our file leads the realtime path to a port that nobody has",
            {"CWT-502": "traefik", "CWT-512": "traefik"},
            "keep $ours; sed -i s/:6001/:6009/ $ours; until_true '[ \"$(proxied /app/x)\" = 502 ]'",
            "back $ours; until_true '[ \"$(proxied /app/x)\" != 502 ]'",
        ),
        "environment": Fault(
            "PUSHER_SCHEME in .env is neither http nor https",
            {"CWT-305": "environment"},
            "values PUSHER_SCHEME=tls",
            "back $source/.env",
            follows=("CWT-306",),
        ),
    },
    quick=False,
)

_BY_OTHERS = Round(
    {
        "nginx": Fault(
            "in place of the routes there is somebody's location for the realtime path, which answers 404",
            {"CWT-203": "nginx"},
            f"{_WITHOUT_ROUTES}; within www-data 'echo \"location ^~ /app/ {{ return 404; }}\" >>'$site' && nginx -s reload'",
            _NGINX_BACK,
            follows=("CWT-211", *_PAGES),
        ),
        "self-heal": Fault(
            "the service was stopped", {"CWT-403": "self-heal"}, "systemctl stop $unit", "systemctl start $unit"
        ),
        "firewall": Fault(
            "the loaded table guards another port than the realtime server's",
            {"CWT-604": "firewall"},
            "sed s/6001/6003/g $rules | nft -f -",
            "nft -f $rules",
            follows=_EVERYBODY,
        ),
        "tunnel": Fault(
            "the rule for the realtime path is /app, without anchors",
            {"CWT-803": "tunnel"},
            "keep $tunnel; sed -i 's#\\^/apps?/#/app#' $tunnel",
            "back $tunnel",
        ),
        "traefik": Fault(
            "our file has a tab for a blank", {"CWT-503": "traefik"}, "keep $ours; printf '\\t- {\\n' >>$ours", "back $ours"
        ),
        "environment": Fault(
            "PUSHER_BACKEND_HOST in .env is a name without an address",
            {"CWT-310": "environment", "CWT-321": "broadcast"},
            "values PUSHER_BACKEND_HOST=nowhere.invalid",
            "back $source/.env",
            follows=("CWT-306",),
        ),
        "realtime": Fault(
            "a container coolify-realtime is left over; docker-compose.custom.yml sets ports of the service soketi",
            {"CWT-118": "realtime", "CWT-120": "realtime"},
            "keep $source/docker-compose.custom.yml\n"
            "printf '%s\\n' '  soketi:' '    ports:' '      - 127.0.0.1:6001:6001' >>$source/docker-compose.custom.yml\n"
            "docker run -d --name coolify-realtime --network coolify --entrypoint sleep redis:7-alpine 600",
            "docker rm -f coolify-realtime; back $source/docker-compose.custom.yml",
            # The name has two addresses now.
            follows=("CWT-512", "CWT-914"),
        ),
    },
    quick=False,
)

_UNREADABLE = Round(
    {
        "nginx": Fault(
            "http.conf has a brace too many, which the service meets at its start",
            {"CWT-204": "nginx", "CWT-405": "self-heal"},
            "within www-data 'cp -p '$site' /tmp/kept; echo \"}\" >>'$site; systemctl restart $unit",
            f"{_NGINX_BACK}; systemctl restart $unit",
        ),
        "firewall": Fault(
            "a rule that lets everybody to the realtime port stands in the table",
            {"CWT-605": "firewall"},
            "nft insert rule inet coolify_websocket decide tcp dport 6001 accept",
            "nft -f $rules",
            follows=_EVERYBODY,
        ),
        "tunnel": Fault(
            "the list has a tab for a blank", {"CWT-804": "tunnel"}, "keep $tunnel; printf '\\t- {\\n' >>$tunnel", "back $tunnel"
        ),
        "traefik": Fault(
            "coolify-proxy was stopped",
            {"CWT-504": "traefik", "CWT-513": "traefik"},
            "docker stop coolify-proxy",
            "docker start coolify-proxy; until_true 'proxied / | grep ^[23]'",
        ),
        "environment": Fault(
            "a value in .env has one quote", {"CWT-302": "environment"}, "values 'BROKEN=\"x'", "back $source/.env"
        ),
    }
)

_SERVERS = Round(
    {
        "realtime": Fault(
            "the realtime server does not start",
            {"CWT-904": "realtime", "CWT-212": "nginx", "CWT-322": "broadcast", "CWT-901": "tailscale"},
            "within 0 'mv '$reverb' '$reverb.away'; pkill -f [s]tand-in.mjs'; until_true '! curl -s http://127.0.0.1:6001/up'",
            "within 0 'mv '$reverb.away' '$reverb; up",
            follows=_NO_EVENTS,
        ),
        "self-heal": Fault(
            "the unit is disabled", {"CWT-404": "self-heal"}, "systemctl disable $unit", "systemctl enable $unit"
        ),
        "firewall": Fault("nft is gone", {"CWT-607": "firewall"}, "mv /usr/sbin/nft $kept/", "mv $kept/nft /usr/sbin/"),
        "ufw": Fault(
            "UFW's rule for the tailnet was deleted",
            {"CWT-608": "firewall"},
            "keep /etc/ufw/user.rules\n"
            "ufw --force delete \"$(ufw status numbered | sed -n 's/^\\[ *\\([0-9]*\\)\\] 6001.*/\\1/p' | head -n 1)\"",
            "back /etc/ufw/user.rules; ufw reload",
        ),
        "tunnel": Fault(
            "the list's last rule is gone",
            {"CWT-805": "tunnel"},
            "keep $tunnel; sed -i /http_status:404/d $tunnel",
            "back $tunnel",
        ),
        "traefik": Fault(
            "another file in the proxy's folder has a bracket that is never closed",
            {"CWT-506": "traefik"},
            "printf 'http: [\n' >$dynamic/somebody.yaml",
            "rm $dynamic/somebody.yaml",
        ),
    }
)

_KEYS = Round(
    {
        "firewall": Fault(
            "a machine of a private network asks at a closed port",
            {"CWT-615": "firewall"},
            "neighbour; ip netns exec neighbour timeout 1 bash -c '</dev/tcp/192.168.77.1/6002' || :",
            "ip netns del neighbour; nft -f $rules",
        ),
        "realtime": Fault(
            "the realtime server was started with another key and secret of the application",
            {"CWT-936": "realtime", "CWT-324": "broadcast"},
            "within 0 'cp -p '$reverb' /tmp/reverb'\n"
            "within 0 'sed -i \"s#^exec #exec env PUSHER_APP_KEY=other PUSHER_APP_SECRET=other #\" '$reverb\n"
            "within 0 'pkill -f [s]tand-in.mjs'; sleep 1; up",
            "within 0 'cat /tmp/reverb >'$reverb'; pkill -f [s]tand-in.mjs'; sleep 1; up",
        ),
        "self-heal": Fault(
            "docker.sock belongs to another group",
            {"CWT-406": "self-heal"},
            "chgrp root /run/docker.sock; systemctl restart $unit",
            "chgrp docker /run/docker.sock; systemctl restart $unit",
        ),
        "traefik": Fault(
            "somebody's router leads /app to a page that there is not",
            {"CWT-507": "traefik", "CWT-511": "traefik"},
            "proxied / >/dev/null\n"
            "cat >$dynamic/somebody.yaml <<END\n"
            "http:\n"
            "  middlewares: {none: {replacePath: {path: /none}}}\n"
            "  routers:\n"
            "    somebody:\n"
            "      rule: 'Host(\\`$domain\\`) && PathPrefix(\\`/app\\`)'\n"
            "      priority: 200000\n      service: none\n      middlewares: [none]\n      tls: {}\n"
            "  services: {none: {loadBalancer: {servers: [{url: 'http://coolify.:8080'}]}}}\n"
            "END\n"
            "until_true '[ \"$(proxied /app/x)\" = 404 ]'",
            "rm $dynamic/somebody.yaml; until_true '[ \"$(proxied /app/x)\" != 404 ]'",
        ),
        "tunnel": Fault(
            "the connector is a container of Coolify's, and nothing is connected to the edge",
            {"CWT-806": "tunnel", "CWT-832": "domain"},
            "systemctl stop cloudflared; mv $tunnel $kept/; docker create --name coolify-cloudflared redis:7-alpine",
            "docker rm coolify-cloudflared; mv $kept/config.yml $tunnel; systemctl start cloudflared",
            follows=("CWT-329",),
        ),
    },
    quick=False,
)

_TAILNET = Round(
    {
        "tailscale": Fault(
            "packets from the tailnet to the page's port and to the realtime port are dropped",
            {"CWT-705": "tailscale", "CWT-609": "tailscale"},
            "iptables -t raw -I PREROUTING -i tailscale0 -p tcp -m multiport --dports 8000,6001 -j DROP",
            "iptables -t raw -D PREROUTING -i tailscale0 -p tcp -m multiport --dports 8000,6001 -j DROP",
        ),
        "environment": Fault(
            "PUSHER_HOST in .env is the tailnet address of another day",
            {"CWT-704": "environment"},
            "values PUSHER_HOST=100.64.0.99 PUSHER_PORT=6001",
            "back $source/.env",
            follows=("CWT-306",),
        ),
    },
    {"coolify_access": "tailscale"},
)

# Other people's servers in front of the host: each has an address of its own on it, and answers at port 80 of that.
_FRONTS = r"""
redirected() {
    network=$(own | cut -d . -f 1-3)
    for number in 1 2 3 4 5; do
        rule="PREROUTING -d $network.24$number -p tcp --dport 80 -j REDIRECT --to-ports 809$number"
        iptables -t nat $1 $rule || $2
        ip addr $3 $network.24$number/32 dev eth0 || $2
    done
    iptables $1 INPUT -p tcp --dport 8091:8095 -j ACCEPT || $2
}
"""
_FRONT = r"""
import http.client, http.server, threading

class Front(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        number, body = self.server.server_port - 8090, b"not found"
        status, headers = {
            2: (502, {}),
            3: (404, {}),
            4: (302, {"Location": f"https://auth.example.org/?rd=http%3A%2F%2F{self.headers['Host']}%2F"}),
            5: (403, {"cf-mitigated": "challenge"}),
        }.get(number, (0, {}))
        if number == 1:
            behind = http.client.HTTPConnection("127.0.0.1", 8000)
            behind.request("GET", self.path, headers={"Host": self.headers["Host"]})
            answer = behind.getresponse()
            status, body = answer.status, answer.read()
        self.send_response(status)
        for header in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

for number in (1, 2, 3, 4, 5):
    server = http.server.ThreadingHTTPServer(("", 8090 + number), Front)
    threading.Thread(target=server.serve_forever).start()
"""


def _front(words: str, identifier: str, number: int, make: str = "", undo: str = "") -> Fault:
    entry = {"coolify_access_scheme": "http", "coolify_verify_connect_to": {"{domain}": f"{{network}}.24{number}"}}
    # Of a page by http .env is to say something else.
    follows = ("CWT-303", "CWT-304", "CWT-305", "CWT-306", "CWT-329", "CWT-610")
    return Fault(words, {identifier: "domain"}, make, undo, follows, {**entry, "coolify_verify_outside_hosts": []})


_DROP = "PREROUTING -i eth0 -p tcp --dport 443 -j DROP"
_NO_WAY_BACK = "PREROUTING -s $(ip route | awk '/^default/ {print $3}') -d $(own) -p tcp --dport 80 -j DROP"
_ENTRIES = Round(
    {
        "unreachable": Fault(
            "nothing listens where the inventory has the host's SSH",
            {"CWT-101": "host"},
            entry={"ansible_host": "127.0.0.1", "ansible_port": 9},
        ),
        "not-root": Fault(
            "Ansible comes as a user who may not use sudo",
            {"CWT-107": "host"},
            "keep /etc/passwd; echo nobodys:x:4711:4711::/home/nobodys:/bin/sh >>/etc/passwd\n"
            "keep /etc/shadow; echo 'nobodys:*:19000::::::' >>/etc/shadow\n"
            "mkdir /home/nobodys; cp -r /root/.ssh /home/nobodys/; chown -R nobodys /home/nobodys",
            "back /etc/passwd; back /etc/shadow; rm -r /home/nobodys",
            entry={"ansible_user": "nobodys"},
        ),
        "wrong-password": Fault(
            "the password for sudo is a wrong one",
            {"CWT-107": "host"},
            entry={"ansible_user": "nobodys", "ansible_become_password": "wrong"},
        ),
        "sudo-rs": Fault(
            "sudo is sudo-rs, and no password is given",
            {"CWT-107": "host"},
            entry={"ansible_user": "nobodys", "ansible_become_exe": "sudo-rs"},
        ),
        "sudo-rs-prompt": Fault(
            "sudo is sudo-rs, which asks for the password in words that Ansible does not know",
            {"CWT-107": "host"},
            entry={"ansible_user": "nobodys", "ansible_become_exe": "sudo-rs", "ansible_become_password": "any"},
        ),
        "no-sudo": Fault(
            "there is no sudo on the host",
            {"CWT-107": "host"},
            entry={"ansible_user": "nobodys", "ansible_become_exe": "/nowhere/sudo"},
        ),
        "refused": Fault("coolify_domain has a blank", {"CWT-102": "host"}, entry={"coolify_domain": "coolify example com"}),
        "no-env": Fault(
            "there is no .env where coolify_data_path says",
            {"CWT-301": "environment"},
            entry={"coolify_data_path": "/data/other"},
        ),
        "by-tailnet": Fault(
            "Ansible comes in by the host's name on the tailnet",
            {"CWT-612": "firewall"},
            entry={"ansible_host": "coolify.tail1234.ts.net", "ansible_ssh_extra_args": "-o HostName={address}"},
        ),
        "not-there": Fault(
            "the machine to look from cannot be reached, and none of the tailnet's is named",
            {"CWT-104": "host", "CWT-706": "tailscale"},
            entry={"coolify_verify_tailnet_hosts": [], "coolify_verify_outside_hosts": ["unreachable"]},
        ),
        "no-name": Fault(
            "the domain has no address, and no machine outside is named",
            {"CWT-811": "domain", "CWT-610": "firewall"},
            entry={"coolify_verify_connect_to": {}, "coolify_verify_outside_hosts": []},
            follows=("CWT-329",),
        ),
        "no-view": Fault(
            "neither the control node nor another machine is to look at the domain",
            {"CWT-833": "domain"},
            entry={"coolify_verify_control_node": False, "coolify_verify_domain_hosts": []},
        ),
        "no-address": Fault(
            "the public name that is to be closed has no address",
            {"CWT-611": "firewall"},
            entry={"coolify_verify_public_addresses": ["nowhere.invalid"]},
        ),
        "no-authority": Fault(
            "the lab's authority is not given to the control node", {"CWT-823": "domain"}, entry={"coolify_verify_ca_path": ""}
        ),
        "no-route": Fault(
            "the domain's address is one of the network's that no machine has",
            {"CWT-903": "domain", "CWT-329": "broadcast"},
            entry={"coolify_verify_connect_to": {"{domain}": "{unused}"}},
        ),
        "dropped": Fault(
            "packets to the port 443 of the domain's address are dropped",
            {"CWT-902": "domain"},
            f"iptables -t raw -I {_DROP}",
            f"iptables -t raw -D {_DROP}",
            # That nothing is published either was asked for.
            entry={"coolify_verify_connect_to": {"{domain}": "{address}"}, "coolify_verify_broadcast": False},
        ),
        "front-without-upgrade": _front(
            "a proxy in front drops Upgrade",
            "CWT-834",
            1,
            f"cat >$kept/front.py <<'END'\n{_FRONT}END\n{_FRONTS}redirected -I false add\n"
            "systemd-run -q --unit lab-fronts python3 $kept/front.py; until_true 'curl -s http://127.0.0.1:8095/'",
            f"{_FRONTS}redirected -D : del; systemctl stop lab-fronts",
        ),
        "front-without-host": _front("a proxy in front cannot reach the host", "CWT-836", 2),
        "front-of-others": _front("the domain leads to another server", "CWT-837", 3),
        "front-with-login": _front("a login stands in front", "CWT-831", 4),
        "front-with-challenge": _front("a bot challenge stands in front", "CWT-835", 5),
        "no-way-back": Fault(
            "the control node alone cannot reach the domain's address",
            {"CWT-838": "domain"},
            f"iptables -t raw -I {_NO_WAY_BACK}",
            f"iptables -t raw -D {_NO_WAY_BACK}",
            # The pages are https, and plain http is sent there.
            follows=("CWT-918", "CWT-303", "CWT-304", "CWT-305", "CWT-306", "CWT-329"),
            entry={"coolify_access_scheme": "http", "coolify_verify_connect_to": {"{domain}": "{address}"}},
        ),
    }
)

_STATE = "/var/lib/tailscale/tailscaled.state"
_TAILSCALE_BACK = f"mv $kept/tailscaled.state {_STATE}; systemctl restart tailscaled; until_true 'tailscale ip -4'"

#: In this order, on one host of the bundled layout.
ROUNDS: dict[str, Round] = {
    "as if untreated": _UNTREATED,
    "changed": _CHANGED,
    "by others": _BY_OTHERS,
    "unreadable": _UNREADABLE,
    "servers": _SERVERS,
    "keys": _KEYS,
    "tailnet": _TAILNET,
    "entries": _ENTRIES,
    "connected": Round(
        {
            "firewall": Fault(
                "a machine of a private network is connected to the realtime server",
                {"CWT-613": "firewall"},
                "neighbour; nft delete table inet coolify_websocket\n"
                "systemd-run --unit neighbour ip netns exec neighbour python3 -c "
                "'import socket, time; held = socket.create_connection((\"192.168.77.1\", 6001)); time.sleep(600)'\n"
                "until_true 'ip netns exec neighbour cat /proc/net/tcp | grep \":1771 01\"'; nft -f $rules",
                "systemctl stop neighbour; ip netns del neighbour",
            )
        }
    ),
    "no units": Round(
        {
            "self-heal": Fault(
                "/etc/systemd/system is read-only",
                {"CWT-407": "self-heal", "CWT-614": "firewall"},
                "mount --bind /etc/systemd/system /etc/systemd/system\n"
                "mount -o remount,ro,bind /etc/systemd/system",
                "umount /etc/systemd/system",
            )
        }
    ),
    "an old Python": Round(
        {
            "old-python": Fault(
                "/usr/bin/python3 is Python 3.6 (by its name), and Ansible uses one in a home folder",
                {"CWT-408": "self-heal"},
                "python=$(readlink -f /usr/bin/python3); cp $python /root/lab-python; cp $python /usr/bin/python3.6\n"
                "keep_link=$(readlink /usr/bin/python3); echo $keep_link >$kept/python; ln -sfn python3.6 /usr/bin/python3",
                "ln -sfn $(cat $kept/python) /usr/bin/python3; rm /usr/bin/python3.6 /root/lab-python",
                entry={"ansible_python_interpreter": "/root/lab-python"},
            )
        },
        quick=False,
    ),
    "mounted": Round(
        {
            "nginx": Fault(
                "http.conf is mounted from the host, and has no routes",
                {"CWT-205": "nginx"},
                "keep $source/docker-compose.custom.yml; docker exec coolify cat $site >$kept/http.conf\n"
                'sed -i "/^# BEGIN selfhosted/,/^# END selfhosted/d" $kept/http.conf\n'
                'sed -i "s,^    volumes:,&\\n      - $kept/http.conf:$site," $source/docker-compose.custom.yml; create; up',
                "back $source/docker-compose.custom.yml; create; up",
                follows=("CWT-911", "CWT-912", "CWT-211", "CWT-329", "CWT-405"),
            )
        },
        quick=False,
    ),
    "an old proxy": Round(
        {
            "traefik": Fault(
                "coolify-proxy is made of a Traefik 3.0 (by its label)",
                {"CWT-505": "traefik"},
                "docker rename coolify-proxy away\n"
                "docker create --name coolify-proxy --label org.opencontainers.image.version=v3.0.4 traefik:v3.6",
                "docker rm coolify-proxy; docker rename away coolify-proxy",
            )
        }
    ),
    "no container": Round(
        {
            "host": Fault(
                "the container bears another name",
                {"CWT-106": "host"},
                "docker rename coolify elsewhere",
                "docker rename elsewhere coolify",
            )
        }
    ),
    "tailscale down": Round(
        {"tailscale": Fault("tailscale down", {"CWT-702": "tailscale"}, "tailscale down", "tailscale up; sleep 1")},
        quick=False,
    ),
    "tailscale logged out": Round(
        {
            "tailscale": Fault(
                "tailscaled has lost its state",
                {"CWT-703": "tailscale"},
                f"systemctl stop tailscaled; mv {_STATE} $kept/; systemctl start tailscaled",
                f"systemctl stop tailscaled; {_TAILSCALE_BACK}",
            )
        },
        quick=False,
    ),
    "no tailscale": Round(
        {
            "tailscale": Fault(
                "tailscaled does not run, and there is nothing of its own",
                {"CWT-701": "tailscale"},
                f"systemctl stop tailscaled; mv {_STATE} $kept/",
                _TAILSCALE_BACK,
            )
        },
        quick=False,
    ),
    "stopped": Round(
        {
            "app": Fault(
                "the container coolify was stopped, and with it the servers inside",
                {"CWT-111": "app", "CWT-114": "realtime", "CWT-328": "broadcast"},
                "docker stop coolify",
                "docker start coolify; up",
                follows=(*_NO_EVENTS, "CWT-705", "CWT-609"),
            )
        },
        quick=False,
    ),
    "bound": Round(
        {
            "app": Fault(
                "compose binds the ports to loopback, sets values that .env has not, and has a health check that fails",
                {
                    "CWT-121": "realtime",
                    "CWT-306": "environment",
                    "CWT-307": "environment",
                    "CWT-112": "app",
                    "CWT-115": "realtime",
                },
                "keep $source/docker-compose.custom.yml; cat >>$source/docker-compose.custom.yml <<'END'\n"
                "    ports: !override ['127.0.0.1:8000:8080', '127.0.0.1:6001:6001', '127.0.0.1:6002:6002']\n"
                "    environment: ['PUSHER_HOST=203.0.113.9', 'TERMINAL_HOST=203.0.113.9']\n"
                "    healthcheck: {test: exit 1, interval: 1s, retries: 1, start_period: 0s}\n"
                "END\n"
                "create; until_true 'docker ps | grep unhealthy && curl -fs http://127.0.0.1:6001/up'",
                "back $source/docker-compose.custom.yml; create; up",
                follows=("CWT-901", "CWT-902", "CWT-903", "CWT-705", "CWT-609", "CWT-329"),
            ),
        },
        quick=False,
    ),
    "unpublished": Round(
        {
            "app": Fault(
                "compose publishes neither the page nor the terminal server, and the realtime server on 7001",
                {"CWT-116": "realtime", "CWT-117": "app", "CWT-308": "environment"},
                "keep $source/docker-compose.custom.yml; cat >>$source/docker-compose.custom.yml <<'END'\n"
                "    ports: !override ['7001:6001']\n"
                "END\n"
                "create; until_true 'curl -fs http://127.0.0.1:7001/up'",
                "back $source/docker-compose.custom.yml; create; up",
                follows=("CWT-601", "CWT-604", "CWT-608", "CWT-801", "CWT-802", "CWT-914", "CWT-329"),
            )
        },
        quick=False,
    ),
    "no docker": Round(
        {
            "host": Fault(
                "the engine was stopped",
                {"CWT-105": "host"},
                "systemctl stop docker.socket docker.service",
                "systemctl start docker.socket docker.service; up",
            )
        },
        quick=False,
    ),
    "left behind": Round(
        {"lost": Fault("a host cannot be reached in site.yml", {"CWT-103": "host"}, entry=_ENTRIES.faults["unreachable"].entry)},
        playbook="playbooks/site.yml",
    ),
}

#: The same on a host of the separate layout, by tests/e2e/test_layouts.py.
SEPARATE: dict[str, Round] = {
    "separate": Round(
        {
            "realtime": Fault(
                "there is no container coolify-realtime (separate layout)",
                {"CWT-113": "realtime"},
                "docker rename coolify-realtime elsewhere",
                "docker rename elsewhere coolify-realtime",
                follows=(*_NO_EVENTS, "CWT-211", "CWT-212"),
            ),
            "environment": Fault(
                "PUSHER_SCHEME in .env is https, and APP_NAME is 'My Coolify!' (separate layout)",
                {"CWT-304": "environment", "CWT-122": "realtime"},
                "values PUSHER_SCHEME=https 'APP_NAME=\"My Coolify!\"'",
                "back $source/.env",
                follows=("CWT-306",),
            ),
        },
        variables={"coolify_access": "dual"},
    )
}

#: What the backend's settings say instead, what another server in the container answers, and the id of what is published.
#: By tests/e2e/test_broadcast.py.
BROADCAST: dict[str, tuple[dict[str, str], str, str]] = {
    "a name without an address": ({"host": "nowhere.invalid"}, "", "CWT-321"),
    "a port that nobody has": ({"port": "6999"}, "", "CWT-322"),
    "https where http is spoken": ({"scheme": "https"}, "", "CWT-323"),
    "http where https is spoken": ({"host": "coolify-proxy", "port": "443"}, "", "CWT-323"),
    "a wrong secret": ({"secret": "wrong"}, "", "CWT-324"),
    "a login page": ({"port": "7999"}, "|302|text/html|https://team.cloudflareaccess.com/login", "CWT-325"),
    "a page": ({"port": "7999"}, "|200|text/html|", "CWT-325"),
    "a fault of the server": ({"port": "7999"}, "|500|application/json|", "CWT-326"),
    "a server that is silent": ({"port": "7999"}, "|silent||", "CWT-322"),
    "a server that is silent, by a host that was busy before": ({"port": "7999", "seconds": "2.6"}, "|silent||", "CWT-330"),
    "another server of the kind": ({"port": "7999"}, "|200|application/json|", "CWT-327"),
}


def by_diagnosis() -> t.Iterator[tuple[str, str]]:
    """Each id, and one of the faults above that it is given to, in words."""
    for one in (*ROUNDS.values(), *SEPARATE.values()):
        for fault in one.faults.values():
            for identifier in fault.gives:
                yield identifier, fault.words
    for words, (_settings, _answer, identifier) in BROADCAST.items():
        yield identifier, f"published to {words}"
