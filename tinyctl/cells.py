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
from tinyctl.layers.diagonal import Diagonal
from tinyctl.layers.multiply import Multiply
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.layers.tanh import Tanh
from tinyctl.layers.unit_delay import UnitDelay
from tinyctl.network import Node

CHANGE_LIMIT = 1e6  # of a set-point, in the least steps that count
CELL_LIMIT = 32.0  # |c| of an LSTM: its tanh has long saturated


def gru(
    name: str, source: str, w_x: Array, w_h: Array, b_x: Array, b_h: Array, *, reset_after: bool = True,
    kept: str | None = None,
) -> tuple[Node, ...]:  # fmt: skip
    """Gated recurrent unit, as cuDNN, PyTorch and Keras compute it; without `reset_after` as Cho et al. 2014 did.

    `w_x` (3 n, n_in), `w_h` (3 n, n), `b_x`, `b_h` (3 n,) hold reset, update and new gate in this order:

        r = sigmoid(..)   z = sigmoid(..)   c = tanh(w_x x + b_x + r (w_h h + b_h))   h = c + z (h - c)

    and without `reset_after` c = tanh(w_x x + b_x + w_h (r h) + b_h). What is recalled is multiplied by the value of
    the node `kept` (n columns, see `restart`).
    """
    n = _check(name, 3, w_x, w_h, b_x, b_h)
    (x_r, x_z, x_n), (h_r, h_z, h_n), (r, z, c), (br, bz, bn) = (_gates(a, 3) for a in (w_x, w_h, b_x, b_h))
    made = _Cell(name, kept)
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


def lstm(
    name: str, source: str, w_x: Array, w_h: Array, bias: Array, limit: float = CELL_LIMIT, kept: str | None = None
) -> tuple[Node, ...]:
    """Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gate).

    `w_x` (4 n, n_in), `w_h` (4 n, n), `bias` (4 n,) hold input, forget, cell and output gate in this order:

        i, f, o = sigmoid(..)   g = tanh(..)   c = f c + i g, kept within `limit`   h = o tanh(c)

    What is recalled is multiplied by the value of the node `kept` (n columns, see `restart`).
    """
    n = _check(name, 4, w_x, w_h, bias)
    x_gates, h_gates, biases = (_gates(a, 4) for a in (w_x, w_h, bias))
    made = _Cell(name, kept)
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


def s5(
    name: str, source: str, factor: Array, w_in: Array, w_out: Array, direct: Array, w_gate: Array, b_gate: Array
) -> tuple[Node, ...]:
    """A layer of S5, a diagonal state space model (Smith et al. 2023), discretised, with a half-GLU and a bypass:

        s = factor s + w_in u   v = 2 Re(w_out s) + direct u   y = u + v sigmoid(w_gate v + b_gate)

    `factor` (p,), `w_in` (p, n), `w_out` (n, p) complex, one of each conjugate pair; `direct`, `b_gate` (n,), `w_gate`
    (n, n). The state stays float32 in every format (`layers.diagonal`).
    """
    n = len(direct)
    if w_in.shape != (len(factor), n) or w_out.shape != w_in.shape[::-1] or w_gate.shape != (n, n):
        shapes = f"{w_in.shape}, {w_out.shape} and {w_gate.shape}"
        raise TinyctlError(f"weights of {shapes} do not fit {len(factor)} states and {n} columns", where=f"cell {name}")
    made = _Cell(name)
    inward = np.stack([w_in.real, w_in.imag], axis=1).reshape(-1, n)
    outward = 2 * np.stack([w_out.real, -w_out.imag], axis=2).reshape(n, -1)
    made.add("driven", Dense(inward.astype(F32), np.zeros(len(inward), F32)), source)
    made.add("state", Diagonal(factor.real.astype(F32), factor.imag.astype(F32)), "driven")
    made.add("seen", Dense(outward.astype(F32), np.zeros(n, F32)), "state")
    made.add("direct", Scale(direct.astype(F32), np.zeros(n, F32)), source)
    made.add("value", Add(n), "seen", "direct")
    made.add("gate_sum", Dense(w_gate.astype(F32), b_gate.astype(F32)), "value")
    made.add("gate", Sigmoid(n), "gate_sum")
    made.add("gated", Multiply(n), "value", "gate")
    made.add("out", Add(n), source, "gated")
    return tuple(made.nodes)


