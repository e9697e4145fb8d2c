"""The routes in http.conf: exact to apply, exact to remove, and never over somebody else's work."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _http_conf as http_conf
from ansible_collections.selfhosted.coolify.plugins.module_utils.nginx import _routes, _syntax

STOCK = """\
listen 8080 default_server;
listen [::]:8080 default_server;
root /var/www/html/public;
server_name _;
client_max_body_size 2048M;

location / {
    try_files $uri $uri/ /index.php?$query_string;
}

# PHP
location ~ \\.php$ {
    fastcgi_pass 127.0.0.1:9000;
    include fastcgi_params;
}
"""

# As the guide's own script appends it: unmarked, prefixes without a modifier, the name of the upstream written out.
GUIDE = """
# WebSocket
location /terminal/ws {
    proxy_pass http://coolify-realtime:6002;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_read_timeout 86400;
}
location /app {
    proxy_pass http://coolify-realtime:6001;
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
}
"""


def locations(text):
    return [" ".join(s.words[1:]) for s in _syntax.parse(text).statements if s.name == "location"]


def test_the_routes_come_to_the_end_and_leave_the_rest_alone():
    result = http_conf.apply(STOCK)
    assert result.changed
    assert result.text.startswith(STOCK)
    assert result.paths == ["/terminal/ws", "/app/", "/apps/"]
    assert locations(result.text) == ["/", "~ \\.php$", "= /terminal/ws", "^~ /app/", "^~ /apps/"]


def test_no_upstream_is_resolved_when_nginx_starts():
    block = http_conf.apply(STOCK).text[len(STOCK) :]
    targets = re.findall(r"proxy_pass (\S+);", block)
    assert targets == [
        "http://$coolify_websocket_upstream:6002",
        "http://$coolify_websocket_upstream:6001",
        "http://$coolify_websocket_upstream:6001",
    ]
    assert block.count("resolver 127.0.0.11 ") == 3


def test_options_reach_every_route():
    text = http_conf.apply(STOCK, _routes.Settings(resolver="10.0.0.2 [fd00::2]:53", read_timeout=17)).text
    assert text.count("resolver 10.0.0.2 [fd00::2]:53 valid=1s") == 3
    assert text.count("proxy_read_timeout 17s;") == 3


def test_a_changed_option_changes_the_block_in_place_and_its_fingerprint():
    first = http_conf.apply(STOCK)
    second = http_conf.apply(first.text, _routes.Settings(read_timeout=17))
    assert second.changed
    assert second.text.count("# BEGIN") == 1
    assert http_conf.fingerprint(first.text) != http_conf.fingerprint(second.text)
    assert http_conf.remove(second.text).text == STOCK


def test_the_fingerprint_is_what_every_location_compares_with():
    text = http_conf.apply(STOCK).text
    mark = http_conf.fingerprint(text)
    assert text.count(f'if ($http_x_coolify_websocket_block = "{mark}") {{ return 204; }}') == 3
    assert http_conf.fingerprint(STOCK) is None


@pytest.mark.parametrize("gap", ["", "\n", "\n\n"])
def test_the_guides_copy_is_taken_over_in_one_change_and_given_back(gap):
    before = STOCK + gap + GUIDE.rstrip("\n") + gap
    result = http_conf.apply(before)
    assert result.adopted == ["location /terminal/ws", "location /app"]
    assert result.foreign == []
    assert locations(result.text) == ["/", "~ \\.php$", "= /terminal/ws", "^~ /app/", "^~ /apps/"]
    assert not http_conf.apply(result.text).changed
    assert http_conf.apply(result.text).adopted == []
    assert http_conf.remove(result.text).text == before


def test_a_copy_that_the_guides_script_appends_to_our_block_is_taken_over_too():
    treated = http_conf.apply(STOCK).text
    result = http_conf.apply(treated + GUIDE)
    assert result.adopted == ["location /terminal/ws", "location /app"]
    assert locations(result.text).count("/app") == 0
    assert http_conf.remove(result.text).text == STOCK + GUIDE


def test_a_copy_stays_takeable_after_somebody_edited_the_rest():
    treated = http_conf.apply(STOCK + GUIDE).text
    edited = treated.replace("2048M", "4096M")
    back = http_conf.remove(edited).text
    assert locations(back) == ["/", "~ \\.php$", "/terminal/ws", "/app"]
    assert "4096M" in back


@pytest.mark.parametrize("answer", [True, False, None])
@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("location = /terminal/ws { proxy_pass http://coolify-realtime:6002; auth_basic on; }", "/terminal/ws"),
        ("location =/terminal/ws { return 403; }", "/terminal/ws"),
        ("location ^~ /terminal/ws { return 403; }", "/terminal/ws"),
        ('location = "/terminal/ws" { return 403; }', "/terminal/ws"),
        ("location /app { return 403; }", "/app/"),
        ("location ^~ /app/ { return 403; }", "/app/"),
        ("location /app/ { set $u coolify-realtime; if ($a) {} proxy_pass http://$u:6001; }", "/app/"),
    ],
)
def test_a_location_for_the_same_path_is_named_and_not_doubled(location, path, answer):
    text = STOCK + location + "\n"
    result = http_conf.apply(text, served={} if answer is None else {path: answer})
    words = location.partition(" {")[0].replace('"', "")
    assert result.foreign == [http_conf.Foreign(path, words, http_conf.PATH, STOCK.count("\n") + 1, answer)]
    assert path not in result.paths
    assert len(result.paths) == 2
    assert result.text.startswith(text)
    assert http_conf.remove(result.text).text == text


@pytest.mark.parametrize(
    "location",
    [
        "location / { proxy_pass http://elsewhere; }",
        "location /terminal { return 403; }",
        "location /terminal/ws/ { return 403; }",
        "location /applications { return 403; }",
        "location = /app { return 403; }",
        "location = /app/ { return 403; }",
        "location ~ ^/app/ { return 403; }",
        "location ~* ^/TERMINAL/ { proxy_pass http://coolify-realtime:6002; limit_rate 1; }",
        "location /api { return 403; }",
    ],
)
def test_what_nginx_takes_beside_our_locations_is_left_to_nginx(location):
    result = http_conf.apply("root /x;\n" + location + "\n")
    assert result.foreign == []
    assert result.paths == ["/terminal/ws", "/app/", "/apps/"]


def test_what_nginx_serves_by_itself_is_left_out():
    result = http_conf.apply(STOCK, served={"/terminal/ws": True, "/app/": False, "/apps/": True})
    assert result.served == ["/terminal/ws", "/apps/"]
    assert result.paths == ["/app/"]
    everything = http_conf.apply(STOCK, served={"/terminal/ws": True, "/app/": True, "/apps/": True})
    assert not everything.changed


def test_what_only_a_copy_serves_is_ours_once_the_copy_is():
    """The guide's /app takes /apps/ as well."""
    result = http_conf.apply(STOCK + GUIDE, served={"/terminal/ws": True, "/app/": True, "/apps/": True})
    assert result.served == []
    assert result.paths == ["/terminal/ws", "/app/", "/apps/"]


