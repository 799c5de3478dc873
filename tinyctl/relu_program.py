"""A network of dense, ReLU, scale, clip, concat and add nodes as a mixed-integer linear program, solved by HiGHS.

For a ReLU `y = max(x, 0)` with `lo < 0 < up` and a binary `b`: `y >= 0`, `y >= x`, `y <= up b`, `y <= x - lo (1 - b)`
(Tjeng, Xiao, Tedrake, Evaluating Robustness of Neural Networks with Mixed Integer Programming, 2019). Where the bounds
say which side it is on it needs no binary. They are interval bounds, tightened by linear programs. The arithmetic is
that of real numbers: float32 is within its rounding, the solver within its tolerance, 1e-6 of a scaled row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize, sparse

from tinyctl.errors import TinyctlError
from tinyctl.layers.add import Add
from tinyctl.layers.base import Array, JoinLayer
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import Network, Node

Ranges = Mapping[str, tuple[Array, Array]]
SLACK = 1e-6  # by which a bound from a linear program is wider than the solver says: its own tolerance


@dataclass(frozen=True)
class Affine:
    """`weight @ v + offset`, (n, columns) and (n,), of the first `columns` variables `v` of a program."""

    weight: Array
    offset: Array

    def mapped(self, a: Array, c: Array) -> Affine:
        """`a` times this, plus `c`."""
        return Affine(a @ self.weight, a @ self.offset + c)

    def rows(self, chosen: Array) -> Affine:
        return Affine(self.weight[chosen], self.offset[chosen])

    def at(self, v: Array) -> Array:
        """Its value (n,) at a solution."""
        return self.weight @ v[: self.weight.shape[1]] + self.offset

    def __add__(self, other: Affine) -> Affine:
        columns = max(self.weight.shape[1], other.weight.shape[1])
        return Affine(_padded(self.weight, columns) + _padded(other.weight, columns), self.offset + other.offset)

    def __sub__(self, other: Affine) -> Affine:
        return self + Affine(-other.weight, -other.offset)


@dataclass(frozen=True)
class Solution:
    """The best point found (variables,), None without one; its objective, and the `bound` that none can be below.
    `proved`: the search ended before its time limit."""

    point: Array | None
    value: float
    bound: float
    proved: bool


class Program:
    """Variables with ranges, some of them binary, and rows that are at least zero."""

    def __init__(self) -> None:
        self._low: list[float] = []
        self._high: list[float] = []
        self._binary: list[bool] = []
        self._rows: list[Affine] = []
        self._slack: list[float] = []  # how far above zero the values of a row may be
        self.relus = 0  # embedded so far, those without a binary too

    @property
    def binaries(self) -> int:
        return sum(self._binary)

    def variables(self, low: Array, high: Array, binary: bool = False) -> Affine:
        """New ones (n,) within [low, high]."""
        before, n = len(self._low), len(low)
        self._low += [float(v) for v in low]
        self._high += [float(v) for v in high]
        self._binary += [binary] * n
        return Affine(np.eye(n, before + n, before), np.zeros(n))

    def nonnegative(self, row: Affine) -> None:
        """Every one of its values must be at least zero."""
        self._rows.append(row)
        self._slack += [np.inf] * len(row.offset)

    def equal(self, a: Affine, b: Affine) -> None:
        self._rows.append(a - b)
        self._slack += [0.0] * len(a.offset)

    def magnitude(self, x: Affine) -> Affine:
        """New variables that are at least |x|, equal where they are minimised."""
        n = len(x.offset)
        size = self.variables(np.zeros(n), np.full(n, np.inf))
        self.nonnegative(size - x)
        self.nonnegative(size + x)
        return size

    def relu(self, x: Affine, low: Array, high: Array) -> Affine:
        """`max(x, 0)` for `x` that lies within [low, high] (n,)."""
        self.relus += len(low)
        bent = np.flatnonzero((low < 0) & (high > 0))
        kept = np.where(low >= 0, 1.0, 0.0)
        line = x.mapped(np.diag(kept), np.zeros(len(low)))
        if not len(bent):
            return line
        part, least, most = x.rows(bent), low[bent], high[bent]
        value = self.variables(np.zeros(len(bent)), most)
        on = self.variables(np.zeros(len(bent)), np.ones(len(bent)), binary=True)
        self.nonnegative(value - part)
        self.nonnegative(on.mapped(np.diag(most), np.zeros(len(bent))) - value)
        self.nonnegative(part + on.mapped(np.diag(least), -least) - value)
        place = np.zeros((len(low), len(bent)))
        place[bent, np.arange(len(bent))] = 1
        return line + value.mapped(place, np.zeros(len(low)))

    def minimise(self, objective: Affine, *, relaxed: bool = False, time_limit_s: float = np.inf) -> Solution:
        """The least value of the first row of `objective`; `relaxed` lets binaries be anything between 0 and 1."""
        columns = len(self._low)
        rows = [sparse.csr_array(_padded(row.weight, columns)) for row in self._rows]
        limits = None
        if rows:
            least = -np.concatenate([row.offset for row in self._rows])
            limits = optimize.LinearConstraint(sparse.vstack(rows, "csr"), least, least + self._slack)
        options = {"mip_rel_gap": 0.0} | ({"time_limit": time_limit_s} if np.isfinite(time_limit_s) else {})
        found = optimize.milp(
            _padded(objective.weight[:1], columns)[0],
            integrality=None if relaxed else np.array(self._binary, int),
            bounds=optimize.Bounds(self._low, self._high),
            constraints=limits,
            options=options,
        )
        offset = float(objective.offset[0])
        if found.x is None:
            return Solution(None, np.inf, -np.inf, found.status != 1)
        bound = found.fun if relaxed or found.mip_dual_bound is None else found.mip_dual_bound
        return Solution(found.x, found.fun + offset, bound + offset, found.status == 0)


@dataclass(frozen=True)
class Embedded:
    """A network's place in a program: the values and the ranges (each (n,)) of its nodes, by name."""

    values: Mapping[str, Affine]
    ranges: Ranges
    output: Affine


