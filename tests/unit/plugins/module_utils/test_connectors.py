"""Which connectors of cloudflared are found on a host, and which of their lists counts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Sequence

import pytest

from ansible_collections.selfhosted.coolify.plugins.module_utils.engine import _client
from ansible_collections.selfhosted.coolify.plugins.module_utils.host import _discovery
from ansible_collections.selfhosted.coolify.plugins.module_utils.plan import _tunnel
from ansible_collections.selfhosted.coolify.plugins.module_utils.tunnel import _connectors, _units

ACCOUNT, TUNNEL = "5ab4e9dfbd435d24068829fda0077963", "6ff42ae2-765d-4adf-8112-31c55c1551ef"
PLANTED = "cGxhbnRlZC1zZWNyZXQ="
TOKEN = base64.b64encode(json.dumps({"a": ACCOUNT, "t": TUNNEL, "s": PLANTED}).encode()).decode()
LIST = "ingress:\n  - hostname: coolify.example.com\n    service: http://localhost:8000\n  - service: http_status:404\n"
COOLIFY_YAML = "http:\n  routers:\n    coolify-http:\n      rule: 'Host(`coolify.example.com`)'\n"
ID = "4f" * 32


class Engine:
    """Has the containers that it is given, by their inspections."""

    socket = "/var/run/docker.sock"

    def __init__(self, *containers: dict[str, Any], own: Sequence[str] = (), tag_moved: bool = False) -> None:
        self.inspected, self.own, self.tag_moved = containers, own, tag_moved

    def version(self) -> dict[str, Any]:
        return {"Version": "26.1.5"}

    def networks(self) -> list[dict[str, Any]]:
        return []

    def containers(self) -> list[dict[str, Any]]:
        return [
            {"Id": one["Id"], "Image": "sha256:" + ID if self.tag_moved else one["Config"]["Image"]} for one in self.inspected
        ]

    def inspect(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.inspected if name in (one["Id"], one["Name"].lstrip("/"))), None)

    def has_path(self, container: str, path: str) -> bool:
        return path in self.own


def container(image: str = "cloudflare/cloudflared:latest", name: str = "cloudflare-tunnel", **over: Any) -> dict[str, Any]:
    args = over.get("args", ["--no-autoupdate", "tunnel", "run"])
    return {
        "Id": ID,
        "Name": "/" + name,
        "Path": "cloudflared",
        "Args": args,
        "State": {"Running": over.get("running", True)},
        "Config": {"Image": image, "Env": over.get("env", []), "User": "nonroot"},
        "Mounts": [{"Type": "bind", "Source": source, "Destination": at} for at, source in over.get("mounts", {}).items()],
    }


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def unit(command: str, more: str = "") -> str:
    return f"[Unit]\nDescription=x\n[Service]\nType=notify\n{more}ExecStart={command}\n[Install]\nWantedBy=multi-user.target\n"


def found(root: Path, engine: Any = None, active: Sequence[str] = (), config: str | None = None) -> dict[str, Any]:
    """What coolify_info says of the tunnel. No token may be in it, whatever it is."""
    write(root, {"data/coolify/proxy/dynamic/coolify.yaml": COOLIFY_YAML})
    blocks = [f"Id={name}\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n" for name in active]
    discovery = _discovery.Discovery(
        engine or Engine(), root=str(root), run=lambda argv: (0, "\n".join(blocks), ""), tunnel_config=config
    )
    tunnel: dict[str, Any] = discovery.facts()["managed"]["tunnel"]
    shown = json.dumps({**tunnel, "text": None})
    assert [secret for secret in (TOKEN, PLANTED, TOKEN[:40]) if secret in shown] == []
    return tunnel


def brief(tunnel: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(one[key] for key in ("kind", "name", "running", "remote", "path")) for one in tunnel["connectors"]]


def planned(tunnel: dict[str, Any], state: str = "present") -> dict[str, Any]:
    """The plan's part for it, on a host with a domain and both ports."""
    facts = {"managed": {"tunnel": {**tunnel, "rules": [] if tunnel["text"] is None else ["some"]}}}
    reason = "" if state == "present" else "It is to be taken out."
    return _tunnel.part(facts, {"host": "coolify.example.com", "extra": []}, {"app": 6001, "terminal": 6002}, reason, True)


