"""What the modules write, each where it can be made unfit: a table for the tests and for the host that they look at."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess

STEPS = ("write", "back")
FAULTS = ("full", "inodes", "readonly", "immutable", "link")
# In memory, where a run does not wait for a disk.
ROOT = "/run/unfit"
STATE = ROOT + "/state"
# To the edge of a page, so that a line more needs room.
PADDING = 4080
TUNNEL_HOSTNAME = "coolify.example.com"
TUNNEL_RULES = [{"path": "^/terminal/ws$", "service": "http://127.0.0.1:6002"}]


def padded(text: str) -> str:
    return "# " + "-" * (PADDING - len(text) - 3) + "\n" + text


ENV = padded("APP_KEY=base64:c2VjcmV0\nPUSHER_APP_ID=1\n")
TUNNEL = padded(
    "tunnel: 6ff42ae2-765d-4adf-8112-31c55c1551ef\n"
    "ingress:\n"
    "  - hostname: coolify.example.com\n"
    "    service: http://localhost:8000\n"
    "  - service: http_status:404\n"
)


class Place:
    """A file that a module writes, the folder that is made unfit, and both ways to call the module.

    `option` is the one that the path comes from, with which a message must begin; `named` what it must name at least
    (the folder where ""); `original` what somebody else has in the file, None for nothing.
    """

    def __init__(self, name, module, file, folder="", option="", present=None, absent=None, original=None, named="",
                 state_dir=STATE) -> None:
        self.name, self.module, self.file = name, module, file
        self.folder, self.link = folder or os.path.dirname(file), file
        self.option, self.original, self.named, self.state_dir = option, original, named, state_dir
        common = {} if module == "nginx_snippet" else {"state_dir": state_dir}
        self.present = {**common, **(present or {})}
        self.absent = {**self.present, **(absent or {}), "state": "absent"}

    def know(self, known) -> None:
        """Takes what only the control node can tell: how the tunnel's list is to be edited."""
        if self.module == "tunnel_ingress":
            self.present.update(known["tunnel"])

    def files(self):
        """What the module needs of others, by path."""
        return {self.file: self.original} if self.original is not None else {}

    def prepare(self) -> None:
        """What is there before the module's first run."""
        os.makedirs(ROOT, exist_ok=True)
        for path, text in self.files().items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if os.path.lexists(path):
                os.unlink(path)
            with open(path, "w") as target:
                target.write(text)
            os.chmod(path, 0o640)
            os.chown(path, 1234, 1234)

    def end(self) -> None:
        """Takes away what `prepare` made outside the folder."""
        shutil.rmtree(ROOT, ignore_errors=True)


class Kept(Place):
    """The same, with the keeper's folder unfit and the module's own place as it should be."""

    def __init__(self, of: Place, file: str) -> None:
        folder = ROOT + "/kept"
        state_dir = folder + "/state"
        vars(self).update(vars(of))
        self.name, self.option, self.named = of.name + "-kept", "state_dir", ""
        self.folder, self.state_dir, self.link = folder, state_dir, state_dir
        self.file = os.path.join(state_dir, file)
        self.present, self.absent = ({**options, "state_dir": state_dir} for options in (of.present, of.absent))
        self._of, self.original = of, None

    def prepare(self) -> None:
        super().prepare()
        self._of.prepare()

    def end(self) -> None:
        self._of.end()


class UfwPlace(Place):
    """UFW's own files, given back where it is not active."""

    CONF = "/etc/ufw/ufw.conf"

    def prepare(self) -> None:
        super().prepare()
        if not os.path.exists(ROOT + "/ufw.conf"):
            shutil.copy2(self.CONF, ROOT)
        subprocess.run(["sed", "-i", "s/^ENABLED=.*/ENABLED=no/", self.CONF], check=True)

    def end(self) -> None:
        shutil.copy2(ROOT + "/ufw.conf", self.CONF)
        super().end()


