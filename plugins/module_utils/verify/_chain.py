# SPDX-License-Identifier: GPL-3.0-or-later
"""What a socket's answer means by where it was given: a way in is a chain of links, from the servers outwards.

Broken is the first link from inside that does not hold. Where all of them hold, and the outermost socket does not open, the
fault lies in front of the host.
"""

from __future__ import annotations

import typing as t
from urllib.parse import urlsplit

from . import _diagnosis

Json = t.Mapping[str, t.Any]

# What a socket's symptom means where it is known which hop was looked at.
_AT_HOP = {
    "nginx": {"CWT-911": "CWT-211", "CWT-912": "CWT-211", "CWT-913": "CWT-211", "CWT-914": "CWT-212"},
    "traefik": {
        "CWT-901": "CWT-513",
        "CWT-902": "CWT-513",
        "CWT-911": "CWT-511",
        "CWT-912": "CWT-511",
        "CWT-913": "CWT-511",
        "CWT-914": "CWT-512",
    },
    "tailscale": {"CWT-902": "CWT-705", "CWT-903": "CWT-705"},
}
_AT_HOP["caddy"] = _AT_HOP["traefik"]
# From inside outwards.
_LINKS = ("realtime", "nginx", "traefik", "caddy")
# Nobody was reached.
_SILENT = ("CWT-811", "CWT-812", "CWT-901", "CWT-902", "CWT-903")
# What the servers and the page answer to a request without Upgrade; besides, 500.
_WITHOUT_UPGRADE = ("CWT-911", "CWT-912", "CWT-915")
# What is seen of a link that is broken further inside.
_BEHIND = ("CWT-904", "CWT-905", "CWT-906", "CWT-914", "CWT-917", "CWT-933", "CWT-934", *_WITHOUT_UPGRADE)


class Chain:
    """The links of one host, by its plan, what coolify_info returned, and the looks as of `_hops.result`."""

    def __init__(self, plan: Json, info: Json, looks: t.Sequence[Json]) -> None:
        self._plan = plan
        self._info = info
        seen = [(look["item"], result) for look in looks for result in look.get("results", [])]
        self._links = [(hop, one) for hop in _LINKS for origin, one in seen if origin == "host" and one["name"] == hop]
        # On the host itself a name may lead to loopback.
        elsewhere = [one for origin, one in seen if origin != "host"]
        self._reached_elsewhere = {one["url"] for one in elsewhere if (one["diagnosis"] or {}).get("id") not in _SILENT}
        #: The URLs that opened from wherever they were tried.
        self.opened = {one["url"] for _origin, one in seen} - {one["url"] for _origin, one in seen if one["diagnosis"]}

    def diagnosis(self, result: Json) -> Json | None:
        """The diagnosis of a result of websocket_info; None where it is as it should be."""
        found, hop, url = result["diagnosis"], result["name"], urlsplit(result["url"])
        if found is None or (found["id"] == "CWT-918" and (self._plan["domain"] or {}).get("scheme") == "https"):
            return None
        if hop == "domain" or (hop == "tailscale" and url.hostname == (self._plan["served"] or {}).get("host")):
            return self._from_outside(result, found)
        refined = _AT_HOP.get(hop, {}).get(found["id"])
        if refined == "CWT-705" and url.port != self._plan["ports"]["http"]:
            refined = "CWT-609"
        return _diagnosis.explain(refined) if refined else found

    def _from_outside(self, result: Json, found: Json) -> Json:
        identifier = found["id"]
        if identifier in _SILENT and result["url"] in self._reached_elsewhere:
            return _diagnosis.explain("CWT-838", result["seen"])
        links = [(hop, self.diagnosis(one)) for hop, one in self._links if one["kind"] == result["kind"]]
        broken = next(((hop, met["id"]) for hop, met in links if met), None)
        if broken is not None and identifier in _BEHIND:
            return {**found, "next": "Mend the hop {} first ({}): this way leads through it.".format(*broken)}
        # What a way leads through that does without the container's nginx, no look from the host tells.
        if broken is None and any(hop == "nginx" for hop, _met in links):
            return self._in_front(result, found)
        return found

    def _in_front(self, result: Json, found: Json) -> Json:
        """Where every link on the host holds."""
        by = "answered by {}".format(result["server"]) if result.get("server") else ""
        if found["id"] == "CWT-914":
            refused = self._info["managed"]["firewall"].get("refused") or []
            return _diagnosis.explain("CWT-836", "the firewall refused " + ", ".join(refused[:5]) if refused else by)
        if result.get("page") is None or (found["id"] not in _WITHOUT_UPGRADE and result["status"] != 500):
            return found
        return _diagnosis.explain("CWT-834" if result["page"] else "CWT-837", by)
