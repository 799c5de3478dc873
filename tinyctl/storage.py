"""How the weights of dense layers with zeros are stored: chosen for a board by timing the emitted C.

The graph is emitted with those layers stored in each way in turn, built, and timed by the engine of `check`; a layer
gets what took it the fewest cycles, in company of the other layers, whose code shares the flash caches.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from tinyctl.boards import Board
from tinyctl.builder import Toolchain, build
from tinyctl.checker import TimingReport, check
from tinyctl.emitter import TABLE_BYTES, emit
from tinyctl.errors import TinyctlError, ToolMissing
from tinyctl.graph import Graph
from tinyctl.image import read_image
from tinyctl.kernels import kernel
from tinyctl.layers.dense import STORAGES, STRAIGHT_COLUMNS, Dense, IntegerDense
from tinyctl.network import Network, Node
from tinyctl.sims.mcu.cores import unmodelled

SAMPLES = 2  # inputs to time; the path through a dense layer does not depend on them
ALIKE = 0.02  # of two storages whose cycles differ by less the smaller one is taken
STRAIGHT_WEIGHTS = 20_000  # more lines of code keep a compiler busy for minutes

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@dataclass(frozen=True)
class Cost:
    """One node on a board: cycles of a step, caches warm, and bytes of code and tables."""

    cycles: int
    flash_bytes: int


@dataclass(frozen=True)
class Tried:
    """One dense node in one storage, and whether it was chosen."""

    node: str
    storage: str
    cycles: int
    flash_bytes: int
    chosen: bool


def choose_storage(graph: Graph, board: Board, toolchain: Toolchain | None = None) -> tuple[Graph, tuple[Tried, ...]]:
    """The graph with storage chosen for the dense nodes that have zeros; all others are stored densely.

    Raises `TinyctlError` where the board's cycles cannot be predicted, or the graph does not build in any storage.
    """
    _refuse_unmodelled(board, "storage cannot be chosen by timing")
    plain = with_storage(graph, {node.name: "dense" for node in dense_nodes(graph)})
    sparse = {node.name: node for node in dense_nodes(plain) if not _weight(node).all()}
    if not sparse:
        return plain, ()
    costs: dict[str, dict[str, Cost]] = {name: {} for name in sparse}
    failure: TinyctlError | None = None
    for storage in STORAGES:
        given = {name: storage for name, node in sparse.items() if _possible(node, storage)}
        try:
            report, found = time_nodes(with_storage(plain, given), board, toolchain)
        except ToolMissing:
            raise
        except TinyctlError as error:  # too large for the board's flash, if nothing else
            failure = error
            continue
        for name in given:
            costs[name][storage] = found[name]
        rest = report.flash_bytes - sum(found[name].flash_bytes for name in sparse)
    if not all(costs.values()):
        assert failure is not None
        raise failure
    picks = _fit({name: _best(tried) for name, tried in costs.items()}, costs, board.firmware.flash_bytes - rest)
    rows = tuple(
        Tried(name, storage, cost.cycles, cost.flash_bytes, picks[name] == storage)
        for name, tried in costs.items()
        for storage, cost in tried.items()
    )
    return with_storage(plain, picks), rows


def time_nodes(graph: Graph, board: Board, toolchain: Toolchain | None) -> tuple[TimingReport, dict[str, Cost]]:
    """Emit, build and check a graph; what each of its nodes costs, without the helpers that nodes share."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        emit(graph, Path(scratch))
        path = build(Path(scratch), board, toolchain, out=Path(scratch) / "image.elf").path
        report = check(path, board, samples=SAMPLES)
        image = read_image(path)
    code = {node.name: image.function(node.symbol) for node in image.descriptor.nodes}
    cycles = {layer.name: layer.cycles for layer in report.layers}
    tables = {
        node.name: sum(t.values.size * TABLE_BYTES[t.ctype] for t in kernel(node, graph.contract).tables)
        for node in graph.nodes
    }
    return report, {
        name: Cost(cycles[name], function.end - function.start + tables[name]) for name, function in code.items()
    }


def cycles_of(graph: Graph, board: Board, toolchain: Toolchain | None = None) -> int:
    """Typical cycles of a step with caches warm. Raises `TinyctlError` where the board's cannot be predicted."""
    _refuse_unmodelled(board, "cycles are no budget")
    return time_nodes(graph, board, toolchain)[0].cycles_typical


def dense_nodes(network: Network) -> list[Node]:
    return [node for node in network.nodes if isinstance(node.layer, Dense | IntegerDense)]


def with_storage(network: AnyNetwork, storages: Mapping[str, str]) -> AnyNetwork:
    """The network with other storage for the dense nodes that are named."""
    nodes = []
    for node in network.nodes:
        if node.name in storages:
            assert isinstance(node.layer, Dense | IntegerDense)
            node = replace(node, layer=replace(node.layer, storage=storages[node.name]))
        nodes.append(node)
    return replace(network, nodes=tuple(nodes))


def _refuse_unmodelled(board: Board, what: str) -> None:
    unable = unmodelled(board)
    if unable:
        raise TinyctlError(f"{what}: {unable}", where=f"board {board.name}")


def _weight(node: Node) -> np.ndarray[tuple[int, int], np.dtype[np.generic]]:
    assert isinstance(node.layer, Dense | IntegerDense)
    return node.layer.weight


def _possible(node: Node, storage: str) -> bool:
    small = node.layer.n_in <= STRAIGHT_COLUMNS and int(np.count_nonzero(_weight(node))) <= STRAIGHT_WEIGHTS
    return small or storage != "straight"


def _best(tried: dict[str, Cost]) -> str:
    """The storage of fewest cycles; of those that are about as fast, the smallest."""
    fewest = min(cost.cycles for cost in tried.values())
    close = [storage for storage, cost in tried.items() if cost.cycles <= fewest * (1 + ALIKE)]
    return min(close, key=lambda storage: tried[storage].flash_bytes)


def _fit(picks: dict[str, str], costs: dict[str, dict[str, Cost]], budget: int) -> dict[str, str]:
    """Exchange storages until all nodes together take at most `budget` bytes: each time where a byte saved costs the
    fewest cycles. What cannot be made to fit stays as small as it gets; `check` will say so."""
    picks = dict(picks)
    while sum(costs[name][storage].flash_bytes for name, storage in picks.items()) > budget:
        changes = [
            ((cost.cycles - costs[name][now].cycles) / (costs[name][now].flash_bytes - cost.flash_bytes), name, storage)
            for name, now in picks.items()
            for storage, cost in costs[name].items()
            if cost.flash_bytes < costs[name][now].flash_bytes
        ]
        if not changes:
            break
        _, name, storage = min(changes)
        picks[name] = storage
    return picks
