"""The table: what each cell should be, by facts about the host that are none of the collection's, and how it prints."""

from __future__ import annotations

import typing as t

GUARDED = (6001, 6002)
HTTP, FOREIGN = 8000, 7000
PORTS = (*GUARDED, HTTP, FOREIGN)
SOURCES = (
    "outside", "spoofed", "second lan", "routed", "tailnet", "host", "container", "by host address", "later network", "tunnel",
    "user",
)
#: What of the table is not asked: what listens in Coolify's containers listens in IPv4, the tunnel ends on this host.
NO_IPV6 = ("container", "by host address", "tunnel")
UNTREATED = ("untreated", "removed")

Cell = t.Tuple[str, int, int]


def cells() -> list[Cell]:
    """Every (source, port, family) of the table."""
    return [
        (source, port, family)
        for source in SOURCES
        for port in PORTS
        for family in (4, 6)
        if not (family == 6 and source in NO_IPV6) and (source, port) != ("tunnel", FOREIGN)
    ]


def key(cell: Cell) -> str:
    """The cell as a key of JSON."""
    return "/".join(map(str, cell))


def expected(cell: Cell, moment: str, facts: dict[str, t.Any], seen: dict[str, bool]) -> bool | None:
    """What the design says of a cell; None where it promises nothing.

    Args:
        facts: ``published4``, ``published6``: Docker publishes in this family (engines 20.10.2 to 20.10.5 leave IPv6 out,
            moby/moby#41858); ``dnat4``, ``dnat6``: Docker rewrites this family, so UFW is not asked (facts 19, 32);
            ``ufw4``, ``ufw6``: UFW's chains decide about INPUT; ``tailscale4``, ``tailscale6``: so do Tailscale's
            (fact 22); ``firewalld``: firewalld does, after all others; ``allowed``: the sources for which UFW has rules for
            the guarded ports.
        seen: the other cells of the same moment.
    """
    source, port, family = cell
    treated = moment.rpartition(": ")[2] not in UNTREATED
    guarded = treated and port in GUARDED
    if source == "tunnel":
        # By nginx's routes, which stay when the firewall alone is removed.
        return moment != "untreated" or port not in GUARDED
    if source == "container":
        return True
    if not facts[f"published{family}"]:
        return False
    if source == "host":
        return True
    if source == "routed" and guarded:
        return False
    if source in ("by host address", "later network", "routed"):
        # The unguarded port beside it says what the host makes of such a packet without us.
        return seen[key((source, FOREIGN, family))] if port in GUARDED else None
    if guarded and source in ("outside", "spoofed", "second lan"):
        return False
    if source == "user" and guarded and not facts["user_trusted"]:
        return False
    if facts[f"dnat{family}"]:
        return True
    if facts["firewalld"]:
        return False
    if facts[f"tailscale{family}"] and source == "tailnet":
        return True
    if facts[f"tailscale{family}"] and family == 4 and source == "spoofed":
        return False
    return not facts[f"ufw{family}"] or (guarded and source in facts["allowed"])


def judge(moment: str, facts: dict[str, t.Any], seen: dict[str, bool]) -> dict[str, bool]:
    """The cells that are not as the design says, with what they should be."""
    wrong = {}
    for cell in cells():
        wanted = expected(cell, moment, facts, seen)
        if wanted is not None and seen[key(cell)] != wanted:
            wrong[key(cell)] = wanted
    return wrong


def table(moments: dict[str, dict[str, t.Any]]) -> list[str]:
    """The table as lines of text: a row for each (source, port, family), a column for each moment."""
    names = list(moments)
    lines = [f"{chr(97 + number)} = {name}" for number, name in enumerate(names)]
    lines.append("open: in   closed: .   not as the design says: in! or .!")
    lines.append(f"{'source':<16}{'port':>5}{'IP':>4}  " + "".join(f"{chr(97 + n):<4}" for n in range(len(names))))
    for cell in cells():
        row = ""
        for name in names:
            shown = "in" if moments[name]["seen"][key(cell)] else "."
            row += f"{shown + ('!' if key(cell) in moments[name]['wrong'] else ''):<4}"
        lines.append(f"{cell[0]:<16}{cell[1]:>5}{'v' + str(cell[2]):>4}  {row}")
    return lines
