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

import cgroups
import docker
import docker.errors
import netstate
import paths
from progress import LabError, say

_START_WITHIN = 60.0
_STOP_WITHIN = 60.0
_RUNTIME = ("/run/docker", "/run/containerd", "/run/docker.sock", "/run/docker.pid")


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
        client = _our_own()
    version = client.version()
    info = client.info()
    say(
        f"engine {version['Version']} ({'ours' if _state_file().exists() else 'found running'}), "
        f"storage {info['Driver']}, machine has cgroup v{info.get('CgroupVersion', '1')}"
    )
    return client


def _our_own() -> docker.DockerClient:
    if os.geteuid() != 0:
        raise LabError("no Docker engine answers; start one, or run this as root so that it can start its own")
    state = _ours()
    if state is not None:
        if _alive(state["process"]):
            raise LabError(f"our dockerd (pid {state['process'][0]}) does not answer; end it and run this again")
        say("an engine of ours ended without being stopped: cleaning up after it")
        stop()
    _install()
    # Where a service manager runs, the package has started it.
    client = connect()
    if client is None:
        client = _start()
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
    subprocess.run(["dpkg", "--configure", "-a"], env=environment, check=False, stdout=subprocess.DEVNULL)
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-qq"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run([*apt, *command], env=environment, check=False, capture_output=True, text=True)
        if done.returncode != 0 and command[0] == "install":
            raise LabError(f"apt-get install {' '.join(missing)} failed: {done.stderr.strip()[-500:]}")


def _start() -> docker.DockerClient:
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
    state = {
        "process": _identity(process.pid),
        "children": [],
        "network": before,
        "mounts": _mounts(),
        "runtime": [path for path in _RUNTIME if Path(path).exists()],
    }
    # Written before the engine answers: a run cut from here on still knows whose engine it is.
    _save(state)
    say(f"started dockerd (pid {process.pid}, log {log})")
    deadline = time.monotonic() + _START_WITHIN
    client = connect()
    while client is None:
        if process.poll() is not None:
            stop()
            raise LabError(f"dockerd ended with {process.returncode}; its log: {log}")
        if time.monotonic() > deadline:
            raise LabError(f"dockerd does not answer after {_START_WITHIN:.0f} s; its log: {log}")
        time.sleep(0.2)
        client = connect()
    # Its containerd outlives a dockerd that is killed.
    _save(dict(state, children=[_identity(pid) for pid in _descendants(process.pid)]))
    return client


def stop() -> None:
    """Stop the engine that we started, and take away what it leaves on the machine; others are left alone."""
    state = _ours()
    if state is None:
        return
    _end([state["process"]], _STOP_WITHIN)
    _end(state["children"], _STOP_WITHIN)
    for mount in reversed(_mounts()):
        if mount not in state["mounts"] and mount.startswith(("/run/docker/", "/var/run/docker/", "/var/lib/docker/")):
            subprocess.run(["umount", "-l", mount], check=False)
    left = netstate.restore(state["network"])
    for leftover in map(Path, _RUNTIME):
        if str(leftover) in state["runtime"]:
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    cgroups.tidy()
    _state_file().unlink()
    say("stopped our dockerd" + (f"; could not put back: {', '.join(left)}" if left else ", machine as before"))


def _save(state: dict[str, Any]) -> None:
    temporary = _state_file().with_suffix(".tmp")
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.rename(_state_file())


def _ours() -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads(_state_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state


def _identity(pid: int) -> list[Any]:
    """Return the pid and when the process began, in clock ticks: together they name one process for good."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
    except OSError:
        return [pid, None]
    return [pid, None if fields[0] == "Z" else fields[19]]


def _alive(process: list[Any]) -> bool:
    return process[1] is not None and _identity(process[0]) == process


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


def _end(processes: list[list[Any]], seconds: float) -> None:
    for process in processes:
        if _alive(process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process[0], signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(_alive(process) for process in processes):
        if time.monotonic() > deadline:
            raise LabError(f"processes {[process[0] for process in processes]} do not end within {seconds:.0f} s")
        time.sleep(0.1)


def _mounts() -> list[str]:
    with open("/proc/self/mounts", encoding="utf-8") as file:
        return [line.split()[1] for line in file]
