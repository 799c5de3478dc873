"""What the operations of `torch.export` mean in layers: of modules of this process and of programs in files alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.parts.body import Body, Value
from tinyctl.layers.base import Array


@dataclass(frozen=True)
class Call:
    """One operation, such as `aten.linear.default`: the shapes of its operands (() for numbers) and of its result."""

    name: str
    target: str
    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    dtype: str
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        return f"node {self.name!s:.60}"


def apply(body: Body, call: Call, args: list[Any]) -> Value:
    """The value of a call; `args` are values of the body, NumPy arrays and numbers. Raises `TinyctlError`."""
    kind = call.target.removeprefix("torch.ops.").split(".")[1:2]
    if not kind or kind[0] not in OPERATIONS:
        raise TinyctlError(
            f"{call.target!s:.60} is not read", where=call.where, fix=f"these are: {', '.join(sorted(OPERATIONS))}"
        )
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused where it would enter a layer
            return OPERATIONS[kind[0]](body, call, args)
    except (TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        raise TinyctlError(f"a form that is not read ({error})", where=call.where) from None


def _numbers(value: Any) -> Array:
    return np.asarray(value, np.float64)


def _across(call: Call, x_at: int, value: Any) -> Array:
    """A constant, broadcast to the columns of the operand `x_at`."""
    return np.broadcast_to(_numbers(value), call.shapes[x_at]).reshape(-1)


def _linear(body: Body, call: Call, args: list[Any]) -> Value:
    x, weight = args[:2]
    if call.shapes[0][-1] != x.width:
        raise ValueError("a product with more than one row")
    bias = args[2] if len(args) > 2 else None
    matrix = _numbers(weight)
    return body.dense(x, matrix, np.zeros(len(matrix)) if bias is None else _numbers(bias), call.name)


def _matmul(body: Body, call: Call, args: list[Any]) -> Value:
    return _linear(body, call, [args[0], args[1].T])


def _addmm(body: Body, call: Call, args: list[Any]) -> Value:
    bias, x, weight = args
    matrix = _numbers(weight).T
    return body.dense(x, matrix, np.broadcast_to(_numbers(bias), (len(matrix),)), call.name)


def _arithmetic(kind: str) -> Callable[[Body, Call, list[Any]], Value]:
    def make(body: Body, call: Call, args: list[Any]) -> Value:
        if kind == "add" and len(args) == 2 and not call.kwargs and all(isinstance(a, Value) for a in args):
            return body.add(args[0], args[1], call.name)
        if len(args) != 2 or call.kwargs or all(isinstance(a, Value) for a in args):
            raise ValueError("not a computed value and a constant")
        at = 0 if isinstance(args[0], Value) else 1
        x, c = args[at], _across(call, at, args[1 - at])
        if kind == "div" and (at or not c.all()):
            raise ValueError("divides by a computed value or by zero")
        forms: dict[str, tuple[Array | float, Array | float]] = {
            "add": (1.0, c),
            "sub": (-1.0 if at else 1.0, c if at else -c),
            "rsub": (-1.0, c),
            "mul": (c, 0.0),
            "div": (1 / c if c.all() else c, 0.0),
        }
        gain, offset = forms[kind]
        return body.scale(x, gain, offset, call.name)

    return make


def _clamp(body: Body, call: Call, args: list[Any]) -> Value:
    given = dict(zip(("min", "max"), args[1:], strict=False)) | dict(call.kwargs)
    low, high = given.get("min"), given.get("max")
    ends = (-np.inf if low is None else _across(call, 0, low), np.inf if high is None else _across(call, 0, high))
    return body.clip(args[0], ends[0], ends[1], call.name)


def _hardtanh(body: Body, call: Call, args: list[Any]) -> Value:
    low, high = args[1:] or (-1.0, 1.0)
    return body.clip(args[0], low, high, call.name)


def _activation(kind: str) -> Callable[[Body, Call, list[Any]], Value]:
    def make(body: Body, call: Call, args: list[Any]) -> Value:
        return body.activation(args[0], kind, call.name, *(float(a) for a in args[1:]))

    return make


def _same(body: Body, call: Call, args: list[Any]) -> Value:
    """Another shape of the same columns in the same order."""
    x: Value = args[0]
    if prod(call.shape) != x.width or call.dtype != "float32":
        raise ValueError("changes the number of columns or their type")
    return x


OPERATIONS: dict[str, Callable[[Body, Call, list[Any]], Value]] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "addmm": _addmm,
    **{kind: _arithmetic(kind) for kind in ("add", "sub", "rsub", "mul", "div")},
    "neg": lambda body, call, args: body.scale(args[0], -1.0, 0.0, call.name),
    "clamp": _clamp,
    "hardtanh": _hardtanh,
    **{kind: _activation(kind) for kind in ("relu", "tanh", "sigmoid", "elu", "leaky_relu")},
    **dict.fromkeys(
        ("flatten", "view", "reshape", "squeeze", "unsqueeze", "alias", "clone", "detach", "dropout"), _same
    ),
}
