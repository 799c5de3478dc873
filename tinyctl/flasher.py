"""Onto the board: everything is checked before anything is touched, read back after, and only then called done."""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from tinyctl.boards import Board
from tinyctl.checker import check
from tinyctl.errors import FileError, TinyctlError
from tinyctl.flashers import FLASHERS
from tinyctl.flashers.base import Payload, Progress
from tinyctl.image import read_image, read_program
from tinyctl.jsons import parse_json

# What a unit inside another firmware says of itself: name, observations, actions, contract and graph.
IDENTITY = re.compile(rb"tinyctl unit ([A-Za-z]\w{0,62}) (\d{1,4}) (\d{1,4}) ([0-9a-f]{64}) ([0-9a-f]{64})\0")
BATTERY_MIN_V = 3.6  # of one lithium cell: below it little charge is left, and flashing must not end half-way
MAX_PAYLOAD_BYTES = 64 << 20


@dataclass(frozen=True)
class Controller:
    """The controller inside a program: `function` takes (observation, action) and is what `check` times."""

    name: str
    board: str | None
    contract_hash: str
    graph_hash: str
    function: str | None
    n_obs: int
    n_act: int


@dataclass(frozen=True)
class FlashReport:
    """What was done. `verified`: the board's flash was read back and is what was written; false for a dry run and for
    boards that cannot be read. `steps` are what the flasher did, or would do."""

    board: str
    flasher: str
    image_sha256: str
    address: int
    bytes: int
    contract_hash: str
    graph_hash: str
    time_us_worst: float
    battery_v: float | None
    verified: bool
    dry_run: bool
    steps: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self), "steps": list(self.steps)}


def flash(
    path: str | Path,
    board: Board,
    *,
    flasher: str | None = None,
    port: str | None = None,
    dry_run: bool = False,
    checked: Path | None = None,
    graph_hash: str | None = None,
    progress: Progress = lambda text: None,
) -> FlashReport:
    """Write the ELF file `path` into a board and verify it.

    First: it is a program for this core that fits the board's flash and starts where its flasher writes; it holds a
    controller, of graph `graph_hash` when given; that very file passed `check`, now or in the report `checked`; the
    battery is not low. `flasher` takes the place of the board's own; `port` is a serial number, a serial port, a radio
    address or a drive, as the flasher takes it. Raises `TinyctlError` at the first thing that is wrong, and never
    reports success for a board that was not read back equal.
    """
    path = Path(path)
    sha256 = read_program(path).sha256
    who = controller(path)
    if who.board not in (None, board.name):
        raise TinyctlError(f"built for board {who.board}, not {board.name}", where=path)
    if graph_hash is not None and graph_hash != who.graph_hash:
        raise TinyctlError(
            f"holds graph {who.graph_hash[:12]}, not {graph_hash[:12]}", where=path, fix="build it from this graph"
        )
    chosen = flasher or board.flasher
    if chosen not in FLASHERS:
        raise TinyctlError(f"no flasher is called {chosen!r:.40}", fix=f"choose one of {', '.join(FLASHERS)}")
    load = payload(path, board, sha256)
    _check_place(load, board, chosen, who, path)
    worst_us = _passed(path, board, who, sha256, checked)
    with tempfile.TemporaryDirectory(prefix="tinyctl-flash-") as folder:
        link = FLASHERS[chosen].link(load, port, Path(folder))
        battery, verified = None, False
        if not dry_run:
            battery = link.battery_v()
            if battery is not None and battery < BATTERY_MIN_V:
                raise TinyctlError(f"the battery has {battery:.2f} V of {BATTERY_MIN_V} V", fix="charge it first")
            link.write(progress)
            if link.reads:
                _compare(load, link.read(progress))
                verified = True
            link.start()
        return FlashReport(
            board.name,
            chosen,
            sha256,
            load.address,
            len(load.data),
            who.contract_hash,
            who.graph_hash,
            worst_us,
            battery,
            verified,
            dry_run,
            tuple(link.steps()),
        )