def embed(
    program: Program, network: Network, x: Affine, low: Array, high: Array, *,
    known: Ranges | None = None, tighten: bool = False,
) -> Embedded:  # fmt: skip
    """Add a network whose inputs, applied actions among them, are `x` within [low, high] (n_in,).

    `known` are ranges of nodes that hold in any case; with `tighten` what enters a ReLU or clip is bounded by two
    linear programs a column where its interval leaves the side open. Raises `TinyctlError` for other layers.
    """
    values: dict[str, Affine] = {}
    ranges: dict[str, tuple[Array, Array]] = {}
    for node in network.nodes:
        sources = [values[name] for name in node.inputs] or [x]
        bounds = [ranges[name] for name in node.inputs] or [(low, high)]
        if tighten and isinstance(node.layer, (Relu, Clip)):
            bounds = [_tightened(program, node, sources[0], *bounds[0])]
            ranges[node.inputs[0]] = bounds[0]
        values[node.name] = _value(program, node, sources, bounds, network.contract.rate_hz)
        least, most = _range(node, bounds)
        if known is not None:
            least, most = np.maximum(least, known[node.name][0]), np.minimum(most, known[node.name][1])
        ranges[node.name] = least, np.maximum(least, most)
    return Embedded(values, ranges, values[network.nodes[-1].name])


@dataclass(frozen=True)
class Extremes:
    """The `least` and the `most` each output can be, (n_act,), and the inputs `where` (2, n_act, n_in) it is."""

    least: Array
    most: Array
    where: Array


