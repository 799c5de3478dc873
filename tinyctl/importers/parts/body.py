"""Builds the nodes between screen and final clip from what an importer reads, one operation after the other.

A scale after a scale becomes one scale, an addition after a dense layer its bias: composed in float64, rounded once.
A clip after a clip becomes one clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from tinyctl import cells
from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.importers.base import identifier
from tinyctl.importers.parts.normalizer import Normalizer
from tinyctl.layers import LAYERS
from tinyctl.layers.base import F32, FLT_MAX, MAX_WIDTH, Array, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import MAX_NODES, Node, needed_for
from tinyctl.policy import Policy

# Elementwise layers by the name that layer lists use, with the parameter that PyTorch and ONNX take by default. One
# that this version of the project has no layer for is refused.
ACTIVATIONS: dict[str, tuple[float, ...]] = {
    "relu": (),
    "tanh": (),
    "fast_tanh": (),
    "sigmoid": (),
    "softsign": (),
    "leaky_relu": (0.01,),
    "elu": (1.0,),
}


ARRAYS = {"dense": 2, "gru": 4, "lstm": 4}  # weight and bias; of a cell those of the input and of the recalled output
Weighted = tuple[str, tuple[Array, ...]]  # a layer's name and its arrays


@dataclass(frozen=True)
class Value:
    """The output of a node: its name and number of columns."""

    name: str
    width: int


class Body:
    """The nodes made so far; `input` is the value of the screen."""

    def __init__(self, n_in: int) -> None:
        if not 0 < n_in <= MAX_WIDTH:
            raise TinyctlError(f"{n_in} inputs; 1 to {MAX_WIDTH} are possible")
        self.input = Value("screen", n_in)
        self._nodes: dict[str, Node] = {}
        self._affine: dict[str, tuple[Value, Array, Array]] = {}  # of a scale: input, gain, offset in float64
        self._dense: dict[str, tuple[Value, Array, Array]] = {}  # of a dense: input, weight, bias in float64

    def dense(self, x: Value, weight: Array, bias: Array, name: str) -> Value:
        """`weight` (n_out, n_in), `bias` (n_out,)."""
        if weight.ndim != 2 or weight.shape[1] != x.width:
            raise TinyctlError(f"weight {weight.shape} does not fit {x.width} columns", where=told(name))
        if bias.shape != weight.shape[:1]:
            raise TinyctlError(f"bias {bias.shape} does not fit weight {weight.shape}", where=told(name))
        made = self.node(Dense(_f32(weight, name), _f32(bias, name)), (x,), name)
        self._dense[made.name] = (x, weight, bias)
        return made

    def scale(self, x: Value, gain: Array | float, offset: Array | float, name: str) -> Value:
        """`x * gain + offset`; gain and offset are scalars or (n,)."""
        full = [np.broadcast_to(np.asarray(v, np.float64), (x.width,)) for v in (gain, offset)]
        if x.name in self._dense and (full[0] == 1).all():
            source, weight, bias = self._dense[x.name]
            return self.dense(source, weight, bias + full[1], name)
        if x.name in self._affine:
            x, before, shift = self._affine[x.name]
            full = [before * full[0], shift * full[0] + full[1]]
        if (full[0] == 1).all() and (full[1] == 0).all():
            return x
        made = self.node(Scale(_f32(full[0], name), _f32(full[1], name)), (x,), name)
        self._affine[made.name] = (x, full[0], full[1])
        return made

    def clip(self, x: Value, low: Array | float, high: Array | float, name: str) -> Value:
        """Clamp to [low, high]; infinite sides are no limits."""
        ends = [np.clip(np.broadcast_to(np.asarray(v, np.float64), (x.width,)), -FLT_MAX, FLT_MAX) for v in (low, high)]
        before = self._nodes.get(x.name)
        if before is not None and isinstance(before.layer, Clip):  # two clips are one
            ends = [np.clip(side, *ends) for side in (before.layer.low, before.layer.high)]
            x = Value(before.inputs[0], x.width)
        return self.node(Clip(_f32(ends[0], name), _f32(ends[1], name)), (x,), name)

    def activation(self, x: Value, kind: str, name: str, *parameters: float) -> Value:
        """An elementwise layer by its kind, with its parameters or their defaults."""
        have = [known for known in ACTIVATIONS if known in LAYERS]
        if kind not in have:
            raise TinyctlError(
                f"{kind!s:.60} is not a layer of tinyctl", where=told(name), fix=f"it has {', '.join(have)}"
            )
        make: Any = LAYERS[kind]
        return self.node(make(x.width, *(parameters or ACTIVATIONS[kind])), (x,), name)

    def add(self, a: Value, b: Value, name: str) -> Value:
        """The sum of two values of one width."""
        if a.width != b.width:
            raise TinyctlError(f"adds {a.width} and {b.width} columns", where=told(name))
        return self._join("add", (a, b), name, a.width)

    def multiply(self, a: Value, b: Value, name: str) -> Value:
        """The product of two values of one width, by columns."""
        if a.width != b.width:
            raise TinyctlError(f"multiplies {a.width} and {b.width} columns", where=told(name))
        return self._join("multiply", (a, b), name, a.width)

    def concat(self, values: tuple[Value, ...], name: str) -> Value:
        """The columns of several values side by side."""
        return self._join("concat", values, name, tuple(v.width for v in values))

    def gru(self, x: Value, weights: tuple[Array, ...], name: str, *, reset_after: bool = True) -> Value:
        """A gated recurrent unit, its weights as `cells.gru` takes them."""
        return self._cell(partial(cells.gru, reset_after=reset_after), x, weights, name)

    def lstm(self, x: Value, weights: tuple[Array, ...], name: str) -> Value:
        """Long short-term memory: `w_x`, `w_h` and two biases, gates as `cells.lstm` takes them."""
        w_x, w_h, b_x, b_h = weights
        return self._cell(cells.lstm, x, (w_x, w_h, b_x + b_h), name)

    def _cell(self, make: Callable[..., tuple[Node, ...]], x: Value, weights: tuple[Array, ...], name: str) -> Value:
        w_x = weights[0]
        if w_x.ndim != 2 or w_x.shape[1] != x.width:
            raise TinyctlError(f"weight {w_x.shape} does not fit {x.width} columns", where=told(name))
        taken, arrays = {*self._nodes, "screen"}, [_f32(w, name) for w in weights]
        while True:
            prefix = identifier(name, taken, "cell")
            nodes = {node.name: node for node in make(prefix, x.name, *arrays)}
            if not set(nodes) & set(self._nodes):
                break
            taken.add(prefix)
        self._nodes.update(nodes)
        last = list(nodes.values())[-1]
        return Value(last.name, last.layer.n_out)

    def _join(self, kind: str, values: tuple[Value, ...], name: str, shape: Any) -> Value:
        if kind not in LAYERS:
            raise TinyctlError(f"{kind} of computed values is not a layer of tinyctl", where=told(name))
        make: Any = LAYERS[kind]
        return self.node(make(shape), values, name)

    def normalize(self, x: Value, normalizer: Normalizer) -> Value:
        """What the normaliser makes of x."""
        if len(normalizer.mean) != x.width:
            raise TinyctlError(f"the normaliser has {len(normalizer.mean)} columns, the network {x.width}")
        gain = 1 / np.sqrt(normalizer.var + normalizer.epsilon)
        scaled = self.scale(x, gain, -normalizer.mean * gain, "normalize")
        if normalizer.clip is None:
            return scaled
        return self.clip(scaled, -normalizer.clip, normalizer.clip, "normalize_clip")

    def final_range(self, y: Value) -> tuple[Array, Array] | None:
        """(low, high) when the last operation is a clip."""
        layer = self._nodes[y.name].layer if y.name in self._nodes else None
        return (layer.low, layer.high) if isinstance(layer, Clip) else None

    def policy(self, y: Value, contract: Contract) -> Policy:
        """The policy whose action is `y`: screen, the nodes that `y` needs, and the clip to the contract's ranges."""
        return Policy(contract, self._finished(y, contract))

    def graph(self, y: Value, contract: Contract) -> Graph:
        """Likewise, of a network with integer nodes; y is float32."""
        return Graph(contract, self._finished(y, contract))

    def _finished(self, y: Value, contract: Contract) -> tuple[Node, ...]:
        wanted = needed_for(list(self._nodes.values()), y.name)
        needed = [node for node in self._nodes.values() if node.name in wanted]
        limits = Clip.of(contract)
        last = needed[-1].layer if needed else None
        if isinstance(last, Clip) and all(
            np.array_equal(np.clip(getattr(last, side), limits.low, limits.high), getattr(limits, side))
            for side in ("low", "high")
        ):
            y = replace(y, name=needed.pop().inputs[0])  # the contract's own clip does the same
        screen = Node("screen", Screen.of(contract), ())
        clip = Node(identifier("limits", {n.name for n in needed} | {"screen"}, "limits"), limits, (y.name,))
        return (screen, *needed, clip)

    def node(self, layer: Layer, inputs: tuple[Value, ...], name: str, format: str = "f32") -> Value:
        """Any layer, under a name made from `name`."""
        if len(self._nodes) >= 4 * MAX_NODES:
            raise TinyctlError(f"more than {4 * MAX_NODES} operations", where=told(name))
        unique = identifier(name, {*self._nodes, "screen"}, layer.kind)
        self._nodes[unique] = Node(unique, layer, tuple(v.name for v in inputs), format)
        return Value(unique, layer.n_out)


