"""Writes the generated parts of the documentation, or with ``--check`` says which of them have drifted.

The roles' READMEs come from their ``meta/argument_specs.yml`` (aar-doc), docs/diagnoses.md from the table of diagnoses and
the faults that they are tested with, CONTRIBUTING's table of scenarios from their ``molecule.yml``, and CHANGELOG.rst before
the first release from the code (``changelog.py``).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "molecule" / "shared" / "lab")]
import changelog  # noqa: E402
import conftest  # noqa: E402, F401  (makes the collection importable)
import diagnosed  # noqa: E402
import run  # noqa: E402
import versions  # noqa: E402

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis  # noqa: E402

BEGIN, END = "<!-- BEGIN_ANSIBLE_DOCS -->", "<!-- END_ANSIBLE_DOCS -->"
SCENARIOS = re.compile(r"(?s)(<!-- BEGIN scenarios -->\n).*(<!-- END scenarios -->)")


def role_readme(role: Path) -> str:
    """The role's README with its generated block made anew; what stands outside the block is the author's."""
    readme = role / "README.md"
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "README.md"
        output.write_text(readme.read_text() if readme.exists() else f"# {role.name}\n\n{BEGIN}\n{END}\n")
        subprocess.run(
            [str(Path(sys.executable).parent / "aar-doc"), "--output-file", str(output),
             "--output-template", str(ROOT / "tests" / "role_readme.md.j2"), str(role), "markdown"],
            check=True, cwd=ROOT, capture_output=True,
        )
        return output.read_text()


def diagnoses() -> str:
    """The page docs/diagnoses.md."""
    lines = [
        "# Diagnoses",
        "",
        "Every fault that `selfhosted.coolify.verify` and the module `websocket_info` can name, and every reason why something",
        "was not looked at: its `ok` is `?` in the table, and it fails a run only with `coolify_verify_strict`. Generated from",
        "`plugins/module_utils/verify/_diagnosis.py` by `make docs`.",
        "",
        "The last column has the faults that a test makes, on a host of the lab or as a server that means harm, to see that the",
        "diagnosis is given to them; on a healthy host none is.",
        "",
        "| id | hop | cause | next step | tested with |",
        "|---|---|---|---|---|",
    ]
    tried = diagnosed.faults()
    for identifier, entry in _diagnosis.TABLE.items():
        shown = (*entry[:3], "; ".join(tried.get(identifier, [])))
        cells = " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in shown)
        doubt = "" if entry.fault else " (not looked at)"
        lines.append(f'| <a id="{identifier.lower()}"></a>`{identifier}`{doubt} | {cells} |')
    return "\n".join(lines) + "\n"


def contributing() -> str:
    """CONTRIBUTING.md with the table of which scenario has which Coolify on which system."""
    systems = tuple(reversed(run.SYSTEMS))
    lines = ["", f"| scenario | {' | '.join(systems)} |", "|---|" + "---|" * len(systems)]
    for name in run.scenario_names():
        scenario = yaml.safe_load((ROOT / "molecule" / name / "molecule.yml").read_text())
        words = scenario["ansible"]["env"]["LAB_ARGUMENTS"].partition("--coolify ")[2].partition(" --")[0].split()
        general, *others = words
        by_system = {**dict.fromkeys(systems, general), **dict(word.split("=") for word in others)}
        cells = [f"{by_system[system]} {versions.COOLIFY[by_system[system]][0]}" for system in systems]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    table = "\n".join([*lines, "", ""])
    return SCENARIOS.sub(lambda found: found[1] + table + found[2], (ROOT / "CONTRIBUTING.md").read_text())


def generated() -> dict[Path, str]:
    pages = {role / "README.md": role_readme(role) for role in sorted((ROOT / "roles").iterdir()) if role.is_dir()}
    pages[ROOT / "docs" / "diagnoses.md"] = diagnoses()
    pages[ROOT / "CONTRIBUTING.md"] = contributing()
    if not changelog.released():
        pages[changelog.PAGE] = changelog.page()
    return pages


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page has drifted")
    check = parser.parse_args().check
    drifted = {page: text for page, text in generated().items() if not page.exists() or page.read_text() != text}
    for page, text in drifted.items():
        print(f"{'drifted' if check else 'written'}: {page.relative_to(ROOT)}")
        if not check:
            page.write_text(text)
    if check and drifted:
        print("run `make docs`")
    return int(check and bool(drifted))


if __name__ == "__main__":
    sys.exit(main())
