"""A tiny graph with state, its emitted unit, and its images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyctl.boards import Board, load_board
from tinyctl.builder import build
from tinyctl.contract import Contract, Input, Output
from tinyctl.emitter import emit
from tinyctl.graph import Graph
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.integral import Integral
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import Node

F32 = np.float32


def make_graph() -> Graph:
    """3 observations and the last action, an integral of the first, 8 hidden units, 1 action."""
    rng = np.random.default_rng(7)
    inputs = [Input(f"o{i}", "m", "world", -10, 10) for i in range(3)]
    contract = Contract(
        (*inputs, Input("force", "N", "body", -1, 1, source="applied_action")),
        (Output("force", "N", "body", -1, 1),),
        100.0,
    )
    weights = [(0.4 * rng.normal(size=shape)).astype(F32) for shape in ((8, 5), (8,), (1, 8), (1,))]
    return Graph(
        contract,
        (
            Node("screen", Screen.of(contract), ()),
            Node("sum", Integral(4, (0,), np.array([2.0], F32)), ("screen",)),
            Node("hidden", Dense(weights[0], weights[1]), ("sum",)),
            Node("bend", Tanh(8), ("hidden",)),
            Node("out", Dense(weights[2], weights[3]), ("bend",)),
            Node("clip", Clip.of(contract), ("out",)),
        ),
    )


@pytest.fixture(scope="session")
def graph() -> Graph:
    return make_graph()


@pytest.fixture(scope="session")
def unit(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unit")
    emit(graph, folder, "sample")
    return folder


@pytest.fixture(scope="session")
def board() -> Board:
    return load_board("crazyflie21")


@pytest.fixture(scope="session")
def image(unit: Path, board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by zig alone, which comes with the package."""
    return build(unit, board, "zig", out=tmp_path_factory.mktemp("image") / "image.elf").path


@pytest.fixture(params=["gcc", "zig"])
def each_image(
    request: pytest.FixtureRequest,
    unit: Path,
    image: Path,
    board: Board,
    tmp_path: Path,
    require_tool: Callable[[str], str],
) -> Path:
    if request.param == "zig":
        return image
    require_tool("arm-none-eabi-gcc")
    return build(unit, board, "gcc", out=tmp_path / "image.elf").path


@pytest.fixture(scope="session")
def qemu(require_tool: Callable[[str], str]) -> str:
    return require_tool("qemu-system-arm")
