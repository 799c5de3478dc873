"""Teensy 4.1: teensy_loader_cli, which speaks to the boot loader in the board's second chip."""

from __future__ import annotations

from pathlib import Path

from tinyctl.flashers.base import CommandLink, Link, Payload, intel_hex

BARE = False  # the i.MX RT's boot ROM wants a flash configuration block: Teensyduino's build adds it


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    (folder / "image.hex").write_text(intel_hex(payload))
    return CommandLink(
        "teensy_loader_cli",
        "install teensy_loader_cli, and press the board's button",
        payload,
        folder,
        writing=("--mcu=TEENSY41", "-w", "-v", "image.hex"),  # this boot loader has no command for reading
    )
