# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fault that verify can name: symptom → cause → next step, as one table of data.

An id is never given to another fault, since people search for it. The hundreds say which hop the fault is at.
Facts are those of the project's notes on Coolify.
"""

from __future__ import annotations

import re
import typing as t


class Diagnosis(t.NamedTuple):
    """`hop` is where the fault lies, `cause` what it is, `next` what to do; whole sentences, as shown to people.

    Without `fault` it is no fault, but the reason why something was not looked at.
    """

    hop: str
    cause: str
    next: str
    fault: bool = True


# For each: id and hop, the cause; then the next step. Indented lines go on with the one before. A hop with a question mark
# was not looked at.
_TEXT = """
# 1xx: the host and its containers
CWT-101 host: Ansible cannot reach the host.
- Check that it is up, and ansible_host, ansible_user and the SSH key in the inventory.
CWT-102 host: No way in can be set up on this host.
- Do what the message says, then run this again.
CWT-103 host: The run ended on this host before it could be verified.
- See the failed task above, mend it, and run this again.
CWT-104 host?: The machine to look from cannot be reached by Ansible, or cannot run the check.
- Mend its entry in the inventory, or take it out of coolify_verify_tailnet_hosts, coolify_verify_outside_hosts and
    coolify_verify_domain_hosts.
CWT-105 host: Docker does not answer on the host.
- Start it with `systemctl start docker`; for a socket elsewhere, set coolify_access_docker_socket.
CWT-107 host: Ansible reaches the host, but cannot become root there.
- Give the sudo password with --ask-become-pass, or let the user use sudo without one. Where sudo is sudo-rs, as on Ubuntu since
  25.10, ansible-core before 2.22 cannot answer its prompt: set ansible_become_exe=sudo.ws. Where there is no sudo, log in as
  root, or set ansible_become_method to what there is.
CWT-106 host: There is no container coolify on the host.
- If it has another name (see `docker ps -a`; …_coolify is what an interrupted Compose leaves), run `docker rename NAME coolify`.
  Only where there is none, bring Coolify up with /data/coolify/source/upgrade.sh, or take the host out of the group.
CWT-111 app: The container coolify is not running.
- Read `docker logs coolify`; start it with /data/coolify/source/upgrade.sh or `docker start coolify`.
CWT-112 app: The container coolify runs, but its health check fails.
- Read `docker logs coolify`, and `docker inspect coolify` at State.Health.
CWT-113 realtime: The container with the realtime and the terminal server is missing: nothing answers either WebSocket.
- Bring Coolify's containers up again with /data/coolify/source/upgrade.sh.
CWT-114 realtime: The container with the realtime and the terminal server is not running.
- Read the log of the container named (`docker logs`), and start it with `docker start`.
CWT-115 realtime: The container with the realtime and the terminal server runs, but its health check fails.
- Read the log of the container named (`docker logs --tail 50`); to restart it cuts open terminals.
CWT-116 realtime: Docker does not publish the port of the realtime server (6001) or of the terminal (6002) on this host.
- Compare docker-compose.custom.yml and SOKETI_PORT in .env with Coolify's compose files, then run upgrade.sh.
CWT-117 app: Docker does not publish Coolify's own port (8000).
- Compare APP_PORT in .env and docker-compose.custom.yml with Coolify's compose files, then run upgrade.sh.
CWT-118 realtime: A container coolify-realtime is left over from Coolify before 4.4: it holds the ports, and shares its name
    with the servers inside coolify.
- Run /data/coolify/source/upgrade.sh, which removes it; or `docker rm -f coolify-realtime`, and restart coolify.
CWT-119 realtime: The terminal server answers, but cannot ask Coolify who the visitor is: every terminal is refused.
- Read the log of the container named in the hop realtime; see the hop app.
CWT-120 realtime: docker-compose.custom.yml sets ports of the service soketi, which binds nothing since Coolify 4.4: the ports
    are published by the service coolify, on all addresses unless told otherwise.
