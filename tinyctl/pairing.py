"""A graph beside the policy it was made from: how far each stored value is from the real one it stands for.

A graph's node keeps its policy node's name. Its value q stands for `scale * q + offset`, by columns. Any scale would be
sound; the one taken is the nearest in least squares, so no record of the quantizer is needed. What then remains, of
rounded weights as of tables, is the node's own error over the range of its stored values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import AppendingLayer, Array, ElementwiseLayer, Layer, StatefulLayer, extremes
from tinyctl.layers.clip import Clip
from tinyctl.layers.convert import Decode, Encode, Requantize
from tinyctl.layers.history import History, IntegerHistory
from tinyctl.layers.integral import IntegerIntegral, Integral
from tinyctl.layers.lag import IntegerLag, Lag
from tinyctl.layers.multiply import IntegerMultiply
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.unit_delay import DelayLayer
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.spread import OUTWARD, Spread, beside

ROWS = 4096  # of a function of 16 bits, evaluated at a time
MEMORIES = {(IntegerLag, Lag), (IntegerIntegral, Integral), (IntegerHistory, History)}


Range = tuple[Array, Array]


@dataclass(frozen=True, eq=False)
class _Value:
    """A stored value: policy node `stands` is `scale * q + offset`, by columns, but for `error`.

    `reach` is the real value as it would be without saturation, `kept` what the stored type holds; what `reach` exceeds
    is not in `error` yet. `own` is the node's own part of the error.
    """

    stands: str
    scale: Array
    offset: Array
    error: Spread
    own: Array
    reach: Range
    kept: Range

    def settled(self) -> _Value:
        """With the excess of a saturation as part of the error."""
        excess = np.maximum(np.maximum(self.kept[0] - self.reach[0], self.reach[1] - self.kept[1]), 0.0)
        if not excess.any():
            return self
        reach = np.maximum(self.reach[0], self.kept[0]), np.minimum(self.reach[1], self.kept[1])
        return replace(self, error=self.error.plus(excess), reach=reach)

    def behind(self, node: Node) -> _Value:
        """Read as the value of a scale node."""
        assert isinstance(node.layer, Scale)
        gain, offset = node.layer.gain.astype(np.float64), node.layer.offset.astype(np.float64)
        return _Value(
            stands=node.name,
            scale=self.scale * gain,
            offset=self.offset * gain + offset,
            error=self.error.times(gain),
            own=self.own,
            reach=_moved(self.reach, gain, offset),
            kept=_moved(self.kept, gain, offset),
        )


class Pairing:
    """Walks a graph; `errors` has the own error and the error of each node's value, in the policy's units, `real` the
    bounds of the policy's values from any state that the graph can be in.

    With `ignore_encodes` the excess of saturating encode nodes counts as nothing.
    """

    def __init__(self, graph: Graph, policy: Policy, ignore_encodes: bool) -> None:
        if graph.contract.hash != policy.contract.hash:
            raise TinyctlError("the policy has another contract than the graph", fix="give the one it was made from")
        self.graph, self.policy, self.ignore_encodes = graph, policy, ignore_encodes
        self.bounds, self.real = graph.bounds(), policy.bounds()
        self.nodes = {node.name: node for node in policy.nodes}
        self.values: dict[str, _Value] = {}
        self.held: dict[str, Range] = {}

    def errors(self) -> dict[str, tuple[Array, Spread]]:
        for node in self.graph.nodes:
            self.values[node.name] = self._value(node)
            if isinstance(node.layer, AppendingLayer):
                self._hold(node, node.layer.width)
        if self.values[self.graph.nodes[-1].name].stands != self.policy.nodes[-1].name:
            raise TinyctlError("the policy is not the one the graph was made from")
        return {name: (value.own, value.settled().error) for name, value in self.values.items()}

    def _value(self, node: Node) -> _Value:
        if node.name not in self.nodes:  # a door: the same value in another format
            if not isinstance(node.layer, Encode | Decode | Requantize):
                raise TinyctlError("the policy has no such node", where=f"node {node.name}")
            source = self.values[node.inputs[0]]
            return self._affine(node, None, source.stands, [source])
        twin = self.nodes[node.name]
        if not node.inputs:
            return self._same(node, twin, [])
        if isinstance(node.layer, DelayLayer) and same(node.layer, twin.layer):  # both states are the same
            return self._float(node, twin.name, Spread(node.layer.n_out, {}), np.zeros(node.layer.n_out))
        if isinstance(node.layer, DelayLayer | IntegerMultiply):
            raise _not_comparable(node, twin)
        if (node.layer.widths, node.layer.n_out) != (twin.layer.widths, twin.layer.n_out):
            raise TinyctlError("has other columns than in the policy", where=f"node {node.name}")
        sources = [self._as(self.values[n], wanted) for n, wanted in zip(node.inputs, twin.inputs, strict=True)]
        if {node.reads, node.returns} == {"float32"} and same(node.layer, twin.layer):
            return self._same(node, twin, sources)
        curves = ElementwiseLayer | Clip | StatefulLayer | Screen
        if not isinstance(node.layer, curves) and not isinstance(twin.layer, curves):
            return self._affine(node, twin, node.name, sources)
        if isinstance(twin.layer, ElementwiseLayer | Clip) and {node.reads, node.returns} <= {"int8", "int16"}:
            return self._elementwise(node, twin, sources[0])
        if isinstance(node.layer, AppendingLayer) and _remember_alike(node.layer, twin.layer):
            return self._memory(node, node.layer, twin.layer, sources[0].settled())
        raise _not_comparable(node, twin)

    def _as(self, value: _Value, wanted: str) -> _Value:
        """The value as that of another policy node, behind scales which the quantizer folded into their neighbours."""
        if value.stands == wanted:
            return value
        node = self.nodes[wanted]
        if not isinstance(node.layer, Scale):
            raise TinyctlError(f"the graph has nothing that stands for node {wanted}", fix="give the policy it is from")
        return self._as(value, node.inputs[0]).behind(node)

    def _same(self, node: Node, twin: Node, sources: list[_Value]) -> _Value:
        """A float32 node with the policy's own layer: only its rounding, and what its inputs bring."""
        rises = isinstance(twin.layer, ElementwiseLayer | Clip)
        if not rises:
            sources = [source.settled() for source in sources]
        low, high = self._stored(node)
        deviation = beside([source.error for source in sources] or [Spread(node.layer.n_in, {})])
        span = _beside([self._span(source) for source in sources] or [(low, high)])
        own = node.layer.error(low, high) + (_cut(twin.layer, sources[0]) if rises else 0.0)
        moved = deviation.through(twin.layer, *span, self.policy.contract.rate_hz)
        return self._float(node, twin.name, moved.plus(own), own)

    def _affine(self, node: Node, twin: Node | None, stands: str, sources: list[_Value]) -> _Value:
        """An affine node: `A q + c` beside the policy's `B (scale q + offset) + b`; in a door B is 1 and b is 0."""
        decodes = isinstance(node.layer, Decode)
        if not decodes:
            sources = [source.settled() for source in sources]
        low, high = self._stored(node)
        stored, added = self._form(node.layer, node.layer.n_in)
        weight, bias = self._form(twin.layer if twin else None, node.layer.n_in)
        wanted = weight * np.concatenate([source.scale for source in sources])
        bias = bias + weight @ np.concatenate([source.offset for source in sources])
        scale, offset = np.ones(len(stored)), np.zeros(len(stored))
        if node.returns != "float32":
            squares = (stored**2).sum(axis=1)
            scale = (stored * wanted).sum(axis=1) / np.where(squares > 0, squares, 1.0)
            offset = bias - scale * added
        off, rounding = scale[:, None] * stored - wanted, node.layer.error(low, high)
        rest = np.abs(scale * added + offset - bias) + np.abs(scale) * rounding
        own = (np.maximum(*np.abs(extremes(off, low, high))) + rest) * OUTWARD
        length = np.linalg.norm(off, 2) * np.linalg.norm(np.maximum(np.abs(low), np.abs(high))) + np.linalg.norm(rest)
        error = beside([source.error for source in sources]).times(weight).plus(own, float(length) * OUTWARD)
        if decodes:  # what is saturated stays so: the reader may clamp as well
            reach = sources[0].reach[0] - own, sources[0].reach[1] + own
            return _Value(stands, scale, offset, error, own, reach, sources[0].kept)
        if node.returns == "float32":
            return self._float(node, stands, error, own)
        least, most = extremes(stored, low, high)
        reach = _moved((least + added - rounding, most + added + rounding), scale, offset)
        kept = _moved(_limits(node.returns, len(scale)), scale, offset)
        if self.ignore_encodes and isinstance(node.layer, Encode):
            reach = kept
        return _Value(stands, scale, offset, error, own, reach, kept)

    def _elementwise(self, node: Node, twin: Node, source: _Value) -> _Value:
        """An integer function of each column: compared with the real one at every integer of its range."""
        low, high = self._stored(node)
        products, squares, most = np.zeros((3, len(low)))
        for q, y, real in self._table(node, twin, source, low, high):
            inside = (q >= low) & (q <= high)
            products += np.where(inside, y * real, 0.0).sum(axis=0)
            squares += np.where(inside, y * y, 0.0).sum(axis=0)
        scale = products / np.where(squares > 0, squares, 1.0)
        for q, y, real in self._table(node, twin, source, low, high):
            inside = (q >= low) & (q <= high)
            most = np.maximum(most, np.where(inside, np.abs(scale * y - real), 0.0).max(axis=0))
        own = most * OUTWARD + _cut(twin.layer, source)
        moved = source.error.through(twin.layer, *self._span(source), self.policy.contract.rate_hz)
        reach = _moved(self.bounds[node.name], scale, np.zeros(len(scale)))
        return _Value(twin.name, scale, np.zeros(len(scale)), moved.plus(own), own, reach, reach)

    def _memory(self, node: Node, layer: AppendingLayer, twin: Layer, source: _Value) -> _Value:
        """An integer memory, both states held at the same real value: the integer one in the scale of the columns that
        it remembers, or an integral's as a part of the policy's limit."""
        columns = list(layer.columns) * layer.kept
        scale, offset = source.scale[columns], source.offset[columns]
        low, high = self.bounds[node.name]
        rounding = layer.error(*self._stored(node))
        far, lost = high - low + rounding, np.zeros(layer.n_out)  # from the state to the input
        (stored, _), (weight, _) = self._form(layer, layer.width), self._form(twin, layer.width)
        if isinstance(layer, IntegerIntegral) and isinstance(twin, Integral):
            most = np.maximum(np.abs(low), np.abs(high))[columns]
            scale, offset = twin.limit / 2.0 ** (layer.bits - 1), 0 * offset
            far[layer.width :], lost[layer.width :] = most, np.abs(weight[layer.width :] @ source.offset)
            rounding[layer.width :] = 1.0  # the limit itself is a step beyond the activation's range
        scale, offset = np.concatenate([source.scale, scale]), np.concatenate([source.offset, offset])
        off = np.abs(scale[:, None] * stored - weight * source.scale).sum(axis=1)
        own = (off * far + lost + np.abs(scale) * rounding) * OUTWARD
        moved = source.error.through(twin, *self._span(source), self.policy.contract.rate_hz)
        reach = _moved((low, high), scale, offset)
        return _Value(node.name, scale, offset, moved.plus(own), own, reach, reach)

    def _hold(self, node: Node, width: int) -> None:
        """Widen the bounds of the policy's values to those from the graph's state, which need not be its own."""
        value, (low, high) = self.values[node.name], self.real[node.name]
        least, most = value.reach[0] - value.own, value.reach[1] + value.own
        self.held[node.name] = (
            np.concatenate([low[:width], least[width:]]),
            np.concatenate([high[:width], most[width:]]),
        )
        self.real = self.policy.bounds(self.held)

    def _table(
        self, node: Node, twin: Node, source: _Value, low: Array, high: Array
    ) -> Iterator[tuple[Array, Array, Array]]:
        """Integers (rows, 1), the node's results and the real ones (rows, columns), a block of rows at a time."""
        for first in range(int(low.min()), int(high.max()) + 1, ROWS):
            q = np.arange(first, min(first + ROWS, int(high.max()) + 1))[:, None]
            y = node.layer.run(np.tile(q, (1, len(low))).astype(node.reads))
            yield q, y.astype(np.float64), twin.layer.exact(source.scale * q + source.offset)

    def _float(self, node: Node, stands: str, error: Spread, own: Array) -> _Value:
        ones, reach = np.ones(node.layer.n_out), self.bounds[node.name]
        return _Value(stands, ones, 0 * ones, error, own, reach, reach)

    def _stored(self, node: Node) -> Range:
        """The bounds (n_in,) of the stored values that a node reads."""
        if not node.inputs:
            inputs = self.graph.contract.inputs
            return np.array([s.low for s in inputs]), np.array([s.high for s in inputs])
        low, high = _beside([self.bounds[name] for name in node.inputs])
        return np.floor(low) if node.reads != "float32" else low, np.ceil(high) if node.reads != "float32" else high

    def _span(self, value: _Value) -> Range:
        """Bounds of the policy's real value and of what stands for it alike."""
        low, high = self.real[value.stands]
        apart = value.error.columns()
        below, above = np.maximum(value.reach[0], low - apart), np.minimum(value.reach[1], high + apart)
        return np.minimum(low, below), np.maximum(high, above)

    def _form(self, layer: Layer | None, n_in: int) -> tuple[Array, Array]:
        form = None if layer is None else layer.affine(self.policy.contract.rate_hz)
        return (np.eye(n_in), np.zeros(n_in)) if form is None else form


