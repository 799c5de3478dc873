"""The ARM code, by gcc and by zig, gives the bits of `Graph.run` in the emulator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from replay import EmulatedCopies, GraphCopies, play

from tinyctl.boards import load_board
from tinyctl.builder import build
from tinyctl.graph import Graph

STEPS, COPIES = 200, 12


@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_bits_equal_the_graph(
    case: tuple[Graph, Path], toolchain: str, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    graph, folder = case
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    build(folder, load_board("crazyflie21"), toolchain, out=tmp_path / "image.elf")
    copies = EmulatedCopies(tmp_path / "image.elf")
    expected = play(GraphCopies(graph), graph.contract, STEPS, COPIES, seed=5)
    assert play(copies, graph.contract, STEPS, COPIES, seed=5).differences(expected) == 0
    assert copies.emulator.selftest() == 0
    assert expected.status.any()
