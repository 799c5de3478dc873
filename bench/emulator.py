"""Speed of the emulator with the cycle model, in million instructions a second, and of `check` in seconds.

    python bench/emulator.py [--calls N]

The program is a network of the demo's shape in float32 and in w16a16, built by zig for the Crazyflie.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the networks of the tests

import networks  # noqa: E402

from tinyctl.boards import load_board  # noqa: E402
from tinyctl.builder import build  # noqa: E402
from tinyctl.checker import check  # noqa: E402
from tinyctl.emitter import emit  # noqa: E402
from tinyctl.image import read_image  # noqa: E402
from tinyctl.sims.mcu.cores import CORES  # noqa: E402
from tinyctl.sims.mcu.emulator import Emulator  # noqa: E402
from tinyctl.sims.mcu.engine import Machine  # noqa: E402
from tinyctl.sims.mcu.fast import FastTracer  # noqa: E402
from tinyctl.sims.mcu.program import Program  # noqa: E402
from tinyctl.sims.mcu.trace import PythonTracer, Tracer  # noqa: E402
from tinyctl.trial import controller, inputs  # noqa: E402

BOARD = "crazyflie21"
RATE_HZ = 500


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200, help="calls of the step function for each figure in C")
    calls = parser.parse_args().calls
    shown = Table(title=f"Emulation with the cycle model of {BOARD}", title_justify="left")
    for heading in ("graph", "what", "result", "unit"):
        shown.add_column(heading)
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        for name in ("f32", "w16a16"):
            unit = Path(scratch, name)
            emit(networks.in_format(networks.demo_size(), name), unit)
            image = build(unit, load_board(BOARD), "zig", out=unit / "image.elf").path
            for what, value, of in measure(image, calls):
                shown.add_row(name, what, f"{value:.2f}", of)
    Console().print(shown)


def measure(path: Path, calls: int) -> list[tuple[str, float, str]]:
    """(what, value, unit) for one image."""
    board, image = load_board(BOARD), read_image(path)
    target = controller(image, board)
    machine, program = Machine(image, board), Program(image)
    rows = []
    speed = "million instructions/s"
    for label, tracer, share in (
        ("C", FastTracer(machine, program, CORES[board.core]), 1),
        ("Python", PythonTracer(machine, program, CORES[board.core]), 50),
    ):
        n = max(1, calls // share)
        with tracer.walks() as record:
            walk = record(target.address, *target.arguments)
            count = len(walk.steps if label == "C" else walk.addresses)
            tracer.time_walk(walk, tracer.memories())
            seconds = repeat(lambda t=tracer: full(t, record, target), n)
            rows.append((f"{label}: every call recorded and timed, full memory", n * count / seconds / 1e6, speed))
        with tracer.paths() as record:
            tracer.time_path(record(target.address, *target.arguments))
            seconds = repeat(lambda t=tracer: t.time_path(record(target.address, *target.arguments)), n)
            rows.append((f"{label}: every call recorded and timed, zero wait", n * count / seconds / 1e6, speed))
            seconds = repeat(lambda: known(record, target), n)
            rows.append(
                (f"{label}: every call recorded, its path known, full memory", n * count / seconds / 1e6, speed)
            )
    emulator = Emulator(path, board)
    batch, obs = emulator.initial(calls), inputs(emulator.n_obs, calls, 0)
    emulator.step_batch(batch, obs)
    seconds = repeat(lambda: emulator.step_batch(batch, obs), 1)
    rows.append(("flight without timing", calls / RATE_HZ / seconds, f"times real time at {RATE_HZ} Hz"))
    begin = time.perf_counter()
    report = check(path, board)
    rows.append((f"check, {report.samples} inputs", time.perf_counter() - begin, "s"))
    return rows


def full(tracer: Tracer, record: Callable[..., Any], target: Any) -> None:
    tracer.time_walk(record(target.address, *target.arguments), tracer.memories())


def known(record: Callable[..., Any], target: Any) -> tuple[bytes, bytes]:
    """What a flight does with a path that was timed before: find it by its digests."""
    path = record(target.address, *target.arguments)
    return path.digest, path.lines_digest


def repeat(action: Callable[[], object], times: int) -> float:
    begin = time.perf_counter()
    for _ in range(times):
        action()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
