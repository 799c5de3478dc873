"""A UF2 file for the drive that a board in BOOTSEL mode shows: Microsoft's UF2 specification."""

from __future__ import annotations

import struct
from pathlib import Path

from tinyctl.errors import TinyctlError
from tinyctl.files import write_atomically
from tinyctl.flashers.base import Link, Payload, Progress

BARE = False  # as picotool
FAMILIES = {"pico": 0xE48BFF56, "pico2": 0xE48BFF59, "pico2_riscv": 0xE48BFF5A}  # RP2040, RP2350 Arm and RISC-V
BLOCK_BYTES = 256  # of data in each block of 512
MAGIC = (0x0A324655, 0x9E5D5157)
END = 0x0AB16F30
HAS_FAMILY = 0x2000


def link(payload: Payload, port: str | None, folder: Path) -> Link:
    if payload.board not in FAMILIES:
        raise TinyctlError(f"{payload.board} takes no UF2 files", where="flasher uf2")
    if port is None:
        raise TinyctlError("no place for the file", where="flasher uf2", fix="give the drive or a file with --port")
    target = Path(port)
    return Uf2Link(payload, target / "image.uf2" if target.is_dir() else target)


class Uf2Link:
    """The board restarts by itself once the file is complete, and cannot be read."""

    reads = False

    def __init__(self, payload: Payload, target: Path) -> None:
        self.payload, self.target = payload, target

    def steps(self) -> list[str]:
        return [f"write: {self.target}, from where the board takes it and starts"]

    def battery_v(self) -> float | None:
        return None

    def write(self, progress: Progress) -> None:
        progress(f"writing {self.target}")
        write_atomically(self.target, uf2(self.payload))

    def read(self, progress: Progress) -> bytes:
        raise TinyctlError("a UF2 drive cannot be read back", where=self.target)

    def start(self) -> None:
        return None


def uf2(payload: Payload) -> bytes:
    """The payload in blocks of 512 bytes, each with its address, number and family."""
    count = -(-len(payload.data) // BLOCK_BYTES)
    blocks = []
    for number in range(count):
        at = number * BLOCK_BYTES
        head = (*MAGIC, HAS_FAMILY, payload.address + at, BLOCK_BYTES, number, count, FAMILIES[payload.board])
        data = payload.data[at : at + BLOCK_BYTES].ljust(476, b"\0")
        blocks.append(struct.pack("<8I476sI", *head, data, END))
    return b"".join(blocks)
