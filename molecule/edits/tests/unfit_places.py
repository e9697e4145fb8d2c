"""Runs on a lab's Coolify host: makes the places that the modules write to unfit, one way after the other.

    python3 unfit_places.py FOLDER KNOWN [PLACE ...]

FOLDER has ansible and the collection; KNOWN is, in JSON, what only the control node can tell. Prints how long each place
took, and then, as one line of JSON, what is wrong in each cell of the table, "" for nothing. A cell is a place, a step
(to write, or to take back) and a fault.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import re
import shutil
import stat
import struct
import subprocess
import sys
import time

from places import FAULTS, PLACES, STEPS, SURVIVES, Place

ELSEWHERE = "/run/unfit-elsewhere"
TARGET = ELSEWHERE + "/target"
FOREIGN = "# somebody else's\n"
FILLER = "filler"
# What the message must say: the cause, and what to do about it.
SAYS = {
    "full": ("no space left on device", "df -h"),
    "inodes": ("no space left on device", "df -i"),
    "readonly": ("read-only", "read-write"),
    "immutable": ("operation not permitted", "chattr -i"),
    "link": ("symbolic link", "remove the link"),
}
_GETFLAGS, _SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


# systemd's own files are as ever. PID 1, which has scenarios of its own and takes half a second each time, is left out.
SYSTEMCTL = """#!/bin/sh
export SYSTEMD_OFFLINE=1
for unit; do :; done
case $1 in
    enable|disable) exec %s "$@" ;;
    start|restart) : >"$0-$unit" ;;
    stop) rm -f "$0-$unit" ;;
    show) [ -e "$0-$unit" ] && echo ActiveState=active
        case $2 in *UnitFileState*) echo "UnitFileState=$(%s is-enabled "$unit" 2>/dev/null)" ;; esac ;;
