"""Runs a module's main() in this process: its options in, what it returned to Ansible out."""

from __future__ import annotations

import json
import typing as t

from ansible.module_utils import basic


class Ended(BaseException):
    """What exit_json and fail_json end with; no handler of a module's catches it."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__(result.get("msg"))
        self.result = result


def run(monkeypatch: t.Any, module: t.Any, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    def ended(failed: bool) -> t.Callable[..., t.NoReturn]:
        def end(_module: t.Any, msg: str | None = None, **result: t.Any) -> t.NoReturn:
            words = {} if msg is None else {"msg": msg}
            raise Ended({**result, **words, "failed": failed})

        return end

    arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": True}
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    monkeypatch.setattr(basic.AnsibleModule, "exit_json", ended(False))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", ended(True))
    try:
        module.main()
    except Ended as end:
        return end.result
    raise AssertionError("the module ended without a result")
