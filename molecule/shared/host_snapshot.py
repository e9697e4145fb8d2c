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
            status = os.lstat(folder)
            found[folder] = "%o %d:%d folder" % (status.st_mode, status.st_uid, status.st_gid)
    return found


def output(*command: str) -> str | None:
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode()
    except FileNotFoundError:
        return None


def rules(*command: str) -> list[str] | None:
    """Loaded rules without counters and handles, and without what Docker and Tailscale number anew each time.

    None where the command is not installed: then nobody can say what there was before.
    """
    text = output(*command)
    if text is None:
        return None
    lines = []
    for line in text.splitlines():
        line = re.sub(r"counter packets \d+ bytes \d+|\[\d+:\d+\]", "", line).strip()
        line = re.sub(r"\b(172|192\.168|10)(\.\d{1,3}){2,3}\b", "ADDRESS", line)
        if not line.startswith("#"):
            lines.append(re.sub(r"\bbr-[0-9a-f]{12}\b", "BRIDGE", line))
    return sorted(lines)


def http_conf() -> str:
    # The template that newer images render the file from is ours to leave alone, too.
    names = "cd /etc/nginx/site-opts.d; cat http.conf; cat http.conf.template 2>/dev/null"
    text = output("docker", "exec", "coolify", "sh", "-c", names) or ""
    return hashlib.sha256(text.encode()).hexdigest()


def units() -> list[str]:
    listed = output("systemctl", "list-unit-files", "--no-legend", "--no-pager", "--plain") or ""
    return sorted(" ".join(line.split()[:2]) for line in listed.splitlines() if "coolify" in line)


def snapshot() -> dict[str, object]:
    return {
        "files": files(),
        "iptables": rules("iptables-save"),
        "ip6tables": rules("ip6tables-save"),
        "nft": rules("nft", "list", "ruleset"),
        "http.conf": http_conf(),
        "units": units(),
    }


if __name__ == "__main__":
    print(json.dumps(snapshot(), sort_keys=True))
