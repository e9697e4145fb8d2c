#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nginx_snippet
short_description: WebSocket routes in the nginx of Coolify's container
version_added: 0.1.0
description:
  - Keeps one marked block with the routes to the realtime container, C(coolify-realtime), in C(http.conf), the body of the
    one server that nginx in Coolify's container has.
  - A new file is tested by the container's own nginx beside the running one, takes its place by rename, is tested there
    and then loaded gracefully. Where any of this fails, the old file is back and the module fails with nginx's words.
    It succeeds only when nginx answers on every route.
  - A path on which the running nginx answers a WebSocket handshake as the server behind it does, is served already, by
    Coolify itself or by somebody's hand, and is left alone. Nobody else's configuration is interpreted for that.
  - Plain copies of the routes, as a script of one's own may have appended them, are taken over into the block. Any other location
    for the same path stays as it is and is reported, and its path is left out of the block.
  - A container that does not run gets the file all the same; nginx loads it when it starts.
extends_documentation_fragment:
  - selfhosted.coolify.attributes
  - selfhosted.coolify.docker
options:
  container:
    description: Name or id of Coolify's container.
    type: str
    default: coolify
  resolver:
    description: Address of the resolver that nginx asks for C(coolify-realtime) on each connection.
    type: str
    default: 127.0.0.11
  read_timeout:
    description: Seconds that a connection may be silent before nginx ends it.
    type: int
    default: 86400
  state:
    description: Whether the block is there. With V(absent) the file is what it was before, byte for byte.
    type: str
    choices: [present, absent]
    default: present
notes:
  - Open connections through nginx live on in its old workers.
author: selfhosted.coolify contributors (@selfhosted)
"""

EXAMPLES = r"""
- name: Route Coolify's WebSockets inside its container
  selfhosted.coolify.nginx_snippet:

- name: Let an idle terminal live for a week
  selfhosted.coolify.nginx_snippet:
    read_timeout: 604800

- name: Give back the http.conf of before
  selfhosted.coolify.nginx_snippet:
    state: absent
"""

RETURN = r"""
paths:
  description: The paths that the block routes.
  returned: success
  type: list
  elements: str
  sample: [/terminal/ws, /app/, /apps/]
foreign:
  description: Locations of somebody else's for one of the paths, which are therefore not in the block.
  returned: success
  type: list
  elements: dict
  contains:
    path: {type: str, description: The path it takes.}
    location: {type: str, description: The directive's own words.}
    file: {type: str, description: "The file it stands in, in the container."}
    line: {type: int, description: The line it begins in.}
    served:
      description:
        - Whether nginx answers on the path as the server behind it does. Null where the container does not run, or its
          nginx does not answer.
      type: bool
served:
  description: The paths that the running nginx serves without the block, and which are not in it therefore.
  returned: success
  type: list
  elements: str
adopted:
  description: Locations added by hand that the block took over in this run.
  returned: success
  type: list
  elements: str
reloaded:
  description: Whether nginx loaded its configuration again.
  returned: success
  type: bool
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.keeper import _trouble
from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _container, _http_conf, _routes

_ATTEMPTS = 3
# A container that has just started renders its http.conf in some tenths of a second.
_RENDERED_WITHIN = 60
_PAUSE = 0.5


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "container": {"type": "str", "default": "coolify"},
            "resolver": {"type": "str", "default": _routes.DEFAULT.resolver},
            "read_timeout": {"type": "int", "default": _routes.DEFAULT.read_timeout},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "docker_socket": {"type": "path", "default": "/var/run/docker.sock"},
        },
        supports_check_mode=True,
    )
    engine = _client.Engine(module.params["docker_socket"])
    try:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                result = _when_rendered(engine, module.params, module.check_mode)
                break
            except _container.Conflict:
                if attempt == _ATTEMPTS:
                    raise
    except _client.EngineUnavailable as error:
        module.fail_json(msg=f"docker_socket: {error}. Start Docker, or name the socket it listens on.")
    except (_client.EngineError, _container.NginxError, _routes.HttpConfError) as error:
        module.fail_json(msg=f"container {module.params['container']}: {_trouble.advised(str(error))}")
    for location in result["foreign"]:
        if location["served"] is False:
            module.warn(
                f"{location['file']}, line {location['line']}: '{location['location']}' takes {location['path']}, which "
                "nginx does not answer as the realtime server does; remove it, so that the route can be added"
            )
    module.exit_json(**result)


def _when_rendered(engine: _client.Engine, params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    for _attempt in range(int(_RENDERED_WITHIN / _PAUSE)):
        try:
            return ensure(engine, params, check_mode)
        except _container.NotRendered:
            time.sleep(_PAUSE)
    return ensure(engine, params, check_mode)


def ensure(engine: _client.Engine, params: dict[str, t.Any], check_mode: bool) -> dict[str, t.Any]:
    """Brings the container to what the parameters say; the values to return."""
    inspected = engine.inspect(params["container"])
    if inspected is None:
        if params["state"] == "absent":
            return _returned(_http_conf.Result("", False, [], [], [], []), "", reloaded=False)
        raise _container.NginxError("there is no such container; install Coolify, or set the option container")
    # Complains of a symbolic link, which a template beside it would hide.
    engine.read_file(inspected["Id"], _http_conf.PATH)
    snapshot = _container.read(engine, inspected)
    wanted = _wanted(engine, snapshot, params)
    template = _treated_template(engine, inspected, params)
    reload_only = not wanted.changed and snapshot.running and not _container.is_loaded(engine, snapshot)
    if not check_mode:
        if wanted.changed and snapshot.running:
            _container.swap(engine, snapshot, wanted.text)
        elif wanted.changed:
            _container.put(engine, snapshot, wanted.text)
        elif reload_only:
            _container.load(engine, snapshot)
        if template is not None:
            _container.put(engine, template, _http_conf.remove(template.text).text)
    result = _returned(wanted, snapshot.text, reloaded=snapshot.running and (wanted.changed or reload_only))
    result["changed"] = result["changed"] or template is not None
    return result


def _treated_template(
    engine: _client.Engine, inspected: dict[str, t.Any], params: dict[str, t.Any]
) -> _container.Snapshot | None:
    """The template that the self-heal service put the routes into before the start, where they are to be taken out."""
    if params["state"] == "present":
        return None
    template = _container.template_of(engine, inspected)
    return template if template is not None and _http_conf.remove(template.text).changed else None


def _wanted(engine: _client.Engine, snapshot: _container.Snapshot, params: dict[str, t.Any]) -> _http_conf.Result:
    if params["state"] == "absent":
        # What is mounted was never written by this collection.
        return _http_conf.Result(snapshot.text, False, [], [], [], []) if snapshot.mounted else _http_conf.remove(snapshot.text)
    settings = _routes.settings({name: params[name] for name in _routes.Settings._fields})
    return _container.wanted(engine, snapshot, settings)


def _returned(result: _http_conf.Result, before: str, reloaded: bool) -> dict[str, t.Any]:
    return {
        "changed": result.changed or reloaded,
        "diff": {
            "before_header": _http_conf.PATH,
            "after_header": _http_conf.PATH,
            "before": _printable(before),
            "after": _printable(result.text),
        },
        "paths": result.paths,
        "foreign": [location._asdict() for location in result.foreign],
        "served": result.served,
        "adopted": result.adopted,
        "reloaded": reloaded,
    }


def _printable(text: str) -> str:
    """The file's bytes, read as UTF-8 for people."""
    return text.encode("latin-1").decode("utf-8", "replace")


if __name__ == "__main__":
    main()