def controller(path: Path) -> Controller:
    """The controller that a program holds: tinyctl's own image by its descriptor, any other by its unit's identity."""
    program = read_program(path)
    if any(section.name == ".tinyctl" for section in program.sections):
        said = read_image(path).descriptor
        return Controller(said.name, said.board, said.contract_hash, said.graph_hash, None, said.n_obs, said.n_act)
    found = {m.groups() for segment in program.segments for m in IDENTITY.finditer(segment.data)}
    if len(found) != 1:
        raise FileError(
            f"holds {len(found)} controllers of tinyctl, not one" if found else "holds no controller of tinyctl",
            where=path,
            fix="build it with `tinyctl build`, or around what `tinyctl emit --layout` wrote",
        )
    name, n_obs, n_act, contract_hash, graph_hash = (text.decode() for text in found.pop())
    return Controller(name, None, contract_hash, graph_hash, f"{name}_decide", int(n_obs), int(n_act))


def payload(path: Path, board: Board, sha256: str) -> Payload:
    """The bytes of the program with this hash as they lie in flash, gaps filled as erased flash is."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise FileError("changed while it was being checked", where=path)
    elf = ELFFile(io.BytesIO(content))
    parts = [(int(s["p_paddr"]), s.data()) for s in elf.iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
    # What is loaded straight into RAM is a debugger's affair: no boot loader puts it there.
    ram = [region for _, region in board.regions if "w" in region.access and region != board.code]
    parts = [part for part in parts if not any(region.contains(part[0]) for region in ram)]
    if not parts:
        raise FileError("has nothing to load", where=path)
    begin, end = min(at for at, _ in parts), max(at + len(data) for at, data in parts)
    if end - begin > MAX_PAYLOAD_BYTES or not (board.code.origin <= begin and end <= board.code.end):
        raise FileError(
            f"loads {begin:#010x} to {end:#010x}, outside the {board.code.length:,} bytes of {board.link.code} from "
            f"{board.code.origin:#010x}",
            where=path,
        )
    data = bytearray(b"\xff" * (end - begin))
    for at, part in parts:
        data[at - begin : at - begin + len(part)] = part
    return Payload(board.name, bytes(data), begin, content)


def _check_place(load: Payload, board: Board, flasher: str, who: Controller, path: Path) -> None:
    """The program starts on this board, and where the board's programs do."""
    own = FLASHERS[board.flasher]
    if who.board is not None and not (own.BARE and FLASHERS[flasher].BARE):
        raise TinyctlError(
            f"tinyctl's own image does not start on {board.name}",
            where=path,
            fix="flash the program that the platform's build makes around the emitted C (`tinyctl emit --layout`)",
        )
    start = getattr(own, "START", board.code.origin)
    if load.address != start:
        raise TinyctlError(f"begins at {load.address:#010x}, but this board's programs at {start:#010x}", where=path)


def _passed(path: Path, board: Board, who: Controller, sha256: str, checked: Path | None) -> float:
    """The predicted worst case, us, of a file that passed `check`; by its report, or checked now."""
    if checked is None:
        report = check(path, board, function=who.function, n_obs=who.n_obs, n_act=who.n_act).to_json()
        checked = path
    else:
        try:
            report = parse_json(checked.read_bytes(), where=checked)
        except OSError as error:
            raise FileError(f"cannot be read ({error.strerror})", where=checked) from None
    if not isinstance(report, dict) or report.get("image_sha256") != sha256:
        raise TinyctlError("is not the report of this very file", where=checked, fix="check it again")
    if report.get("verdict") != "pass":
        reasons = report.get("reasons")
        first = reasons[0] if isinstance(reasons, list) and reasons else "no reason is given"
        raise TinyctlError(f"did not pass the check: {first}", where=path)
    worst = report.get("time_us_worst")
    return float(worst) if isinstance(worst, int | float) else 0.0


def _compare(load: Payload, found: bytes) -> None:
    if found == load.data:
        return
    if len(found) < len(load.data):
        text = f"only {len(found):,} of {len(load.data):,} bytes came back"
    else:
        first = next(i for i, (a, b) in enumerate(zip(load.data, found, strict=False)) if a != b)
        text = f"the byte at {load.address + first:#010x} is {found[first]:#04x}, not {load.data[first]:#04x}"
    raise TinyctlError(
        f"not verified: {text}", where="reading back", fix="the board's program is not to be trusted: flash again"
    )
