"""Reports as runs make them: from the hosts recorded in module_utils/hops, from every side, with faults put into them."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _access
from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis, _hops, _targets
from ansible_collections.selfhosted.coolify.plugins.plugin_utils.report import document

HOPS = Path(__file__).parents[1] / "module_utils" / "hops"
ADDRESSES = ["203.0.113.77", "2a01:4f8:c17:2::77"]
LONG = "terminal.an-uncommonly-long-name-for-a-server.of-the-department-of-everything.example-company.co.uk"
Json = t.Dict[str, t.Any]


def host(
    name: str = "web-1",
    domain: str = "coolify.acme.test",
    record: str = "treated",
    symptoms: t.Mapping[tuple[str, str], str] | None = None,
    change: t.Callable[[Json, Json], None] = lambda _info, _plan: None,
) -> Json:
    """The result of one host. `symptoms` are ids by hop and end of the URL; `change` breaks what coolify_info said."""
    text = (HOPS / f"{record}.json").read_text().replace("h6-coolify.lab.test", domain).replace("lab.test", "acme.test")
    found = json.loads(text)
    info, tailscale = found["info"], found["tailscale"]
    plan = _access.plan(info, tailscale, access="dual", states={"traefik": "present", "tunnel": "present"})
    change(info, plan)
    looks = []
    views = {"host": ("host",), "control": ("domain",), "laptop": ("tailnet",), "vps-elsewhere": ("domain", "outside")}
    for item, sides in views.items():
        targets = [one for view in sides for one in _targets.targets(plan, info, view, addresses=ADDRESSES)]
        if item == "host":
            targets += _targets.looks(plan, info)["broadcast"]
        looks.append({"item": item, "results": [_seen(target, symptoms or {}) for target in targets]})
    document_of_traefik = plan["traefik"]["document"] if info["managed"]["traefik"]["present"] else None
    return _hops.result(name, plan, info, looks, document_of_traefik)


def _seen(target: Json, symptoms: t.Mapping[tuple[str, str], str]) -> Json:
    ids = [one for (hop, end), one in symptoms.items() if hop == target["name"] and target["url"].endswith(end)]
    closed = target.get("expect") == "closed"
    seen = "timeout" if ids else "refused" if closed else "101"
    diagnosis = _diagnosis.explain(ids[0], f"answered for {target['url']}") if ids else None
    return {**target, "seen": seen, "milliseconds": 2001.5 if closed else 12.3, "diagnosis": diagnosis}


def unlooked(result: Json, hop: str, identifier: str = "CWT-104", detail: str = "") -> Json:
    """The same with each row of one hop not looked at."""
    result = copy.deepcopy(result)
    for row in result["rows"]:
        if row["hop"] == hop:
            row.update(_diagnosis.explain(identifier, detail), ok=None, seen="not looked at", milliseconds=None)
    result["unknown"] = [f"{hop} ({identifier})"]
    result["broken"] = list(dict.fromkeys("{hop} ({id})".format(**row) for row in result["rows"] if row["ok"] is False))
    result["ok"] = not result["broken"]
    return result


def sick(info: Json, _plan: Json) -> None:
    info["realtime"]["health"] = "unhealthy"
    rules = info["managed"]["tunnel"]["rules"]
    info["managed"]["tunnel"]["rules"] = [one for one in rules if not one["path"]]


THREE = {("firewall", "6001/app/"): "CWT-601"}
SSH = "Failed to connect to the host via ssh: ssh: connect to host 198.51.100.23 port 22: Connection refused"


def green() -> Json:
    return document.document([host()], 0)


def three_faults() -> Json:
    return document.document([host("web-1", LONG, symptoms=THREE, change=sick)], 86400)


def not_all_looked_at() -> Json:
    reason = "ssh: Could not resolve hostname vps-elsewhere: Name or service not known"
    return document.document([unlooked(host(), "domain", detail=reason)], 0)


def fleet() -> Json:
    hosts = [host("db-frankfurt", LONG, symptoms=THREE, change=sick), host("fresh", "fresh.acme.test", record="untreated")]
    hosts += [unlooked(host("edge.acme.test"), "domain"), host("2a01:4f8:c17:2::20")]
    hosts += [_hops.ended("gone", "CWT-101", SSH), _hops.ended("198.51.100.24", "CWT-103")]
    return document.document([*hosts, *(host(f"web-{number}", f"c{number}.acme.test") for number in range(1, 15))], 0)


SAMPLES = {"green": green, "three": three_faults, "open": not_all_looked_at, "fleet": fleet}
