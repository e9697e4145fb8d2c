"""The lab's command: a Coolify host and its surroundings on this machine."""

from __future__ import annotations

import argparse
import os
import signal
import sys

import docker.errors
import engine
import hostimages
import lab
import machines
import products
import versions
from progress import LabError
from topology import Wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str, prefix: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text)
        if prefix:
            made.add_argument("--prefix", default="lab", help="which lab; names of its parts begin so (default: lab)")
        return made

    for name, text in (
        ("up", "bring a lab up, from whatever is there"),
        ("build", "build the images only"),
    ):
        one = command(name, text)
        one.add_argument(
            "--system",
            nargs="+",
            default=["trixie"],
            choices=list(hostimages.SYSTEMS),
            help="system of the Coolify host; several make several hosts (default: trixie)",
        )
        one.add_argument("--no-tailnet", action="store_true", help="without Tailscale")
        one.add_argument(
            "--no-domain", nargs="+", default=[], metavar="HOST", help="hosts (or systems) whose Coolify has no domain"
        )
        one.add_argument(
            "--python38",
            nargs="*",
            default=[],
            choices=["bookworm", "trixie"],
            help="systems whose modules run on this machine's Python 3.8, for ansible-core below 2.20 (default: none)",
        )
        one.add_argument(
            "--sudo",
            nargs="+",
            default=[],
            choices=list(hostimages.SYSTEMS),
            help=f"systems that Ansible reaches as {machines.USER}, who has sudo, and without pipelining (default: none)",
        )
        one.add_argument(
            "--var",
            action="append",
            metavar="KEY=VALUE",
            type=_variable,
            help="variable of the inventory's group coolify (JSON, else text); kept until another --var is given",
        )
        one.add_argument("--scheme", default="https", choices=["https", "http"], help="of the instance's URL")
        one.add_argument(
            "--coolify",
            nargs="+",
            default=[("", versions.NEWEST)],
            type=_version,
            metavar="[SYSTEM=]VERSION",
            help=f"version of Coolify, of one system's or of the rest: {', '.join(versions.COOLIFY)} "
            f"(default: {versions.NEWEST})",
        )
    gone = command("down", "take a lab down; with the last one, the engine that was started for it")
    gone.add_argument("--all", action="store_true", help="all labs")
    gone.add_argument("--keep-engine", action="store_true", help="leave the engine running")
    seen = command("status", "show the machines and their addresses")
    seen.add_argument("--all", action="store_true", help="all labs")
    for name in ("stop", "start", "restart", "recreate"):
        command(name, f"{name} one part").add_argument("part", help="its name, with or without the prefix")
    inside = command("exec", "run a command in a part and take over its exit code")
    inside.add_argument("part")
    inside.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    command("address", "say how to look at it in a browser on this machine")
    command("engine", "make an engine answer", prefix=False)
    return parser


def _variable(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key.isidentifier() or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _version(text: str) -> tuple[str, str]:
    system, _, version = text.rpartition("=")
    if version not in versions.COOLIFY:
        raise argparse.ArgumentTypeError(f"{version!r} is none of {', '.join(versions.COOLIFY)}")
    if system and system not in hostimages.SYSTEMS:
        raise argparse.ArgumentTypeError(f"{system!r} is none of {', '.join(hostimages.SYSTEMS)}")
    return system, version


def _wanted(options: argparse.Namespace) -> Wanted:
    return Wanted(
        prefix=options.prefix,
        systems=tuple(options.system),
        tailnet=not options.no_tailnet,
        no_domain=tuple(options.no_domain),
        python38=tuple(options.python38),
        sudo=tuple(options.sudo),
        scheme=options.scheme,
        version=dict(options.coolify).get("", versions.NEWEST),
        by_system=tuple((system, version) for system, version in options.coolify if system),
        variables=lab.remembered_variables(options.prefix) if options.var is None else tuple(options.var),
    )


def _run(options: argparse.Namespace) -> int:
    if options.command == "engine":
        engine.ensure()
    elif options.command == "build":
        products.build(engine.ensure(), _wanted(options))
    elif options.command == "up":
        lab.up(_wanted(options))
    elif options.command == "down":
        lab.down(None if options.all else options.prefix, options.keep_engine)
    elif options.command == "status":
        lab.status(None if options.all else options.prefix)
    elif options.command == "exec":
        return lab.enter(options.prefix, options.part, [word for word in options.argv if word != "--"])
    elif options.command == "address":
        lab.address(options.prefix)
    else:
        lab.change(options.prefix, options.part, options.command)
    return 0


def main() -> int:
    """Run the command line; an error that the person can do something about is one line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(_parser().parse_args())
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except docker.errors.APIError as refused:
        print(f"lab: the engine refused: {refused.explanation or refused}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; the same command goes on from here", file=sys.stderr, flush=True)
        # At once: threads that wait for a machine would hold up an ordinary end for as long as that takes.
        os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