- Move the ports entries for 6001 and 6002 in that file from soketi to coolify, then run upgrade.sh.
CWT-121 realtime: The port is bound to an address that the tailnet does not reach.
- Add the tailnet address to the ports entry in docker-compose.custom.yml, or take the address out of it; then run upgrade.sh.
CWT-122 realtime: APP_NAME gives the cookie of a session one name in Coolify, and another in the terminal server of Coolify
    before 4.4, which then refuses everybody (coollabsio/coolify#10549).
- Take everything but letters, digits and single blanks out of APP_NAME in .env, then run upgrade.sh.

# 2xx: nginx in the container
CWT-201 nginx: nginx in the container coolify has no route for the two WebSocket paths.
- Run selfhosted.coolify.site. If it comes back after each update of Coolify, see the hop self-heal.
CWT-202 nginx: The WebSocket routes in the container's http.conf are not what they should be.
- Run selfhosted.coolify.site. It shows the difference with --diff.
CWT-203 nginx: A location of somebody else's takes a WebSocket path, and does not lead to the server behind it.
- Take that location out of the file named, then run selfhosted.coolify.site.
CWT-204 nginx: http.conf in the container cannot be read, or cannot be understood.
- Run `docker exec coolify nginx -t`, and mend what it names; a new container brings a fresh file.
CWT-205 nginx: http.conf in the container is mounted from the host, and lacks the WebSocket routes.
- Add the lines that the message shows to the file on the host, or remove the mount.
CWT-211 nginx: nginx answers the WebSocket path with a page of Coolify's: the route is not in the configuration it runs with.
- Run selfhosted.coolify.site, which lets nginx load the file, or `docker exec coolify nginx -s reload`.
CWT-212 nginx: nginx has the route, but cannot reach the server behind it.
- See the hop realtime; all of Coolify's containers must be in the network coolify (`docker network inspect coolify`).

# 3xx: PUSHER_* and TERMINAL_*
CWT-301 environment: Coolify's .env is not there.
- If it is elsewhere, set coolify_data_path to its folder. If it is lost, restore it from a backup first: it holds APP_KEY,
  which every stored secret is encrypted with.
CWT-302 environment: Coolify's .env cannot be read as Laravel reads it.
- Mend the line named; Coolify itself will fail on it at its next start.
CWT-303 environment: PUSHER_HOST or PUSHER_PORT in .env sends browsers to another address than the access plan's.
- Run selfhosted.coolify.site. It re-creates the container coolify.
CWT-304 environment: PUSHER_SCHEME is https, and this version's backend obeys it: Coolify calls its realtime server by TLS,
    which that does not speak, so that live notifications stop.
- Run selfhosted.coolify.site.
CWT-305 environment: PUSHER_* in .env differs from the access plan.
- Run selfhosted.coolify.site.
CWT-306 environment: The running container was created with other values than .env has now, and they win over the file.
- Run selfhosted.coolify.site. It re-creates the container; `docker restart` does not read .env again.
CWT-307 environment: TERMINAL_PROTOCOL, TERMINAL_HOST or TERMINAL_PORT sends browsers to an address where the terminal was not
    seen to answer.
- Take these keys out of .env, then re-create the container with /data/coolify/source/upgrade.sh.
CWT-308 environment: The realtime port is published as another one than 6001, but a page opened at an address with a port goes
    to 6001 as long as PUSHER_PORT is empty.
- Set SOKETI_PORT back to 6001, or choose one way in with coolify_access.
CWT-309 environment: PUSHER_BACKEND_PORT moves the realtime server inside the container away from 6001: every route to it is
    refused, and the health check follows it and stays green.
- Run selfhosted.coolify.site. It takes the variable out.
CWT-310 environment: PUSHER_BACKEND_HOST or PUSHER_BACKEND_PORT sends the backend's events elsewhere than to the realtime server
    beside it: a login page on the way stops them, and so does the update to Coolify 4.4.
- Run selfhosted.coolify.site. It takes them out.
CWT-321 broadcast: Coolify's backend cannot publish: the name that it publishes to has no address in the container.
- Take PUSHER_BACKEND_HOST out of .env, or mend it; run selfhosted.coolify.site.
CWT-322 broadcast: Coolify's backend cannot publish: nothing answers at the address that it publishes to.
- Take PUSHER_BACKEND_HOST and PUSHER_BACKEND_PORT out of .env, or mend them; run selfhosted.coolify.site; see the hop realtime.
CWT-323 broadcast: Coolify's backend cannot publish: it speaks another scheme (http, https) than the server that it publishes
    to.
- Take PUSHER_SCHEME and PUSHER_BACKEND_SCHEME out of .env, or mend them; run selfhosted.coolify.site.
CWT-324 broadcast: The realtime server refuses what Coolify's backend publishes: the signature, or the application.
- PUSHER_APP_ID, PUSHER_APP_KEY or PUSHER_APP_SECRET differ between the two; run /data/coolify/source/upgrade.sh, which
    re-creates both.
CWT-325 broadcast: Coolify's backend publishes to a page, such as a login in front of the domain, and not to the realtime
    server.
- Take PUSHER_BACKEND_HOST and PUSHER_BACKEND_PORT out of .env, so that it publishes inside of Docker; run
    selfhosted.coolify.site.
CWT-326 broadcast: What Coolify's backend publishes is answered with an unexpected status.
- Read the log of the container named in the hop realtime (`docker logs --tail 50`).
CWT-327 broadcast: The event was taken, but does not arrive: browsers listen at another server than Coolify publishes to.
- Compare where the path of the row leads with the row above it; see PUSHER_BACKEND_HOST in .env.
CWT-328 broadcast?: Coolify's own settings for publishing events could not be read in the container, or not be used there.
- See whether `docker exec coolify php -v` answers, and /var/www/html/config/broadcasting.php in the container.
CWT-329 broadcast?: The socket to listen on did not open from the host itself.
- See the other rows with the same address; where they are fine, the host cannot reach its own public address, which others
    can.
CWT-330 broadcast?: The host was so busy that an event could only be published when too little time was left for an answer.
- Run it again when the host has less to do, or set coolify_verify_deadline to more seconds.

# 4xx: the self-heal service
CWT-401 self-heal: The service coolify-websocket is not installed: the routes will be lost when Coolify updates itself.
- Run selfhosted.coolify.site.
CWT-402 self-heal: The service coolify-websocket has failed.
- Read `journalctl -u coolify-websocket -n 50`, then `systemctl restart coolify-websocket`.
CWT-403 self-heal: The service coolify-websocket is stopped: the routes will be lost when Coolify updates itself.
- Run `systemctl start coolify-websocket`, or selfhosted.coolify.site.
CWT-404 self-heal: The service coolify-websocket runs, but is not enabled: it will be gone after a reboot.
- Run `systemctl enable coolify-websocket`, or selfhosted.coolify.site.
CWT-405 self-heal: The service coolify-websocket refused to put the routes in, or took them out since nginx failed with them.
- Read `systemctl status coolify-websocket`; mend what nginx names, then `systemctl restart coolify-websocket`.
CWT-406 self-heal: The service coolify-websocket cannot reach the Docker engine.
- Check `systemctl status docker`, and the group of /var/run/docker.sock.
CWT-407 self-heal: The service that keeps the routes cannot be installed on this host.
- Let systemd run with a writable /etc/systemd/system, or set coolify_self_heal_state: absent.
CWT-408 self-heal: The host has no Python that the service could run with.
- Install Python 3.8 or later and name it in coolify_self_heal_python.

# 5xx: Coolify's proxy
CWT-501 traefik: Traefik has no file with the two WebSocket routes.
- Run selfhosted.coolify.site.
CWT-502 traefik: Traefik's file with the WebSocket routes is not what it should be.
- Run selfhosted.coolify.site. It shows the difference with --diff.
CWT-503 traefik: Traefik's file with the WebSocket routes is not valid YAML: Traefik stops reading any change in that folder.
- Run selfhosted.coolify.site.
CWT-504 traefik: The proxy is not running.
- Start it in Coolify (Servers, Proxy), and read `docker logs coolify-proxy`.
CWT-505 traefik: Traefik is older than 3.1, and does not know the rules.
- Update the proxy in Coolify (Servers, Proxy).
CWT-506 traefik: Another file in the proxy's dynamic folder cannot be read: Traefik loads no change, and at its start nothing.
    It is no YAML, or has a field that Traefik does not know.
- Mend that file, or give it a name that does not end in .yaml or .yml.
CWT-507 traefik: A router in the proxy takes a WebSocket path of the instance, and leads to something else than Coolify.
- Take the paths out of its rule, which is to end in && !Path(`/terminal/ws`) && !PathPrefix(`/app/`) && !PathPrefix(`/apps/`).
CWT-511 traefik: The proxy does not route the WebSocket path at this entry point.
- Read `docker logs coolify-proxy`: a broken file of any name in its dynamic folder stops all later changes.
CWT-512 traefik: The proxy has the route, but cannot reach the server behind it.
- See the hop realtime; the proxy must be in the network coolify (`docker network inspect coolify`).
CWT-513 traefik: Nothing listens at this entry point of the proxy.
- Start the proxy in Coolify (Servers, Proxy); its entry points http and https must be published as 80 and 443.

# 6xx: who may reach the published ports
CWT-601 firewall: A port that Docker publishes is open to everybody. UFW does not see such ports.
- Run selfhosted.coolify.site. It closes them with a table of its own.
CWT-602 firewall: The nftables table inet coolify_websocket is not installed: nothing guards the published ports.
- Run selfhosted.coolify.site.
CWT-603 firewall: The nftables table inet coolify_websocket is installed, but not loaded: somebody flushed the rule set.
- Run `systemctl restart coolify-websocket-firewall`, or selfhosted.coolify.site.
CWT-604 firewall: The loaded nftables table guards other ports, or trusts others, than the access plan says.
- Run selfhosted.coolify.site.
CWT-605 firewall: Somebody changed a rule in the nftables table inet coolify_websocket.
- Run selfhosted.coolify.site.
CWT-606 firewall: The unit coolify-websocket-firewall is not active: the ports will be open after a reboot.
- Read `journalctl -u coolify-websocket-firewall`, or run selfhosted.coolify.site.
CWT-607 firewall: nft is not installed, or the kernel does not let it work: the published ports cannot be closed.
- Run selfhosted.coolify.site. It installs nft. In a container without nf_tables, close the ports in front of the host.
CWT-608 firewall: UFW is active, but lacks the rules for the trusted networks.
- Run selfhosted.coolify.site.
CWT-609 firewall: A trusted machine cannot open the port: something on the way drops its packets.
- See the hops tailscale and firewall; compare `nft list table inet coolify_websocket` with the machine's address.
CWT-610 firewall?: Whether the published ports are closed to everybody else was looked at from no machine outside.
- Name one of the inventory that is not trusted in coolify_verify_outside_hosts.
CWT-611 firewall?: The machine named finds no way to that address, so it cannot tell whether the port is closed.
- Name addresses that it can reach in coolify_verify_public_addresses.
CWT-612 firewall?: Ansible comes in by an address that is not the public one, and the outside was given no other.
- Name the host's public addresses in coolify_verify_public_addresses.
CWT-613 firewall: Somebody in a private network is connected to a port that the firewall would close to them.
- Trust the address (coolify_firewall_trusted), or close the port all the same (coolify_firewall_cut_off: true).
CWT-614 firewall: The firewall's table cannot be loaded when this host boots.
- Let systemd run with a writable /etc/systemd/system, or set coolify_firewall_state: absent.
CWT-615 firewall?: Addresses in a private network were refused at the ports in the last day.
- If one is a reverse proxy or a browser of yours, add it to coolify_firewall_trusted.

# 7xx: Tailscale
CWT-701 tailscale: Tailscale is not installed on the host.
- Install it and run `tailscale up`, or set coolify_access to domain.
CWT-702 tailscale: Tailscale is installed, but its interface is down or has no address.
- Run `systemctl start tailscaled` and `tailscale up`.
CWT-703 tailscale: Tailscale is logged out.
- Run `tailscale up` on the host and log in.
CWT-704 tailscale: The host's tailnet address has changed: PUSHER_HOST still has the old one.
- Run selfhosted.coolify.site.
CWT-705 tailscale: The host does not answer at its tailnet address.
- Run `tailscale ping` from the machine named; check the tailnet's access rules, and `tailscale status` on both.
CWT-706 tailscale?: The tailnet address was looked at from no other machine on the tailnet.
- Name one of the inventory in coolify_verify_tailnet_hosts.

# 8xx: the tunnel and the domain
CWT-801 tunnel: An earlier rule of the tunnel's ingress list takes a WebSocket path and sends it elsewhere.
- Run selfhosted.coolify.site. It puts the two paths first.
CWT-802 tunnel: The tunnel's ingress list has no rule for a WebSocket path: it goes wherever the rest of the domain goes.
- Run selfhosted.coolify.site.
CWT-803 tunnel: A path in the tunnel's ingress list is not anchored: pages and API calls of Coolify's go to the realtime server.
- Run selfhosted.coolify.site. It anchors the path: ^/apps?/ and ^/terminal/ws$.
CWT-804 tunnel: The tunnel's ingress list cannot be read.
- Mend the place named; `cloudflared tunnel ingress validate` checks the file.
CWT-805 tunnel: The tunnel's ingress list does not end in a catch-all: cloudflared refuses it.
- Add as its last rule: `- service: http_status:404`
CWT-806 tunnel?: The tunnel's ingress list lies with Cloudflare.
- Where a row of the hop domain is red, enter the rules that selfhosted.coolify.site names, in the dashboard (Networks,
    Tunnels); or give coolify_tunnel_id and coolify_tunnel_api_token, and it enters them itself.
CWT-811 domain: The name does not resolve.
- Check the DNS record; a tunnel makes a CNAME to <tunnel id>.cfargotunnel.com. Where the name resolves on the tailnet
    alone, check from there (coolify_verify_control_node: false, coolify_verify_domain_hosts).
CWT-812 domain: The name's server was not found in time.
- Check the resolver of the machine named.
CWT-821 domain: The TLS certificate has expired, or is not valid yet.
- Renew it, or check the clock of the machine named.
CWT-822 domain: The TLS certificate is for another name.
- Check that the name resolves to the right server, and which certificate the proxy or the tunnel's edge serves.
CWT-823 domain: The TLS certificate's authority is not known to the machine named.
- Use a publicly trusted certificate, or set coolify_verify_ca_path to your own authority's file.
CWT-824 domain: The TLS handshake fails.
- Check that the port speaks TLS, and which versions it offers: `openssl s_client -connect HOST:443`.
CWT-831 domain: A login stands in front (Cloudflare Access, Authelia, Pangolin or alike), and answers in place of the WebSocket.
- Exempt the paths /app/* and /terminal/ws from it, for everybody: Coolify checks both itself, by a key and by the session.
CWT-832 domain: Cloudflare cannot reach the tunnel or the origin.
- Check cloudflared: `systemctl status cloudflared`, or the container coolify-cloudflared.
CWT-833 domain?: The domain was looked at from no machine.
- Name one of the inventory that finds it in coolify_verify_domain_hosts, or leave out coolify_verify_control_node: false.
CWT-834 domain: Upgrade is lost in front of this host: every hop on it opens the socket, and Coolify's page comes through.
- Let what stands in front pass Upgrade and Connection on, by HTTP/1.1, for /app/* and /terminal/ws (in Nginx Proxy Manager,
    Websockets Support). Where that is a Cloudflare Tunnel, run cloudflared with --protocol http2, since QUIC can lose them
    (cloudflare/cloudflared#1652), and see that WebSockets are on in the zone (Network).
CWT-835 domain?: A bot challenge answers in place of the WebSocket. Browsers pass it, and Ansible does not.
- Let the paths /app/* and /terminal/ws skip it (at Cloudflare, Security rules, a custom rule with the action Skip), or do not
    check from there (coolify_verify_control_node, coolify_verify_domain_hosts).
CWT-836 domain: What stands in front of this host cannot reach it, while every hop on the host opens the socket.
- See which address and port it connects to, and whether a firewall is in between; coolify_firewall_trusted lets a machine in.
CWT-837 domain: Another server answers at that address, and not this Coolify, while every hop on the host opens the socket.
- See where the name leads from the machine named, and what listens on that port there.
CWT-838 domain?: The machine named cannot reach that address, but others can, or it belongs to a private network that this machine
    is not in. That says nothing about the host.
- Do not check from there: set coolify_verify_control_node to false, or take the machine out of coolify_verify_domain_hosts. A
    machine behind the same router as the host may find no way back to it (hairpin NAT).

# 9xx: what a socket said, whatever hop it was opened at
CWT-901 socket: The connection is refused: nothing listens there.
- See the hops before this one in the table; `ss -ltn` on the host shows what listens.
CWT-902 socket: The connection is not answered: a firewall drops it, or the address is wrong.
- See the hop firewall, and the provider's own firewall. A machine behind the same router as the host may find no way back to
    its public address (hairpin NAT): check from another one.
CWT-903 socket: There is no network route to the address.
- Check the address family: the machine named may have no IPv6, or no tailnet.
CWT-904 socket: The server ends the connection without an answer.
- Read the logs of what listens there; a proxy whose backend is down behaves so.
CWT-905 socket: The server accepts the connection and does not answer in time.
- Read the logs of what listens there; a queue of requests or a stuck backend behaves so.
CWT-906 socket: The server began to answer, but did not come to an end in time.
- Read the logs of what listens there; something on the way holds the answer back.
CWT-911 socket: 404: whoever answers does not route the WebSocket path.
- Mend the first broken hop that follows it in the table; run selfhosted.coolify.site.
CWT-912 socket: A page in place of the WebSocket: the request reached something that does not upgrade.
- Mend the first broken hop that follows it in the table; run selfhosted.coolify.site.
CWT-913 socket: A redirect in place of the WebSocket: browsers do not follow one there.
- Use the scheme and name that the redirect leads to (coolify_access_scheme, coolify_domain), or route the path before the
    redirect.
CWT-914 socket: 502, 503 or 504: the path is routed, but what is behind it does not answer.
- See the hop realtime.
CWT-915 socket: The upgrade's headers are lost on the way.
- What forwards this path must pass Upgrade and Connection on, by HTTP/1.1.
CWT-916 socket: 401 or 403 by something that is not Coolify's terminal server: a login of another kind stands in between.
- Let the paths /app/* and /terminal/ws through without it; Coolify checks both itself, by a key and by the session.
CWT-917 socket: An HTTP status that is not the expected one.
- Read the logs of what answers there.
CWT-918 socket: A redirect to https of the same address, where pages are taken to be http.
- Set coolify_access_scheme to https; browsers that open the page by https do not come this way.
CWT-921 socket: What answers is not HTTP.
- Check that the port is the right one, and the scheme (http, https).
CWT-922 socket: The answer's header is larger than any proxy would send.
- Check what listens there; it is not Coolify.
CWT-923 socket: 101, but the answer does not belong to this handshake (Sec-WebSocket-Accept, Upgrade or Connection is wrong).
- A cache or a broken proxy stands in between: take the two paths out of its rules.
CWT-924 socket: 101 with an extension or a subprotocol that was not asked for: browsers close such a connection.
- Check the proxy in between; it changes the handshake.
CWT-931 socket: What comes after the upgrade is not WebSocket (masked, reserved or malformed frames).
- Check what listens there; a proxy in between may change the data.
CWT-932 socket: A frame larger than any greeting.
- Check what listens there; it is not Coolify's realtime server.
CWT-933 socket: The WebSocket opens, and is closed before the greeting.
- Read the log of the container named in the hop realtime (`docker logs --tail 50`).
CWT-934 socket: The WebSocket opens, but the greeting does not come in time.
- Something on the way holds output back (buffering), or the realtime server is stuck: see its container's log.
CWT-935 socket: The WebSocket opens, but what greets is not Coolify's realtime server.
- Check the port that the path is routed to: 6001 is the realtime server, 6002 the terminal.
CWT-936 realtime: The realtime server does not know the application key that Coolify has.
- PUSHER_APP_KEY differs between the two: re-create Coolify's containers with /data/coolify/source/upgrade.sh.
CWT-937 socket: The realtime server greets with an error.
- Look the code up in Pusher's list of errors; 4004 is a limit on connections.
CWT-938 socket: The WebSocket opens and stays open without a login: what answers is not Coolify's terminal server.
- Check the port that the path is routed to: 6001 is the realtime server, 6002 the terminal.
CWT-941 terminal?: Coolify does not know the session that was given: it has ended, or the cookies are not this Coolify's.
- Sign in, and copy the header Cookie of any request to Coolify into the file of coolify_verify_session_path anew.
CWT-942 terminal: The terminal server lets the session in, but opens no terminal.
- Read the log of the container named in the hop realtime; in Coolify, see whether the server localhost is there, and validates.
CWT-943 terminal?: None of Coolify's keys lets it in as root on its own host, so that no prompt could be seen.
- In Coolify, see which user and key the server localhost has; another user than root is not tried.
CWT-944 terminal: The terminal opens, but what is typed into it is not answered.
- Something on the way holds data back; compare with the row of the terminal at the host's own port.
CWT-945 terminal?: The socket to type into did not open.
- See the other rows with the same address; where they are fine, the host cannot reach its own public address, which others
    can.
"""


def _table(text: str) -> dict[str, Diagnosis]:
    table: dict[str, Diagnosis] = {}
    for entry in re.split(r"\n(?=CWT-)", re.sub(r"(?m)^(#.*)?\n", "", text)):
        fault, remedy = re.sub(r"\n +", " ", entry.strip()).split("\n- ")
        names, cause = fault.split(": ", 1)
        identifier, hop = names.split()
        if identifier in table:
            raise ValueError(f"{identifier} names two faults")
        table[identifier] = Diagnosis(hop.rstrip("?"), cause, remedy, not hop.endswith("?"))
    return table


TABLE = _table(_TEXT)


def explain(identifier: str, detail: str = "") -> dict[str, str]:
    """`id`, `cause` and `next` for an id of the table, which must be one of them; `detail` says what exactly was found."""
    entry = TABLE[identifier]
    cause = f"{entry.cause} ({detail})" if detail else entry.cause
    return {"id": identifier, "cause": cause, "next": entry.next}


def verdict(identifier: str | None) -> bool | None:
    """What a row with this diagnosis is: true with none, false for a fault, None where nothing was looked at."""
    if identifier is None:
        return True
    return False if TABLE[identifier].fault else None