def same(a: Layer, b: Layer) -> bool:
    """Whether two layers compute the same."""
    if type(a) is not type(b):
        return False
    pairs = [(getattr(a, f.name), getattr(b, f.name)) for f in fields(a)]
    return all(np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y for x, y in pairs)


def _not_comparable(node: Node, twin: Node) -> TinyctlError:
    return TinyctlError(
        f"{node.layer.kind} cannot be compared with the policy's {twin.layer.kind}",
        where=f"node {node.name}",
        fix="certify the graph without a policy",
    )


def _remember_alike(layer: Layer, twin: Layer) -> bool:
    """Whether an integer memory is one of the policy's layer: coefficients may differ, what is remembered may not."""
    kept = [[getattr(x, name, None) for name in ("columns", "depth", "every")] for x in (layer, twin)]
    return (type(layer), type(twin)) in MEMORIES and kept[0] == kept[1]


def _cut(layer: Layer, source: _Value) -> Array:
    """What the saturation of its input does to the result of a function that rises."""
    held = [np.clip(end, *source.kept) for end in source.reach]
    ends = [np.abs(layer.exact(a) - layer.exact(b)) for a, b in zip(held, source.reach, strict=True)]
    return np.asarray(np.maximum(*ends) * OUTWARD)


def _moved(span: Range, gain: Array, offset: Array) -> Range:
    ends = np.stack(span) * gain + offset
    return ends.min(axis=0), ends.max(axis=0)


def _beside(spans: list[Range]) -> Range:
    return np.concatenate([low for low, _ in spans]), np.concatenate([high for _, high in spans])


def _limits(kind: str, n: int) -> Range:
    limits = np.iinfo(kind)
    return np.full(n, float(limits.min)), np.full(n, float(limits.max))
