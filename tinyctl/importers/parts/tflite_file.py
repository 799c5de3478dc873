"""TensorFlow Lite files as plain records: tensors, and the operators in their order.

The reader is pure Python over one buffer, so a damaged offset raises and nothing else; every count is checked before it
is walked, every array against the file's own length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS, missing
from tinyctl.layers.base import Array

MAX_TENSORS = 4096
MAX_OPERATORS = 2000
MAX_OPERANDS = 64
MAX_AXES = 8
TYPES = ("float32", "float16", "int32", "int64", "int16", "int8")
OPTIONS = {  # of each operator that has some: the table in the file, and its fields that are read
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat")),
    "ADD": ("AddOptions", ("FusedActivationFunction",)),
    "SUB": ("SubOptions", ("FusedActivationFunction",)),
    "MUL": ("MulOptions", ("FusedActivationFunction",)),
    "DIV": ("DivOptions", ("FusedActivationFunction",)),
    "CONCATENATION": ("ConcatenationOptions", ("FusedActivationFunction", "Axis")),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
}


@dataclass(frozen=True)
class Tensor:
    """`dtype` is a NumPy name, or the file's own name of a type that is not read. `scale` and `zero_point` are (n,)
    along `axis`, or empty; `data` is the constant's value, of the shape `shape`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: Array
    zero_point: Array
    axis: int
    data: Array | None


@dataclass(frozen=True)
class Operator:
    """`inputs` and `outputs` number tensors, -1 stands for an operand left out. `options` by the file's field names;
    `fused` names an activation, "" for none."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    fused: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(data: bytes) -> Model:
    """The only subgraph of a file. Raises `FileError` for one that is damaged, `TinyctlError` for one too large."""
    try:
        import tflite
    except ImportError:
        raise missing("tflite", "tflite") from None
    if data[4:8] != b"TFL3":
        raise FileError("not a TensorFlow Lite file")
    try:
        return _model(tflite, tflite.Model.GetRootAs(data, 0))
    except (struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise FileError(f"damaged TensorFlow Lite file ({type(error).__name__})") from None


def _model(tflite: Any, root: Any) -> Model:
    if root.SubgraphsLength() != 1:
        raise TinyctlError(f"{root.SubgraphsLength()} subgraphs; one is read", fix="convert the forward pass alone")
    graph = root.Subgraphs(0)
    for what, count, limit in (
        ("tensors", graph.TensorsLength(), MAX_TENSORS),
        ("operators", graph.OperatorsLength(), MAX_OPERATORS),
        ("operator codes", root.OperatorCodesLength(), MAX_OPERATORS),
    ):
        if count > limit:
            raise TinyctlError(f"{count} {what}; at most {limit} are possible")
    names = {number: name for name, number in vars(tflite.BuiltinOperator).items() if isinstance(number, int)}
    kinds = []
    for i in range(root.OperatorCodesLength()):
        code = root.OperatorCodes(i)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the older field has 8 bits only
        kinds.append(names.get(number, f"operator {number}"))
    tensors = tuple(_tensor(tflite, root, graph.Tensors(i)) for i in range(graph.TensorsLength()))
    operators = tuple(_operator(tflite, graph.Operators(i), kinds) for i in range(graph.OperatorsLength()))
    model = Model(
        tensors,
        operators,
        _numbers(graph.InputsLength(), graph.InputsAsNumpy()),
        _numbers(graph.OutputsLength(), graph.OutputsAsNumpy()),
    )
    used = [*model.inputs, *model.outputs, *(t for o in operators for t in (*o.inputs, *o.outputs))]
    if not all(-1 <= number < len(tensors) for number in used) or -1 in (*model.inputs, *model.outputs):
        raise FileError("a tensor is named that is not there: damaged TensorFlow Lite file")
    return model


def _numbers(length: int, values: Any) -> tuple[int, ...]:
    if length > MAX_OPERANDS:
        raise TinyctlError(f"{length} operands; at most {MAX_OPERANDS} are possible")
    return tuple(int(v) for v in values) if length else ()


def _tensor(tflite: Any, root: Any, tensor: Any) -> Tensor:
    types = {number: name.lower() for name, number in vars(tflite.TensorType).items() if isinstance(number, int)}
    name = (tensor.Name() or b"").decode("utf-8", "replace")
    where = f"tensor {name!r:.80}"
    if tensor.ShapeLength() > MAX_AXES:
        raise TinyctlError(f"{tensor.ShapeLength()} axes; at most {MAX_AXES} are read", where=where)
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    dtype = types.get(tensor.Type(), f"type {tensor.Type()}")
    if min(shape, default=0) < 0 or prod(shape) > MAX_ELEMENTS:
        raise TinyctlError(f"a shape {shape!s:.80} is not possible here", where=where)
    if tensor.Sparsity() is not None or tensor.IsVariable():
        raise TinyctlError("is sparse or a variable, which is not read", where=where, fix="convert without")
    scale, zero, axis = np.zeros(0), np.zeros(0, np.int64), 0
    told = tensor.Quantization()
    if told is not None and told.ScaleLength():
        scale, axis = np.array(told.ScaleAsNumpy(), np.float64), told.QuantizedDimension()
        zero = np.array(told.ZeroPointAsNumpy(), np.int64) if told.ZeroPointLength() else np.zeros(len(scale), np.int64)
        if not ((scale > 1e-30) & (scale < 1e30)).all() or zero.shape != scale.shape:
            raise TinyctlError("its scales and zero points are not possible", where=where)
    return Tensor(name, shape, dtype, scale, zero, axis, _data(root, tensor.Buffer(), shape, dtype, where))


def _data(root: Any, number: int, shape: tuple[int, ...], dtype: str, where: str) -> Array | None:
    if not 0 <= number < root.BuffersLength():
        raise FileError("its data are not in the file", where=where)
    buffer = root.Buffers(number)
    if buffer.Offset() > 1 or buffer.Size() > 1:
        raise TinyctlError("its data lie behind the model, which is for models of gigabytes", where=where)
    if not buffer.DataLength() or dtype not in TYPES:
        return None
    raw = buffer.DataAsNumpy()
    if raw.nbytes != prod(shape) * np.dtype(dtype).itemsize:
        raise FileError(f"{raw.nbytes} bytes do not fit {shape!s:.80} of {dtype}", where=where)
    values: Array = raw.view(np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
    return values


def _operator(tflite: Any, operator: Any, kinds: list[str]) -> Operator:
    kind = kinds[operator.OpcodeIndex()]
    inputs = _numbers(operator.InputsLength(), operator.InputsAsNumpy())
    outputs = _numbers(operator.OutputsLength(), operator.OutputsAsNumpy())
    if kind not in OPTIONS:
        return Operator(kind, inputs, outputs)
    name, fields = OPTIONS[kind]
    table = operator.BuiltinOptions()
    if table is None or operator.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, name):
        raise FileError(f"a {kind} without its options: damaged TensorFlow Lite file")
    stored = getattr(tflite, name)()
    stored.Init(table.Bytes, table.Pos)
    options = {key: getattr(stored, key)() for key in fields}
    fused = {n: k for k, n in vars(tflite.ActivationFunctionType).items() if isinstance(n, int)}
    activation = fused.get(options.pop("FusedActivationFunction", 0), "unknown")
    return Operator(kind, inputs, outputs, "" if activation == "NONE" else activation, options)
