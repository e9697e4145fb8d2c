"""The engine the lab's containers run in: the one that answers, else one of our own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import docker
import docker.errors
import netstate
import paths
from progress import LabError, say

_START_WITHIN = 60.0
_STOP_WITHIN = 60.0


def _state_file() -> Path:
    return paths.cache() / "engine.json"


def connect() -> docker.DockerClient | None:
    """Return a client of the engine that answers, or None."""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except (docker.errors.DockerException, OSError):
        return None
    return client


def ensure() -> docker.DockerClient:
    """Return a client of an engine: the one that answers, else ours, installed and started.

    Raises:
        LabError: no engine answers, and none could be started.
    """
    client = connect()
    if client is None:
        _forget_dead_engine()
        if os.geteuid() != 0:
            raise LabError("no Docker engine answers; start one, or run this as root so that it can start its own")
        _install()
        _start()
        client = connect()
        if client is None:
            raise LabError(f"dockerd runs but does not answer; its log: {paths.cache() / 'dockerd.log'}")
    version = client.version()
    info = client.info()
    say(
        f"engine {version['Version']} ({'ours' if _state_file().exists() else 'found running'}), "
        f"storage {info['Driver']}, machine has cgroup v{info.get('CgroupVersion', '1')}"
    )
    return client


def _install() -> None:
    missing = [
        package
        for package, binary in (("docker.io", "dockerd"), ("iptables", "iptables"))
        if shutil.which(binary) is None
    ]
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    # An installation that was killed leaves dpkg asking for exactly this before anything else.
    subprocess.run(["dpkg", "--configure", "-a"], env=environment, check=False, stdout=subprocess.DEVNULL)  # noqa: S607
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
    # Where a service manager runs, the package would start an engine that nobody asked to stay.
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run([*apt, *command], env=environment, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode != 0 and command[0] == "install":
            raise LabError(f"apt-get install {' '.join(missing)} failed: {done.stderr.strip()[-500:]}")


def _start() -> None:
    before = netstate.snapshot()
    log = paths.cache() / "dockerd.log"
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [shutil.which("dockerd") or "dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            start_new_session=True,
        )
    state = {"pid": process.pid, "started": _start_time(process.pid), "network": before, "mounts": _mounts()}
    # Written before the engine answers: a run cut from here on still knows whose engine it is.
    temporary = _state_file().with_suffix(".tmp")
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.rename(_state_file())
    say(f"started dockerd (pid {process.pid}, log {log})")
    deadline = time.monotonic() + _START_WITHIN
    while connect() is None:
        if process.poll() is not None:
            _state_file().unlink()
            raise LabError(f"dockerd ended with {process.returncode}; its log: {log}")
        if time.monotonic() > deadline:
            raise LabError(f"dockerd does not answer after {_START_WITHIN:.0f} s; its log: {log}")
        time.sleep(0.2)


def stop() -> None:
    """Stop the engine that we started, and take away what it leaves on the machine; others are left alone."""
    state = _ours()
    if state is None:
        return
    pid = int(state["pid"])
    children = _descendants(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    _wait_gone([pid], _STOP_WITHIN)
    for survivor in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(survivor, signal.SIGTERM)
    _wait_gone(children, 10.0)
    for mount in reversed(_mounts()):
        if mount not in state["mounts"] and mount.startswith(("/run/docker/", "/var/run/docker/", "/var/lib/docker/")):
            subprocess.run(["umount", "-l", mount], check=False)  # noqa: S603, S607
    left = netstate.restore(state["network"])
    for leftover in ("/run/docker", "/run/containerd", "/run/docker.sock", "/run/docker.pid"):
        path = Path(leftover)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for folder in Path("/sys/fs/cgroup").glob("*/docker"):
        with contextlib.suppress(OSError):
            folder.rmdir()
    _state_file().unlink()
    say("stopped our dockerd" + (f"; could not put back: {', '.join(left)}" if left else ", machine as before"))


def _ours() -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads(_state_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state


def _forget_dead_engine() -> None:
    """Clean up after an engine of ours that was killed, so that the next snapshot is of a clean machine."""
    state = _ours()
    if state is None:
        return
    if _start_time(int(state["pid"])) == state["started"]:
        raise LabError(f"our dockerd (pid {state['pid']}) runs but does not answer; end it and run this again")
    say("an engine of ours ended without being stopped: cleaning up after it")
    stop_dead = dict(state)
    netstate.restore(stop_dead["network"])
    for leftover in ("/run/docker.pid", "/var/run/docker.pid"):
        Path(leftover).unlink(missing_ok=True)
    _state_file().unlink()


def _start_time(pid: int) -> str | None:
    """Return when the process began, in clock ticks: with the pid it names one process for good."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _descendants(pid: int) -> list[int]:
    found = []
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return []
    for child in children:
        found.append(int(child))
        found.extend(_descendants(int(child)))
    return found


def _wait_gone(pids: list[int], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(_start_time(pid) is not None for pid in pids):
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > deadline:
            raise LabError(f"processes {pids} do not end within {seconds:.0f} s")
        time.sleep(0.1)


def _mounts() -> list[str]:
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return [line.split()[1] for line in file]
