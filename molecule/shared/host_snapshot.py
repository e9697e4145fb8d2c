"""Prints, as JSON, the state of a Coolify host that the collection may touch: to be compared before and after.

Runs on the host with its own python3 (>= 3.8), standard library only. Nothing in it is a secret: files appear as
digests. What other programs rewrite by themselves while they run is left out, and named here.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess

TREES = ("/data/coolify", "/etc", "/usr/local", "/var/lib/coolify-websocket", "/lib/systemd", "/root/.docker")
VOLATILE = (
    r"^/etc/(resolv\.conf|hosts|hostname|mtab|machine-id|ld\.so\.cache)$",
    r"^/etc/(alternatives|rc\d\.d)(/|$)",
    r"^/data/coolify/(backups|databases|services|applications)(/|$)",
    # Directories that a lookup of a package or a service start touches; their content is compared file by file.
    r"__pycache__",
)
# Packages that the collection installs where they are missing stay, as a shared tool does; their files are not ours.
PACKAGED = (r"^/etc/nftables\.conf$", r"^/etc/(default|init\.d)/nftables$", r"^/lib/systemd/system/nftables\.service$")


def files() -> dict[str, str]:
    found = {}
    skip = re.compile("|".join(VOLATILE + PACKAGED))
    for tree in TREES:
        for folder, folders, names in os.walk(tree):
            folders[:] = [name for name in folders if not skip.search(os.path.join(folder, name))]
            for name in names + [name for name in folders if os.path.islink(os.path.join(folder, name))]:
                path = os.path.join(folder, name)
                if skip.search(path):
                    continue
                status = os.lstat(path)
                if stat.S_ISLNK(status.st_mode):
                    content = os.readlink(path)
                elif stat.S_ISREG(status.st_mode):
                    with open(path, "rb") as file:
                        content = hashlib.sha256(file.read()).hexdigest()
                else:
                    content = "special"
                found[path] = "%o %d:%d %s" % (status.st_mode, status.st_uid, status.st_gid, content)
            found[folder] = "%o %d:%d folder" % ((lambda s: (s.st_mode, s.st_uid, s.st_gid))(os.lstat(folder)))
    return found


def output(*command: str) -> str:
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
    except FileNotFoundError:
        return ""


def rules() -> list[str]:
    """The loaded rules without counters and handles, and without what Docker and Tailscale number anew each time."""
    lines = []
    for text in (output("nft", "list", "ruleset"), output("iptables-save"), output("ip6tables-save")):
        for line in text.splitlines():
            line = re.sub(r"counter packets \d+ bytes \d+|\[\d+:\d+\]", "", line).strip()
            line = re.sub(r"\b(172|192\.168|10)(\.\d{1,3}){2,3}\b", "ADDRESS", line)
            if not line.startswith("#"):
                lines.append(re.sub(r"\bbr-[0-9a-f]{12}\b", "BRIDGE", line))
    return sorted(lines)


def http_conf() -> str:
    text = output("docker", "exec", "coolify", "cat", "/etc/nginx/site-opts.d/http.conf")
    return hashlib.sha256(text.encode()).hexdigest()


def units() -> list[str]:
    listed = output("systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain")
    return sorted(" ".join(line.split()[:2]) for line in listed.splitlines() if "coolify" in line or "nftables" in line)


if __name__ == "__main__":
    print(json.dumps({"files": files(), "rules": rules(), "http.conf": http_conf(), "units": units()}, sort_keys=True))