class NginxPlace(Place):
    """http.conf in a container of Coolify's image, whose /etc/nginx is the folder."""

    CONTAINER = "unfit"

    def __init__(self, name: str, running: bool) -> None:
        super().__init__(
            name, "nginx_snippet", ROOT + "/nginx/site-opts.d/http.conf", ROOT + "/nginx", "", {"container": self.CONTAINER},
            named="http.conf",
        )
        self._running = running

    def prepare(self) -> None:
        if os.path.exists(self.file):
            return
        image = docker("inspect", "-f", "{{.Image}}", "coolify").strip()
        docker("create", "--name", self.CONTAINER, "-v", self.folder + ":/etc/nginx", "--entrypoint", "nginx", image)
        subprocess.run(["sh", "-c", "docker cp coolify:/etc/nginx - | tar --numeric-owner -xp -C " + ROOT], check=True)
        with open(self.file, "r+") as target:
            text = padded(target.read())
            target.seek(0)
            target.write(text)
        if self._running:
            docker("start", self.CONTAINER)

    def end(self) -> None:
        docker("rm", "-f", self.CONTAINER)
        super().end()


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, stdout=subprocess.PIPE, text=True).stdout


env = Place(
    "env", "pusher_env", ROOT + "/env/.env", option="path", original=ENV,
    present={
        "path": ROOT + "/env/.env", "values": {"PUSHER_HOST": "coolify.example.com"}, "recreate": False,
        "container": "unfit-none",
    },
)
tunnel = Place(
    "tunnel", "tunnel_ingress", ROOT + "/cloudflared/config.yml", option="path", original=TUNNEL,
    present={"path": ROOT + "/cloudflared/config.yml", "hostname": TUNNEL_HOSTNAME, "rules": TUNNEL_RULES},
)
traefik = Place(
    "traefik", "traefik_dynamic_file", ROOT + "/dynamic/ours.yaml", option="path", original="http: {}  # by hand\n",
    present={"path": ROOT + "/dynamic/ours.yaml", "content": "http:\n  routers: {}\n"},
)
UNIT = "/usr/local/lib/systemd/system/unfit.service"
AGENT = "/usr/local/lib/unfit/service/agent"
UNIT_TEXT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n# %s\n"
SERVICE = {
    "unit": "unfit.service", "folder": os.path.dirname(AGENT),
    "files": [{"path": UNIT, "content": UNIT_TEXT % AGENT}, {"path": AGENT, "content": "agent\n", "mode": "0755"}],
}
unit = Place("unit", "self_heal_service", UNIT, option="files", present=SERVICE, original=UNIT_TEXT % "by hand")
agent = Place("agent", "self_heal_service", AGENT, os.path.dirname(os.path.dirname(AGENT)), "folder", SERVICE)
FIREWALL = {"ports": [6001]}
SYSTEMD = "/etc/systemd/system"
nft_rules = Place("nft_rules", "published_port_firewall", "/etc/coolify-websocket/firewall.nft", present=FIREWALL)
nft_unit = Place("nft_unit", "published_port_firewall", SYSTEMD + "/coolify-websocket-firewall.service", present=FIREWALL)
ufw = UfwPlace(
    "ufw", "published_port_firewall", "/etc/ufw/user.rules", named="/etc/ufw/user",
    present={**FIREWALL, "trusted": [{"source": "192.0.2.7"}], "ufw": "rules"},
)
PLACES = [
    env, Kept(env, "kept/env-run-unfit-env-.env.json"),
    tunnel, Kept(tunnel, f"journal-{hashlib.sha256(tunnel.file.encode()).hexdigest()[:16]}.json"),
    traefik, Kept(traefik, "kept/traefik-run-unfit-dynamic-ours.yaml.json"),
    unit, agent, Kept(agent, "kept/self-heal.json"),
    nft_rules, nft_unit, ufw, Kept(ufw, "kept/ufw.json"),
    NginxPlace("http_conf", running=True), NginxPlace("http_conf_stopped", running=False),
]
SHRINKING = ("env", "tunnel", "http_conf_stopped")
GOING = ("agent", "nft_rules", "nft_unit", "ufw-kept")
# What must go well nevertheless: an edit in place needs no inode, and goes through a link; a removal needs no room.
SURVIVES = {
    *((place, step, kind) for place in ("env", "tunnel") for step in STEPS for kind in ("inodes", "link")),
    *((place, "back", "full") for place in (*SHRINKING, *GOING)),
    *((place, "back", "inodes") for place in GOING),
    *((place.name, step, "link") for place in PLACES if isinstance(place, Kept) for step in STEPS),
    # The engine takes the old one away first.
    *(("http_conf_stopped", step, "inodes") for step in STEPS),
    # UFW writes its rules in place, and through a link; what is put back goes through one too.
    ("ufw", "write", "inodes"),
    *(("ufw", step, "link") for step in STEPS),
}
