#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: websocket_info
short_description: Real WebSocket handshakes with a list of URLs, and a diagnosis for each
version_added: 0.1.0
author: selfhosted.coolify contributors (@selfhosted)
description:
  - Opens a WebSocket (RFC 6455) at each target, as a browser would, and says what was seen, how long each phase took,
    and, where it is not as expected, the cause and the next step.
  - All targets are looked at at once, and by one deadline. No login is needed, and nothing is changed.
  - A terminal's route is proved by the status C(101), and as well by the terminal server's own C(401).
    The realtime server's is proved by its greeting, and as well by its refusal of a key that nobody has.
  - Proxies in the environment are not used.
extends_documentation_fragment:
  - selfhosted.coolify.attributes.info
  - selfhosted.coolify.docker
options:
  targets:
    description: What to look at.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Any name, to find the result by.
        type: str
        required: true
      url:
        description:
          - Scheme V(http), V(https), V(ws) or V(wss).
          - For V(app) the path up to the key, like V(https://coolify.example.com/app/).
        type: str
        required: true
      kind:
        description: V(terminal) is the terminal server, V(app) the realtime server, V(http) a plain request.
        type: str
        choices: [terminal, app, http]
        default: http
      expect:
        description:
          - V(closed) wants the connection to be refused, reset or not answered.
          - It takes 1.5 seconds without an answer to count as such.
        type: str
        choices: [open, closed]
        default: open
      status:
        description: The status that a target of kind V(http) is to answer with.
        type: int
        default: 200
      connect_to:
        description: Address to connect to in place of the one that the URL's host resolves to.
        type: str
      validate_certs:
        description: Whether the TLS certificate has to be valid.
        type: bool
        default: true
  deadline:
    description: Seconds for all targets together.
    type: float
    default: 5.0
  ca_certificates:
    description: Certificates (PEM) to trust beside the system's.
    type: str
  app_key_container:
    description:
      - A container to read E(PUSHER_APP_KEY) from, so that the realtime server greets instead of refusing.
      - The key is in no output. Where it cannot be read, a key that nobody has is used.
    type: str
  broadcast:
    description:
      - Where an event is to arrive that Coolify's own backend publishes. One is published inside O(app_key_container), by the
        settings and with the secret that are there, on a channel of its own; it leaves no trace. As O(targets).
      - Nothing is published where the key cannot be read.
    type: list
    elements: dict
    default: []
  prompts:
    description:
      - Where somebody who is signed in is to get a terminal on the host itself, to a prompt that answers. As O(targets).
      - Nothing is opened without O(session).
    type: list
    elements: dict
    default: []
  session:
    description:
      - The cookies of a browser that is signed in to Coolify, as its header C(Cookie) has them. They are in no output.
    type: str
  views:
    description:
      - Other machines to look from, while the module looks from the task's own host.
      - There neither C(become) nor O(app_key_container) is used.
    type: list
    elements: dict
    suboptions:
      from:
        description: Name of a host of the inventory, or V(localhost) for the control node.
        type: str
        required: true
      targets:
        description: As O(targets).
        type: list
        elements: dict
        required: true
      deadline:
        description: As O(deadline).
        type: float
        default: 5.0
      ca_certificates:
        description: As O(ca_certificates).
        type: str
seealso:
  - module: selfhosted.coolify.coolify_info
"""

EXAMPLES = r"""
- name: Look at a Coolify from outside
  selfhosted.coolify.websocket_info:
    targets:
      - name: terminal
        url: https://coolify.example.com/terminal/ws
        kind: terminal
      - name: events
        url: https://coolify.example.com/app/
        kind: app
      - name: the port is not for everybody
        url: http://203.0.113.7:6001/app/
        kind: app
        expect: closed
  register: seen

- name: Show what is broken
  ansible.builtin.debug:
    msg: "{{ seen.results | rejectattr('ok') | map(attribute='diagnosis') }}"
"""

RETURN = r"""
results:
  description:
    - One result for each target, in their order, then one for what was published, and one for each of O(broadcast),
      then one for each of O(prompts).
  returned: always
  type: list
  elements: dict
  contains:
    name: {type: str, description: The target's name.}
    url: {type: str, description: The target's URL.}
    kind: {type: str, description: The target's kind.}
    expect: {type: str, description: What was expected.}
    ok: {type: bool, description: "Whether it was as expected, null where it could not be looked at."}
    status: {type: int, description: "The HTTP status, or null.", sample: 101}
    seen: {type: str, description: "What was seen, in a few words.", sample: 101 established}
    milliseconds: {type: float, description: How long it took.}
    phases:
      description: Milliseconds for each of C(dns), C(tcp), C(tls), C(http) and C(frame) that was come to its end.
      type: dict
    server: {type: str, description: "The answer's header C(Server), or null."}
    page:
      description:
        - Whether Coolify's page answers at C(/api/health) of the same server, where no socket opened and only that tells whose
          answer it was; else null.
      type: bool
    diagnosis: {type: dict, description: "C(id), C(cause) and C(next) where it was not as expected, else null."}
views:
  description: For each of O(views) its C(from) and C(results), or how Ansible failed there, as C(msg).
  returned: always
  type: list
  elements: dict
app_key:
  description: Whether the greeting was asked for with the real key.
  returned: always
  type: bool
"""

from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _broadcast, _handshake, _terminal


def read_app_key(socket: str, container: str | None) -> str | None:
    if not container:
        return None
    try:
        inspected = _client.Engine(socket).inspect(container)
    except _client.EngineError:
        return None
    return _client.environment(inspected or {}).get("PUSHER_APP_KEY") or None


def main() -> None:
    targets = {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "url": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": list(_handshake.KINDS), "default": _handshake.DEFAULTS["kind"]},
            "expect": {"type": "str", "choices": list(_handshake.EXPECTATIONS), "default": _handshake.DEFAULTS["expect"]},
            "status": {"type": "int", "default": _handshake.DEFAULTS["status"]},
            "connect_to": {"type": "str"},
            "validate_certs": {"type": "bool", "default": _handshake.DEFAULTS["validate_certs"]},
        },
    }
    common = {"deadline": {"type": "float", "default": _handshake.DEADLINE}, "ca_certificates": {"type": "str"}}
    module = AnsibleModule(
        argument_spec={
            "targets": targets,
            **common,
            # The action plugin of the same name looks from there.
            "views": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "from": {"type": "str", "required": True},
                    "targets": {"type": "list", "elements": "dict", "required": True},
                    **common,
                },
            },
            "broadcast": {"type": "list", "elements": "dict", "default": []},
            "prompts": {"type": "list", "elements": "dict", "default": []},
            "session": {"type": "str", "no_log": True},
            "app_key_container": {"type": "str", "no_log": False},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    if module.params["deadline"] <= 0:
        module.fail_json(msg="deadline is {}. Set it to some seconds.".format(module.params["deadline"]))
    options = module.params
    container, deadline, authorities = options["app_key_container"], options["deadline"], options["ca_certificates"]
    app_key = read_app_key(options["docker_socket"], container)
    engine = _client.Engine(options["docker_socket"], deadline)
    with ThreadPoolExecutor(max_workers=2) as beside:
        published = prompted = None
        if app_key and options["broadcast"]:
            published = beside.submit(_broadcast.prove, engine, container, app_key, options["broadcast"], deadline, authorities)
        if container and options["session"] and options["prompts"]:
            words = (container, options["session"], options["prompts"], deadline, authorities)
            prompted = beside.submit(_terminal.prove, engine, *words)
        try:
            results = _handshake.probe_all(options["targets"], deadline, app_key, authorities)
            for more in (published, prompted):
                results += more.result() if more else []
        except ValueError as error:
            module.fail_json(msg=str(error))
    module.exit_json(changed=False, results=results, app_key=app_key is not None)


if __name__ == "__main__":
    main()
