"""Recurrent cells as nodes: dense layers and gates whose loop a unit delay closes.

A cell needs no layer of its own: all formats, storages and bounds of the layers it is made of hold for it, and its
state is that of its delays. Each function returns the cell's nodes; the last one is its output.
"""

from __future__ import annotations

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.add import Add
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.multiply import Multiply
from tinyctl.layers.scale import Scale
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.layers.tanh import Tanh
from tinyctl.layers.unit_delay import UnitDelay
from tinyctl.network import Node

CELL_LIMIT = 32.0  # |c| of an LSTM: its tanh has long saturated


def gru(
    name: str, source: str, w_x: Array, w_h: Array, b_x: Array, b_h: Array, *, reset_after: bool = True
) -> tuple[Node, ...]:
    """Gated recurrent unit, as cuDNN, PyTorch and Keras compute it; without `reset_after` as Cho et al. 2014 did.

    `w_x` (3 n, n_in), `w_h` (3 n, n), `b_x`, `b_h` (3 n,) hold reset, update and new gate in this order:

        r = sigmoid(..)   z = sigmoid(..)   c = tanh(w_x x + b_x + r (w_h h + b_h))   h = c + z (h - c)

    and without `reset_after` c = tanh(w_x x + b_x + w_h (r h) + b_h).
    """
    n = _check(name, 3, w_x, w_h, b_x, b_h)
    (x_r, x_z, x_n), (h_r, h_z, h_n), (r, z, c), (br, bz, bn) = (_gates(a, 3) for a in (w_x, w_h, b_x, b_h))
    made = _Cell(name)
    joined = made.joined(source, "h", n, w_x.shape[1], 1.0, "out")
    made.add("reset_sum", Dense(np.hstack([x_r, h_r]), r + br), joined)
    made.add("reset", Sigmoid(n), "reset_sum")
    made.add("update_sum", Dense(np.hstack([x_z, h_z]), z + bz), joined)
    made.add("update", Sigmoid(n), "update_sum")
    if reset_after:
        made.add("recalled", Dense(h_n, bn), "h")
        made.add("kept", Multiply(n), "reset", "recalled")
        made.add("new_input", Dense(x_n, c), source)
        made.add("new_sum", Add(n), "new_input", "kept")
    else:
        made.add("kept", Multiply(n), "reset", "h")
        made.add("beside", Concat((w_x.shape[1], n)), source, "kept")
        made.add("new_sum", Dense(np.hstack([x_n, h_n]), c + bn), "beside")
    made.add("new", Tanh(n), "new_sum")
    made.add("minus_new", Scale(np.full(n, -1, F32), np.zeros(n, F32)), "new")
    made.add("change", Add(n), "h", "minus_new")
    made.add("held", Multiply(n), "update", "change")
    made.add("out", Add(n), "new", "held")
    return tuple(made.nodes)


def lstm(name: str, source: str, w_x: Array, w_h: Array, bias: Array, limit: float = CELL_LIMIT) -> tuple[Node, ...]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate).

    `w_x` (4 n, n_in), `w_h` (4 n, n), `bias` (4 n,) hold input, forget, cell and output gate in this order:

        i, f, o = sigmoid(..)   g = tanh(..)   c = f c + i g, kept within `limit`   h = o tanh(c)
    """
    n = _check(name, 4, w_x, w_h, bias)
    x_gates, h_gates, biases = (_gates(a, 4) for a in (w_x, w_h, bias))
    made = _Cell(name)
    joined = made.joined(source, "h", n, w_x.shape[1], 1.0, "out")
    made.delay("c", n, limit, "cell")
    for gate, x_gate, h_gate, b in zip(
        ("input", "forget", "candidate", "output"), x_gates, h_gates, biases, strict=True
    ):
        made.add(f"{gate}_sum", Dense(np.hstack([x_gate, h_gate]), b), joined)
        made.add(gate, Tanh(n) if gate == "candidate" else Sigmoid(n), f"{gate}_sum")
    made.add("remembered", Multiply(n), "forget", "c")
    made.add("learned", Multiply(n), "input", "candidate")
    made.add("cell", Add(n), "remembered", "learned")
    made.add("squashed", Tanh(n), "cell")
    made.add("out", Multiply(n), "output", "squashed")
    return tuple(made.nodes)


class _Cell:
    """Collects nodes; a name without the cell's own in front is that of one of its nodes."""

    def __init__(self, name: str) -> None:
        self.name, self.nodes = name, list[Node]()
        self.short: set[str] = set()

    def add(self, short: str, layer: Layer, *inputs: str) -> None:
        self.short.add(short)
        self.nodes.append(Node(f"{self.name}_{short}", layer, tuple(self._full(name) for name in inputs)))

    def delay(self, short: str, n: int, limit: float, of: str) -> None:
        """A delay of a node that comes later."""
        self.short.add(of)
        self.add(short, UnitDelay(np.zeros(n, F32), np.full(n, limit, F32)), of)

    def joined(self, source: str, short: str, n: int, n_in: int, limit: float, of: str) -> str:
        """Input and recalled output side by side."""
        self.delay(short, n, limit, of)
        self.add("joined", Concat((n_in, n)), source, short)
        return "joined"

    def _full(self, name: str) -> str:
        return f"{self.name}_{name}" if name in self.short else name


def _check(name: str, count: int, w_x: Array, w_h: Array, *biases: Array) -> int:
    """The width of the cell; raises `TinyctlError` where shapes do not fit."""
    n = w_h.shape[1]
    if {len(a) for a in (w_x, w_h, *biases)} != {count * n}:
        shapes = ", ".join(str(a.shape) for a in (w_x, w_h, *biases))
        raise TinyctlError(f"weights and biases of {shapes} are not those of {count} gates", where=f"cell {name}")
    return n


def _gates(rows: Array, count: int) -> list[Array]:
    return [part.astype(F32) for part in np.split(rows, count)]
