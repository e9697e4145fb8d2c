"""What people wrote into nginx by hand, before the module came: asked of nginx itself, in Coolify's own container."""

from __future__ import annotations

import typing as t

import pytest
from coolify_host import PORT, CoolifyHost
from coolify_sockets import both_served

HTTP_CONF = "/etc/nginx/site-opts.d/http.conf"
HEADERS = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;"
# More than a copy of the routes: somebody's own work, which stays.
OWN = HEADERS + " add_header X-Served-By hand always;"
ALL = ["/terminal/ws", "/app/", "/apps/"]
GUIDE = (
    f"location /terminal/ws {{ proxy_pass http://coolify-realtime:6002; {HEADERS} }}\n"
    f"location /app {{ proxy_pass http://coolify-realtime:6001; {HEADERS} }}\n"
)
CASES = {
    # what stands there: what is served without the block, routed by the block, named as in the way
    "nothing": ("", [], ALL, []),
    "the guide's copy": (GUIDE, [], ALL, []),
    "E3: the guide's copy and an exact location": (GUIDE + "location = /app/ { return 204; }\n", [], ALL, []),
    "E4: by a variable in braces": (
        f"location ~ ^/apps?/ {{ resolver 127.0.0.11; set $u coolify-realtime; proxy_pass http://${{u}}:6001; {OWN} }}\n",
        ["/app/", "/apps/"], ["/terminal/ws"], [],
    ),
    "E4: by a variable of the whole server": (
        f"resolver 127.0.0.11; set $server coolify-realtime:6002;\nlocation ~ /ws$ {{ proxy_pass http://$server; {OWN} }}\n",
        ["/terminal/ws"], ["/app/", "/apps/"], [],
    ),
    "E4: by the loopback address, beside the servers": (
        GUIDE.replace("coolify-realtime", "127.0.0.1").replace(HEADERS, OWN),
        ALL, [], [],
    ),
    "an expression that takes the path elsewhere": ("location ~ ^/app/ { return 403; }\n", [], ALL, []),
    "a location for the path that leads elsewhere": (
        "location ^~ /app/ { return 403; }\n", [], ["/terminal/ws", "/apps/"], ["/app/"],
    ),
}  # fmt: skip


def snippet(lab, **options: str) -> dict[str, t.Any]:
    return lab.module("nginx_snippet", **options)


@pytest.fixture(scope="module")
def untreated(lab) -> CoolifyHost:
    """The lab's host without anything of ours."""
    assert lab.play("playbooks/remove.yml").code == 0
    return CoolifyHost(lab.host)


@pytest.fixture
def coolify(untreated) -> t.Iterator[CoolifyHost]:
    """The same, and its http.conf in the end as it was."""
    untreated.shell(f"docker exec coolify cp -p {HTTP_CONF} /tmp/found")
    yield untreated
    untreated.shell(f"docker exec coolify sh -c 'cat /tmp/found >{HTTP_CONF}; nginx -s reload'")


@pytest.mark.parametrize("case", CASES)
def test_what_is_there_decides_what_is_added(lab, coolify, case):
    text, served, routed, in_the_way = CASES[case]
    coolify.shell(f"docker exec -i coolify sh -c 'cat >>{HTTP_CONF}; nginx -t -q && nginx -s reload' <<'EOF'\n{text}EOF")
    before = coolify.http_conf()
    result = snippet(lab)
    assert (result["served"], result["paths"]) == (served, routed)
    assert [(one["path"], one["served"]) for one in result["foreign"] if not one["served"]] == [
        (path, False) for path in in_the_way
    ]
    assert result["changed"] is bool(routed)
    assert both_served(coolify.address, PORT) is not bool(in_the_way)
    again = snippet(lab)
    assert (again["changed"], again["paths"]) == (False, routed)
    assert snippet(lab, state="absent")["changed"] is bool(routed)
    assert coolify.http_conf() == before
