"""STM32 Nucleo and other boards behind an ST-LINK probe: OpenOCD."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

from tinyctl.errors import TinyctlError
from tinyctl.flashers.base import CommandLink, Link, Payload

BARE = True
# OpenOCD's target files by the first letters of the board's name.
TARGETS = {
    "nucleo_f4": "stm32f4x",
    "nucleo_f7": "stm32f7x",
    "nucleo_l4": "stm32l4x",
    "nucleo_h7": "stm32h7x",
    "bluepill_f1": "stm32f1x",
}


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    target = next((file for start, file in TARGETS.items() if payload.board.startswith(start)), None)
    if target is None:
        raise TinyctlError(f"OpenOCD's target file for {payload.board} is not known", where="flasher stlink")
    probe = (f"adapter serial {port}",) if port else ()
    where, count = f"{payload.address:#010x}", len(payload.data)

    def session(*commands: str) -> tuple[str, ...]:
        said = [("-c", command) for command in (*probe, "init", *commands, "shutdown")]
        return ("-f", "interface/stlink.cfg", "-f", f"target/{target}.cfg", *chain.from_iterable(said))

    return CommandLink(
        "openocd",
        "install OpenOCD, and connect the probe",
        payload,
        folder,
        writing=session("reset halt", f"flash write_image erase image.bin {where} bin"),
        read_back=session("halt", f"dump_image back.bin {where} {count}"),
        starting=session("reset run"),
    )
