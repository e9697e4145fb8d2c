"""The inventory that a running lab leaves for ansible-playbook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import paths
import pki
from machines import USER, Surroundings
from topology import Part


def path(prefix: str) -> Path:
    """Return where the inventory of this lab lies."""
    return paths.LAB / "inventory.yml" if prefix == "lab" else paths.LAB / prefix / "inventory.yml"


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def write(around: Surroundings, pythons: dict[str, str], variables: dict[str, str]) -> Path:
    """Write the inventory and known_hosts of a lab.

    Args:
        pythons: name of a machine -> interpreter that modules use there, where it is not the system's own.
    """
    folder = paths.written(around.prefix)
    host_key = pki.ssh_key(folder / "ssh_host_ed25519_key")
    reachable = [part for part in around.parts if part.role in ("coolify", "peer", "outside")]
    addresses = {part.name: around.network.ipv4(part) for part in reachable}
    known = "".join(f"{name},{address} {host_key}\n" for name, address in addresses.items())
    (folder / "known_hosts").write_text(known, encoding="ascii")

    def host(part: Part) -> dict[str, Any]:
        values: dict[str, Any] = {
            "ansible_host": addresses[part.name],
            "ansible_python_interpreter": pythons.get(part.name, "/usr/bin/python3"),
            "lab_address6": around.network.ipv6(part),
        }
        if part.role == "coolify":
            values["lab_domain"] = part.domain
            values["lab_system"] = part.system
            values["lab_coolify"] = part.version
        if part.sudo:
            values.update(ansible_user=USER, ansible_pipelining=False)
        return values

    groups = {"coolify": "coolify", "tailnet": "peer", "outside": "outside"}
    children: dict[str, Any] = {
        group: {"hosts": {part.name: host(part) for part in reachable if part.role == role}}
        for group, role in groups.items()
    }
    edge = around.network.ipv4(around.edge)
    children["coolify"]["vars"] = {
        "lab_edge_address": edge,
        "coolify_verify_connect_to": {part.domain: edge for part in reachable if part.domain},
        "coolify_verify_ca_path": str(pki.authority()),
        "coolify_verify_tailnet_hosts": list(children["tailnet"]["hosts"]) if around.tailnet != "none" else [],
        "coolify_verify_outside_hosts": list(children["outside"]["hosts"]),
        **{name: _parsed(value) for name, value in variables.items()},
    }
    document = {
        "all": {
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(folder / "id_ed25519"),
                "ansible_ssh_common_args": f"-o UserKnownHostsFile={folder / 'known_hosts'} "
                "-o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
                "lab_prefix": around.prefix,
            },
            "children": children,
        }
    }
    target = path(around.prefix)
    temporary = target.with_suffix(".tmp")
    # JSON is YAML, and needs no library to write.
    temporary.write_text("---\n" + json.dumps(document, indent=2) + "\n", encoding="utf-8")
    temporary.rename(target)
    return target
