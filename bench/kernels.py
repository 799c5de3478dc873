"""Cycles, flash and error of the reference nets in every format, and the ratio to what public tools reach.

    python bench/kernels.py [--toolchain gcc|zig] [--seed N]

A whole step on the Crazyflie as `tinyctl check` predicts it: screen, scaling and clip included, weights in flash. The
board's flash is taken as 2 MiB, because N4 in float32 does not fit the real one. Figures that miss their bar are marked
with an exclamation mark; then the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from nets import NETS, ZEROS, net  # noqa: E402

from tinyctl.boards import Board, load_board  # noqa: E402
from tinyctl.builder import build  # noqa: E402
from tinyctl.checker import TimingReport, check  # noqa: E402
from tinyctl.emitter import emit  # noqa: E402
from tinyctl.formats import FORMATS  # noqa: E402
from tinyctl.graph import Graph  # noqa: E402
from tinyctl.policy import Policy  # noqa: E402
from tinyctl.quantizer import quantize, random_sequences  # noqa: E402
from tinyctl.storage import choose_storage  # noqa: E402


def large_board() -> Board:
    board = load_board("crazyflie21")
    regions = tuple((n, replace(r, length=2 << 20) if r == board.code else r) for n, r in board.regions)
    return replace(board, regions=regions)


def rms_error(policy: Policy, graph: Graph, seed: int) -> float:
    """Root mean square of the outputs' error against float64, over in-range inputs, as a share of their range."""
    obs = random_sequences(policy.contract, None, None, seed).reshape(-1, policy.contract.n_obs)
    x = obs.astype(np.float64)
    for node in policy.nodes:
        layer = node.layer
        match layer.kind:
            case "dense":
                x = x @ layer.weight.T.astype(np.float64) + layer.bias  # type: ignore[attr-defined]
            case "scale":
                x = x * layer.gain.astype(np.float64) + layer.offset  # type: ignore[attr-defined]
            case "tanh":
                x = np.tanh(x)
            case "relu":
                x = np.maximum(x, 0)
            case "clip":
                x = np.clip(x, layer.low, layer.high)  # type: ignore[attr-defined]
    action, _ = graph.run(obs, graph.init(len(obs)))
    outputs = policy.contract.outputs
    return float(np.sqrt(np.mean(((action - x) / np.array([s.high - s.low for s in outputs])) ** 2)))


def measure(
    name: str, format_name: str, toolchain: str, board: Board, seed: int
) -> tuple[TimingReport, TimingReport | None, float]:
    """Timed with weights in flash, and in RAM where they fit; and the error."""
    policy = net(name, seed)
    # Not the seed of the weights: rows of weights that are also observations would widen the first layer's range.
    graph = quantize(policy, format_name, random_sequences(policy.contract, None, None, seed + 2)[:16, :16])
    if name in ZEROS:
        graph, _ = choose_storage(graph, board, toolchain)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as scratch:
        fits = emit(graph, Path(scratch)).const_bytes < board.data.length // 2
        reports = [
            check(
                build(Path(scratch), board, toolchain, out=Path(scratch) / "image.elf", place=place).path,  # type: ignore[arg-type]
                board,
                samples=20,
            )
            for place in ("flash", *(["ram"] if fits else []))
        ]
    return reports[0], reports[1] if fits else None, rms_error(policy, graph, seed + 1)


class Bars:
    """Writes figures beside their bars, and remembers whether one was missed."""

    def __init__(self) -> None:
        self.good = True

    def judge(self, text: str, value: float, bar: float | None, bar_text: str = "") -> str:
        missed = bar is not None and value > bar
        self.good &= not missed
        return text + ("" if bar is None else f" of {bar_text or f'{bar:,}'}") + (" !" if missed else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--toolchain", choices=("gcc", "zig"), default="gcc")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    public = json.loads((HERE / "public_tools.json").read_text())
    cycles, flash, rms = public["targets"], public["flash_targets"], public["rms_targets"]
    table = Table(title=f"{options.toolchain}, weights in flash, seed {options.seed}", title_justify="left")
    for heading in (
        "net",
        "format",
        "cycles",
        "weights in RAM",
        "without waits",
        "best public tool",
        "times faster",
        "flash, B",
        "RMS error",
    ):
        table.add_column(heading, justify="left" if heading in ("net", "format") else "right")
    board, bars = large_board(), Bars()
    for name in NETS:
        for format_name in FORMATS:
            report, in_ram, error = measure(name, format_name, options.toolchain, board, options.seed)
            best = public["float" if format_name == "f32" else "integer"][name]
            typical, size = report.cycles_typical, report.flash_bytes
            error_bar = rms.get(format_name)
            table.add_row(
                name,
                format_name,
                bars.judge(f"{typical:,}", typical, cycles.get(format_name, {}).get(name)),
                "" if in_ram is None else f"{in_ram.cycles_typical:,}",
                f"{report.cycles_zero_wait:,}",
                f"{best['cycles']:,} ({best['tool']})",
                f"{best['cycles'] / typical:.2f}",
                bars.judge(f"{size:,}", size, flash.get(format_name, {}).get(name)),
                bars.judge(f"{error:.1e}", error, error_bar, f"{error_bar:.0e}" if error_bar else ""),
            )
    Console(width=165).print(table)
    return 0 if bars.good else 1


if __name__ == "__main__":
    sys.exit(main())