def shplrnn(
    name: str, source: str, a: Array, w1: Array, w2: Array, h1: Array, h2: Array, w_in: Array, *, reach: Array,
    initial: Array | None = None, kept: str | None = None,
) -> tuple[Node, ...]:  # fmt: skip
    """The clipped shallow piecewise-linear network (Hess et al., Generalized Teacher Forcing for Learning Chaotic
    Dynamics, 2023), from `initial`, zero by default:

        z = a z + w1 (relu(w2 z + h2) - relu(w2 z)) + h1 + w_in s

    `a`, `h1` (m,), `w1` (m, h), `w2` (h, m), `h2` (h,), `w_in` (m, n_in). The bends add at most |w1| |h2|, so with
    |a| < 1 and inputs within `reach` (n_in,) its state is bounded, and no limit is ever met.
    """
    m, hidden = w1.shape
    fits = a.shape == h1.shape == (m,) and w2.shape == (hidden, m) and h2.shape == (hidden,) and len(w_in) == m
    if not fits or not (np.abs(a) < 1).all():
        raise TinyctlError(f"weights of a network with {m} states and {hidden} bends do not fit, or |a| is not below 1",
                           where=f"cell {name}")  # fmt: skip
    most = (np.abs(w1) @ np.abs(h2) + np.abs(h1) + np.abs(w_in) @ reach) / (1 - np.abs(a))
    start = np.zeros(m, F32) if initial is None else initial.astype(F32)
    made = _Cell(name, kept)
    made.delay("z", m, np.maximum(1.001 * most, np.abs(start)) + 1e-3, "out", start)
    made.add("lifted", Dense(np.vstack([w2, w2]).astype(F32), np.concatenate([h2, 0 * h2]).astype(F32)), "z")
    made.add("bent", Relu(2 * hidden), "lifted")
    made.add("beside", Concat((2 * hidden, w_in.shape[1])), "bent", source)
    made.add("driven", Dense(np.hstack([w1, -w1, w_in]).astype(F32), h1.astype(F32)), "beside")
    made.add("decayed", Scale(a.astype(F32), np.zeros(m, F32)), "z")
    made.add("out", Add(m), "decayed", "driven")
    return tuple(made.nodes)


def relu_rnn(
    name: str, source: str, w_x: Array, w_h: Array, bias: Array, limit: Array, kept: str | None = None
) -> tuple[Node, ...]:
    """The plain recurrent layer h = relu(w_x x + w_h h + bias), kept within `limit` (n,) from step to step. `w_x` (n,
    n_in), `w_h` (n, n), `bias` (n,)."""
    n = _check(name, 1, w_x, w_h, bias)
    made = _Cell(name, kept)
    joined = made.joined(source, "h", n, w_x.shape[1], limit, "out")
    made.add("sum", Dense(np.hstack([w_x, w_h]).astype(F32), bias.astype(F32)), joined)
    made.add("out", Relu(n), "sum")
    return tuple(made.nodes)


def reservoir(
    name: str, source: str, w_in: Array, w: Array, bias: Array, leak: float, kept: str | None = None
) -> tuple[Node, ...]:
    """An echo state network x = (1 - leak) x + leak sigmoid(w_in u + w x + bias) (Jaeger 2001), whose `w` (n, n) is
    sparse: its rows are stored compressed. `w_in` (n, n_in), `bias` (n,)."""
    n = _check(name, 1, w_in, w, bias)
    made = _Cell(name, kept)
    joined = made.joined(source, "x", n, w_in.shape[1], 1.0, "out")
    made.add("sum", Dense(np.hstack([w_in, w]).astype(F32), bias.astype(F32), "csr"), joined)
    made.add("rate", Sigmoid(n), "sum")
    made.add("moved", Scale(np.full(n, leak, F32), np.zeros(n, F32)), "rate")
    made.add("stayed", Scale(np.full(n, 1 - leak, F32), np.zeros(n, F32)), "x")
    made.add("out", Add(n), "stayed", "moved")
    return tuple(made.nodes)


def restart(name: str, source: str, n_in: int, column: int, step: float, n: int) -> tuple[Node, ...]:
    """A value of `n` columns that is 0 in the step in which a column of `source` (n_in columns) has changed, by at
    least `step`, and 1 as long as it stays: what lets a memory start anew with each set-point."""
    made = _Cell(name)
    pick = np.zeros((1, n_in), F32)
    pick[0, column] = 1 / step
    made.add("now", Dense(pick, np.zeros(1, F32)), source)
    made.delay("before", 1, CHANGE_LIMIT, "now")
    made.add("both", Concat((1, 1)), "now", "before")
    made.add("change", Dense(np.array([[1, -1], [-1, 1]], F32), np.zeros(2, F32)), "both")
    made.add("size", Relu(2), "change")
    made.add("left", Dense(np.full((n, 2), -1, F32), np.ones(n, F32)), "size")
    made.add("kept", Relu(n), "left")
    return tuple(made.nodes)


class _Cell:
    """Collects nodes; a name without the cell's own in front is that of one of its nodes."""

    def __init__(self, name: str, kept: str | None = None) -> None:
        self.name, self.kept, self.nodes = name, kept, list[Node]()
        self.short: set[str] = set()

    def add(self, short: str, layer: Layer, *inputs: str) -> None:
        self.short.add(short)
        self.nodes.append(Node(f"{self.name}_{short}", layer, tuple(self._full(name) for name in inputs)))

    def delay(self, short: str, n: int, limit: float | Array, of: str, initial: Array | None = None) -> None:
        """A delay of a node that comes later; what it recalls is multiplied by the value of `kept`, if there is one."""
        self.short.add(of)
        start = np.zeros(n, F32) if initial is None else initial
        delay = UnitDelay(start, np.broadcast_to(np.asarray(limit, F32), n))
        if self.kept is None:
            self.add(short, delay, of)
        else:
            self.add(f"{short}_before", delay, of)
            self.add(short, Multiply(n), f"{short}_before", self.kept)

    def joined(self, source: str, short: str, n: int, n_in: int, limit: float | Array, of: str) -> str:
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
