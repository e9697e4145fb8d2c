"""Nothing that tells whose a host is stays on a masked page, and what is everybody's stays as it is."""

from __future__ import annotations

import re

import pytest
import report_samples as samples

from ansible_collections.selfhosted.coolify.plugins.module_utils.verify import _diagnosis
from ansible_collections.selfhosted.coolify.plugins.plugin_utils.report import page
from ansible_collections.selfhosted.coolify.plugins.plugin_utils.report.mask import Mask

PRIVATE = re.compile(
    r"acme|203\.0\.113\.77|2a01:4f8|uncommonly|100\.64\.0\.[1-9]|\bweb-\d|laptop|vps-else|frankfurt|198\.51\.100\.2[34]|fresh|"
    r"fd7a:115c:a1e0:ab12"
)


@pytest.mark.parametrize("name", sorted(samples.SAMPLES))
def test_no_name_is_on_a_masked_page(name: str) -> None:
    report = samples.SAMPLES[name]()
    assert PRIVATE.search(page.page(report, samples.green()))
    html = page.page(report, samples.green(), mask=True)
    assert not PRIVATE.search(html), PRIVATE.search(html)


def masked(text: str, **fields: str) -> str:
    mask = Mask()
    mask.learn([fields, text])
    return str(mask.masked(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://203.0.113.7:6001/app/ and 203.0.113.7.", "http://192.0.2.1:6001/app/ and 192.0.2.1."),
        ("[2A01:4f8::7]:6002, 2a01:4f8:0::7: refused", "[2001:db8::1]:6002, 2001:db8::1: refused"),
        ("fe80::1%eth0 ::1 [::]:80 127.0.0.1 0.0.0.0", "2001:db8::1%eth0 ::1 [::]:80 127.0.0.1 0.0.0.0"),
        ("::ffff:203.0.113.7", "2001:db8::1"),
        ("at 22:44:20, port 8000:8000", "at 22:44:20, port 8000:8000"),
        ("100.64.0.0/10 to 6001, 10.1.0.0/16", "100.64.0.0/10 to 6001, 192.0.2.1/16"),
        ("wss://Term.Acme.com/x?y=term.acme.com", "wss://domain-1.example/x?y=domain-1.example"),
        ("*.acme.com goes to http://localhost:80", "*.domain-1.example goes to http://localhost:80"),
        ("to https://team.cloudflareaccess.com/cdn-cgi", "to https://domain-1.example/cdn-cgi"),
        ("bücher.example. And xn--bcher-kva.de", "domain-1.example. And domain-2.example"),
        ("http://nas:8080 is what nas is", "http://host-1:8080 is what host-1 is"),
        ("ssh: connect to host box port 22: box", "ssh: connect to host host-1 port 22: host-1"),
        ("Could not resolve hostname bad_box: x; root@b-2: denied", "Could not resolve hostname host-1: x; root@host-2: denied"),
        ("/backup/c.acme.com.yaml", "/backup/domain-1.example.yaml"),
        ("/data/coolify/proxy/dynamic/coolify.yaml in http.conf:3", "/data/coolify/proxy/dynamic/coolify.yaml in http.conf:3"),
        ("docker-compose.custom.yml, State.Health", "docker-compose.custom.yml, State.Health"),
        ("4.0.0-beta.442, 26.1.5+dfsg1, v3.6.15, 1.1.3", "4.0.0-beta.442, 26.1.5+dfsg1, v3.6.15, 1.1.3"),
        ("https://terminal.sh/ and terminal.sh", "https://domain-1.example/ and domain-1.example"),
    ],
)
def test_a_text_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_names_of_the_inventory_are_masked_in_texts() -> None:
    assert masked("web-1 and WEB-1, not web-10; web-1.lan", host="web-1") == "host-1 and host-1, not web-10; domain-1.example"
    assert masked("/srv/db7_2026/db7.json", host="db7") == "/srv/host-1_2026/host-1.json"
    assert masked("cafe:8080: refused", **{"from": "cafe"}) == "host-1:8080: refused"


def test_a_host_that_is_called_like_a_word_of_ours_spoils_no_text() -> None:
    mask = Mask()
    fields = {"host": "coolify", "from": "server", "cause": "The container coolify is not running. The server is fine."}
    mask.learn(fields)
    assert mask.masked(fields) == {**fields, "host": "host-1", "from": "host-2"}


def test_no_diagnosis_is_changed_by_masks() -> None:
    mask = Mask()
    mask.learn(samples.fleet())
    for entry in _diagnosis.TABLE.values():
        assert (mask.text(entry.cause), mask.text(entry.next)) == (entry.cause, entry.next)


def test_masks_are_as_many_as_the_things() -> None:
    addresses = [f"10.{number // 256}.{number % 256}.1" for number in range(2000)]
    mask = Mask()
    found = [mask.text(address) for address in addresses]
    assert len(set(found)) == len(found)
    assert [mask.text(address) for address in addresses] == found