def test_a_copy_stays_where_its_route_cannot_be_ours():
    theirs = "location ^~ /app/ { return 403; }\n"
    result = http_conf.apply(STOCK + GUIDE + theirs)
    assert result.adopted == ["location /terminal/ws"]
    assert "location /app {" in result.text
    assert [(foreign.path, foreign.location) for foreign in result.foreign] == [("/app/", "location ^~ /app/")]


def test_locations_in_included_files_count():
    includes = {
        "/etc/nginx/extra.d/a.conf": "\nlocation /app/ { return 403; }\n",
        "/etc/nginx/extra.d/sub/b.conf": "location = /terminal/ws { return 403; }\n",
        "/etc/nginx/extra.d/c.txt": "location = /terminal/ws { return 403; }\n",
    }
    result = http_conf.apply(STOCK + "include extra.d/*.conf;\n", includes=includes)
    assert result.foreign == [
        http_conf.Foreign("/app/", "location /app/", "/etc/nginx/extra.d/a.conf", 2, None),
    ]


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("extra/*", ["/etc/nginx/extra/a.conf"]),
        ("extra/.*", ["/etc/nginx/extra/.old.conf"]),
        ("/etc/nginx/extra/*.conf", ["/etc/nginx/extra/a.conf"]),
        ("extra/../y.conf", ["/etc/nginx/y.conf"]),
        ("./extra//a.conf", ["/etc/nginx/extra/a.conf"]),
        ("*/a.conf", ["/etc/nginx/extra/a.conf"]),
        ("*.conf", ["/etc/nginx/y.conf"]),
        ("[.e]xtra/a.conf", ["/etc/nginx/extra/a.conf"]),
    ],
)
def test_an_include_takes_what_glob_takes(pattern, taken):
    files = ["/etc/nginx/extra/.old.conf", "/etc/nginx/extra/a.conf", "/etc/nginx/y.conf", "/etc/nginx/.hidden/a.conf"]
    assert http_conf.included(pattern, files) == taken