def add_chain(body: Body, x: Value, kinds: tuple[str, ...], weights: list[Weighted]) -> Value:
    """A chain of layers: `kinds` in order, each `dense`, `gru` or `lstm` with the next of `weights`."""
    weighted = [kind for kind in kinds if kind in ARRAYS]
    if [ARRAYS[kind] for kind in weighted] != [len(arrays) for _, arrays in weights]:
        raise TinyctlError(
            f"the layer list has {len(weighted)} layers with weights ({', '.join(weighted)!s:.80}), "
            f"the file {len(weights)}",
            fix=f"the file's are {', '.join(name for name, _ in weights)!s:.200}",
        )
    rest = iter(weights)
    for number, kind in enumerate(kinds):
        if kind in ARRAYS:
            name, arrays = next(rest)
            if kind == "dense":
                weight, bias = arrays
                x = body.dense(x, weight, bias, name)
            else:
                x = body.gru(x, arrays, name) if kind == "gru" else body.lstm(x, arrays, name)
        else:
            x = body.activation(x, kind, f"{kind}_{number}")
    return x


def in_order(rows: Array, gates: tuple[int, ...]) -> Array:
    """The gates' rows of a framework in the order of the cell: `gates` says where the framework has each."""
    parts = np.split(rows, len(gates))
    return np.concatenate([parts[k] for k in gates])


def _f32(value: Any, name: str) -> Array:
    """As float32, refusing what float32 cannot hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.array(value, F32)
    if not np.isfinite(single).all():
        raise TinyctlError("a value is not finite in float32", where=told(name))
    return single


def told(name: str) -> str:
    return f"node {name!r:.80}"
