"""Bit equality in full: every target against `Graph.run`, 100,000 observations each, for every number format.

    python bench/bits.py [--steps N] [--seed N]

The network has the demo's shape and random weights. Exit status 1 when one bit differs anywhere.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]  # the networks and the replay of the tests

import networks  # noqa: E402
from replay import Bits, Copies, EmulatedCopies, GraphCopies, HostCopies, play  # noqa: E402

from tinyctl.boards import load_board  # noqa: E402
from tinyctl.builder import build  # noqa: E402
from tinyctl.emitter import emit  # noqa: E402
from tinyctl.errors import ToolMissing  # noqa: E402
from tinyctl.formats import FORMATS  # noqa: E402
from tinyctl.hostlib import HostController  # noqa: E402

COPIES = 100  # sequences side by side
BOARD = "crazyflie21"
TARGETS: dict[str, Callable[[Path, Path], Copies]] = {
    "host gcc": lambda unit, scratch: HostCopies(HostController(unit, "gcc")),
    "host zig": lambda unit, scratch: HostCopies(HostController(unit, "zig")),
    "host gcc native": lambda unit, scratch: HostCopies(HostController(unit, "gcc", ("-O2", "-march=native"))),
    "ARM gcc": lambda unit, scratch: EmulatedCopies(
        build(unit, load_board(BOARD), "gcc", out=scratch / "gcc.elf").path
    ),
    "ARM zig": lambda unit, scratch: EmulatedCopies(
        build(unit, load_board(BOARD), "zig", out=scratch / "zig.elf").path
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help=f"of each of {COPIES} sequences")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = Table(
        title=f"Against Graph.run: {COPIES} sequences of {options.steps} observations, seed {options.seed}",
        title_justify="left",
    )
    for heading in ("format", "target", "observations", "words", "rejected", "differences"):
        table.add_column(heading, justify="left" if heading in ("format", "target") else "right")
    bad = False
    with Progress(console=Console(stderr=True), transient=True) as progress, tempfile.TemporaryDirectory() as name:
        task = progress.add_task("", total=len(FORMATS) * (1 + len(TARGETS)))
        for format_name in FORMATS:
            graph = networks.in_format(networks.demo_size(options.seed), format_name)
            unit = Path(name, format_name)
            emit(graph, unit)

            def bits(copies: Copies, graph: networks.Graph = graph) -> Bits:
                return play(copies, graph.contract, options.steps, COPIES, options.seed)

            progress.update(task, description=f"{format_name}: Graph.run")
            expected = bits(GraphCopies(graph))
            progress.advance(task)
            for target, make in TARGETS.items():
                progress.update(task, description=f"{format_name}: {target}")
                try:
                    found = bits(make(unit, unit))
                except ToolMissing as error:
                    table.add_row(format_name, target, "-", "-", "-", f"not run: {error}")
                    bad = True
                    continue
                differences = found.differences(expected)
                bad |= differences > 0
                table.add_row(
                    format_name,
                    target,
                    f"{COPIES * options.steps:,}",
                    f"{found.n_words:,}",
                    f"{int((found.status != 0).sum()):,}",
                    f"{differences:,}",
                )
                progress.advance(task)
    Console().print(table)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