def test_a_file_that_would_take_all_the_memory_is_refused():
    large = "# " + "x" * 1000 + "\n"
    with pytest.raises(http_conf.HttpConfError, match=r"http\.conf is larger than 4 MiB"):
        http_conf.apply(STOCK + large * 4300)
    with pytest.raises(http_conf.HttpConfError, match=r"big\.conf is larger than 4 MiB"):
        http_conf.apply(STOCK + "include big.conf;\n", includes={"/etc/nginx/big.conf": large * 4300})
    assert http_conf.apply(STOCK + large * 3000).changed


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("# END selfhosted.coolify websocket routes\n", ""),
        lambda text: text.replace("# BEGIN selfhosted.coolify websocket routes\n", ""),
        lambda text: text.replace("# BEGIN", "# BEGIN selfhosted.coolify websocket routes\n# BEGIN"),
        lambda text: text + "# END selfhosted.coolify websocket routes\n",
        lambda text: text.replace("# BEGIN", "location /x {\n# BEGIN").replace(
            "= /terminal/ws {", "= /terminal/ws { }"
        ),
        lambda text: text + "location {",
    ],
)
def test_a_half_block_is_refused_by_all(damage):
    text = damage(http_conf.apply(STOCK).text)
    for operation in (http_conf.apply, http_conf.remove, http_conf.paths):
        with pytest.raises(http_conf.HttpConfError, match="by hand"):
            operation(text)


def test_a_damaged_memory_is_refused():
    text = re.sub(r"# before: .{8}", "# before: !!!!", http_conf.apply(STOCK + GUIDE).text)
    with pytest.raises(http_conf.HttpConfError, match="damaged"):
        http_conf.remove(text)


def test_a_doubled_block_becomes_one():
    block = http_conf.apply(STOCK).text[len(STOCK) :]
    assert http_conf.apply(STOCK + block + "# more\n" + block).text.count("# BEGIN") == 1
    assert http_conf.remove(STOCK + block + block).text == STOCK


def test_markers_in_a_string_are_no_markers():
    text = STOCK + 'add_header X "\n# BEGIN selfhosted.coolify websocket routes\n";\n'
    result = http_conf.apply(text)
    assert http_conf.remove(result.text).text == text


@pytest.mark.parametrize("change", [lambda t: t.replace("\n", "\r\n"), lambda t: t.replace("\n", "\n    ")])
def test_a_block_is_known_at_any_indentation_and_line_ending(change):
    mangled = change(http_conf.apply(STOCK).text)
    assert http_conf.is_treated(mangled)
    again = http_conf.apply(mangled)
    assert again.text.count("# BEGIN") == 1
    assert not http_conf.apply(again.text).changed


def test_the_block_in_a_text_is_known():
    assert not http_conf.is_treated(STOCK)
    assert http_conf.paths(STOCK) == []
    treated = http_conf.apply(STOCK).text
    assert http_conf.is_treated(treated)
    assert http_conf.paths(treated) == ["/terminal/ws", "/app/", "/apps/"]
    assert not http_conf.apply(treated).changed
    assert http_conf.apply(treated, _routes.Settings(read_timeout=5)).changed
    assert http_conf.apply(treated.replace("86400s", "5s")).changed


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"resolver": "127.0.0.11; }"}, "resolver"),
        ({"resolver": "dns.example"}, "resolver"),
        ({"resolver": ""}, "resolver"),
        ({"resolver": "127.0.0.11\n"}, "resolver"),
        ({"redad_timeout": 1}, "read_timeout"),
        ({"read_timeout": 0}, "read_timeout"),
        ({"read_timeout": True}, "read_timeout"),
        ({"read_timeout": "1s; }"}, "read_timeout"),
    ],
)
def test_a_value_that_could_leave_its_place_is_refused(options, named):
    with pytest.raises(http_conf.HttpConfError, match=named):
        _routes.settings(options)


