"""Every number format, as ARM code of both compilers: a single path, and cycles for every node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyctl.boards import Board
from tinyctl.builder import build
from tinyctl.checker import TimingReport, check
from tinyctl.contract import Contract, Input, Output
from tinyctl.emitter import emit
from tinyctl.formats import FORMATS
from tinyctl.graph import Graph
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.integral import Integral
from tinyctl.layers.lag import Lag
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.quantizer import quantize

F32 = np.float32


def make_policy() -> Policy:
    """5 observations and 2 past actions through every layer there is; widths that leave odd rows and columns."""
    rng = np.random.default_rng(11)
    inputs = [Input(f"o{i}", "m", "world", -2, 2, on_nan=0.25) for i in range(5)]
    past = [Input(f"a{i}", "N", "body", -1, 1, source="applied_action") for i in range(2)]
    contract = Contract((*inputs, *past), tuple(Output(f"a{i}", "N", "body", -1, 1) for i in range(2)), 250.0)

    def dense(n_out: int, n_in: int) -> Dense:
        weight = rng.normal(size=(n_out, n_in)) / np.sqrt(n_in)
        return Dense(weight.astype(F32), (0.1 * rng.normal(size=n_out)).astype(F32))

    layers = [
        ("screen", Screen.of(contract)),
        ("motors", Lag(7, (5, 6), 0.15, np.zeros(2, F32))),
        ("sum", Integral(9, (0, 1, 2), np.full(3, 0.5, F32))),
        ("scale", Scale(np.full(12, 0.5, F32), np.zeros(12, F32))),
        ("first", dense(17, 12)),
        ("bend", Tanh(17)),
        ("second", dense(13, 17)),
        ("fold", Relu(13)),
        ("third", dense(2, 13)),
        ("soft", Tanh(2)),
        ("clip", Clip.of(contract)),
    ]
    names = [name for name, _ in layers]
    return Policy(
        contract,
        tuple(
            Node(name, layer, (before,) if before else ())
            for (name, layer), before in zip(layers, ["", *names], strict=False)
        ),
    )


@pytest.fixture(scope="module", params=[(f, t) for f in FORMATS for t in ("gcc", "zig")], ids="-".join)
def case(
    request: pytest.FixtureRequest,
    board: Board,
    tmp_path_factory: pytest.TempPathFactory,
    require_tool: Callable[[str], str],
) -> tuple[Graph, Path]:
    name, toolchain = request.param
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    policy = make_policy()
    rng = np.random.default_rng(5)
    graph = quantize(policy, name, rng.uniform(-1, 1, (40, 8, 5)).astype(F32))
    folder = tmp_path_factory.mktemp(f"{name}-{toolchain}")
    emit(graph, folder, "sample")
    return graph, build(folder, board, toolchain, out=folder / "image.elf").path


def test_timing(case: tuple[Graph, Path], board: Board) -> None:
    graph, image = case
    report: TimingReport = check(image, board)
    assert (report.verdict, report.reasons) == ("pass", ())
    assert report.single_path, report.parting
    assert [layer.kind for layer in report.layers[:-1]] == [node.layer.kind for node in graph.nodes]
    assert all(layer.cycles > 0 for layer in report.layers)  # no node was merged with another or inlined
