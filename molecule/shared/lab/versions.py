"""The versions of Coolify that a lab can have, and what each is made of."""

from __future__ import annotations

# Each with the folders of images/coolify that its image has besides rootfs; the first is its layout.
# The newest comes first; the last is below what the collection accepts.
COOLIFY: dict[str, tuple[str, ...]] = {
    "4.7.6": ("bundled", "nginx-defaults"),
    "4.4.6": ("bundled",),
    "4.3.24": ("separate",),
    "4.3.23": ("separate",),
    "4.0.0-beta.426": ("separate",),
    "4.0.0-beta.420": ("separate",),
}
NEWEST = next(iter(COOLIFY))
