"""ONNX operators on computed columns: what each one means in layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.parts.body import Body, Value, in_order
from tinyctl.importers.parts.onnx_constants import SHAPES, attribute, where
from tinyctl.layers.base import Array

ACTIVATION_OPS: dict[str, tuple[str, float | None]] = {  # layer, default of the attribute alpha
    "Relu": ("relu", None),
    "Tanh": ("tanh", None),
    "Sigmoid": ("sigmoid", None),
    "Softsign": ("softsign", None),
    "LeakyRelu": ("leaky_relu", 0.01),
    "Elu": ("elu", 1.0),
}


@dataclass(frozen=True)
class Columns:
    """What a node computes: `shape` as ONNX has it, 0 for the dynamic batch; its columns in C order are `value`."""

    value: Value
    shape: tuple[int, ...]


Operand = Array | Columns


def _hint(node: Any) -> str:
    return str(node.name or node.op_type.lower())


def _shape(body: Body, node: Any, operands: list[Any]) -> Columns:
    """A new shape of the same columns; the batch stays first."""
    x = operands[0]
    if not isinstance(x, Columns) or any(isinstance(o, Columns) for o in operands[1:]):
        raise TinyctlError("the shape depends on the input", where=where(node), fix="export static shapes")
    wanted = SHAPES[node.op_type](node, operands, x.shape)
    width = x.value.width
    if node.op_type == "Squeeze":  # of the batch too: it is one then
        return Columns(x.value, tuple(wanted))
    if x.shape[:1] == (0,):
        rest = [d or 1 for d in wanted[1:]]  # the batch behind an axis of a sequence: of one, as this one is
        if -1 in rest:
            known = prod(d for d in rest if d != -1)
            rest = [width // known if d == -1 and known else d for d in rest]
        if not wanted or wanted[0] not in (0, -1, 1) or prod(rest) != width or 0 in rest:
            raise TinyctlError(f"moves columns into the batch: {wanted!s:.60}", where=where(node))
        return Columns(x.value, (0, *rest))
    known = prod(d for d in wanted if d != -1)
    shape = tuple(width // known if d == -1 and known else d for d in wanted)
    if prod(shape) != width:
        raise TinyctlError(f"a shape {wanted!s:.60} for {width} columns", where=where(node))
    # A vector that gains an axis in front gains the batch.
    return Columns(x.value, (0, *shape[1:]) if len(shape) > 1 and shape[0] == 1 else shape)


def _across(x: Columns, constant: Array, node: Any) -> Array:
    """`constant`, broadcast to the columns of x, float64 (n,)."""
    inner = x.shape[1:] if x.shape[:1] == (0,) else x.shape
    if constant.dtype.kind != "f":
        raise TinyctlError("a constant that is not a float", where=where(node))
    values = constant.astype(np.float64)
    while values.ndim > len(inner):
        if values.shape[0] != 1:
            raise TinyctlError(f"a constant {constant.shape} does not fit {x.shape}", where=where(node))
        values = values[0]
    if values.size > x.value.width:
        raise TinyctlError(f"a constant {constant.shape} widens {x.shape}", where=where(node))
    return np.broadcast_to(values, inner).reshape(-1)


def _affine(body: Body, node: Any, operands: list[Any]) -> Columns:
    a, b = operands
    if isinstance(a, Columns) and isinstance(b, Columns):
        if node.op_type not in ("Add", "Sub", "Mul") or a.shape != b.shape:
            raise TinyctlError(f"of two computed values {a.shape} and {b.shape} is not read", where=where(node))
        if node.op_type == "Mul":
            return Columns(body.multiply(a.value, b.value, _hint(node)), a.shape)
        second = b.value if node.op_type == "Add" else body.scale(b.value, -1.0, 0.0, _hint(node))
        return Columns(body.add(a.value, second, _hint(node)), a.shape)
    flipped = isinstance(b, Columns)
    x, constant = (b, a) if flipped else (a, b)
    c = _across(x, constant, node)
    name, op = _hint(node), node.op_type
    if op == "Div" and (flipped or (c == 0).any()):
        raise TinyctlError("divides by a computed value or by zero", where=where(node))
    pairs: dict[str, tuple[Array | float, Array | float]] = {
        "Add": (1.0, c),
        "Sub": (-1.0 if flipped else 1.0, c if flipped else -c),
        "Mul": (c, 0.0),
        "Div": (1 / np.where(c == 0, 1, c), 0.0),
    }
    gain, offset = pairs[op]
    return Columns(body.scale(x.value, gain, offset, name), x.shape)


def _last_axis(x: Columns, node: Any) -> None:
    """A product runs over the last axis: all others must be of size one."""
    if prod(d or 1 for d in x.shape[:-1]) != 1 or not x.shape or x.shape[-1] != x.value.width:
        raise TinyctlError(f"a product with shape {x.shape}", where=where(node), fix="flatten the observation first")


def _gemm(body: Body, node: Any, operands: list[Any]) -> Columns:
    x, weight = operands[:2]
    if not isinstance(x, Columns) or isinstance(weight, Columns) or attribute(node, "transA", 0):
        raise TinyctlError("is not a computed value times a constant", where=where(node))
    _last_axis(x, node)
    if weight.ndim != 2 or weight.dtype.kind != "f":
        raise TinyctlError(f"a weight of shape {weight.shape}", where=where(node))
    matrix = weight.astype(np.float64) * attribute(node, "alpha", 1.0)
    matrix = matrix if attribute(node, "transB", 0) else matrix.T
    bias = np.zeros(len(matrix))
    if len(operands) > 2 and operands[2] is not None:
        if isinstance(operands[2], Columns):
            raise TinyctlError("a computed bias", where=where(node))
        flat = operands[2].astype(np.float64) * attribute(node, "beta", 1.0)
        if flat.size not in (1, len(matrix)):
            raise TinyctlError(f"a bias of shape {flat.shape}", where=where(node))
        bias = np.broadcast_to(flat.reshape(-1), (len(matrix),)).copy()
    return Columns(body.dense(x.value, matrix, bias, _hint(node)), (*x.shape[:-1], len(matrix)))


def _matmul(body: Body, node: Any, operands: list[Any]) -> Columns:
    x, weight = operands
    flipped = isinstance(weight, Columns)
    if flipped:  # a constant times a column vector
        x, weight = weight, x
        if isinstance(weight, Columns) or x.shape not in ((x.value.width,), (0, x.value.width, 1)):
            raise TinyctlError("is not a computed value times a constant", where=where(node))
        weight = weight.T if weight.ndim == 2 else weight
    else:
        _last_axis(x, node)
    if weight.ndim != 2 or weight.dtype.kind != "f":
        raise TinyctlError(f"a weight of shape {weight.shape}", where=where(node))
    matrix = weight.astype(np.float64).T
    y = body.dense(x.value, matrix, np.zeros(len(matrix)), _hint(node))
    if flipped:
        return Columns(y, (y.width,) if x.shape[:1] != (0,) else (0, y.width, 1))
    return Columns(y, (*x.shape[:-1], y.width))


def _activation(body: Body, node: Any, operands: list[Any]) -> Columns:
    (x,) = operands
    kind, alpha = ACTIVATION_OPS[node.op_type]
    parameters = () if alpha is None else (float(attribute(node, "alpha", alpha)),)
    return Columns(body.activation(x.value, kind, _hint(node), *parameters), x.shape)


def _clip(body: Body, node: Any, operands: list[Any]) -> Columns:
    x = operands[0]
    if not isinstance(x, Columns):
        raise TinyctlError("clips a constant to a computed range", where=where(node))
    sides = []
    for place, key, otherwise in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = operands[place] if len(operands) > place else None
        if isinstance(given, Columns):
            raise TinyctlError("a computed limit", where=where(node))
        value = attribute(node, key, otherwise) if given is None else given.reshape(()).item()
        sides.append(float(value))
    return Columns(body.clip(x.value, sides[0], sides[1], _hint(node)), x.shape)


def _limit(body: Body, node: Any, operands: list[Any]) -> Columns:
    x, constant = operands if isinstance(operands[0], Columns) else operands[::-1]
    if isinstance(constant, Columns):
        raise TinyctlError("of two computed values is not read", where=where(node))
    c = _across(x, constant, node)
    low, high = (c, np.inf) if node.op_type == "Max" else (-np.inf, c)
    return Columns(body.clip(x.value, low, high, _hint(node)), x.shape)


def _same(body: Body, node: Any, operands: list[Any]) -> Columns:
    if node.op_type == "Cast" and attribute(node, "to", 1) != 1:
        raise TinyctlError("casts to another type than float32", where=where(node))
    if node.op_type == "Dropout" and len(operands) > 2 and (isinstance(operands[2], Columns) or operands[2].any()):
        raise TinyctlError("is in training mode", where=where(node), fix="export after module.eval()")
    return operands[0]


def _negative(body: Body, node: Any, operands: list[Any]) -> Columns:
    (x,) = operands
    return Columns(body.scale(x.value, -1.0, 0.0, _hint(node)), x.shape)


def _batch_normalization(body: Body, node: Any, operands: list[Any]) -> Columns:
    x, gain, offset, mean, variance = operands
    _last_axis(x, node)
    vectors = [v.astype(np.float64).reshape(x.value.width) for v in (gain, offset, mean, variance)]
    slope = vectors[0] / np.sqrt(vectors[3] + attribute(node, "epsilon", 1e-5))
    return Columns(body.scale(x.value, slope, vectors[1] - vectors[2] * slope, _hint(node)), x.shape)


def _concat(body: Body, node: Any, operands: list[Any]) -> Columns:
    if len(operands) == 1:
        return operands[0]
    if not all(isinstance(o, Columns) and o.shape[:-1] == operands[0].shape[:-1] for o in operands):
        raise TinyctlError("of constants and computed values, or of other shapes", where=where(node))
    if attribute(node, "axis", None) not in (-1, len(operands[0].shape) - 1):
        raise TinyctlError("along another axis than the last", where=where(node))
    for x in operands:
        _last_axis(x, node)
    made = body.concat(tuple(o.value for o in operands), _hint(node))
    return Columns(made, (*operands[0].shape[:-1], made.width))


def _cell(body: Body, node: Any, operands: list[Any]) -> Columns:
    """One step of a GRU or LSTM over (1, batch, columns). Gates from ONNX' order, zrh and iofc, to that of the cell."""
    x, w, r, b, *_ = (*operands, None)
    lstm = node.op_type == "LSTM"
    if any(isinstance(a, Columns) for a in (w, r, b)) or attribute(node, "layout", 0):
        raise TinyctlError("weights that are computed, or another layout", where=where(node))
    if attribute(node, "direction", b"forward") != b"forward" or attribute(node, "clip", 0.0) or len(w) != 1:
        raise TinyctlError("another direction than forward, or a clip", where=where(node))
    names = [name.decode().lower() for name in attribute(node, "activations", [])]
    if names not in ([], ["sigmoid", "tanh", "tanh"][: 3 if lstm else 2]):
        raise TinyctlError("has other activations than sigmoid and tanh", where=where(node))
    if lstm and len(node.input) > 7 and node.input[7]:
        raise TinyctlError("has peepholes", where=where(node))
    if len(x.shape) != 3 or prod(d or 1 for d in x.shape[:2]) != 1:
        raise TinyctlError(
            f"reads {x.shape}, not one step", where=where(node), fix="export it for sequences of length 1"
        )
    gates = (0, 2, 3, 1) if lstm else (1, 0, 2)
    bias = np.zeros(2 * w.shape[1]) if b is None else b[0].astype(np.float64)
    weights = tuple(in_order(a.astype(np.float64), gates) for a in (w[0], r[0], *np.split(bias, 2)))
    if lstm:
        y = body.lstm(x.value, weights, _hint(node))
    else:
        y = body.gru(x.value, weights, _hint(node), reset_after=bool(attribute(node, "linear_before_reset", 0)))
    return Columns(y, (0, 1, 1, y.width))


def _transpose(body: Body, node: Any, operands: list[Any]) -> Columns:
    """Of axes of size one, with which a sequence of one step and a batch of one change places."""
    (x,) = operands
    _last_axis(x, node)
    axes = attribute(node, "perm", [])
    if sorted(axes) != list(range(len(x.shape))) or axes[-1] != len(x.shape) - 1:
        raise TinyctlError("moves columns", where=where(node))
    return x


CELLS = ("GRU", "LSTM")
OPERATORS: dict[str, Callable[[Body, Any, list[Any]], Columns]] = {
    **dict.fromkeys(ACTIVATION_OPS, _activation),
    **dict.fromkeys(SHAPES, _shape),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _affine),
    **dict.fromkeys(("Identity", "Dropout", "Cast"), _same),
    **dict.fromkeys(("Max", "Min"), _limit),
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Clip": _clip,
    "Neg": _negative,
    "BatchNormalization": _batch_normalization,
    "Concat": _concat,
    "Transpose": _transpose,
    **dict.fromkeys(CELLS, _cell),
}