# -- the cases from the field ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files",
    [
        {"etc/systemd/system/cloudflared.service": unit(f"/usr/bin/cloudflared --no-autoupdate tunnel run --token {TOKEN}")},
        {"etc/systemd/system/cloudflared.service": unit(f"/cloudflared tunnel --disable-path-normalization run --token {TOKEN}")},
        {"etc/systemd/system/cloudflared.service": unit(f"/bin/cloudflared tunnel --a-switch-to-come --token {TOKEN} run")},
        {"etc/systemd/system/mine.service": unit("/usr/bin/cloudflared tunnel run", f"Environment='TUNNEL_TOKEN={TOKEN}'\n")},
        {
            "etc/systemd/system/mine.service": unit(
                "/usr/bin/cloudflared tunnel run --token ${T}", "EnvironmentFile=-/etc/default/mine\n"
            ),
            "etc/default/mine": f'# a comment\nT="{TOKEN}"\n',
        },
        {
            "usr/lib/systemd/system/mine.service": unit("/usr/bin/cloudflared tunnel run"),
            "etc/systemd/system/mine.service.d/10-token.conf": "[Service]\nExecStart=\n"
            f"ExecStart=/usr/bin/cloudflared tunnel run --token={TOKEN}\n",
        },
        {
            "etc/systemd/system/mine.service": unit("/usr/bin/cloudflared tunnel run --token-file /etc/cloudflared/token"),
            "etc/cloudflared/token": TOKEN + "\n",
        },
        {
            "etc/systemd/system/mine.service": unit("/usr/bin/cloudflared --config /etc/mine.yml tunnel run"),
            "etc/mine.yml": f"token: '{TOKEN}'\n",
        },
        {"etc/systemd/system/mine.service": unit(f"/bin/sh -c \"exec /usr/bin/cloudflared tunnel run --token '{TOKEN}'\"")},
    ],
)
def test_a_list_beside_a_unit_that_runs_by_a_token_is_not_the_one_that_counts(tmp_path: Path, files: dict[str, str]) -> None:
    """Field case T7: it was edited and shown green; now it is said that the list lies with Cloudflare."""
    write(tmp_path, {"etc/cloudflared/config.yml": LIST, **files})
    name = "cloudflared.service" if "etc/systemd/system/cloudflared.service" in files else "mine.service"
    tunnel = found(tmp_path, active=[name])
    (one,) = tunnel["connectors"]
    assert (one["name"], one["remote"], one["running"], one["counts"]) == (name, True, True, True)
    assert (one["account"], one["tunnel"]) == (ACCOUNT, TUNNEL)
    assert (tunnel["remote"], tunnel["text"]) == (True, None)
    plan = planned(tunnel)
    assert "lies with Cloudflare" in plan["reason"]
    assert name in plan["reason"]
    assert plan["by_hand"]
    assert plan["connectors"] == []
    assert not planned(tunnel, "absent")["by_hand"]


@pytest.mark.parametrize("name", ["config.yml", "config.yaml"])
def test_a_unit_of_another_name_and_a_list_elsewhere_are_found(tmp_path: Path, name: str) -> None:
    """Field case T9: neither config.yaml nor a unit of another name was found."""
    write(
        tmp_path,
        {"etc/systemd/system/edge.service": unit("/opt/bin/cloudflared tunnel run home"), f"etc/cloudflared/{name}": LIST},
    )
    tunnel = found(tmp_path, active=["edge.service"])
    assert brief(tunnel) == [("unit", "edge.service", True, False, f"/etc/cloudflared/{name}")]
    assert (tunnel["path"], tunnel["present"], tunnel["remote"]) == (f"/etc/cloudflared/{name}", True, False)
    assert planned(tunnel)["reason"] == ""


@pytest.mark.parametrize("tag_moved", [False, True])
def test_a_connector_in_a_container_is_found_by_its_image(tmp_path: Path, tag_moved: bool) -> None:
    """Field cases T5 and T9: its list is found on the host, through its mounts, and no file that it does not read."""
    write(tmp_path, {"srv/tunnel/config.yaml": LIST, "etc/cloudflared/config.yml": "url: http://localhost:1\n"})
    image = "registry.example.com:5000/mirror/cloudflare/cloudflared:2026.8.2@sha256:" + ID
    one = container(image, mounts={"/etc/cloudflared": "/srv/tunnel"})
    tunnel = found(tmp_path, Engine(one, tag_moved=tag_moved))
    assert brief(tunnel) == [("container", "cloudflare-tunnel", True, False, "/srv/tunnel/config.yaml")]
    assert (tunnel["path"], tunnel["text"]) == ("/srv/tunnel/config.yaml", LIST)
    assert planned(tunnel)["connectors"] == [{"kind": "container", "name": "cloudflare-tunnel"}]


# -- containers --------------------------------------------------------------------------------------------------------


