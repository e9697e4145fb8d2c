"""Commands inside one of the lab's machines, in all of its namespaces: at its console, not by ssh, which users have.

Not by ``docker exec`` either: the engine of a busy machine loses what a command says that ends at once, does not begin
another, and needs some tenths of a second for each.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile

from docker.models.containers import Container

_NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "container": "docker",
}


def attempt(container: Container, *words: str) -> tuple[int, str, str]:
    """Exit code (128 and more: ended by that signal), output and complaints of a command; 128 in a machine that does not run."""
    container.reload()
    pid = container.attrs["State"]["Pid"]
    if not pid:
        return 128, "", f"{container.name} does not run"
    # Files, since what a command leaves running in the background keeps pipes open.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            ["nsenter", f"--target={pid}", *_NAMESPACES, "--", *words],
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=_ENVIRONMENT,
        )  # fmt: skip
        try:
            code = _ended(process)
        except BaseException:
            process.kill()
            raise
        out.seek(0)
        err.seek(0)
        output, complaints = (file.read().decode(errors="replace") for file in (out, err))
    return code if code >= 0 else 128 - code, output, complaints


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code of nsenter, which stops itself when its command is stopped, as a machine that shuts down does to all."""
    while True:
        _pid, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode
        process.send_signal(signal.SIGCONT)


def shell(container: Container, script: str) -> tuple[int, str]:
    """Exit code of a shell script, and all that it says, in its order."""
    code, output, complaints = attempt(container, "sh", "-c", f"exec 2>&1; {script}")
    # The second where the shell itself did not begin: a machine that does not run, a script that is none.
    return code, output + complaints
