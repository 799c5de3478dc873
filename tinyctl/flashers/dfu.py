"""STM32 boards in the boot loader of their ROM, over USB: dfu-util with ST's extensions (AN3156)."""

from __future__ import annotations

from pathlib import Path

from tinyctl.flashers.base import CommandLink, Link, Payload

BARE = True
DEVICE = ("-d", "0483:df11", "-a", "0")  # ST's boot loader; alternate setting 0 is the internal flash


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    chosen = (*DEVICE, *(("-S", port) if port else ()))
    where = f"{payload.address:#010x}"
    return CommandLink(
        "dfu-util",
        "install dfu-util, and start the board with BOOT0 held",
        payload,
        folder,
        writing=(*chosen, "-s", where, "-D", "{bin}"),
        read_back=(*chosen, "-s", f"{where}:{len(payload.data)}", "-U", "{back}"),
        starting=(*chosen, "-s", f"{where}:4:leave", "-U", "start.bin"),  # a read may end the session as a write may
    )
