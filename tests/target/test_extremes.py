"""Integer dense layers at the ends of what is proven: weights, biases and activations whose sums fill 32 bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyctl.boards import Board
from tinyctl.builder import build
from tinyctl.contract import Contract, Input, Output
from tinyctl.emitter import emit
from tinyctl.formats import find_format
from tinyctl.graph import Graph
from tinyctl.hostlib import HostController
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Decode, Encode
from tinyctl.layers.dense import ACCUMULATOR_LIMIT, IntegerDense
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.sims.mcu.emulator import Emulator

ROWS = 23  # blocks of five and four, and single ones
COLUMNS = 534  # rows of int8 can fill 32 bits


def extreme_layer(weight: str, activation: str, columns: int, seed: int) -> IntegerDense:
    """Each row spends its whole 32 bits on weights, as large as they may be, and the rest on the bias."""
    rng = np.random.default_rng(seed)
    most, least = int(np.iinfo(weight).max), -int(np.iinfo(activation).min)
    weights, biases = np.zeros((ROWS, columns), np.int64), []
    for row in weights:
        left = ACCUMULATOR_LIMIT
        for column in rng.permutation(columns):
            row[column] = rng.choice([-1, 1]) * min(most, left // least)
            left -= abs(row[column]) * least
        biases.append(rng.choice([-1, 1]) * left)
    multipliers = rng.integers(0, 2**31, ROWS) >> rng.integers(0, 18, ROWS)
    return IntegerDense(activation, weights.astype(weight), np.array(biases, np.int32), multipliers.astype(np.int32))


def worst_inputs(layer: IntegerDense) -> Array:
    """(2 ROWS, columns): the inputs that make each row's sum as low and as high as it can be."""
    limits = np.iinfo(layer.activation)
    lowest = np.where(layer.weight > 0, limits.min, limits.max)
    return np.concatenate([lowest, np.where(layer.weight > 0, limits.max, limits.min)])


def graph_of(layer: IntegerDense, format_name: str) -> Graph:
    contract = Contract(
        tuple(Input(f"x{i}", "1", "", -4e4, 4e4) for i in range(layer.n_in)),
        tuple(Output(f"y{i}", "1", "", -4e4, 4e4) for i in range(layer.n_out)),
        100.0,
    )
    ones = np.ones(layer.n_in, F32)
    nodes = chain(
        [
            ("screen", Screen.of(contract)),
            ("encode", Encode(layer.activation, ones, 0 * ones)),
            ("dense", layer),
            ("decode", Decode(np.ones(ROWS, F32))),
            ("clip", Clip.of(contract)),
        ],
        ("f32", format_name, format_name, format_name, "f32"),
    )
    return Graph(contract, nodes)


@pytest.mark.parametrize("columns", [7, COLUMNS])
@pytest.mark.parametrize("format_name", ["w16a16", "w8a16", "w8a8"])
def test_extreme_sums(
    format_name: str, columns: int, board: Board, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    """The worst sums reach the bound, never pass it, and the C of this machine and of both ARM compilers takes them."""
    chosen = find_format(format_name)
    layer = extreme_layer(chosen.weight, chosen.activation, columns, seed=columns)
    worst = worst_inputs(layer)
    sums = worst.astype(np.int64) @ layer.weight.T.astype(np.int64) + layer.bias
    bound = layer.accumulator_bound()
    assert (np.abs(sums) <= bound).all()
    assert (bound <= ACCUMULATOR_LIMIT).all()
    # As near as inputs come that reach one step further down than up.
    near = np.abs(sums).max(axis=0) + np.abs(layer.weight.astype(np.int64)).sum(axis=1)
    assert (near >= bound).all()

    inputs = np.concatenate([worst, np.random.default_rng(1).permuted(worst, axis=1)]).astype(F32)
    graph = graph_of(layer, format_name)
    expected, _ = graph.run(inputs, graph.init(len(inputs)))
    emit(graph, tmp_path)
    host = HostController(tmp_path)
    host.reset(len(inputs))
    np.testing.assert_array_equal(host.step(inputs).view(np.uint32), expected.view(np.uint32))
    require_tool("arm-none-eabi-gcc")
    for toolchain in ("gcc", "zig"):
        image = build(tmp_path, board, toolchain, out=tmp_path / f"{toolchain}.elf").path
        emulator = Emulator(image)
        act, _ = emulator.step_batch(emulator.initial(len(inputs)), inputs)
        np.testing.assert_array_equal(act.view(np.uint32), expected.view(np.uint32))
