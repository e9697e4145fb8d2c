#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coolify_info
short_description: What a Coolify host is, and the state of everything this collection manages on it
version_added: 0.1.0
author: selfhosted.coolify contributors (@selfhosted)
description:
  - Reads, in one execution, the versions, containers, ports, domain and settings that matter for Coolify's WebSockets.
  - Docker is asked on its socket, the rest is read from files; only C(systemctl show), C(nft),
    C(iptables-save) and C(ip6tables-save) are run.
  - Does not fail for what it can describe. A host without Docker has RV(docker.reachable=false) and the reason.
  - Returns no secret. Of C(.env) and of the container's environment only the keys that decide where
    WebSockets go are read out.
extends_documentation_fragment:
  - selfhosted.coolify.attributes.info
  - selfhosted.coolify.docker
options:
  data_path:
    description: Coolify's folder on the host.
    type: path
    default: /data/coolify
  tunnel_config:
    description:
      - Path of cloudflared's configuration file, for a tunnel that is managed on the host.
      - Without it, it is the file of the connector that runs, looked for where cloudflared looks for it.
    type: path
  tailscale_interface:
    description: As O(selfhosted.coolify.tailscale_info#module:interface).
    type: str
    default: tailscale0
  tailscale_socket:
    description: As O(selfhosted.coolify.tailscale_info#module:socket).
    type: path
    default: /var/run/tailscale/tailscaled.sock
  nginx:
    description:
      - What M(selfhosted.coolify.nginx_snippet) is given of C(resolver) and C(read_timeout), to tell whether the routes in the
        container's nginx are current.
    type: dict
    default: {}
seealso:
  - module: selfhosted.coolify.tailscale_info
  - plugin: selfhosted.coolify.access_plan
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look at the host
  selfhosted.coolify.coolify_info:
  register: host

- name: Show Coolify's version and domain
  ansible.builtin.debug:
    msg: "Coolify {{ host.coolify.version }} at {{ host.domain.host | default('no domain') }}"
"""

RETURN = r"""
docker:
  description: The Docker engine.
  returned: always
  type: dict
  contains:
    reachable: {type: bool, description: Whether the engine answered.}
    version: {type: str, description: "The engine's version, or null.", sample: 26.1.5}
    error: {type: str, description: "Why it did not answer, or was not asked, or null."}
    cgroup:
      description: The control group of C(docker.service), or null where that does not run.
      type: str
      sample: /system.slice/docker.service
layout:
  description:
    - V(bundled) where the realtime and the terminal server run inside the container C(coolify), as since Coolify 4.4.
    - V(separate) where they are a container of their own, C(coolify-realtime).
    - Null where there is no container C(coolify).
  returned: always
  type: str
  sample: bundled
coolify:
  description: The container C(coolify).
  returned: always
  type: dict
  contains:
    found: {type: bool, description: Whether there is one.}
    others: {type: list, elements: str, description: "Where there is none, the containers that run Coolify's image all the same."}
    env_file: {type: str, description: "The host's file that the container has as its C(.env), or null."}
    version:
      description:
        - Coolify's version as its own C(config/constants.php) says it, else as its image does.
        - Null where neither tells a version, such as V(latest).
      type: str
      sample: 4.7.6
    pusher_scheme_obeyed:
      description: Whether Coolify's backend takes E(PUSHER_SCHEME) for its own calls, by its C(config/broadcasting.php).
      type: bool
    container:
      description: The container, or null.
      type: dict
      contains:
        name: {type: str, description: Name of the container.}
        state: {type: str, description: State as the engine calls it., sample: running}
        health: {type: str, description: "Result of its health check, or null where it has none.", sample: healthy}
    environment: {type: dict, description: Those of the keys named in RV(env_file.variables) that the container was created with.}
env_file:
  description: Coolify's C(.env) on the host.
  returned: always
  type: dict
  contains:
    path: {type: str, description: Path of the file.}
    exists: {type: bool, description: Whether it can be read.}
    variables:
      description:
        - Its values as Laravel reads them, of the keys E(PUSHER_HOST), E(PUSHER_PORT), E(PUSHER_SCHEME),
          E(PUSHER_BACKEND_HOST), E(PUSHER_BACKEND_PORT), E(TERMINAL_PROTOCOL), E(TERMINAL_HOST), E(TERMINAL_PORT),
          E(APP_NAME) and E(SESSION_COOKIE) alone.
      type: dict
    error: {type: str, description: "Why the file could not be understood, or null."}
realtime:
  description: The container with the realtime and the terminal server; which one that is, RV(layout) tells.
  returned: always
  type: dict
  contains:
    found: {type: bool, description: Whether there is one.}
    name: {type: str, description: "Name of the container, or null."}
    state: {type: str, description: "State as the engine calls it, or null."}
    health: {type: str, description: "Result of its health check, or null."}
    left_over:
      description: A container C(coolify-realtime) beside a C(coolify) that has both servers inside, or null.
      type: dict
    unused_override:
      description: A compose file that sets ports of a service which is only a placeholder by now, or null.
      type: str
ports:
  description: The ports of the host that Docker publishes for Coolify, each null where it is not published.
  returned: always
  type: dict
  contains:
    app: {type: int, description: Port of the realtime server (Pusher's protocol)., sample: 6001}
    terminal: {type: int, description: Port of the terminal server., sample: 6002}
    http: {type: int, description: Port of Coolify's own page., sample: 8000}
published:
  description: All ports of the host that each of RV(ports) is published on. RV(ports) has the one that most find.
  returned: always
  type: dict
  sample: {app: [6001, 16001], terminal: [6002], http: [8000]}
addresses:
  description: The addresses of the host that each of RV(ports) is published on; V(0.0.0.0) and V(::) are all.
  returned: always
  type: dict
  sample: {app: [0.0.0.0, "::"], terminal: [127.0.0.1], http: [0.0.0.0]}
clients:
  description: The addresses that are connected to port 6001 or 6002 now, from outside of the host.
  returned: always
  type: list
  elements: dict
  contains:
    address: {type: str, description: IPv4 or IPv6 address., sample: 192.168.1.103}
    interface: {type: str, description: "The interface that leads to it, or null."}
    bridge: {type: bool, description: Whether that is a bridge.}
global_addresses:
  description: The global IPv6 addresses of the host, but for those of bridges.
  returned: always
  type: list
  elements: str
proxy:
  description: The container C(coolify-proxy).
  returned: always
  type: dict
  contains:
    kind: {type: str, description: "V(traefik), V(caddy), or V(none)."}
    version: {type: str, description: "Version of the proxy by the image's label or tag, or null."}
    state: {type: str, description: "State as the engine calls it, or null."}
    ports: {type: dict, description: "The host's ports of its entry points C(http) and C(https), each null where not published."}
    routers:
      description:
        - Traefik's routers as its own API shows them. Each has C(name), C(entry_points), C(rule), C(priority), C(middlewares),
          C(tls) (the name of its options, null without TLS), C(enabled), and what of Coolify it C(leads) to (C(page), C(app),
          C(terminal), or nothing).
        - Null where the API does not answer.
      type: list
      elements: dict
domain:
  description: The instance's domain as Coolify wrote it for its proxy, or null.
  returned: always
  type: dict
  contains:
    host: {type: str, description: The host name., sample: coolify.example.com}
    scheme: {type: str, description: "V(https) or V(http), by the instance's URL."}
    source: {type: str, description: The file it was read from.}
os:
  description: The operating system.
  returned: always
  type: dict
  contains:
    pretty_name: {type: str, description: Name of the distribution for people.}
    systemd: {type: str, description: "Version of systemd, or null."}
    units: {type: str, description: "Why no unit can be installed and started, or null."}
    pythons: {type: dict, description: "Path and version of the system's interpreter and of the one that Ansible uses."}
ufw:
  description: UFW, read from its files.
  returned: always
  type: dict
  contains:
    installed: {type: bool, description: Whether it is installed.}
    active: {type: bool, description: Whether it is enabled.}
    ipv6: {type: bool, description: Whether it guards IPv6 too.}
    rules:
      description:
        - Its rules; each has C(action), C(protocol), C(port), C(destination), C(source), C(source_port), C(direction),
          C(interface), C(comment) and C(family).
      type: list
      elements: dict
nft:
  description: The tool C(nft).
  returned: always
  type: dict
  contains:
    available: {type: bool, description: Whether it is installed and the kernel lets it work.}
    version: {type: str, description: "Its version, or null."}
    error: {type: str, description: "Why it is not available, or null."}
    lacks:
      description:
        - What keeps a run from making it available, or null. V(kernel) where the kernel refuses nf_tables, V(package) where it is
          not installed and neither apt nor dnf is there to install it.
      type: str
managed:
  description: The state of everything that this collection manages.
  returned: always
  type: dict
  contains:
    nginx:
      description:
        - The routes in the container's nginx. C(present), C(current) (null where it cannot be told), C(loaded) (whether the
          running nginx answers with them, null where it does not answer), C(foreign) locations of the same paths, and the
          C(error) where the file could not be understood, or is C(mounted) from the host and lacks the routes.
      type: dict
    self_heal:
      description:
        - The service that gives new containers their routes. C(installed), C(active_state), C(enabled), and its own
          C(state).
      type: dict
    traefik:
      description:
        - Traefik's file. C(path), C(present), C(content), whether what was there before is C(kept), and whether a change was
          C(cut) before its end. Whether it is so new that Traefik may not have taken it up is C(settling).
        - C(broken) are the other files in its folder that cannot be read as YAML, each with C(path) and C(error). Traefik
          loads no change while there is one.
      type: dict
    firewall:
      description:
        - The firewall. C(file_present), C(table_loaded), the C(rules) of the table, C(intact) (whether they are those
          of its file), C(refused_packets), the addresses C(refused) in the last day, the state of its C(unit), and
          C(outside_bridges), which lead outside as the host is now.
        - C(other_rules) are rules of others that open or close the same ports, a block in C(DOCKER-USER), ufw-docker's,
          or a refusal of UFW's. Each has C(where), C(family), C(rule), C(effect) and C(ports). They are left alone.
      type: dict
    tunnel:
      description:
        - cloudflared's ingress list. C(path), C(present), C(managed_by_coolify), C(rules) (each with C(hostname),
          C(path), C(service)), the C(error) where it could not be read, and C(by_hand), why the collection can put no rule
          into it, empty where it can.
        - C(connectors) are the units, containers and processes that run cloudflared. Each has C(kind), C(name), C(running),
          C(remote) (it runs by a token, so that Cloudflare has its list), the C(path) of its list on the host, the ids
          C(account) and C(tunnel) from its token, and C(counts), whether its list is the one that counts.
        - C(remote) is true where the list that counts lies with Cloudflare. C(path) is then a file that nothing reads.
      type: dict
tailscale:
  description: What M(selfhosted.coolify.tailscale_info) returns, so that a host is looked at once.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.host import _discovery
from ansible_collections.selfhosted.coolify.plugins.module_utils.tailnet import _tailscale


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
            "data_path": {"type": "path", "default": "/data/coolify"},
            "tunnel_config": {"type": "path"},
            "tailscale_interface": {"type": "str", "default": "tailscale0"},
            "tailscale_socket": {"type": "path", "default": "/var/run/tailscale/tailscaled.sock"},
            "nginx": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    discovery = _discovery.Discovery(
        _client.Engine(module.params["docker_socket"]),
        data_path=module.params["data_path"],
        tunnel_config=module.params["tunnel_config"] or None,
        nginx=module.params["nginx"],
    )
    tailscale = _tailscale.discover(module.params["tailscale_interface"], module.params["tailscale_socket"])
    module.exit_json(changed=False, tailscale=tailscale, **discovery.facts())


if __name__ == "__main__":
    main()
