"""Opens Coolify's page in a real browser, types into the terminal, listens for an event; prints what it saw as JSON.

Started by the tests inside the network namespace of the machine that looks (``nsenter --net``), so that the browser's
packets take the road which that machine's packets take. Waits for the event until ``--event`` has been seen: whoever
started it publishes meanwhile, told by the line ``subscribed``. With ``--stay`` each line of standard input is one more event
to wait for, in the same page, after its sockets were lost and have come back by themselves.
"""

from __future__ import annotations

import argparse
import json
import sys
import typing as t
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

# Without these, Chromium looks up hosts of its maker at every start.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


_LINES = "[...document.querySelectorAll('.xterm-rows > div')].map(row => row.textContent.trim())"
_PASTE = """text => {
  const clipboard = new DataTransfer();
  clipboard.setData('text/plain', text);
  const pasted = new ClipboardEvent('paste', { clipboardData: clipboard, bubbles: true, cancelable: true });
  document.querySelector('.xterm-helper-textarea').dispatchEvent(pasted);
}"""
# So long may a page need that has lost its sockets while Coolify was updated: the last pauses between two tries are 30 s.
_BACK_SECONDS = 150.0


class Session:
    """The page, driven as somebody does who works in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sockets: list[str] = []
        page.on("websocket", lambda socket: self.sockets.append(socket.url.split("?")[0]))

    def connected(self, which: str, timeout: float | None = None) -> str:
        self.page.wait_for_selector(f"#{which}-state[data-state=connected]", timeout=timeout and timeout * 1000)
        return "connected"

    def run(self, command: str, expected: str) -> str:
        """Types a command and waits for a line that is `expected` and nothing else."""
        self.page.click(".xterm")
        self.page.keyboard.type(command + "\n")
        return self.shown(expected)

    def shown(self, expected: str) -> str:
        self.page.wait_for_function(f"text => {_LINES}.includes(text)", arg=expected)
        return expected

    def event(self, text: str) -> str:
        print("subscribed", flush=True)
        for shown in ("#events", "#echo-events"):
            self.page.wait_for_function(
                "([shown, text]) => document.querySelector(shown).textContent.includes(text)", arg=[shown, text]
            )
        return text

    def resize(self) -> list[str]:
        """Rows and columns as the shell has them, in the window as it is and in a narrower one."""
        sizes = []
        for width in (1100, 700):
            self.page.set_viewport_size({"width": width, "height": 760})
            self.page.wait_for_timeout(300)
            self.run(f"clear; stty size; echo now-{width}", f"now-{width}")
            sizes += [line for line in self.page.evaluate(_LINES) if line.replace(" ", "").isdigit()][-1:]
        return sizes

    def paste(self, count: int) -> str:
        """Pastes so many bytes, in lines, into a program that counts them."""
        self.run("clear; stty -echo; echo ready; wc -c; stty echo", "ready")
        self.page.evaluate(_PASTE, ("x" * 79 + "\n") * (count // 80))
        self.page.keyboard.press("Control+d")
        return self.shown(str(count))

    def idle(self, seconds: float) -> str:
        """Leaves the page alone, and types again: in the sockets that were there before."""
        before = len(self.sockets)
        self.page.wait_for_timeout(seconds * 1000)
        self.run("clear; echo $((7*7))", "49")
        if len(self.sockets) != before:
            raise AssertionError(f"a socket was lost within {seconds:g} s: {self.sockets}")
        return self.connected("pusher")

    def back(self, text: str, before: int) -> str:
        """After whatever happened to Coolify: every socket opened anew by the page itself, and each of use."""
        self.page.wait_for_timeout(1000)
        for which in ("terminal", "pusher", "echo"):
            self.connected(which, _BACK_SECONDS)
        if len(self.sockets) < before + 3:
            raise AssertionError(f"not every socket was lost: {self.sockets}")
        self.run("clear; echo $((8*8))", "64")
        return self.event(text)


def work(session: Session, arguments: argparse.Namespace, seen: dict[str, t.Any]) -> None:
    session.page.goto(arguments.url)
    seen["terminal"] = session.connected("terminal")
    seen["answer"] = session.run(arguments.typed, arguments.expect)
    seen["pusher"] = session.connected("pusher")
    seen["echo"] = session.connected("echo")
    if arguments.event:
        seen["event"] = session.event(arguments.event)
    if arguments.work:
        seen["sizes"] = session.resize()
        seen["pasted"] = session.paste(200_000)
    if arguments.idle:
        seen["idle"] = session.idle(arguments.idle)
    if arguments.stay:
        seen["back"] = []
        before = len(session.sockets)
        print("staying", flush=True)
        for line in sys.stdin:
            seen["back"].append(session.back(line.strip(), before))
            before = len(session.sockets)
            print("back", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--resolve", metavar="NAME=ADDRESS", default="", help="look NAME up as ADDRESS")
    parser.add_argument("--type", dest="typed", default="echo $((6*7))")
    parser.add_argument("--expect", default="42")
    parser.add_argument("--event", default="", help="text of the event to wait for")
    parser.add_argument("--work", action="store_true", help="also change the window's size, and paste 200 kB")
    parser.add_argument("--idle", type=float, default=0.0, metavar="SECONDS", help="also leave the page alone for so long")
    parser.add_argument("--stay", action="store_true", help="go on with a line of standard input for each event")
    parser.add_argument("--screenshot", type=Path)
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds for each step")
    arguments = parser.parse_args()
    flags = list(QUIET)
    if arguments.resolve:
        name, address = arguments.resolve.split("=", 1)
        flags.append(f"--host-resolver-rules=MAP {name} {address}")
    seen: dict[str, t.Any] = {"url": arguments.url, "console": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        # The lab's authority is unknown to the browser; that TLS itself is right is proved by websocket_info.
        page = browser.new_context(ignore_https_errors=True, viewport={"width": 1100, "height": 760}).new_page()
        page.set_default_timeout(arguments.timeout * 1000)
        page.on("console", lambda message: seen["console"].append(message.text))
        session = Session(page)
        seen["sockets"] = session.sockets
        try:
            work(session, arguments, seen)
        except Exception as error:  # whatever the browser says belongs into the report, not into a traceback
            seen["error"] = str(error)
        # Of a page that never came there is no picture, and to wait for one would end in a traceback.
        if arguments.screenshot and page.url != "about:blank":
            page.screenshot(path=str(arguments.screenshot))
        browser.close()
    print(json.dumps(seen), flush=True)
    return int("error" in seen)


if __name__ == "__main__":
    sys.exit(main())
