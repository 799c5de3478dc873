"""Arduino Nano 33 BLE: bossac, after two quick presses of the reset button."""

from __future__ import annotations

from pathlib import Path

from tinyctl.flashers.base import CommandLink, Link, Payload

BARE = False  # the first 64 KiB are Arduino's boot loader
START = 0x0001_0000


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    chosen = ("-p", port) if port else ()
    offset = f"--offset={payload.address:#x}"
    return CommandLink(
        "bossac",
        "install bossac, and press the board's reset button twice",
        payload,
        folder,
        writing=(*chosen, "-e", "-w", offset, "{bin}"),
        read_back=(*chosen, f"--read={len(payload.data)}", offset, "{back}"),
        starting=(*chosen, "-R"),
    )
