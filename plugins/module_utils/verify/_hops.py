# SPDX-License-Identifier: GPL-3.0-or-later
"""The hops of one Coolify host as rows: what its state says, compared with the plan, and what its sockets said.

Rows (`_states`) come in the order of the path, from the outside to the inside.
"""

from __future__ import annotations

import re
import typing as t

from ..plan import _access, _tailnet, _words
from . import _chain, _states
from ._states import Json, Row

_OUTER = ("host", "domain", "tunnel", "traefik", "caddy", "tailscale", "firewall")
# In the words of Ansible and of sudo, su and doas, by which it becomes root.
_NOT_ROOT = re.compile(
    r"(missing|incorrect) \w+ password|password is required|not in the sudoers|privilege escalation prompt|"
    r"become (success|password prompt)|interactive authentication is required|I'm afraid I can't do that|"
    r"authentication failed, \d+ incorrect|(sudo|doas|su): .*(not permitted|not found|No such file|authentication failure)",
    re.I,
)
_ORDER = (*_OUTER, "nginx", "app", "environment", "realtime", "broadcast", "terminal", "self-heal")


def result(
    host: str,
    plan: Json,
    info: Json,
    looks: t.Sequence[Json],
    traefik_document: t.Any = None,
    unlooked: t.Sequence[tuple[str, str]] = (),
) -> dict[str, t.Any]:
    """The rows of one host by its access plan and what coolify_info returned, and what a reader wants to know beside them.

    `looks` has what websocket_info returned on each machine looked from, or how Ansible failed there (`msg`); `item` is
    the machine's name. `traefik_document` is what Traefik's file of ours says as YAML; None where it is no YAML. `unlooked` has
    the sides that nobody looked from, as an id of the diagnoses and the side's name.
    """
    rows, chain = _states.Rows(host), _chain.Chain(plan, info, looks)
    _states.add(rows, plan, info, traefik_document, chain.opened)
    for look in looks:
        if "results" not in look and look["item"] == "host":
            # Without it nothing is proved, however right the files are.
            rows.bad("CWT-101" if look.get("unreachable") else "CWT-103", "", "not looked", _states.first_line(look.get("msg")))
        elif "results" not in look:
            rows.not_looked("CWT-104", look["item"], reason=_states.first_line(look.get("msg")))
        for seen in look.get("results", []):
            rows.looked(look["item"], seen, chain.diagnosis(seen))
    for identifier, side in unlooked:
        rows.not_looked(identifier, side)
    found = _judged(host, sorted(rows.rows, key=lambda row: _ORDER.index(row["hop"])))
    found["plan"] = {
        **{key: plan[key] for key in ("mode", "why", "sides", "notes", "words")},
        "urls": [url for side in plan["sides"] for url in _words.pages(plan, side)],
    }
    found["versions"] = {
        "coolify": info["coolify"]["version"],
        "docker": info["docker"]["version"],
        "proxy": " ".join(str(info["proxy"][key]) for key in ("kind", "version") if info["proxy"].get(key)),
        "system": info["os"]["pretty_name"],
    }
    return found


def ended(host: str, identifier: str, reason: str = "") -> dict[str, t.Any]:
    """The result of a host that could not be looked at: one row."""
    found = _states.Rows(host)
    found.bad(identifier, "", "not looked", _states.first_line(reason))
    return _judged(host, found.rows)


def refused(host: str, reason: str, info: Json, tailscale: Json, access: str) -> dict[str, t.Any]:
    """The result of a host for which there is no plan: one row.

    `reason` says why, in the words of the role coolify_access or of the connection; `info` is what coolify_info returned,
    or how Ansible failed there, `tailscale` what tailscale_info returned below its key; `access` is what the user chose.
    """
    identifier, reason = "CWT-102", reason or str(info.get("msg") or "")
    # Where a module's output is no JSON, what sudo said is all of it.
    lines = [line for key in ("module_stderr", "module_stdout") for line in str(info.get(key) or "").splitlines()]
    denied = next(filter(_NOT_ROOT.search, [reason, *lines]), None)
    if denied is not None:
        identifier, reason = "CWT-107", denied
    elif info.get("unreachable"):
        identifier = "CWT-101"
    elif info.get("docker") and not info["docker"]["reachable"]:
        identifier, reason = "CWT-105", info["docker"]["error"]
    elif info.get("coolify") and not info["coolify"]["found"]:
        others = info["coolify"].get("others") or []
        identifier, reason = "CWT-106", f"{' and '.join(others)} runs Coolify's image" if others else ""
    elif info.get("env_file") and not info["env_file"]["exists"]:
        identifier, reason = "CWT-301", (info.get("coolify") or {}).get("env_file") or info["env_file"]["path"]
    elif reason and reason == _access.traefik_refusal(info):
        identifier, reason = "CWT-505", info["proxy"]["version"]
    elif access in ("tailscale", "dual") and tailscale and _tailnet.missing(tailscale) in reason:
        logged_out = tailscale.get("backend_state") in ("NeedsLogin", "NeedsMachineAuth")
        identifier = "CWT-703" if logged_out else "CWT-702" if tailscale.get("installed") else "CWT-701"
    return ended(host, identifier, reason)


def _judged(host: str, found: list[Row]) -> dict[str, t.Any]:
    named: dict[t.Any, list[str]] = {False: [], None: []}
    for row in found:
        if not row["ok"]:
            named[row["ok"]].append("{hop} ({id})".format(**row))
    broken, unknown = (list(dict.fromkeys(names)) for names in named.values())
    return {"host": host, "ok": not broken, "broken": broken, "unknown": unknown, "rows": found}
