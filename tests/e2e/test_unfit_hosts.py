"""Bad input ends the run on that host before its first change, with one message that names the cause and the remedy."""

from __future__ import annotations

import pytest
from compare_snapshots import differences
from diagnosis_faults import TOOLS

# What each names: one host of the lab under a name for each, in one run.
BAD = {
    "a-scheme": ({"coolify_domain": "https://coolify.lab.test"}, ["coolify_domain", "https://"]),
    "a-path": ({"coolify_domain": "coolify.lab.test/app"}, ["coolify_domain"]),
    "a-port": ({"coolify_domain": "coolify.lab.test:443"}, ["coolify_domain"]),
    "a-space": ({"coolify_domain": "coolify lab.test"}, ["coolify_domain"]),
    "a-bell": ({"coolify_domain": "coolify.lab.test\u0007"}, ["coolify_domain"]),
    "no-mode": ({"coolify_access": "everything"}, ["coolify_access", "dual"]),
    "no-folder": ({"coolify_data_path": "/nowhere"}, ["coolify_data_path", "/nowhere/source/.env"]),
    "no-address": ({"coolify_nginx_resolver": "ns.example.com"}, ["coolify_nginx_resolver", "IP address"]),
    # A role at the end of the play refuses before the first one changes anything, too.
    "no-number": ({"coolify_verify_deadline": "soon"}, ["coolify_verify_deadline"]),
}


def test_bad_variables(lab):
    names = lab.also_named({name: bad for name, (bad, _words) in BAD.items()})
    before = lab.snapshot()
    run = lab.play("playbooks/site.yml", *names, "-l", f"coolify,!{lab.host}")
    assert run.code != 0
    assert {name: len(messages) for name, messages in run.failed.items()} == dict.fromkeys(BAD, 1), run.failed
    for name, (_bad, words) in BAD.items():
        for word in words:
            assert word in run.failed[name][0]
    assert run.changed == {}
    assert differences(before, lab.snapshot()) == []


DYNAMIC = "/data/coolify/proxy/dynamic"
HEALTHY = "for i in $(seq 60); do curl -fsS http://127.0.0.1:8000/api/health >/dev/null && exit 0; sleep 1; done; exit 1"
HTTP_CONF = "/etc/nginx/site-opts.d/http.conf"
CREATE = f"""(LATEST_IMAGE=4.7.6 docker compose --env-file .env -f docker-compose.yml -f docker-compose.prod.yml \
    -f docker-compose.custom.yml up -d --no-deps --pull never coolify; {HEALTHY})"""
# What makes a host unfit, what makes it fit again, and what the message names.
UNFIT = {
    "Coolify is older than the oldest supported": (
        "/data/coolify/source/upgrade.sh 4.0.0-beta.420", "/data/coolify/source/upgrade.sh 4.7.6",
        ["4.0.0-beta.420", "4.0.0-beta.426", "upgrade.sh"],
    ),
    "there is no container": (
        "docker rename coolify elsewhere", "docker rename elsewhere coolify",
        ["no container named coolify", "docker rename elsewhere coolify"],
    ),
    "Docker does not run": (
        "systemctl stop docker.socket docker.service",
        f"systemctl start docker.socket docker.service; {HEALTHY}",
        ["Docker does not answer", "systemctl start docker"],
    ),
    "there is neither a domain nor Tailscale": (
        f"tailscale down; mv {DYNAMIC}/coolify.yaml {DYNAMIC}/coolify.off",
        f"tailscale up; mv {DYNAMIC}/coolify.off {DYNAMIC}/coolify.yaml",
        ["coolify_domain", "Tailscale"],
    ),
    "no unit can be written": (
        "mount --bind /etc/systemd/system /etc/systemd/system && mount -o remount,ro,bind /etc/systemd/system",
        "umount /etc/systemd/system",
        ["/etc/systemd/system cannot be written", "coolify_self_heal_state: absent", "coolify_firewall_state: absent"],
    ),
    "a proxy on another machine of a private network is connected": (
        f"""{TOOLS}
neighbour
systemd-run --unit neighbour ip netns exec neighbour python3 -c \\
    'import socket, time; held = socket.create_connection(("192.168.77.1", 6001)); time.sleep(600)'
until_true 'ip netns exec neighbour cat /proc/net/tcp | grep ":1771 01"'""",
        "systemctl stop neighbour; ip netns del neighbour",
        ["192.168.77.103", "coolify_firewall_trusted: [192.168.77.103]", "coolify_firewall_cut_off: true"],
    ),
    "there is no nft, and nothing that installs it": (
        "mkdir /root/away && mv /usr/sbin/nft /usr/bin/apt-get /root/away",
        "mv /root/away/nft /usr/sbin; mv /root/away/apt-get /usr/bin; rmdir /root/away",
        ["nft is not installed", "Install the package nftables", "coolify_firewall_state: absent"],
    ),
    "http.conf is mounted, and lacks the routes": (
        f"""cd /data/coolify/source; cp docker-compose.custom.yml /root/custom
docker exec coolify cat {HTTP_CONF} >/root/http.conf
sed -i "s,^    volumes:,&\\n      - /root/http.conf:{HTTP_CONF}," docker-compose.custom.yml; {CREATE}""",
        f"cd /data/coolify/source; cp /root/custom docker-compose.custom.yml; {CREATE}; rm /root/custom /root/http.conf",
        ["/root/http.conf", "location ^~ /app/ {", "nginx -s reload"],
    ),
}  # fmt: skip


def files(lab) -> str:
    """The digest of every file that a run could change."""
    return lab.shell(
        "cd / && find etc data/coolify var/lib/coolify-websocket usr/local -xdev -type f -not -path '*/acme.json' -print0"
        " 2>/dev/null | sort -z | xargs -0 sha256sum; nft list ruleset 2>/dev/null | grep -v packets || :"
    )


@pytest.mark.parametrize("reason", UNFIT)
def test_unfit_host(lab, reason):
    make, undo, words = UNFIT[reason]
    lab.shell(make)
    try:
        before = files(lab)
        run = lab.play("playbooks/site.yml")
        after = files(lab)
    finally:
        lab.shell(undo)
    assert run.code != 0
    assert run.changed == {}
    assert after == before
    for word in words:
        assert word in run.failed[lab.host][0]
