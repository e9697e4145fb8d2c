"""Field case M1: every promised release of ansible-core brings a host to the same end state."""

from __future__ import annotations

import cores
import pytest

DUAL = {"coolify_access": "dual"}


def _commands(line):
    commands = cores.ensure(line)
    if commands is None:
        pytest.skip(f"no Python on this machine that ansible-core {line} runs on")
    return commands


def test_oldest_core_treats_a_host(lab):
    run = lab.play("playbooks/site.yml", commands=_commands(cores.OLDEST), **DUAL)
    assert run.code == 0, run.text


def test_current_core_finds_nothing_to_change(lab):
    run = lab.play("playbooks/site.yml", commands=_commands(cores.CURRENT), **DUAL)
    assert run.code == 0, run.text
    assert run.stats[lab.host]["changed"] == 0, run.changed


def test_oldest_core_takes_everything_back(lab):
    run = lab.play("playbooks/remove.yml", commands=_commands(cores.OLDEST))
    assert run.code == 0, run.text
