"""Breaks the product in one place at a time, and says which breaks no unit test notices.

    .venv/bin/python tests/mutations.py [--only WORD] [--jobs 3]

Each mutation is one line of `plugins/`, made in a copy, and the unit tests that are to notice it. Prints those that survive, and
ends with 1 where one survives that has no reason below.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNIT = "tests/unit/plugins"
# Seconds. A test that goes on for ever has noticed.
PATIENCE = 150
PARTS = ("plugins", "roles", "tests", "meta", "docs", "galaxy.yml", "pyproject.toml")


class Mutation(t.NamedTuple):
    """`before` stands once in the file, and becomes `after`; `tests` is where one fails then; `reason`: why none does."""

    file: str
    before: str
    after: str
    tests: str
    reason: str = ""


def _of(folder: str, tests: str, *pairs: tuple[str, ...]) -> list[Mutation]:
    return [Mutation(f"plugins/{folder}", pair[0], pair[1], f"{UNIT}/{tests}", *pair[2:]) for pair in pairs]


MUTATIONS = [
    *_of(
        "modules/pusher_env.py", "modules/test_pusher_env.py",
        ("    if not module.check_mode:\n        if recreated", "    if True:\n        if recreated"),
        ("            if _deploying(module, 0):\n", "            if False:\n"),
        ("lambda seconds: _deploying(module, seconds),", "lambda seconds: [],"),
        ("                container = _container(module)\n",
         "                container = locals().get('container') or _container(module)\n"),
        ('if key in _dotenv.NON_SECRET_KEYS else other}', "if True else other}"),
        ("    if time.monotonic() > deadline:\n", "    if False:\n"),
        ("recreated = params[\"recreate\"] and bool(change.pending)", "recreated = bool(change.pending)"),
    ),
    *_of(
        "modules/nginx_snippet.py", "modules/test_nginx_snippet.py",
        ("    if not check_mode:\n", "    if True:\n"),
        ("        if template is not None:\n", "        if False:\n"),
        ("    if params[\"state\"] == \"present\":\n        return None\n", "    return None\n"),
        ("        except _container.NotRendered:\n", "        except ZeroDivisionError:\n"),
        ("        if location[\"served\"] is False:\n", "        if False:\n"),
        ("reload_only = not wanted.changed and", "reload_only = False and"),
        ('result["changed"] = result["changed"] or template is not None', "pass"),
    ),
    *_of(
        "modules/tunnel_ingress.py", "modules/test_tunnel_ingress.py",
        ("        if present and not module.check_mode:\n", "        if present:\n"),
        ("        if present and not module.check_mode:\n", "        if False:\n"),
        ("        if not module.check_mode:\n            file.recover()", "        if True:\n            file.recover()"),
        ("    return _ingress.shown(readable)\n", "    return readable\n"),
        ('if present and digest != module.params["digest"]:', "if False:"),
        ("_inplace_file.LockedError, _kept.KeptError,", "_inplace_file.LockedError,"),
    ),
    *_of(
        "modules/traefik_dynamic_file.py", "module_utils/test_keeper.py",
        ("        kept.begin()\n        _durable.write", "        _durable.write"),
        ("            kept.begin()\n            _kept.give_back", "            _kept.give_back"),
    ),
    *_of(
        "modules/self_heal_service.py", "module_utils/test_keeper.py",
        ("    elif not check_mode and not present:\n", "    elif not present and False:\n"),
    ),
    *_of(
        "action/cloudflare_tunnel.py", "plugin_utils/test_cloudflare_tunnel.py",
        ("if changed and not self._task.check_mode:", "if changed:"),
        ("if changed and not self._task.check_mode:", "if False:"),
        ("        if routes.setdefault(name, rules) != rules:\n", "        if False:\n"),
        ("    if found.source == \"local\":\n", "    if False:\n"),
    ),
    *_of(
        "action/hop_report.py", "plugin_utils/test_report.py",
        ("options[\"mask\"], ", "False, "),
        ("    if target and os.path.realpath(place)", "    if False and os.path.realpath(place)"),
    ),
    *_of(
        "action/tunnel_ingress.py", "plugin_utils/test_actions.py",
        ("            if isinstance(options.get(name), (str, dict)):\n", "            if False:\n"),
        ("            path, digest = answer.pop(\"path\"), answer.pop(\"digest\")\n",
         "            path, digest = answer['path'], 'x'\n"),
        ("        for _attempt in range(_ATTEMPTS):\n", "        for _attempt in range(1):\n"),
    ),
    *_of(
        "action/traefik_dynamic_file.py", "plugin_utils/test_actions.py",
        ('if error and self._task.args.get("state") != "absent":', "if False:"),
    ),
    *_of(
        "module_utils/keeper/_durable.py", "module_utils/test_keeper.py",
        ("            _unlink(folder, _candidate(name))\n            flags", "            flags"),
        ("flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC", "flags = os.O_WRONLY | os.O_CREAT",
         "what was there is unlinked first; the flags are for what another account puts there between the two calls"),
        ("    if not stat.S_ISREG(status.st_mode):\n", "    if False:\n"),
        ("    if len(data) > MOST:\n", "    if False:\n"),
        ("os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd", "os.O_RDONLY | os.O_CLOEXEC, dir_fd"),
        ("not _is_own(os.fstat(folder)):", "False:"),
        ("    return folder.st_uid in (0, os.geteuid()) and not others\n", "    return True\n"),
    ),
    *_of(
        "module_utils/keeper/_inplace_file.py", "module_utils/test_inplace_file.py",
        ("                    _overwrite(target.fileno(), before)\n", "                    pass\n"),
        ("os.open(os.path.dirname(self.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)", "os.open(self.path, os.O_RDONLY)"),
        ("key=lambda backup: backup[1:])", "key=lambda backup: backup[2:])"),
        ("if target.read() != before or not", "if False and not"),
        ("                _reserve(target.fileno(), len(before), len(after))\n", ""),
    ),
    *_of(
        "module_utils/self_heal/_service.py", "module_utils/test_self_heal_service.py",
        ("                os.rmdir(self._at(folder))\n", "                shutil.rmtree(self._at(folder))\n"),
        ("(file.create_only or status.st_uid == os.geteuid())", "True"),
        ("        if state.begun:\n", "        if state.active:\n"),
        ("for path in (self._folder, *self._way_back(files)):", "for path in self._way_back(files):"),
    ),
    *_of(
        "module_utils/engine/_client.py", "module_utils/test_docker_engine.py",
        ("            if not isinstance(status, int):\n", "            if False:\n"),
        ("        if len(archive) < _ARCHIVE_END or archive", "        if False and archive"),
        ("        if errors or stream[position] != _ERRORS:\n", "        if True:\n"),
    ),
    *_of(
        "module_utils/engine/_compose.py", "module_utils/test_recreation.py",
        ("                os.killpg(process.pid, signal.SIGKILL)\n", "                return\n"),
        ("                stderr=errors,\n", "                stderr=output,\n"),
        ('for name in ("PATH", "HOME") if name in os.environ}', "for name in os.environ}"),
        ('"--pull", "never", ', ""),
    ),
    *_of(
        "module_utils/env/_effective.py", "module_utils/test_recreation.py",
        ("            if deployments(0):\n", "            if False:\n"),
        ("            deploying = deployments(patience)\n", "            deploying = []\n"),
        ("        except BaseException:\n            self._go", "        except ZeroDivisionError:\n            self._go"),
    ),
    *_of(
        "module_utils/env/_recreation.py", "module_utils/test_recreation.py",
        ("            found = _client.environment(self._engine.inspect(self._name) or {})\n        except",
         "            found = {}\n        except"),
    ),
    *_of(
        "module_utils/env/_memory.py", "module_utils/test_env_memory.py",
        ('        _dotenv.check(current, before["keys"])\n', ""),
        ("_outline.put_back(current, _outline.without(before, theirs))", "_outline.put_back(current, before)"),
        ('[:1] for key, known in (before.get("written")', '[:9] for key, known in (before.get("written")'),
    ),
    *_of(
        "module_utils/env/_redaction.py", "module_utils/test_redaction.py",
        ("                    hidden |= _spellings(part)\n", "                    hidden.add(part)\n"),
    ),
    *_of(
        "module_utils/nginx/_container.py", "module_utils/test_container_nginx.py",
        ("            *000|loaded|gone) return", "            *000) return"),
        ("        [1-9][0-9][0-9],[1-9][0-9][0-9]) [", "        *) ["),
        ("    if _is_unrendered(snapshot):\n", "    if False:\n"),
        ("    except _client.EngineUnavailable:\n        # It may", "    except _client.EngineError:\n        # It may"),
    ),
    *_of(
        "module_utils/nginx/_http_conf.py", "module_utils/test_http_conf.py",
        (' and name.startswith(".") <= pattern.startswith(".")', ""),
        ('posixpath.normpath(posixpath.join("/etc/nginx", pattern))', 'posixpath.join("/etc/nginx", pattern)'),
        ("    if len(text) > MOST:\n", "    if False:\n"),
        ('_Before(_fingerprint(rest) if pieces else "",', "_Before(_fingerprint(rest),"),
        ("if before.no_newline and not tail and head.endswith(eol) else head", "if before.no_newline and not tail else head"),
    ),
    *_of(
        "module_utils/nginx/_container.py", "module_utils/test_self_heal_agent.py",
        ("return _words(output) if code == 1 else None", "return _words(output) if code else None"),
    ),
    *_of(
        "module_utils/firewall/_nft_rules.py", "module_utils/test_nft_rules.py",
        ('"rules": [*flags, *_listing(chains)],', '"rules": _listing(chains),'),
        ("    except (AttributeError, KeyError, TypeError, ValueError):\n", "    except ZeroDivisionError:\n"),
    ),
    *_of(
        "module_utils/plan/_access.py", "module_utils/test_access.py",
        ('    if nft.get("lacks"):\n', "    if False:\n"),
    ),
    *_of(
        "module_utils/firewall/_kernel.py", "module_utils/test_kernel.py",
        ("if kind == _ERROR and code else None", "if False else None"),
    ),
    *_of(
        "module_utils/host/_discovery.py", "module_utils/test_discovery.py",
        ('lacks = "kernel" if refused else None if', "lacks = None if"),
    ),
    *_of(
        "module_utils/tunnel/_connectors.py", "module_utils/test_connectors.py",
        (' and not left[0].startswith("-"):', ":"),
    ),
    *_of(
        "module_utils/tunnel/_ingress.py", "plugin_utils/test_ingress.py",
        ('_USER.sub("//(hidden)@", _COMMENT.sub("", line))', '_COMMENT.sub("", line)'),
        ('_USER.sub("//(hidden)@", _COMMENT.sub("", line))', '_USER.sub("//(hidden)@", line)'),
    ),
    *_of(
        "module_utils/host/_state.py", "module_utils/test_host_state.py",
        ('    scheme = "https" if "https" in bodies else "http"\n', '    scheme = "http"\n'),
    ),
    *_of(
        "module_utils/host/_discovery.py", "module_utils/test_discovery.py",
        ("        if _state.is_kept_stopped(units, self._engine.socket):\n", "        if False:\n"),
    ),
    *_of(
        "module_utils/tailnet/_tailscale.py", "module_utils/test_tailscale.py",
        ("    asking.join(timeout)\n", "    asking.join()\n"),
        ("    if address is None or not ipaddress.ip_address(address).is_link_local:\n", "    if True:\n"),
    ),
    *_of(
        "module_utils/verify/_hops.py", "module_utils/test_hops.py",
        ('if "results" not in look and look["item"] == "host":', "if False:"),
        ("    if denied is not None:\n", "    if False:\n"),
    ),
    *_of(
        "module_utils/verify/_targets.py", "module_utils/test_hops.py",
        ("    if not addresses_given:\n", "    if False:\n"),
    ),
    *_of(
        "plugin_utils/yaml_text.py", "plugin_utils/test_yaml_text.py",
        ("    if isinstance(error, yaml.reader.ReaderError):\n", "    if False:\n"),
    ),
]  # fmt: skip


def copy(target: Path) -> None:
    """A tree in which the product can be broken: the files that git knows or would add, as a collection."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", *PARTS],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def survives(mutation: Mutation, tree: Path) -> bool:
    """Whether the tests pass with it. Raises ValueError where there is nothing to mutate, or more than one place."""
    path = tree / mutation.file
    text = path.read_text()
    if text.count(mutation.before) != 1:
        raise ValueError(f"{mutation.file}: {mutation.before!r} stands there {text.count(mutation.before)} times")
    path.write_text(text.replace(mutation.before, mutation.after))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", mutation.tests],
            cwd=tree, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            timeout=PATIENCE, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "CI": "1"},
        )
    except subprocess.TimeoutExpired:
        return False
    finally:
        path.write_text(text)
    if done.returncode not in (0, 1):
        raise ValueError(f"{mutation.tests}: {done.stdout}{done.stderr}")
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only those whose file or text has this in it")
    parser.add_argument("--jobs", type=int, default=3, help="more than processors, since many a test waits")
    arguments = parser.parse_args()
    wanted = [one for one in MUTATIONS if arguments.only in one.file + one.before]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trees = [Path(folder) / str(number) for number in range(arguments.jobs)]
        for tree in trees:
            copy(tree)

        def work(mutation: Mutation) -> bool:
            tree = trees.pop()
            try:
                survived = survives(mutation, tree)
            finally:
                trees.append(tree)
            if survived:
                change = f"{mutation.before.strip()!r} → {mutation.after.strip()!r}"
                print(f"survives: {mutation.file}: {change}: {mutation.reason or '?'}", flush=True)
            return survived

        with ThreadPoolExecutor(arguments.jobs) as pool:
            survivors = [one for one, survived in zip(wanted, pool.map(work, wanted)) if survived]
    killed = len(wanted) - len(survivors)
    print(f"{len(wanted)} mutations, {killed} killed, {len(survivors)} survive, {time.monotonic() - began:.0f} s")
    return int(any(not one.reason for one in survivors))


if __name__ == "__main__":
    sys.exit(main())
