# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one container of a Compose project anew, just as it was made before.

That is from the project and files that its labels name, and with its own image. Coolify's compose files take registry
and tag from variables that may be set nowhere but in the script which made the container, so both are pinned to what it
runs (fact 6).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import typing as t

_IMAGE = re.compile(r"(?:(?P<registry>.+)/)?coollabsio/coolify:(?P<tag>[^:/@]+)")
_COMPOSE_LABEL = "com.docker.compose."
_TIMEOUT = 300.0


class ComposeError(Exception):
    """The container cannot be made anew as it was. The message names the remedy."""


class Recipe(t.NamedTuple):
    """How a container was made: the arguments for `docker compose`, its service, its image, the variables to pin."""

    arguments: tuple[str, ...]
    service: str
    image: str
    variables: tuple[tuple[str, str], ...]


def recipe(inspected: t.Mapping[str, t.Any], env_file: str) -> Recipe:
    """The recipe of a container, from its inspection. `env_file` is taken where its labels name none.

    Raises ComposeError where it was not made by Compose, or its image has no tag that could be pinned.
    """
    labels = inspected["Config"].get("Labels") or {}
    project, service = labels.get(_COMPOSE_LABEL + "project"), labels.get(_COMPOSE_LABEL + "service")
    folder = labels.get(_COMPOSE_LABEL + "project.working_dir") or ""
    files = _paths(labels.get(_COMPOSE_LABEL + "project.config_files"), folder)
    if not project or not service or not files:
        raise ComposeError("was not made by Docker Compose; re-create it the way it was made")
    missing = [path for path in files if not os.path.isfile(path)]
    if missing:
        raise ComposeError(f"was made from {missing[0]}, which is gone; run Coolify's upgrade.sh")
    image = inspected["Config"]["Image"]
    match = _IMAGE.fullmatch(image)
    if match is None:
        raise ComposeError(f"runs {image}, which is no tag of coollabsio/coolify; run Coolify's upgrade.sh")
    arguments = ["--project-name", project]
    if folder:
        arguments += ["--project-directory", folder]
    for path in _paths(labels.get(_COMPOSE_LABEL + "project.environment_file"), folder) or [env_file]:
        arguments += ["--env-file", path]
    for path in files:
        arguments += ["--file", path]
    pinned = (("LATEST_IMAGE", match.group("tag")), ("REGISTRY_URL", match.group("registry") or "docker.io"))
    return Recipe(tuple(arguments), service, image, pinned)


def _paths(label: str | None, folder: str) -> list[str]:
    return [os.path.join(folder, path) for path in (label or "").split(",") if path]


class Compose:
    """`docker compose` for one recipe. `docker` is the path of the client, `socket` that of the engine."""

    def __init__(self, docker: str, socket: str, made: Recipe) -> None:
        self._docker = docker
        self._recipe = made
        self._goes_on: subprocess.Popen[bytes] | None = None
        # Nothing else of this process's: a variable of the task's environment would win over .env.
        own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self._environment = {**own, "DOCKER_HOST": f"unix://{socket}", **dict(made.variables)}

    def check_image(self, image_id: str) -> None:
        """Refuses a new container that would not run the same image, whose id is `image_id`. Raises ComposeError."""
        status, output, errors = self._run("compose", *self._recipe.arguments, "config", "--images")
        if status != 0:
            raise ComposeError(f"cannot be re-created, since docker compose refuses its files: {errors or output}")
        if _familiar(self._recipe.image) not in map(_familiar, output.split()):
            raise ComposeError(
                f"runs {self._recipe.image}, and its compose files would give another image; run Coolify's upgrade.sh"
            )
        status, output, _errors = self._run("image", "inspect", "--format", "{{.Id}}", self._recipe.image)
        if status != 0 or output != image_id:
            raise ComposeError(f"runs an image that is not named {self._recipe.image} any longer; run Coolify's upgrade.sh")

    def recreate(self) -> None:
        """Makes the container anew, and no other; nothing is built or pulled. Raises ComposeError."""
        up = ("up", "--detach", "--no-deps", "--no-build", "--pull", "never", "--force-recreate", self._recipe.service)
        status, output, errors = self._run("compose", *self._recipe.arguments, *up)
        if status != 0:
            raise ComposeError(f"was not re-created; docker compose says: {errors or output}")

    def logs(self, container: str, lines: int) -> str:
        """The last lines of a container's log."""
        _status, output, errors = self._run("logs", "--tail", str(lines), container)
        return f"{output}\n{errors}".strip()

    def _run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error. Raises ComposeError after a time."""
        self._end_what_goes_on()
        # A session of its own, and files instead of pipes: were this run killed, compose would still finish what it
        # began, instead of leaving Coolify removed and not made again.
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [self._docker, *arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
            try:
                status = process.wait(_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._goes_on = process
                raise ComposeError(f"is not done after {_TIMEOUT:.0f} s of docker {arguments[0]}; see docker ps") from None
            texts = []
            for file in (output, errors):
                file.seek(0)
                texts.append(file.read().decode("utf-8", "replace").strip())
            return status, texts[0], texts[1]

    def _end_what_goes_on(self) -> None:
        """Two at a time would undo each other's work: one that is late has as long once more, and is ended then."""
        process, self._goes_on = self._goes_on, None
        if process is not None:
            try:
                process.wait(_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _familiar(image: str) -> str:
    return image[len("docker.io/") :] if image.startswith("docker.io/") else image