def test_a_container_with_a_token_has_its_list_at_cloudflare(tmp_path: Path) -> None:
    write(tmp_path, {"etc/cloudflared/config.yml": LIST})
    for over in ({"env": ["TUNNEL_TOKEN=" + TOKEN]}, {"args": ["tunnel", "run", "--token", TOKEN]}):
        tunnel = found(tmp_path, Engine(container(**over)))
        assert brief(tunnel) == [("container", "cloudflare-tunnel", True, True, None)]
        assert (tunnel["remote"], tunnel["connectors"][0]["tunnel"]) == (True, TUNNEL)


def test_a_token_file_of_a_container_is_read_through_its_mount(tmp_path: Path) -> None:
    write(tmp_path, {"srv/token": TOKEN})
    one = container(env=["TUNNEL_TOKEN_FILE=/run/secrets/token"], mounts={"/run/secrets/token": "/srv/token"})
    assert found(tmp_path, Engine(one))["connectors"][0]["account"] == ACCOUNT
    (unread,) = found(tmp_path, Engine(container(env=["TUNNEL_TOKEN_FILE=/run/secrets/token"])))["connectors"]
    assert (unread["remote"], unread["account"]) == (True, None)


def test_a_list_inside_of_a_container_is_told_and_no_other_one_taken_for_it(tmp_path: Path) -> None:
    write(tmp_path, {"etc/cloudflared/config.yml": LIST, "srv/tunnel/config.yml": LIST})
    own = "/home/nonroot/.cloudflared/config.yml"
    tunnel = found(tmp_path, Engine(container(mounts={"/etc/cloudflared": "/srv/tunnel"}), own=[own]))
    assert brief(tunnel) == [("container", "cloudflare-tunnel", True, False, None)]
    assert not tunnel["present"]
    assert "inside of the container cloudflare-tunnel" in planned(tunnel)["reason"]


def test_the_list_that_a_containers_command_names_is_found_through_the_nearest_mount(tmp_path: Path) -> None:
    write(tmp_path, {"srv/one.yml": LIST})
    mounts = {"/": "/nowhere", "/conf": "/elsewhere", "/conf/a.yml": "/srv/one.yml"}
    one = container(args=["tunnel", "--config", "/conf/a.yml", "run"], mounts=mounts)
    assert found(tmp_path, Engine(one))["path"] == "/srv/one.yml"


@pytest.mark.parametrize(
    "args", [["version"], ["access", "tcp"], ["tunnel", "--config", "/a", "ingress", "validate"], ["proxy-dns"], ["update"]]
)
def test_what_runs_no_tunnel_is_no_connector(tmp_path: Path, args: list[str]) -> None:
    write(tmp_path, {"etc/systemd/system/x.service": unit("/usr/bin/cloudflared " + " ".join(args))})
    assert found(tmp_path, Engine(container(args=args)))["connectors"] == []


def test_another_image_is_no_connector(tmp_path: Path) -> None:
    for image in ("cloudflare/cloudflared-exporter:1", "notcloudflare/cloudflared", "cloudflare/cloudflared/x"):
        assert found(tmp_path, Engine(container(image)))["connectors"] == []


# -- units -------------------------------------------------------------------------------------------------------------


def test_a_unit_is_read_as_systemd_reads_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "usr/lib/systemd/system/hidden.service": unit("/usr/bin/cloudflared tunnel run"),
            "etc/systemd/system/hidden.service": unit("/usr/bin/sleep 1"),
            "etc/systemd/system/mine.service": unit(
                "-!/usr/bin/cloudflared \\\n# not this\n  --config '/etc/my tunnel/%p.yml' tunnel run", "User=tunnel\n"
            ),
            "usr/lib/systemd/system/cloudflared-update.service": unit("/bin/bash -c '/usr/bin/cloudflared update; exit $?'"),
            "usr/lib/systemd/system/docked.service": unit("/usr/bin/docker run cloudflare/cloudflared tunnel run"),
            "etc/my tunnel/mine.yml": LIST,
        },
    )
    (tmp_path / "etc/systemd/system/alias.service").symlink_to("mine.service")
    write(tmp_path, {"lib/systemd/system/masked.service": unit("/usr/bin/cloudflared tunnel run")})
    (tmp_path / "etc/systemd/system/masked.service").symlink_to("/dev/null")
    assert brief(found(tmp_path)) == [("unit", "mine.service", False, False, "/etc/my tunnel/mine.yml")]


