"""The report's page in a real browser: on a phone and a desk, in both colour schemes and on paper. Needs no lab."""

from __future__ import annotations

import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from browser_session import QUIET
from lab_client import BIN, ROOT
from playwright.sync_api import Browser, sync_playwright

sys.path[:0] = [str(ROOT / "tests" / "unit" / "plugins" / "plugin_utils"), str(ROOT / ".collections")]

import report_samples as samples  # noqa: E402

from ansible_collections.selfhosted.coolify.plugins.plugin_utils.report import page  # noqa: E402

#: What is left to be looked at: screenshots, and the pages themselves.
KEPT = ROOT / ".cache" / "report"
LOOKS = [("light", 390), ("dark", 390), ("light", 1280), ("dark", 1280)]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        (folder / name).write_text((ROOT / "tests" / "e2e" / "report" / name).read_text())
    npm = [str(BIN / "npm"), "install", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev"]
    subprocess.run(npm, cwd=folder, check=True, capture_output=True, timeout=300)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def browser() -> t.Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=QUIET)
        yield started
        started.close()


def written(name: str, mask: bool) -> Path:
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{name}{'-masked' if mask else ''}.html"
    file.write_text(page.page(samples.SAMPLES[name](), samples.green() if name == "three" else None, mask))
    return file


# Text that is cut off or runs into something else: of a drawing's box, and of anything wider than the page.
TOO_WIDE = """() => [
  ...[...document.querySelectorAll('.way g')].filter(box => {
    const frame = box.querySelector('rect').getBoundingClientRect();
    return [...box.querySelectorAll('text')].some(text => text.getBoundingClientRect().right > frame.right - 2);
  }),
  ...[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > innerWidth + 1),
].map(one => one.textContent.trim().slice(0, 60))"""


@pytest.mark.parametrize("mask", [False, True], ids=["open", "masked"])
@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_the_page_is_fit_to_be_read(browser: Browser, axe: str, name: str, mask: bool) -> None:
    file = written(name, mask)
    for scheme, width in LOOKS:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        shown, asked, said = context.new_page(), [], []
        shown.on("request", lambda request, asked=asked: asked.append(request.url))
        shown.on("console", lambda message, said=said: said.append(message.text))
        shown.goto(file.as_uri())
        assert asked == [file.as_uri()]
        assert shown.evaluate(TOO_WIDE) == []
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.screenshot(path=str(KEPT / f"{file.stem}-{scheme}-{width}.png"), full_page=name != "fleet")
        # A masked page has the same tags and colours.
        if not mask:
            # Of hosts that are all alike one will do: axe takes a second for each.
            shown.evaluate("[...document.querySelectorAll('section.host')].slice(7).forEach(one => one.remove())")
            shown.evaluate(axe)
            found = shown.evaluate("axe.run({resultTypes: ['violations', 'incomplete']})")
            doubtful = [one for one in found["incomplete"] if one["id"] != "color-contrast"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"] + doubtful] == []
        assert said == []
        context.close()


def test_axe_would_tell(browser: Browser, axe: str) -> None:
    context = browser.new_context()
    shown = context.new_page()
    html = page.page(samples.three_faults())
    shown.set_content(html.replace("--bad: #a81b10", "--bad: #ffb0a0").replace('lang="en"', ""))
    shown.evaluate(axe)
    found = {one["id"] for one in shown.evaluate("axe.run()")["violations"]}
    assert {"color-contrast", "html-has-lang"} <= found
    context.close()


def test_paper_has_all_hosts_and_no_dark_ground(browser: Browser) -> None:
    context = browser.new_context(color_scheme="dark")
    shown = context.new_page()
    shown.goto(written("fleet", mask=False).as_uri())
    shown.emulate_media(media="print", color_scheme="dark")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    pdf = shown.pdf(path=str(KEPT / "fleet.pdf"), format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 20
    context.close()
