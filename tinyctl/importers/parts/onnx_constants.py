"""Constants in ONNX files: tensors checked and read, operators on constants folded, shapes computed."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS
from tinyctl.layers.base import Array

DTYPES = {1: "<f4", 11: "<f8", 10: "<f2", 7: "<i8", 6: "<i4", 9: "|b1"}  # TensorProto.DataType


def array(tensor: Any) -> Array:
    """A TensorProto whose data are inside and as long as its shape says."""
    where = f"tensor {tensor.name!r:.80}"
    if tensor.data_location == 1 or tensor.external_data:
        raise TinyctlError(
            "keeps its data in another file",
            where=where,
            fix="save them inside: torch.onnx.export(.., external_data=False)",
        )
    if tensor.data_type not in DTYPES:
        raise TinyctlError(f"data type {tensor.data_type} is not read", where=where, fix="export in float32")
    dtype = np.dtype(DTYPES[tensor.data_type])
    shape = tuple(int(d) for d in tensor.dims)
    if len(shape) > 8 or any(d < 0 for d in shape) or prod(shape) > MAX_ELEMENTS:
        raise TinyctlError(f"shape {list(shape)!s:.80} is not possible here", where=where)
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != prod(shape) * dtype.itemsize:
            raise TinyctlError("its data do not fit its shape", where=where)
        return np.frombuffer(tensor.raw_data, dtype).reshape(shape)
    lists = {1: tensor.float_data, 11: tensor.double_data, 7: tensor.int64_data}
    data = lists.get(tensor.data_type, tensor.int32_data)
    if len(data) != prod(shape):
        raise TinyctlError("its data do not fit its shape", where=where)
    if tensor.data_type == 10:
        return np.array(data, np.uint32).astype(np.uint16).view(np.float16).reshape(shape)
    return np.array(data, dtype).reshape(shape)


def where(node: Any) -> str:
    return f"node {node.name or '-'!s:.80} ({node.op_type!s:.40})"


def attribute(node: Any, name: str, otherwise: Any) -> Any:
    for a in node.attribute:
        if a.name == name:
            if a.ref_attr_name:
                raise ValueError(f"attribute {name} refers to a function's")
            values = {1: a.f, 2: a.i, 3: a.s, 4: a.t, 6: list(a.floats), 7: list(a.ints)}
            if a.type not in values:
                raise ValueError(f"attribute {name} of the type {a.type}")
            return values[a.type]
    return otherwise


# --- constants --------------------------------------------------------------------------------------------------------


def constant(node: Any, operands: list[Any]) -> Any:
    """The result of an operator on constants. Raises what NumPy raises for operands that do not fit."""
    op = node.op_type
    if op == "Constant":
        for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
            found = attribute(node, key, None)
            if found is not None:
                return array(found) if key == "value" else np.array(found, np.float32 if "float" in key else np.int64)
        raise ValueError("a Constant without a number")
    if op == "Cast":
        return operands[0].astype(DTYPES[attribute(node, "to", 1)])
    if op == "Transpose":
        return np.transpose(operands[0], attribute(node, "perm", None))
    if op == "Concat":
        return np.concatenate(operands, axis=attribute(node, "axis", 0))
    if op in ("Identity", "Dropout"):
        return operands[0]
    if op in SHAPES:
        return operands[0].reshape(SHAPES[op](node, operands, operands[0].shape))
    if op in UNARY:
        return UNARY[op](operands[0])
    a, b = operands
    if prod(np.broadcast_shapes(a.shape, b.shape)) > MAX_ELEMENTS:
        raise ValueError("too large")
    if op == "Div" and a.dtype.kind == "i":
        raise ValueError("a division of integers")
    return BINARY[op](a, b)


UNARY: dict[str, Callable[[Any], Any]] = {
    "Neg": np.negative,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Reciprocal": np.reciprocal,
    "Abs": np.abs,
}
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Max": np.maximum,
    "Min": np.minimum,
}


# --- shapes -----------------------------------------------------------------------------------------------------------


def _axes(node: Any, operands: list[Any], rank: int) -> list[int] | None:
    given = operands[1].tolist() if len(operands) > 1 and operands[1] is not None else attribute(node, "axes", None)
    if given is None:
        return None
    axes = sorted({int(a) + rank if a < 0 else int(a) for a in given})
    if not all(0 <= a < rank for a in axes):
        raise ValueError(f"axes {axes!s:.60}")
    return axes


def _squeezed(node: Any, operands: list[Any], shape: tuple[int, ...]) -> list[int]:
    axes = _axes(node, operands, len(shape))
    if axes is None:
        axes = [i for i, d in enumerate(shape) if d == 1]
    if any(shape[a] > 1 for a in axes):
        raise ValueError(f"axes {axes!s:.60} of {shape!s:.60}")
    return [d for i, d in enumerate(shape) if i not in axes]


def _unsqueezed(node: Any, operands: list[Any], shape: tuple[int, ...]) -> list[int]:
    given = operands[1].tolist() if len(operands) > 1 else attribute(node, "axes", [])
    rank = len(shape) + len(given)
    rest = iter(shape)
    axes = _axes(node, operands, rank) or []
    return [1 if i in axes else next(rest) for i in range(len(shape) + len(axes))]


def _reshaped(node: Any, operands: list[Any], shape: tuple[int, ...]) -> list[int]:
    wanted = [int(d) for d in operands[1].reshape(-1)]
    if attribute(node, "allowzero", 0):
        raise ValueError("allowzero")
    wanted = [shape[i] if d == 0 else d for i, d in enumerate(wanted)]
    if any(d < -1 for d in wanted) or wanted.count(-1) > 1:
        raise ValueError(f"shape {wanted!s:.60}")
    return wanted


def _flattened(node: Any, operands: list[Any], shape: tuple[int, ...]) -> list[int]:
    axis = attribute(node, "axis", 1)
    axis += len(shape) if axis < 0 else 0
    if axis != 1 and shape[:1] == (0,):
        raise ValueError("flattens the batch")
    return [shape[0] if axis == 1 else prod(shape[:axis]), prod(shape[axis:])]


SHAPES: dict[str, Callable[[Any, list[Any], tuple[int, ...]], list[int]]] = {
    "Reshape": _reshaped,
    "Flatten": _flattened,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
}
