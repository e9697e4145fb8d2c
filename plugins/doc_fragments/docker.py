# SPDX-License-Identifier: GPL-3.0-or-later
"""The option by which modules find the Docker engine."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  docker_socket:
    description: Path of the Docker engine's socket on the host.
    type: path
    default: /var/run/docker.sock
"""