def worst_case(network: Network, low: Array, high: Array) -> Extremes:
    """The exact range of each output for inputs, applied actions among them, within [low, high] (n_in,).

    `least` and `most` are the solver's proved bounds. Raises `TinyctlError` for a box of the wrong shape or outside the
    contract's, and for networks with other layers than those of this module.
    """
    low, high = (np.asarray(side, np.float64) for side in (low, high))
    inputs = network.contract.inputs
    if low.shape != (len(inputs),) or high.shape != low.shape or not (low <= high).all():
        raise TinyctlError(f"not a box of {len(inputs)} inputs", where="worst case", fix="low <= high for each")
    program = Program()
    x = program.variables(low, high)
    made = embed(program, network, x, low, high, tighten=True)
    n = network.contract.n_act
    extremes, where = np.empty((2, n)), np.empty((2, n, len(low)))
    for side, sign in enumerate((1.0, -1.0)):
        for i in range(n):
            found = program.minimise(made.output.rows(np.array([i])).mapped(sign * np.eye(1), np.zeros(1)))
            if found.point is None:
                raise TinyctlError("the solver found no point", where=f"output {network.contract.outputs[i].name}")
            extremes[side, i], where[side, i] = sign * found.bound, np.clip(x.at(found.point), low, high)
    return Extremes(extremes[0], extremes[1], where)


def _value(
    program: Program, node: Node, sources: list[Affine], bounds: list[tuple[Array, Array]], rate: float
) -> Affine:
    layer, (x, *_) = node.layer, sources
    if isinstance(layer, Relu):
        return program.relu(x, *bounds[0])
    if isinstance(layer, (Screen, Clip)):
        return _clipped(program, x, bounds[0], layer.low.astype(np.float64), layer.high.astype(np.float64))
    if not isinstance(layer, (Dense, Scale, Add, Concat)):
        raise TinyctlError(f"a {layer.kind} has no mixed-integer form", where=f"node {node.name}",
                           fix="dense, relu, scale, clip, concat and add have one")  # fmt: skip
    columns = max(s.weight.shape[1] for s in sources)
    beside = Affine(
        np.concatenate([_padded(s.weight, columns) for s in sources]), np.concatenate([s.offset for s in sources])
    )
    affine = layer.affine(rate)
    return beside if affine is None else beside.mapped(*affine)


def _clipped(program: Program, x: Affine, bounds: tuple[Array, Array], low: Array, high: Array) -> Affine:
    """`high - relu(high - low - relu(x - low))`: a clip is two ReLUs, neither of which counts as one."""
    eye, before = np.eye(len(low)), program.relus
    above = program.relu(x.mapped(eye, -low), bounds[0] - low, bounds[1] - low)
    reach = np.maximum(bounds[0] - low, 0), np.maximum(bounds[1] - low, 0)
    left = program.relu(above.mapped(-eye, high - low), high - low - reach[1], high - low - reach[0])
    program.relus = before
    return left.mapped(-eye, high)


def _range(node: Node, bounds: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    if isinstance(node.layer, Screen):  # its own answer is the contract's box
        (low, high), layer = bounds[0], node.layer
        return np.clip(low, layer.low, layer.high).astype(np.float64), np.clip(high, layer.low, layer.high).astype(
            float
        )
    if isinstance(node.layer, JoinLayer):
        return node.layer.join_bound(*bounds)
    return node.layer.bound(*bounds[0])


def _tightened(program: Program, node: Node, x: Affine, low: Array, high: Array) -> tuple[Array, Array]:
    """The range of what enters a ReLU or clip, by linear programs where it is not on one side of each kink."""
    least, most = low.copy(), high.copy()
    kinks = (node.layer.low, node.layer.high) if isinstance(node.layer, Clip) else (np.zeros(len(low)),)
    for i in np.flatnonzero(np.any([(low < kink) & (kink < high) for kink in kinks], axis=0)):
        row = x.rows(np.array([i]))
        for sign in (1.0, -1.0):
            found = program.minimise(row.mapped(sign * np.eye(1), np.zeros(1)), relaxed=True)
            if found.point is not None and found.proved:
                end = found.value - SLACK * (1 + abs(found.value))
                if sign > 0:
                    least[i] = max(low[i], end)
                else:
                    most[i] = min(high[i], -end)
    return least, np.maximum(least, most)


def _padded(weight: Array, columns: int) -> Array:
    return np.pad(weight, ((0, 0), (0, columns - weight.shape[1])))
