"""Storage chosen by timing: what is fastest on the board, what fits its flash, and no opinion where nothing is zero."""

from __future__ import annotations

from dataclasses import replace

import networks
import pytest

from tinyctl.boards import Board
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.storage import choose_storage, dense_nodes, time_nodes, with_storage


@pytest.fixture(scope="module")
def chosen(board: Board) -> tuple[Graph, Graph]:
    """A graph with zeros, and the same with storage chosen."""
    graph = networks.in_format(networks.sparse("dense"), "w16a16")
    found, tried = choose_storage(graph, board, "zig")
    by_node = {name: [t for t in tried if t.node == name] for name in (node.name for node in dense_nodes(graph))}
    for node in dense_nodes(found):
        assert {t.storage for t in by_node[node.name]} == {"dense", "csr", "straight"}
        (pick,) = [t for t in by_node[node.name] if t.chosen]
        assert pick.storage == node.layer.storage  # type: ignore[attr-defined]
        assert pick.cycles <= 1.02 * min(t.cycles for t in by_node[node.name])
        assert all(t.flash_bytes > 0 for t in by_node[node.name])
    return graph, found


def test_straight_lines_win_on_slow_flash(chosen: tuple[Graph, Graph]) -> None:
    graph, found = chosen
    assert {node.layer.storage for node in dense_nodes(found)} == {"straight"}  # type: ignore[attr-defined]
    assert with_storage(found, {node.name: "dense" for node in dense_nodes(found)}).hash == graph.hash


def test_what_does_not_fit_is_stored_smaller(chosen: tuple[Graph, Graph], board: Board) -> None:
    graph, fastest = chosen
    report, _ = time_nodes(fastest, board, "zig")
    found, tried = choose_storage(graph, with_flash(board, report.flash_bytes - 1), "zig")
    assert time_nodes(found, board, "zig")[0].flash_bytes < report.flash_bytes
    assert [t.storage for t in tried if t.chosen].count("straight") == 3
    _, tried = choose_storage(graph, with_flash(board, 1), "zig")
    for node in dense_nodes(graph):
        rows = [t for t in tried if t.node == node.name]
        assert next(t for t in rows if t.chosen).flash_bytes == min(t.flash_bytes for t in rows)


def with_flash(board: Board, flash_bytes: int) -> Board:
    return replace(board, firmware=replace(board.firmware, flash_bytes=flash_bytes))


def test_without_zeros_nothing_is_timed(board: Board) -> None:
    graph = networks.in_format(networks.tiny(), "f32")
    straight = with_storage(graph, {"hidden": "straight"})
    found, tried = choose_storage(straight, board)
    assert (found.hash, tried) == (graph.hash, ())


def test_a_board_without_model_is_refused(board: Board) -> None:
    regions = tuple((name, replace(region, model="unknown")) for name, region in board.regions)
    with pytest.raises(TinyctlError, match="board crazyflie21: storage cannot be chosen by timing"):
        choose_storage(networks.in_format(networks.sparse("dense"), "f32"), replace(board, regions=regions))
