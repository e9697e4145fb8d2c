"""Opens Coolify's page in a real browser, types into the terminal, listens for an event; prints what it saw as JSON.

Started by the tests inside the network namespace of the machine that looks (``nsenter --net``), so that the browser's
packets take the road which that machine's packets take. Waits for the event until ``--event`` has been seen: whoever
started it publishes meanwhile, told by the line ``subscribed``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

# Without these, Chromium looks up hosts of its maker at every start.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--resolve", metavar="NAME=ADDRESS", default="", help="look NAME up as ADDRESS")
    parser.add_argument("--type", dest="typed", default="echo $((6*7))")
    parser.add_argument("--expect", default="42")
    parser.add_argument("--event", default="", help="text of the event to wait for")
    parser.add_argument("--screenshot", type=Path)
    parser.add_argument("--timeout", type=float, default=20.0, help="seconds for each step")
    arguments = parser.parse_args()
    flags = list(QUIET)
    if arguments.resolve:
        name, address = arguments.resolve.split("=", 1)
        flags.append(f"--host-resolver-rules=MAP {name} {address}")
    seen: dict[str, object] = {"url": arguments.url, "sockets": [], "console": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        # The lab's authority is unknown to the browser; that TLS itself is right is proved by websocket_info.
        page = browser.new_context(ignore_https_errors=True, viewport={"width": 1100, "height": 760}).new_page()
        page.set_default_timeout(arguments.timeout * 1000)
        page.on("websocket", lambda socket: seen["sockets"].append(socket.url.split("?")[0]))
        page.on("console", lambda message: seen["console"].append(message.text))
        try:
            page.goto(arguments.url)
            page.wait_for_selector("#terminal-state[data-state=connected]")
            seen["terminal"] = "connected"
            page.click(".xterm")
            page.keyboard.type(arguments.typed + "\n")
            page.wait_for_function(
                "text => [...document.querySelectorAll('.xterm-rows > div')].some(row => row.textContent.trim() === text)",
                arg=arguments.expect,
            )
            seen["answer"] = arguments.expect
            page.wait_for_selector("#pusher-state[data-state=connected]")
            seen["pusher"] = "connected"
            if arguments.event:
                print("subscribed", flush=True)
                page.wait_for_function("text => document.querySelector('#events').textContent.includes(text)",
                                       arg=arguments.event)
                seen["event"] = arguments.event
        except Exception as error:  # whatever the browser says belongs into the report, not into a traceback
            seen["error"] = str(error)
        if arguments.screenshot:
            page.screenshot(path=str(arguments.screenshot))
        browser.close()
    print(json.dumps(seen), flush=True)
    return int("error" in seen)


if __name__ == "__main__":
    sys.exit(main())
