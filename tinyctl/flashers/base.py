"""What every flasher does: write, read back, start. A tool on the command line does it by commands of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tinyctl.errors import TinyctlError, ToolMissing

Progress = Callable[[str], None]
TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Payload:
    """What goes into the flash of `board`: `data` from `address` on, as the ELF file `elf` says."""

    board: str
    data: bytes
    address: int
    elf: bytes = b""

    @property
    def end(self) -> int:
        return self.address + len(self.data)


class Link(Protocol):
    """A board that can be written. Every failure is a `TinyctlError` that says how far it got."""

    @property
    def reads(self) -> bool:
        """Whether it can be read back."""

    def steps(self) -> list[str]:
        """What will be done, a line each, for a person."""

    def battery_v(self) -> float | None:
        """The battery's voltage, where the board can tell."""

    def write(self, progress: Progress) -> None: ...

    def read(self, progress: Progress) -> bytes:
        """As many bytes as were written, from where they were written to."""

    def start(self) -> None:
        """Let the new program run."""


@dataclass(frozen=True)
class CommandLink:
    """A board behind a command-line tool. Words may name `{bin}`, the bytes to write, and `{back}`, the file that is
    read back. Without `read_back` the tool cannot read, without `starting` it starts the program by itself."""

    tool: str
    fix: str
    payload: Payload
    folder: Path
    writing: tuple[str, ...]
    read_back: tuple[str, ...] = ()
    starting: tuple[str, ...] = ()

    @property
    def reads(self) -> bool:
        return bool(self.read_back)

    def steps(self) -> list[str]:
        named = (("write", self.writing), ("read back", self.read_back), ("start", self.starting))
        return [f"{title}: {' '.join(self._words(words))}" for title, words in named if words]

    def battery_v(self) -> float | None:
        return None

    def write(self, progress: Progress) -> None:
        progress(f"writing {len(self.payload.data):,} bytes")
        (self.folder / "image.bin").write_bytes(self.payload.data)
        self._run(self.writing, "writing")

    def read(self, progress: Progress) -> bytes:
        progress("reading back")
        self._run(self.read_back, "reading back")
        try:
            return (self.folder / "back.bin").read_bytes()[: len(self.payload.data)]
        except OSError as error:
            raise TinyctlError(f"{self.tool} read nothing back ({error.strerror})", where="reading back") from None

    def start(self) -> None:
        if self.starting:
            self._run(self.starting, "starting")

    def _words(self, words: tuple[str, ...]) -> list[str]:
        places = {"{bin}": "image.bin", "{back}": "back.bin"}
        return [self.tool, *(places.get(word, word) for word in words)]

    def _run(self, words: tuple[str, ...], what: str) -> None:
        program = shutil.which(self.tool)
        if program is None:
            raise ToolMissing(f"{self.tool} is not installed", where=what, fix=self.fix)
        command = [program, *self._words(words)[1:]]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TinyctlError(f"{self.tool} gave no answer in {TIMEOUT_S:g} s", where=what) from None
        if done.returncode:
            said = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
            reason = next((line for line in said if "error" in line.lower() or "no dfu" in line.lower()), None)
            raise TinyctlError(
                f"{self.tool} failed with status {done.returncode}: {reason or (said[-1] if said else 'no message')}",
                where=what,
                fix="the board's program is not to be trusted now: flash again" if what != "starting" else None,
            )


def intel_hex(payload: Payload) -> str:
    """The payload as Intel HEX (Intel, Hexadecimal Object File Format Specification, 1988), 16 bytes a record."""

    def record(kind: int, address: int, data: bytes) -> str:
        body = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
        return f":{(body + bytes([-sum(body) & 0xFF])).hex().upper()}\n"

    lines, upper = [], -1
    for at in range(payload.address, payload.end, 16):
        if at >> 16 != upper:
            upper = at >> 16
            lines.append(record(4, 0, upper.to_bytes(2, "big")))
        count = min(16, payload.end - at, 0x10000 - (at & 0xFFFF))  # no record crosses into another 64 KiB
        lines.append(record(0, at & 0xFFFF, payload.data[at - payload.address :][:count]))
    return "".join([*lines, record(1, 0, b"")])
