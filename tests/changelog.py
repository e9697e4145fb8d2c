"""What the first release is going to say: a summary, and the list of what is in it, made from the code.

    .venv/bin/python tests/changelog.py DATE

releases it with that date (YYYY-MM-DD): CHANGELOG.rst and changelogs/changelog.yaml are antsibull-changelog's from then on.
Until then `make docs` writes CHANGELOG.rst.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import typing as t
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
PAGE, RELEASES = ROOT / "CHANGELOG.rst", ROOT / "changelogs" / "changelog.yaml"
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())


def released() -> bool:
    return bool(yaml.safe_load(RELEASES.read_text())["releases"])


def module_documentation(path: Path) -> t.Any:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise ValueError(f"{path} has no DOCUMENTATION")


def contents() -> dict[str, dict[str, str]]:
    """Name and short description of everything in the collection, by its kind."""
    modules = map(module_documentation, sorted(ROOT.glob("plugins/modules/*.py")))
    filters = (yaml.safe_load(path.read_text())["DOCUMENTATION"] for path in sorted(ROOT.glob("plugins/filter/*.yml")))
    playbooks = {path: yaml.safe_load(path.read_text()) for path in sorted(ROOT.glob("playbooks/*.yml"))}
    roles = sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
    return {
        "playbook": {path.stem: plays[0]["name"] for path, plays in playbooks.items()},
        "role": {
            path.parts[-3]: yaml.safe_load(path.read_text())["argument_specs"]["main"]["short_description"] for path in roles
        },
        "module": {one["module"]: one["short_description"] for one in modules},
        "filter": {one["name"]: one["short_description"] for one in filters},
    }


def summary() -> str:
    return f"First release. {GALAXY['description'].strip()}"


def heading(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def page() -> str:
    """CHANGELOG.rst before the first release."""
    title = f"{GALAXY['namespace']}.{GALAXY['name']} Release Notes"
    lines = ["=" * len(title), *heading(title, "=")]
    lines += [*heading(f"v{GALAXY['version']} (not released yet)", "="), summary(), ""]
    for kind, entries in contents().items():
        lines += heading(f"{kind.title()}s", "-")
        lines += [f"- {GALAXY['namespace']}.{GALAXY['name']}.{name} - {words}" for name, words in entries.items()]
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def release(date: str) -> None:
    """Write what antsibull-changelog does not find by itself, and let it add the rest."""
    objects = {
        kind: [{"name": name, "description": words, "namespace": None} for name, words in contents()[kind].items()]
        for kind in ("playbook", "role")
    }
    entry = {"changes": {"release_summary": summary()}, "objects": objects, "release_date": date}
    RELEASES.write_text(yaml.safe_dump({"ancestor": None, "releases": {GALAXY["version"]: entry}}))
    command = str(Path(sys.executable).parent / "antsibull-changelog")
    subprocess.run([command, "release", "--update-existing", "--reload-plugins", "--date", date], cwd=ROOT, check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2 or released():
        sys.exit("The first release is out: use antsibull-changelog." if released() else __doc__)
    release(sys.argv[1])
