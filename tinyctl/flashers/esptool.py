"""ESP32 boards in their ROM's boot loader: esptool."""

from __future__ import annotations

from pathlib import Path

from tinyctl.flashers.base import CommandLink, Link, Payload

BARE = False  # ESP-IDF's build makes the image that the second-stage boot loader starts
FLASH_BASE = 0x4200_0000  # where the flash is seen by the core; esptool counts from its begin


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    chosen = ("--port", port) if port else ()
    offset = f"{payload.address - FLASH_BASE:#x}"
    stay = (*chosen, "--after", "no_reset")
    return CommandLink(
        "esptool.py",
        "pip install esptool, and connect the board",
        payload,
        folder,
        writing=(*stay, "write_flash", offset, "{bin}"),
        read_back=(*stay, "read_flash", offset, f"{len(payload.data)}", "{back}"),
        starting=(*chosen, "run"),
    )
