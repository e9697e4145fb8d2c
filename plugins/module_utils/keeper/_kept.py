# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper: what was there before a hop's first change, for every hop in the same way and in a form that people read.

1. `remember`, before the first byte is changed: the entry says "writing".
2. The change is made, and `done`: the entry says "written". A later run that finds "writing" knows of one that was cut.
3. On the way back, `begin`, what was there is given back, and only then `forget`: a run that was cut on the way is
   finished by the next, in whichever direction that goes.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t

from . import _durable


class KeptError(ValueError):
    """What was kept cannot be read back; the message names the file and what to do."""


class Entry:
    """What is kept for one `hop`, or for the file `path` of it, in the folder ``kept`` of the directory `folder`.

    That has mode 0700, is made with the first entry, and removed with the last thing in it.
    """

    def __init__(self, folder: str, hop: str, path: str = "") -> None:
        self._folders = (folder, os.path.join(folder, "kept"))
        self._name = {"hop": hop, **({"path": path} if path else {})}
        self.file = os.path.join(self._folders[1], hop + path.replace("/", "-") + ".json")

    def load(self) -> dict[str, t.Any] | None:
        """What was remembered; None where nothing was. Raises OSError and KeptError."""
        content = self._content()
        return None if content is None else t.cast("dict[str, t.Any]", content["before"])

    def cut(self) -> bool:
        """Whether a change was begun, and not ended. Raises OSError and KeptError."""
        content = self._content()
        return content is not None and (content["state"] != "written" or _durable.cut(self.file))

    def remember(self, before: t.Mapping[str, t.Any]) -> None:
        """Keeps `before`, what the hop goes back to, durably, ahead of the change. Raises OSError."""
        try:
            for folder in self._folders:
                if not os.path.isdir(folder):
                    os.mkdir(folder, 0o700)
            self._save({**self._name, "state": "writing", "when": _now(), "before": before})
        except OSError:
            self._drop_folders()
            raise

    def begin(self) -> None:
        """Another change begins, the way back for one. Raises OSError and KeptError."""
        self._turn("writing")

    def done(self, before: t.Mapping[str, t.Any] | None = None) -> None:
        """The change is made; `before` is what is kept from now on, if that is less. Raises OSError and KeptError."""
        content = self._content()
        if content is not None:
            made = {**content, "state": "written", "before": content["before"] if before is None else before}
            if made != content:
                self._save(made)

    def forget(self) -> None:
        """All is given back. Raises OSError."""
        _durable.remove(self.file)
        self._drop_folders()

    def _drop_folders(self) -> None:
        for folder in reversed(self._folders):
            # Something else is in it, or it is gone, or a mount or a link of somebody's.
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _turn(self, state: str) -> None:
        content = self._content()
        if content is not None and content["state"] != state:
            self._save({**content, "state": state})

    def _save(self, content: t.Mapping[str, t.Any]) -> None:
        # In ASCII: bytes that are no UTF-8 are lone surrogates here, which have an escape, but no encoding.
        _durable.write(self.file, (json.dumps(content, indent=1) + "\n").encode("ascii"), 0o600)

    def _content(self) -> dict[str, t.Any] | None:
        try:
            found = _durable.read(self.file)
            if found is None:
                return None
            content = json.loads(found[0].decode("ascii"))
            if {key: content.get(key) for key in self._name} == self._name and isinstance(content["before"], dict):
                return {"state": content["state"], **content}
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        raise KeptError(f"{self.file} is damaged; mend it, or delete it to go on without what was there before")


def picture(path: str) -> dict[str, t.Any] | None:
    """A file's text, mode, and owner, as they are kept; None for one that is not there. Raises OSError, for a link too."""
    found = _durable.read(path)
    if found is None:
        return None
    data, status = found
    text = data.decode("utf-8", "surrogateescape")
    return {"text": text, "mode": f"{status.st_mode & 0o7777:04o}", "owner": [status.st_uid, status.st_gid]}


def text(path: str) -> str | None:
    """A file's text alone, with surrogates for bytes that are no UTF-8; None for one that is not there. Raises OSError."""
    found = picture(path)
    return None if found is None else str(found["text"])


def give_back(path: str, before: t.Mapping[str, t.Any] | None) -> None:
    """Makes the file what `picture` saw. Raises OSError."""
    _durable.refuse_link(path)
    if before is None:
        _durable.remove(path)
    else:
        uid, gid = before["owner"]
        _durable.write(path, before["text"].encode("utf-8", "surrogateescape"), int(before["mode"], 8), (uid, gid))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