def test_a_templates_instances_are_units_and_the_template_is_none(tmp_path: Path) -> None:
    text = unit("/usr/bin/cloudflared --config /etc/cloudflared/%i.yml tunnel run")
    write(tmp_path, {"etc/systemd/system/tunnel@.service": text, "etc/cloudflared/home.yml": LIST, "etc/cloudflared/b.yml": LIST})
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "tunnel@home.service").symlink_to("../tunnel@.service")
    process(tmp_path, ["/usr/bin/cloudflared", "tunnel", "run"], group="0::/system.slice/system-tunnel.slice/tunnel@b.service")
    assert brief(found(tmp_path)) == [
        ("unit", "tunnel@b.service", True, False, "/etc/cloudflared/b.yml"),
        ("unit", "tunnel@home.service", False, False, "/etc/cloudflared/home.yml"),
    ]


def test_a_unit_of_cloudflareds_name_that_hides_it_in_a_script_is_one(tmp_path: Path) -> None:
    write(tmp_path, {"etc/systemd/system/cloudflared.service": unit("/opt/start-tunnel"), "etc/cloudflared/config.yml": LIST})
    assert brief(found(tmp_path)) == [("unit", "cloudflared.service", False, False, "/etc/cloudflared/config.yml")]


def test_a_users_home_comes_first(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "etc/passwd": "root:x:0:0::/root:/bin/sh\ntunnel:x:998:998::/var/lib/tunnel:/bin/false\n",
            "etc/systemd/system/mine.service": unit("/usr/bin/cloudflared tunnel run", "User=tunnel\n"),
            "var/lib/tunnel/.cloudflared/config.yml": LIST,
            "etc/cloudflared/config.yml": LIST,
        },
    )
    assert found(tmp_path)["path"] == "/var/lib/tunnel/.cloudflared/config.yml"


def test_cloudflareds_own_order() -> None:
    """As its config/configuration.go has it: by folder, and in each .yml before .yaml."""
    assert _connectors.candidates("", "/root", "")[:3] == [
        "/root/.cloudflared/config.yml",
        "/root/.cloudflared/config.yaml",
        "/root/.cloudflare-warp/config.yml",
    ]
    assert _connectors.candidates("", "/root", "")[-3:] == [
        "/etc/cloudflared/config.yaml",
        "/usr/local/etc/cloudflared/config.yml",
        "/usr/local/etc/cloudflared/config.yaml",
    ]
    assert _connectors.candidates("conf/a.yml", "/root", "/srv") == ["/srv/conf/a.yml"]


def test_words_and_variables_of_a_command() -> None:
    text = '[Service]\nEnvironment=A=1 "B=two words" \'C=x\'\nExecStart=@/bin/a "q \\" q" \'it s\' $B ${A}x $$ 100%% ; -/bin/b\n'
    service = _units.service("x.service", text)
    assert service.environment == {"A": "1", "B": "two words", "C": "x"}
    assert service.commands == [["/bin/a", 'q " q', "it s", "$B", "${A}x", "$$", "100%"], ["/bin/b"]]
    assert _units.expanded(["$B", "${A}x", "$$", "${NONE}"], service.environment) == ["two", "words", "1x", "$", ""]


# -- processes ---------------------------------------------------------------------------------------------------------


def process(root: Path, argv: list[str], group: str = "0::/user.slice/user-0.slice/session-3.scope", pid: int = 71) -> None:
    write(
        root,
        {
            f"proc/{pid}/cmdline": "\0".join([*argv, ""]),
            f"proc/{pid}/cgroup": group + "\n",
            f"proc/{pid}/environ": "HOME=/home/me\0",
        },
    )


def test_a_process_that_nothing_explains_is_a_connector(tmp_path: Path) -> None:
    process(tmp_path, ["./cloudflared", "tunnel", "--config", "/srv/a.yml", "run"])
    process(tmp_path, ["/usr/bin/cloudflared", "tunnel", "run", "--token", TOKEN], pid=72)
    process(tmp_path, ["/usr/bin/cloudflared", "access", "tcp"], pid=73)
    write(tmp_path, {"srv/a.yml": LIST})
    tunnel = found(tmp_path)
    assert brief(tunnel) == [("process", "71", True, False, "/srv/a.yml"), ("process", "72", True, True, None)]
    # The list on the host names the instance, the other one is some other tunnel's.
    assert [one["counts"] for one in tunnel["connectors"]] == [True, False]
    assert not tunnel["remote"]


