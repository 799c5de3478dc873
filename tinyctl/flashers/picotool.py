"""Raspberry Pi Pico and Pico 2 in BOOTSEL mode: picotool."""

from __future__ import annotations

from pathlib import Path

from tinyctl.flashers.base import CommandLink, Link, Payload

BARE = False  # the RP2040 wants a second stage, the RP2350 an image definition: the SDK's build adds them


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    chosen = ("--ser", port) if port else ()
    start, end = f"{payload.address:x}", f"{payload.end:x}"
    return CommandLink(
        "picotool",
        "install picotool, and connect the board with BOOTSEL held",
        payload,
        folder,
        writing=("load", "{bin}", "-t", "bin", "-o", start, *chosen),
        read_back=("save", "-r", start, end, "{back}", "-t", "bin", *chosen),
        starting=("reboot", *chosen),
    )
