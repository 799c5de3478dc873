"""Calibration: the micro-benchmarks of a core on a real board, predicted cycles beside the counted ones."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tinyctl.boards import Board
from tinyctl.builder import Toolchain, benchmarks, benchmarks_hash, build_calibration
from tinyctl.hil import VIRTUAL, Line
from tinyctl.link import Link
from tinyctl.protocol import Kind
from tinyctl.sims.mcu.microbench import FEW, MANY, Evidence
from tinyctl.transports import SerialPort, Transport
from tinyctl.virtual_board import virtual_board

SCHEMA = 1
NO_CONTRACT = "0" * 64
TOLERANCE = 0.25  # cycles of one body: counts are whole, over 16 bodies


@dataclass(frozen=True)
class Row:
    """One micro-benchmark: the rule it shows, what the rule rests on, predicted cycles of one body, and the count.

    `agrees` is None where what was counted is not cycles.
    """

    name: str
    rule: str
    evidence: Evidence
    predicted_cycles: float
    counted: float
    agrees: bool | None


@dataclass(frozen=True)
class CalibrationReport:
    """Rows that rest on the least come first. `unit` is `cycles`, or `instructions` on the virtual board, whose time
    says nothing about a core's."""

    board: str
    core: str
    port: str
    counter: str
    unit: str
    clock_hz: int
    benchmarks_hash: str
    rows: tuple[Row, ...]

    @property
    def good(self) -> bool:
        return all(row.agrees is not False for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


def calibrate(
    board: Board,
    line: Line,
    toolchain: Toolchain | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationReport:
    """Run the micro-benchmarks of the board's core. Raises `TinyctlError` when it cannot be reached, or holds others.

    One body is the difference between many of them and few, over their number: call, return and the counter's own time
    are gone. Of several runs the least counts, from warm caches, as the prediction is.
    """
    chosen, name = benchmarks(board), benchmarks_hash(board)
    with _open(board, line, toolchain) as link:
        hello = link.greet(NO_CONTRACT, name)
        cycles = line.port != VIRTUAL and hello.counter_hz == hello.clock_hz
        rows = []
        for number, one in enumerate(chosen):
            few, many = (_count(link, 2 * number + which) for which in (0, 1))
            counted, predicted = (many - few) / (MANY - FEW), one.cycles[board.core]
            agrees = abs(counted - predicted) <= TOLERANCE if cycles else None
            rows.append(Row(one.name, one.rule, one.evidence, predicted, counted, agrees))
            if progress is not None:
                progress(number + 1, len(chosen))
    unit = "cycles" if cycles else "instructions" if line.port == VIRTUAL else "ticks"
    return CalibrationReport(board.name, board.core, line.port, hello.counter, unit, hello.clock_hz, name, tuple(rows))


def _count(link: Link, number: int) -> int:
    _, warm = struct.unpack("<II", link.request(Kind.MEASURE, struct.pack("<I", number), 8))
    return int(warm)


@contextmanager
def _open(board: Board, line: Line, toolchain: Toolchain | None) -> Iterator[Link]:
    """A link to the calibration firmware; the virtual board is built and started here."""
    with ExitStack() as stack:
        transport: Transport
        if line.port == VIRTUAL:
            image = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyctl-"))) / "calibrate.elf"
            build_calibration(board, line.transport, toolchain, out=image)
            transport = stack.enter_context(virtual_board(image, board, line.transport))
        else:
            transport = SerialPort(line.port, board.bare.baud)
            stack.callback(transport.close)
        yield Link(transport)