esac
"""


class Wrong(Exception):
    """What a module did against the promise."""


def run(module, options):
    """What the module answers, run in a process of its own; the Python that it needs is loaded once for all."""
    main = importlib.import_module("ansible_collections.selfhosted.coolify.plugins.modules." + module).main
    arguments = os.path.join(sys.argv[1], "arguments.json")
    with open(arguments, "w") as target:
        json.dump({"ANSIBLE_MODULE_ARGS": options}, target)
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(there, 1)
        os.dup2(there, 2)
        os.close(here)
        os.close(there)
        sys.argv = [module, arguments]
        try:
            main()
        except SystemExit:
            pass
        except BaseException:
            sys.excepthook(*sys.exc_info())
        sys.stdout.flush()
        os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as source:
        output = source.read().decode()
    os.waitpid(child, 0)
    try:
        return json.loads(output)
    except ValueError:
        raise Wrong("no answer, but: " + output[-400:]) from None


def finish(place, options, what):
    answer = run(place.module, options)
    if answer.get("failed"):
        raise Wrong("%s fails: %s" % (what, answer["msg"]))
    return answer


def read(path):
    with open(path, "rb") as source:
        return source.read().decode("latin-1")


def pictures(folder):
    """All files below the folder, by name: bytes, or where a link leads, mode and owner."""
    found = {}
    for where, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            else:
                content = read(path)
            if not name.startswith(FILLER):
                found[path] = (content, oct(status.st_mode), status.st_uid, status.st_gid)
    return found


def immutable(path, wanted):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        (flags,) = struct.unpack("l", fcntl.ioctl(descriptor, _GETFLAGS, struct.pack("l", 0)))
        flags = flags | _IMMUTABLE if wanted else flags & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SETFLAGS, struct.pack("l", flags))
    finally:
        os.close(descriptor)


def mount(*words):
    subprocess.run(["mount", *words], check=True)


class Fault:
    """One thing wrong with a place, as long as the context lasts."""

    def __init__(self, place: Place, kind: str) -> None:
        self.place, self.kind = place, kind
        self.path = place.file if os.path.exists(place.file) else place.folder

    def __enter__(self) -> None:
        folder = self.place.folder
        if self.kind == "full":
            with open(os.path.join(folder, FILLER), "wb", buffering=0) as target:
                try:
                    while True:
                        target.write(b"\0" * 4096)
                except OSError:
                    pass
        elif self.kind == "inodes":
            try:
                for number in range(10**6):
                    os.close(os.open(os.path.join(folder, FILLER + str(number)), os.O_CREAT | os.O_WRONLY))
            except OSError:
                pass
        elif self.kind == "readonly":
            mount("-o", "remount,ro", folder)
        elif self.kind == "immutable":
            immutable(self.path, True)
        else:
            os.makedirs(ELSEWHERE)
            if os.path.exists(self.place.link):
                shutil.move(self.place.link, TARGET)
            elif self.place.link == self.place.state_dir:
                os.makedirs(TARGET)
            else:
                os.makedirs(os.path.dirname(self.place.link), exist_ok=True)
                with open(TARGET, "w") as target:
                    target.write(FOREIGN)
            os.symlink(TARGET, self.place.link)

    def __exit__(self, *_exception: object) -> None:
        folder = self.place.folder
        if self.kind == "readonly":
            mount("-o", "remount,rw", folder)
        elif self.kind == "immutable":
            immutable(self.path, False)
        elif self.kind == "link" and os.path.islink(self.place.link):
            os.unlink(self.place.link)
            if os.path.isdir(TARGET) or read(TARGET) != FOREIGN:
                shutil.move(TARGET, self.place.link)
        for name in os.listdir(folder):
            if name.startswith(FILLER):
                os.unlink(os.path.join(folder, name))
        shutil.rmtree(ELSEWHERE, ignore_errors=True)


def look(place, step, kind, final):
    """Goes through one cell. Raises Wrong."""
    wanted = place.present if step == "write" else place.absent
    if step == "back":
        finish(place, place.present, "the run before")
    before = pictures(place.folder)
    survives = (place.name, step, kind) in SURVIVES
    with Fault(place, kind):
        if kind == "link":
            before = pictures(place.folder)
            target = "" if os.path.isdir(TARGET) else read(TARGET)
        answer = run(place.module, wanted)
        after = pictures(place.folder)
        if kind == "link":
            if not os.path.islink(place.link):
                raise Wrong("the link is gone: %s" % answer.get("msg"))
            if not survives and read(TARGET) != target:
                raise Wrong("what the link leads to was changed")
            if survives and place.link == place.file and read(TARGET) != final[place.file][0]:
                raise Wrong("the run did not write through the link")
            if os.listdir(ELSEWHERE) != ["target"]:
                raise Wrong("beside the link's target lies %s" % os.listdir(ELSEWHERE))
    message = str(answer.get("msg"))
    if bool(answer.get("failed")) == survives:
        raise Wrong("it should %s: %s" % ("succeed" if survives else "fail", message))
    again = finish(place, wanted, "the run after")
    if (survives and again["changed"]) or finish(place, wanted, "one more run")["changed"]:
        raise Wrong("a further run changes something")
    now = pictures(place.folder)
    if not place.state_dir.startswith(place.folder):
        for path in {*before, *after, *now}:
            if after.get(path) not in (before.get(path), now.get(path)):
                raise Wrong("%s is neither old nor new: %s" % (path, str(after.get(path))[:200]))
        if kind != "link" and now != final:
            raise Wrong("the run after does not make what one without the fault makes: %s" % sorted(set(now) ^ set(final)))
    left = [path for path in after if re.search(r"\.new$|/journal-|/\.coolify-websocket", path)]
    if left:
        raise Wrong("left over: %s" % left)
    if not survives:
        if after.get(place.file) != before.get(place.file):
            raise Wrong("%s was changed" % place.file)
        missing = [word for word in (place.named or place.folder, *SAYS[kind]) if word not in message.lower()]
        if place.option and not message.startswith(place.option + ": "):
            missing.append(place.option + ":")
        if missing:
            raise Wrong("not in the message: %s: %s" % (missing, message))


def finals(place):
    """What is in the folder after a run without a fault, by step."""
    finish(place, place.present, "a run")
    found = {"write": pictures(place.folder)}
    finish(place, place.absent, "a removal")
    return {**found, "back": pictures(place.folder)}


def look_at(place):
    found = {}
    os.makedirs(place.folder, exist_ok=True)
    kept = ELSEWHERE + "-copy"
    subprocess.run(["cp", "-a", place.folder, kept], check=True)
    mount("-t", "tmpfs", "-o", "size=1m,nr_inodes=2k,mode=755", "tmpfs", place.folder)
    try:
        subprocess.run(["cp", "-a", kept + "/.", place.folder], check=True)
        place.prepare()
        final = finals(place)
        for kind in FAULTS:
            for step in STEPS:
                cell = "%s-%s-%s" % (place.name, step, kind)
                try:
                    look(place, step, kind, final[step])
                    found[cell] = ""
                except Wrong as wrong:
                    found[cell] = str(wrong)
                    run(place.module, place.absent)
                    shutil.rmtree(place.state_dir, ignore_errors=True)
                    place.prepare()
    finally:
        subprocess.run(["umount", "-l", place.folder], check=True)
        shutil.rmtree(kept)
        place.end()
    return found


def put_systemctl():
    folder = os.path.join(sys.argv[1], "bin")
    os.makedirs(folder, exist_ok=True)
    real = shutil.which("systemctl") or ""
    with open(os.path.join(folder, "systemctl"), "w") as target:
        target.write(SYSTEMCTL % (real, real))
    os.chmod(target.name, 0o700)
    os.environ["PATH"] = folder + ":" + os.environ["PATH"]


def main():
    put_systemctl()
    known = json.loads(sys.argv[2])
    found = {}
    for place in PLACES:
        if len(sys.argv) == 3 or place.name in sys.argv[3:]:
            place.know(known)
            began = time.monotonic()
            found.update(look_at(place))
            print("%s: %.1f s" % (place.name, time.monotonic() - began), flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    main()
