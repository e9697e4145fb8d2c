"""Configuration files of cloudflared as people write them. Each is a text with a list that ends in a catch-all."""

from __future__ import annotations

TAIL = "  - service: http_status:404\n"

FILES = {
    "minimal": "ingress:\n  - service: http://localhost:8000\n",
    "typical": """\
tunnel: 6ff42ae2-765d-4adf-8112-31c55c1551ef
credentials-file: /etc/cloudflared/6ff42ae2.json

ingress:
  - hostname: coolify.example.com
    service: http://localhost:8000
  - hostname: "*.example.com"
    service: http://localhost:80
  - service: http_status:404
""",
    "list at the key's own column": """\
tunnel: abc
ingress:
- hostname: coolify.example.com
  service: http://localhost:8000
- service: http_status:404
warp-routing:
  enabled: true
""",
    "wide dashes": "ingress:\n    -   hostname: coolify.example.com\n        service: http://localhost:8000\n"
    "    -   service: http_status:404\n",
    "dash on a line of its own": "ingress:\n  -\n"
    "    hostname: coolify.example.com\n    service: http://localhost:8000\n"
    "  -\n    service: http_status:404\n",
    "fields in another order": "ingress:\n  - service: http://localhost:8000\n    hostname: coolify.example.com\n" + TAIL,
    "comments everywhere": """\
# top
tunnel: abc   # which one
ingress:   # first match wins
  # the instance
  # (two lines)
  - hostname: coolify.example.com # name
    # inside
    service: http://localhost:8000
  # everything else
  - service: http_status:404 # end
# bottom
""",
    "comment indented otherwise": "ingress:\n# left\n  - hostname: coolify.example.com\n      # right\n"
    "    service: http://localhost:8000\n        # far right\n" + TAIL,
    "blank lines between": "ingress:\n\n  - hostname: coolify.example.com\n"
    "    service: http://localhost:8000\n\n\n" + TAIL + "\n",
    "tabs in comments": "ingress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000 #\ttab\n#\ttab\n" + TAIL,
    "no last line break": "ingress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n"
    "  - service: http_status:404",
    "crlf": "tunnel: abc\r\ningress:\r\n  # c\r\n"
    "  - hostname: coolify.example.com\r\n    service: http://localhost:8000\r\n"
    "  - service: http_status:404\r\n",
    "byte order mark": "\ufeffingress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "document markers": "---\ningress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL + "...\n",
    "single quotes": "ingress:\n  - hostname: 'coolify.example.com'\n    service: 'http://localhost:8000'\n" + TAIL,
    "double quotes with escapes": "ingress:\n"
    '  - "hostname": "coolify.example\\u002ecom"\n    "service": "http:\\/\\/localhost:8000"\n' + TAIL,
    "flow on one line": "ingress: [{hostname: coolify.example.com, "
    "service: 'http://localhost:8000'}, {service: 'http_status:404'}]\n",
    "flow over lines": """\
ingress: [
  {hostname: coolify.example.com, service: "http://localhost:8000"},  # c
  {
    service: "http_status:404"
  },
]
""",
    "flow rules in a block list": "ingress:\n"
    "  - {hostname: coolify.example.com, service: 'http://localhost:8000'}\n"
    "  - {service: 'http_status:404'}\n",
    "json": '{"tunnel": "abc", "ingress": [{"hostname": "coolify.example.com", "service": "http://localhost:8000"},'
    ' {"service": "http_status:404"}]}\n',
    "anchor and alias of a name": "ingress:\n  - hostname: &name coolify.example.com\n"
    "    path: ^/x\n    service: http://localhost:1\n"
    "  - hostname: *name\n    service: http://localhost:8000\n" + TAIL,
    "merge key": "x-origin: &origin\n  service: http://localhost:8000\n"
    "ingress:\n  - <<: *origin\n    hostname: coolify.example.com\n" + TAIL,
    "anchor of a whole rule": "ingress:\n  - &rule\n"
    "    hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "originRequest": """\
ingress:
  - hostname: coolify.example.com
    service: https://localhost:443
    originRequest:
      noTLSVerify: true
      access:
        required: true
        audTag:
          - abc
          - def
  - service: http_status:404
""",
    "guide's rules in the wrong place": """\
ingress:
  - hostname: "*.example.com"
    service: http://localhost:80
  # terminal
  - hostname: coolify.example.com
    path: /terminal/ws   # unanchored
    service: http://localhost:6002
  # pusher
  - hostname: coolify.example.com
    path: "/app"
    service: http://localhost:6001
  - hostname: coolify.example.com
    service: http://localhost:8000
  - service: http_status:404
""",
    "bare app, flow": "ingress: [{hostname: coolify.example.com, "
    "path: /app, service: 'ws://127.0.0.1:6001'}, {service: 'http_status:404'}]\n",
    "right already, by other addresses": """\
ingress:
  - hostname: coolify.example.com
    path: /terminal/ws$
    service: http://coolify-realtime:6002
  - hostname: coolify.example.com
    path: ^/(app|apps)/
    service: http://10.0.0.7:6001
  - hostname: coolify.example.com
    service: http://coolify:8080
  - service: http_status:404
""",
    "many hosts": "ingress:\n"
    + "".join(f"  - hostname: h{n}.example.com\n    service: http://localhost:{9000 + n}\n" for n in range(20))
    + "  - hostname: coolify.example.com\n    service: http://localhost:8000\n"
    + TAIL,
    "other keys after": "ingress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n"
    + TAIL
    + "\n# limits\noriginRequest:\n  connectTimeout: 30s\nmetrics: 0.0.0.0:2000\n",
    "block scalar elsewhere": "notes: |\n  ingress:\n    - hostname: no\n  # no comment\n\ningress:\n"
    "  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "plain value over two lines": "description: one\n  two\ningress:\n"
    "  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "unix sockets and ssh": "ingress:\n  - hostname: ssh.example.com\n"
    "    service: ssh://localhost:22\n  - hostname: s.example.com\n"
    "    service: unix:/run/s.sock\n  - hostname: coolify.example.com\n"
    "    service: http://localhost:8000\n" + TAIL,
    "rule for all hosts by path": "ingress:\n  - path: ^/app\n"
    "    service: http://localhost:3000\n  - hostname: coolify.example.com\n"
    "    service: http://localhost:8000\n" + TAIL,
    "hostname in capitals": "ingress:\n  - hostname: Coolify.Example.com\n    service: http://localhost:8000\n" + TAIL,
    "another machine's wildcard": "ingress:\n  - hostname: '*.example.com'\n    path: /app\n"
    "    service: http://192.168.1.50:6001\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "both paths served": "ingress:\n  - hostname: coolify.example.com\n    path: /app/\n    service: http://127.0.0.1:6001\n"
    "  - hostname: coolify.example.com\n    path: /terminal/ws\n    service: http://127.0.0.1:6002\n"
    "  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "connector in a container": "ingress:\n  - hostname: coolify.example.com\n    path: /app\n"
    "    service: http://coolify-realtime:6001\n  - hostname: coolify.example.com\n    service: http://coolify:8080\n" + TAIL,
    "two rules for everything of the host": "ingress:\n  - hostname: coolify.example.com\n    path: .*\n    service: http://localhost:80\n"
    "  - hostname: coolify.example.com\n    path: .*\n    service: http://localhost:6001\n" + TAIL,
    "mistake in a rule in brackets": "ingress:\n  - {hostname: coolify.example.com, path: /app, service: 'http://localhost:6001'}\n"
    "  - {hostname: coolify.example.com, path: \"/terminal\", service: 'http://localhost:6002'} # c\n" + TAIL,
    "originRequest with anchors": "x: &a {required: true, teamName: t, audTag: [b]}\ningress:\n"
    "  - hostname: coolify.example.com\n    service: http://localhost:8000\n"
    "    originRequest:\n      access: *a\n      connectTimeout: 30s\n      noTLSVerify: yes\n" + TAIL,
    "not utf-8": "# caf\udce9\ningress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "Cloudflare's example": """\
# /etc/cloudflared/config.yml
tunnel: 6ff42ae2-765d-4adf-8112-31c55c1551ef
credentials-file: /root/.cloudflared/6ff42ae2-765d-4adf-8112-31c55c1551ef.json
warp-routing:
  enabled: true
originRequest:
  connectTimeout: 30s

ingress:
  # The file server bears no compression.
  - hostname: static.example.com
    path: \\.(jpg|png|css|js)$
    service: https://localhost:8001
    originRequest:
      connectTimeout: 10s
      disableChunkedEncoding: true
  - hostname: coolify.example.com
    service: http://localhost:8000
  - hostname: "*.example.com"
    service: http_status:403
  - service: http_status:404
""",
    "Coolify's guide, all resources": """\
tunnel: abc
credentials-file: /etc/cloudflared/abc.json
ingress:
  - hostname: coolify.example.com
    service: http://localhost:8000
  - hostname: realtime.example.com
    service: http://localhost:6001
  - hostname: terminal.example.com
    path: /terminal/ws
    service: http://localhost:6002
  - hostname: "*.example.com"
    service: http://localhost:80
  - service: http_status:404
""",
    "through the proxy by https": """\
ingress:
  - hostname: "*.example.com"
    service: https://localhost:443
    originRequest:
      originServerName: coolify.example.com
      http2Origin: true
  - hostname: example.com
    service: https://localhost:443
    originRequest: {noTLSVerify: true}
  - service: http_status:404
""",
    "another site takes every path, above": """\
ingress:
  - path: ^/\\.well-known/acme-challenge/
    service: http://localhost:80
  - hostname: shop.example.com
    path: ^/app/
    service: http://localhost:3000
  - hostname: shop.example.com
    service: http://localhost:3001
  - hostname: coolify.example.com
    service: http://localhost:8000
  - service: hello_world
""",
    "pages of the instance sent elsewhere": """\
ingress:
  - hostname: coolify.example.com
    path: ^/(api|webhooks)/
    service: http://localhost:8000
  - hostname: coolify.example.com
    path: \\.js$
    service: http://cdn.lan:8080
  - hostname: coolify.example.com
    service: http://localhost:80
  - service: http_status:404
""",
    "the guide's three rules, terminal last": """\
ingress:
  - hostname: coolify.example.com
    path: /app/*
    service: http://localhost:6001
  - hostname: coolify.example.com
    service: http://localhost:8000
  - hostname: coolify.example.com
    path: /terminal/*
    service: http://localhost:6002
  - service: http_status:404
""",
    "terminal right, updates missing": """\
ingress:
  - hostname: coolify.example.com
    path: ^/terminal/ws$
    service: http://127.0.0.1:6002
  - hostname: coolify.example.com
    service: http://127.0.0.1:8000
  - service: http_status:404
""",
    "updates right by two rules, terminal missing": """\
ingress:
  - {hostname: coolify.example.com, path: ^/app/, service: "http://localhost:6001"}
  - {hostname: coolify.example.com, path: ^/apps/, service: "http://localhost:6001"}
  - {hostname: coolify.example.com, service: "http://localhost:8000"}
  - {service: "http_status:404"}
""",
    "the ports the other way round": """\
ingress:
  - hostname: coolify.example.com
    path: ^/terminal/ws$
    service: http://localhost:6001
  - hostname: coolify.example.com
    path: ^/apps?/
    service: http://localhost:6002
  - hostname: coolify.example.com
    service: http://localhost:8000
  - service: http_status:404
""",
    "refused by a status for now": """\
ingress:
  - hostname: coolify.example.com
    path: ^/terminal
    service: http_status:403
  - hostname: coolify.example.com
    service: http://localhost:8000
  - service: http_status:503
""",
    "merged origin of all rules": """\
x-common: &common
  noTLSVerify: true
  connectTimeout: 10s
ingress:
  - hostname: coolify.example.com
    service: https://127.0.0.1:443
    originRequest:
      <<: *common
      originServerName: coolify.example.com
  - hostname: b.example.com
    service: https://127.0.0.1:443
    originRequest: *common
  - service: http_status:404
""",
    "several merged, own key wins": """\
x-a: &a {service: "http://localhost:1"}
x-b: &b {hostname: coolify.example.com, service: "http://localhost:2"}
ingress:
  - <<: [*b, *a]
    service: http://localhost:8000
  - service: http_status:404
""",
    "the list by an alias": """\
x-list: &list
  - hostname: coolify.example.com
    service: http://localhost:8000
  - service: http_status:404
ingress: *list
""",
    "an anchor at the list": """\
ingress: &rules
  - hostname: coolify.example.com
    service: http://localhost:8000
  - service: http_status:404
""",
    "a tag at the list": "ingress: !!seq\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "the list beside its key": "ingress:\n  [{hostname: coolify.example.com, service: 'http://localhost:8000'},\n"
    "   {service: 'http_status:404'}]\n",
    "key in quotes": '"ingress":\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n' + TAIL,
    "key with a space before its colon": "ingress :\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n"
    + TAIL,
    "explicit key": "? ingress\n:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "first key of an indented mapping": "  ingress:\n    - hostname: coolify.example.com\n      service: http://localhost:8000\n"
    "    - service: http_status:404\n  metrics: localhost:1\n",
    "values on lines of their own": "ingress:\n  - hostname:\n      coolify.example.com\n    service:\n      http://localhost:8000\n"
    + TAIL,
    "folded and literal values": "ingress:\n  - hostname: >-\n      coolify.example.com\n    service: |-\n      http://localhost:8000\n"
    + TAIL,
    "a value folded in quotes": 'ingress:\n  - hostname: coolify.example.com\n    path: "^/x\\\n      y"\n    service: http://localhost:1\n'
    "  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "a path with a hash and a quote": "ingress:\n  - hostname: coolify.example.com\n    path: '^/it''s#1 # no comment'\n"
    "    service: http://localhost:1 # one\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "mistake with a comment behind it": "ingress:\n  - hostname: coolify.example.com\n    path: /app # pusher: 'app'\n"
    "    service: http://localhost:6001\n  - hostname: coolify.example.com\n    path: '/terminal'   # xterm\n"
    "    service: http://localhost:6002\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "a tab before a comment": "ingress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\t# panel\n" + TAIL,
    "mistake, path by an alias": "x: &p /app\ningress:\n  - hostname: coolify.example.com\n    path: *p\n"
    "    service: http://localhost:6001\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n" + TAIL,
    "star for everything": "ingress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n"
    "  - hostname: '*'\n    service: http_status:404\n",
    "the wildcard to a loopback address of IPv6": "ingress:\n  - hostname: '*.example.com'\n    path: ''\n    service: http://[::1]:80\n"
    + TAIL,
    "empty fields": "ingress:\n  - hostname: coolify.example.com\n    path:\n"
    "    service: http://localhost:8000\n    originRequest:\n"
    "  - hostname: ''\n    path: ~\n    service: http_status:404\n",
    "access by Cloudflare, in brackets": """\
ingress:
  - hostname: coolify.example.com
    service: http://localhost:8000
    originRequest: {access: {required: true, teamName: "my team", audTag: [
      'a', # first
      "b"]}, httpHostHeader: coolify.example.com}
  - service: http_status:404
""",
    "names beyond ASCII beside it": "# Übersicht – Küche\ningress:\n  - hostname: küche.example.com\n    service: http://localhost:81\n"
    "  - hostname: coolify.example.com\n    service: http://localhost:8000 # Größe\n" + TAIL,
    "comments at the end, further out and in": "ingress:\n   - hostname: coolify.example.com\n     service: http://localhost:8000\n"
    "   - service: http_status:404\n# out\n      # in\n   # - hostname: old.example.com\n\n\n",
    "mixed line ends": "tunnel: abc\r\ningress:\n  - hostname: coolify.example.com\r\n    service: http://localhost:8000\n"
    + TAIL,
}
