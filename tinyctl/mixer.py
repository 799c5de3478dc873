"""Which number format for which dense layer: the fastest mix on a board whose error stays inside a budget.

A greedy search over emitted, built and timed graphs. It begins with the fastest single format inside the budget. Then
the formats of single layers are changed: all changes are timed once, and tried in the order of cycles gained for each
bit of error; a change stays when the graph with it is faster than all before and inside the budget. So a network of n
dense layers is timed at most 2 n (formats - 1) times beside the single formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from tinyctl.boards import Board
from tinyctl.builder import Toolchain
from tinyctl.errors import TinyctlError, ToolMissing
from tinyctl.formats import FORMATS
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.policy import Policy
from tinyctl.quantizer import measure, quantize
from tinyctl.storage import choose_storage, dense_nodes, time_nodes

ERROR_BUDGET = 0.002  # RMS of the outputs' error as a share of their range, where no plant tells what it costs
COST_BUDGET = 1.02  # closed-loop cost over the float policy's

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Mix:
    """A format for each dense node; cycles of a step; RMS of the outputs' error as a share of their range; closed-loop
    cost over the float policy's, where it was flown; and what came of it: chosen, inside or over the budget, slower
    than another (and so not judged), or why it could not be timed."""

    formats: dict[str, str]
    cycles: int | None = None
    output_error: float | None = None
    cost_ratio: float | None = None
    verdict: str = "slower"


@dataclass
class _Search:
    """The mixes seen so far; each is quantized, timed and flown at most once."""

    policy: Policy
    board: Board
    toolchain: Toolchain | None
    calibration: Array
    budget: float
    cost: Callable[[Graph], float] | None
    progress: Progress | None
    total: int
    mixes: dict[tuple[str, ...], Mix] = field(default_factory=dict)

    def graph(self, formats: Mapping[str, str]) -> Graph:
        return quantize(self.policy, formats, self.calibration)

    def timed(self, formats: dict[str, str]) -> Mix:
        """The mix with cycles and error; without, where it cannot be built."""
        key = tuple(formats.values())
        if key not in self.mixes:
            self.mixes[key] = self._time(formats)
            if self.progress is not None:
                self.progress(len(self.mixes), self.total, ", ".join(dict.fromkeys(key)))
        return self.mixes[key]

    def _time(self, formats: dict[str, str]) -> Mix:
        try:
            graph = self.graph(formats)
            report, _ = time_nodes(graph, self.board, self.toolchain)
        except ToolMissing:
            raise
        except TinyctlError as error:  # a range that a format cannot hold, or flash that it does not fit
            return Mix(formats, verdict=str(error))
        rms, _ = measure(self.policy, graph, self.calibration)
        span = np.mean([s.high - s.low for s in self.policy.contract.outputs])
        return Mix(formats, report.cycles_typical, rms / float(span))

    def fits(self, mix: Mix) -> bool:
        """Whether a timed mix is inside the budget."""
        assert mix.output_error is not None
        ratio = None if self.cost is None else self.cost(self.graph(mix.formats))
        inside = (mix.output_error if ratio is None else ratio) <= self.budget
        verdict = "inside the budget" if inside else "over the budget"
        self.mixes[tuple(mix.formats.values())] = replace(mix, cost_ratio=ratio, verdict=verdict)
        return inside


def choose_formats(
    policy: Policy,
    board: Board,
    calibration: Array,
    *,
    budget: float | None = None,
    cost: Callable[[Graph], float] | None = None,
    toolchain: Toolchain | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, str], tuple[Mix, ...]]:
    """The formats of the fastest mix that was found, and all that were tried, fastest first.

    `cost` flies a graph and returns its closed-loop cost over the policy's, which may then be `budget` (1.02) at most;
    without it `budget` (0.002) limits the RMS of the outputs' error as a share of their range. The same arguments give
    the same mix. Raises `TinyctlError` where the board's cycles cannot be predicted, or nothing is inside the budget.
    """
    if budget is None:
        budget = ERROR_BUDGET if cost is None else COST_BUDGET
    if not budget > 0:
        raise TinyctlError(f"a budget of {budget:g} is not positive")
    stored, _ = choose_storage(Graph(policy.contract, policy.nodes), board, toolchain)
    names = [node.name for node in dense_nodes(policy)]
    total = len(FORMATS) + len(names) * (len(FORMATS) - 1)
    search = _Search(
        Policy(policy.contract, stored.nodes), board, toolchain, calibration, budget, cost, progress, total
    )
    uniform = [search.timed(dict.fromkeys(names, name)) for name in FORMATS]
    best = next((mix for mix in sorted(filter(_is_timed, uniform), key=_cycles) if search.fits(mix)), None)
    if best is None:
        raise TinyctlError(f"no format is inside the budget of {budget:g}", fix="give a larger --budget")
    for node, name in _changes(search, best):
        changed = search.timed({**best.formats, node: name})
        if _is_timed(changed) and _cycles(changed) < _cycles(best) and search.fits(changed):
            best = changed
    key = tuple(best.formats.values())
    search.mixes[key] = replace(search.mixes[key], verdict="chosen")
    return best.formats, tuple(sorted(search.mixes.values(), key=lambda mix: mix.cycles or 2**63))


def _changes(search: _Search, start: Mix) -> list[tuple[str, str]]:
    """Formats for single layers that make the start faster, by the cycles that they gain for the error they add."""
    found = []
    for node, current in start.formats.items():
        for name in FORMATS:
            mix = search.timed({**start.formats, node: name})
            if name == current or not _is_timed(mix) or _cycles(mix) >= _cycles(start):
                continue
            assert mix.output_error is not None
            assert start.output_error is not None
            added = max(mix.output_error - start.output_error, 1e-9)
            found.append(((_cycles(mix) - _cycles(start)) / added, node, name))
    return [(node, name) for _, node, name in sorted(found)]


def _is_timed(mix: Mix) -> bool:
    return mix.cycles is not None


def _cycles(mix: Mix) -> int:
    assert mix.cycles is not None
    return mix.cycles
