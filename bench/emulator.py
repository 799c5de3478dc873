"""Speed of the emulator with the cycle model, in million instructions a second, and of `check` in seconds.

    python bench/emulator.py [--calls N]

The program is the demo's policy in float32 and in w16a16, built by zig for the Crazyflie. Each figure stands beside the
one that is wanted; a figure that is missed makes the exit status 1.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import tinyctl
from tinyctl.boards import Board, load_board
from tinyctl.builder import build
from tinyctl.checker import check
from tinyctl.emitter import emit
from tinyctl.flight import EmulatedController
from tinyctl.image import read_image
from tinyctl.sims.loop import fly
from tinyctl.sims.mcu.cores import CORES
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.fast import FastTracer
from tinyctl.sims.mcu.program import Program
from tinyctl.sims.mcu.trace import PythonTracer, Tracer
from tinyctl.sims.plant import Plant
from tinyctl.trial import controller

BOARD = "crazyflie21"
SPEED = "million instructions/s"
# In a flight every step is recorded, and timed only when its path is new.
RECORDED, KNOWN, PLAIN = "every call timed, full memory", "its path known, full memory", "every call timed, zero wait"
WANTED = {("C", RECORDED): 8.0, ("C", KNOWN): 8.0, ("C", PLAIN): 40.0, ("Python", KNOWN): 2.0, ("Python", PLAIN): 2.0}
FLIGHT_TIMES_REAL, CHECK_S = 5.0, 3.0


@dataclass(frozen=True)
class Row:
    """One figure; `wanted` is the least, or the most where `at_most`, None where nothing is asked."""

    what: str
    value: float
    unit: str
    wanted: float | None = None
    at_most: bool = False

    @property
    def missed(self) -> bool:
        if self.wanted is None:
            return False
        return self.value > self.wanted if self.at_most else self.value < self.wanted


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200, help="calls of the step function for each figure in C")
    calls = parser.parse_args().calls
    shown = Table("graph", "what", "result", "unit", "wanted", title=f"Emulation with the cycle model of {BOARD}")
    plant = tinyctl.plant("quadrotor")
    policy = tinyctl.train(plant).policy
    missed = 0
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        for name in ("f32", "w16a16"):
            unit = Path(scratch, name)
            emit(tinyctl.quantize(policy, name, plant_name=plant)[0], unit)
            image = build(unit, load_board(BOARD), "zig", out=unit / "image.elf").path
            for row in (*speeds(image, calls), flight(image, plant), whole_check(image)):
                wanted = "" if row.wanted is None else f"{'at most' if row.at_most else 'at least'} {row.wanted:g}"
                shown.add_row(
                    name, row.what, f"{row.value:.2f}", row.unit, f"{wanted}{', missed' if row.missed else ''}"
                )
                missed += row.missed
    Console().print(shown)
    return int(missed > 0)


def speeds(path: Path, calls: int) -> list[Row]:
    """Million instructions a second, with and without a compiler."""
    board, image = load_board(BOARD), read_image(path)
    target = controller(image, board)
    rows = []
    for label, made, share in (("C", FastTracer, 1), ("Python", PythonTracer, 50)):
        n = max(1, calls // share)

        def row(what: str, seconds: float) -> Row:
            return Row(f"{label}: {what}", n * count / seconds / 1e6, SPEED, WANTED.get((label, what)))  # noqa: B023

        tracer = made(Machine(image, board), Program(image), CORES[board.core])
        with tracer.walks() as record:
            walk = record(target.address, *target.arguments)
            count = len(walk.steps if label == "C" else walk.addresses)
            tracer.time_walk(walk, tracer.memories())
            rows.append(row(RECORDED, repeat(partial(full, tracer, record, target), n)))
        with tracer.paths() as record:
            rows.append(row(KNOWN, repeat(partial(known, record, target), n)))
        tracer = made(Machine(image, without_waits(board)), Program(image), CORES[board.core])
        with tracer.paths() as record:
            tracer.time_path(record(target.address, *target.arguments))
            rows.append(row(PLAIN, repeat(partial(zero_wait, tracer, record, target), n)))
    return rows


def flight(path: Path, plant: Plant) -> Row:
    """One episode of the demo's task, the plant simulated beside the emulated core: as `fly --on emulator`."""
    task = plant.task("hover")
    controller = EmulatedController(path, load_board(BOARD))
    fly(plant, task, controller, episodes=1)  # compiles the plant
    seconds = repeat(partial(fly, plant, task, controller, episodes=1), 1)
    flown = task.episode_steps / task.contract.rate_hz
    return Row("one episode flown in the emulator", flown / seconds, "times real time", FLIGHT_TIMES_REAL)


def whole_check(path: Path) -> Row:
    """From ELF to verdict."""
    begin = time.perf_counter()
    report = check(path, load_board(BOARD))
    return Row(f"check, {report.samples} inputs", time.perf_counter() - begin, "s", CHECK_S, at_most=True)


def full(tracer: Tracer, record: Callable[..., Any], target: Any) -> None:
    tracer.time_walk(record(target.address, *target.arguments), tracer.memories())


def zero_wait(tracer: Tracer, record: Callable[..., Any], target: Any) -> None:
    tracer.time_path(record(target.address, *target.arguments))


def without_waits(board: Board) -> Board:
    """The board, if its flash needed no wait states."""
    code = replace(board.code, model="zero_wait", wait_states=0)
    return replace(board, regions=tuple((n, code if n == board.link.code else r) for n, r in board.regions))


def known(record: Callable[..., Any], target: Any) -> tuple[bytes, bytes]:
    """What a flight does with a path that was timed before: find it by its digests."""
    path = record(target.address, *target.arguments)
    return path.digest, path.lines_digest


def repeat(action: Callable[[], object], times: int, tries: int = 5) -> float:
    """Seconds for so many calls; the best of some tries, because other programs run, too."""
    best = math.inf
    for _ in range(tries):
        begin = time.perf_counter()
        for _ in range(times):
            action()
        best = min(best, time.perf_counter() - begin)
    return best


if __name__ == "__main__":
    sys.exit(main())