FOREIGN_TEXT = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=12)
PIECE = st.one_of(
    st.sampled_from(["\n", "  \n", "\r\n", "\t", "gzip on;", "gzip on;\n", "root '/a b';\r\n"]),
    FOREIGN_TEXT.map(lambda text: "# " + text + "\n"),
    FOREIGN_TEXT.map(lambda text: 'add_header X "' + text.replace("\\", "").replace('"', "") + '";'),
    st.sampled_from([*re.findall(r"location.*?\n}\n?", GUIDE, re.DOTALL), GUIDE, STOCK]),
    st.sampled_from(
        [
            "location /app { return 403; }",
            "location = /terminal/ws { proxy_pass http://coolify-realtime:6002; limit_rate 1; }\n",
            "location ~ ^/app/ { return 1; }",
            "# BEGIN something else\n",
            "# before: x\n",
        ]
    ),
)
LAST = st.sampled_from(["", "#x", "# END", "gzip on;"])
CONF = st.tuples(st.lists(PIECE, max_size=8).map("".join), LAST).map("".join)


@settings(max_examples=400, deadline=None)
@given(CONF)
@example("")
@example(STOCK)
@example(STOCK[:-1])
@example(GUIDE.strip())
@example(GUIDE.replace("\n", "\r\n"))
def test_applied_twice_is_applied_once_and_removed_is_as_before(text):
    once = http_conf.apply(text)
    again = http_conf.apply(once.text)
    assert again.text == once.text
    assert again.paths == once.paths
    assert http_conf.remove(once.text).text == text
    assert set(once.paths) | {f.path for f in once.foreign} == {"/terminal/ws", "/app/", "/apps/"}


@settings(max_examples=200, deadline=None)
@given(CONF, CONF)
def test_what_others_append_to_a_treated_file_survives_its_removal(text, later):
    treated = http_conf.apply(text).text
    if not treated.endswith("\n"):
        treated += "\n"
    back = http_conf.remove(treated + later).text
    assert back.endswith(later) or later.strip() == ""


def test_an_exact_location_takes_one_url_and_leaves_the_prefix():
    """Field case E3: the guide's location was adopted, and /app/ left to the application."""
    text = STOCK + "location /app { proxy_pass http://coolify-realtime:6001; }\nlocation = /app/ { return 204; }\n"
    result = http_conf.apply(text)
    assert "/app/" in result.paths
    assert "location = /app/ { return 204; }" in result.text


def test_no_location_of_ours_answers_its_path_without_the_slash():
    """A prefix that ends in a slash and proxies by itself makes nginx redirect, to the port inside the container."""
    text = http_conf.apply(STOCK).text
    for block in text.split("location ^~ ")[1:]:
        assert block.index("location ~ / {") < block.index("proxy_pass")


@pytest.mark.parametrize("end", ["", "\n", "\r", "\r\n", "\n\n", " ", "\n# a comment", "\r\n  "], ids=ascii)
@pytest.mark.parametrize("eol", ["\n", "\r\n"], ids=ascii)
def test_what_is_rendered_or_edited_after_the_block_came_keeps_it_and_gives_every_byte_back(eol, end):
    """The base image's http.conf.template has no last line end, and is rendered with the block in it."""
    template = eol.join(["listen ${PORT};", "server_name _;", "location / { return 404; }"]) + end
    treated = http_conf.apply(template).text
    assert http_conf.remove(treated).text == template
    rendered = treated.replace("${PORT}", "8080")
    assert not http_conf.apply(rendered).changed
    assert http_conf.remove(rendered).text == template.replace("${PORT}", "8080")
    edited = "charset utf-8;" + eol + rendered
    assert not http_conf.apply(edited).changed
    assert http_conf.remove(edited).text == "charset utf-8;" + eol + template.replace("${PORT}", "8080")


def test_a_line_end_that_somebody_changed_in_front_of_the_block_costs_no_byte_of_theirs():
    treated = http_conf.apply("listen 8080;\r\nlocation / { return 404; }").text
    assert http_conf.remove(treated.replace("}\r\n", "}\n", 1)).text == "listen 8080;\r\nlocation / { return 404; }\n"
