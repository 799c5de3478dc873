"""The ARM code, by gcc and by zig, gives the bits of `Graph.run` in the emulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from replay import EmulatedCopies, GraphCopies, play

from tinyctl.boards import load_board
from tinyctl.builder import build
from tinyctl.graph import Graph

STEPS, COPIES = 200, 12


@pytest.mark.parametrize("assembly", [True, False], ids=["assembly", "plain"])
@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_bits_equal_the_graph(
    case: tuple[Graph, Path], toolchain: str, assembly: bool, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    graph, folder = case
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    board = load_board("crazyflie21")
    if not assembly:  # the C that stands beside every piece of assembly
        flags = {n: replace(f, flags=(*f.flags, "-DPOLICY_ASSEMBLY=0")) for n, f in board.toolchains}
        board = replace(board, toolchains=tuple(flags.items()))
    build(folder, board, toolchain, out=tmp_path / "image.elf")
    copies = EmulatedCopies(tmp_path / "image.elf")
    expected = play(GraphCopies(graph), graph.contract, STEPS, COPIES, seed=5)
    assert play(copies, graph.contract, STEPS, COPIES, seed=5).differences(expected) == 0
    assert copies.emulator.selftest() == 0
    assert expected.status.any()