@pytest.mark.parametrize("group", ["0::/system.slice/docker-{}.scope", "1:name=systemd:/docker/{}\n0::/docker/{}"])
def test_a_process_in_a_container_is_the_containers(tmp_path: Path, group: str) -> None:
    process(tmp_path, ["cloudflared", "tunnel", "run"], group=group.replace("{}", ID))
    other = container("example.com/my-own-tunnel:3", mounts={"/etc/cloudflared": "/srv/tunnel"})
    write(tmp_path, {"srv/tunnel/config.yml": LIST})
    assert brief(found(tmp_path, Engine(other))) == [("container", "cloudflare-tunnel", True, False, "/srv/tunnel/config.yml")]
    # Of an engine that is not asked: its paths are not the host's.
    write(tmp_path, {"etc/cloudflared/config.yml": LIST})
    assert brief(found(tmp_path)) == [("process", "71", True, False, None)]


# -- which list counts -------------------------------------------------------------------------------------------------


def test_the_list_of_the_connector_that_runs_counts(tmp_path: Path) -> None:
    """Coolify's own container of a tunnel, long stopped, is no reason to say that the list lies with Cloudflare."""
    write(
        tmp_path, {"etc/systemd/system/mine.service": unit("/usr/bin/cloudflared tunnel run"), "etc/cloudflared/config.yml": LIST}
    )
    stopped = container(name="coolify-cloudflared", env=["TUNNEL_TOKEN=" + TOKEN], running=False)
    tunnel = found(tmp_path, Engine(stopped), active=["mine.service"])
    assert [(one["name"], one["counts"]) for one in tunnel["connectors"]] == [
        ("mine.service", True),
        ("coolify-cloudflared", False),
    ]
    assert (tunnel["remote"], tunnel["text"]) == (False, LIST)
    # The other way round, the file is one that nothing reads.
    tunnel = found(tmp_path, Engine(container(env=["TUNNEL_TOKEN=" + TOKEN])))
    assert [one["counts"] for one in tunnel["connectors"]] == [False, True]
    assert tunnel["remote"]


def test_of_two_lists_the_one_that_names_the_instance_counts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "etc/systemd/system/a.service": unit("/usr/bin/cloudflared --config /srv/a.yml tunnel run"),
            "etc/systemd/system/b.service": unit("/usr/bin/cloudflared --config /srv/b.yml tunnel run"),
            "srv/a.yml": LIST.replace("coolify", "wiki"),
            "srv/b.yml": LIST.replace("coolify.example.com", '"*.Example.com"'),
        },
    )
    assert found(tmp_path, active=["a.service", "b.service"])["path"] == "/srv/b.yml"


def test_the_file_that_the_user_names_wins(tmp_path: Path) -> None:
    unit_by_token = unit(f"/usr/bin/cloudflared tunnel run --token {TOKEN}")
    write(tmp_path, {"etc/systemd/system/mine.service": unit_by_token, "srv/mine.yml": LIST})
    tunnel = found(tmp_path, active=["mine.service"], config="/srv/mine.yml")
    assert (tunnel["path"], tunnel["remote"], tunnel["text"]) == ("/srv/mine.yml", False, LIST)


def test_a_list_without_a_connector_is_still_one(tmp_path: Path) -> None:
    write(tmp_path, {"usr/local/etc/cloudflared/config.yaml": LIST})
    assert found(tmp_path)["path"] == "/usr/local/etc/cloudflared/config.yaml"


def test_without_docker_the_units_are_told(tmp_path: Path) -> None:
    class Absent(Engine):
        def containers(self) -> list[dict[str, Any]]:
            raise _client.EngineUnavailable("no Docker engine answers")

    write(tmp_path, {"etc/systemd/system/mine.service": unit("/usr/bin/cloudflared tunnel run")})
    assert [one["name"] for one in found(tmp_path, Absent())["connectors"]] == ["mine.service"]


# -- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not base64 §",
        base64.b64encode(b"[1]").decode(),
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(json.dumps({"a": PLANTED, "t": PLANTED, "s": ""}).encode()).decode(),
        base64.b64encode(json.dumps({"a": ACCOUNT + "\n", "t": [TUNNEL]}).encode()).decode(),
    ],
)
def test_of_a_token_nothing_but_ids_is_told(token: str) -> None:
    assert _connectors.ids(token) == (None, None)


def test_a_token_without_padding_is_read() -> None:
    assert _connectors.ids(TOKEN.rstrip("=") + "\n") == (ACCOUNT, TUNNEL)


def test_a_tunnel_at_cloudflare_is_a_tunnel_in_front(tmp_path: Path) -> None:
    write(tmp_path, {"etc/systemd/system/mine.service": unit(f"/usr/bin/cloudflared tunnel run --token {TOKEN}")})
    assert _tunnel.present({"managed": {"tunnel": found(tmp_path)}})
