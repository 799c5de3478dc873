"""TensorFlow Lite: a float `.tflite` becomes a policy, one quantized to int8 or int16x8 a graph with the file's scales.

Read without TensorFlow. What its interpreter computes in integers is computed here within one step of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.base import Imported, Request, contract_of, read_bytes
from tinyctl.importers.parts import integers
from tinyctl.importers.parts.body import Body, Value
from tinyctl.importers.parts.integers import Columns, Units
from tinyctl.importers.parts.tflite_file import Model, Operator, Tensor, read_tflite
from tinyctl.layers.base import Array

SUFFIXES = (".tflite",)
PLAIN = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")  # the same columns in another shape
CLAMPS = {"RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}
CURVES: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "TANH": ("tanh", np.tanh),
    "LOGISTIC": ("sigmoid", lambda v: 1 / (1 + np.exp(-v))),
    "ELU": ("elu", lambda v: np.where(v > 0, v, np.expm1(v))),
}


def read(request: Request) -> Imported:
    """Import a converted model."""
    reader = _Reader(read_tflite(read_bytes(request.path)), request)
    y, span = reader.result()
    contract, warnings = contract_of(
        request, reader.body.input.width, y.width, input_range=reader.span, output_range=span
    )
    made = reader.body.graph(y, contract) if reader.quantized else reader.body.policy(y, contract)
    return Imported(made, "TensorFlow Lite", tuple(warnings), tuple(reader.notes))


class _Reader:
    """Walks the operators that the wanted output needs."""

    def __init__(self, model: Model, request: Request) -> None:
        self.model, self.request = model, request
        self.quantized = False
        self.notes: list[str] = []
        self.known: dict[int, Columns] = {}
        if len(model.inputs) != 1:
            raise TinyctlError(f"{len(model.inputs)} inputs; one is read", fix="convert the actor alone")
        tensor = self.tensor(model.inputs[0])
        if not tensor.shape or (len(tensor.shape) > 1 and tensor.shape[0] != 1):
            raise TinyctlError(f"an input of shape {tensor.shape!s:.80}", fix="convert with a batch of 1")
        self.body = Body(prod(tensor.shape))
        self.span: tuple[Array, Array] | None = None  # of the input, where it is quantized at once
        start = self.body.input
        if request.normalizer is not None:
            start = self.body.normalize(start, request.normalizer)
        x = Columns(start)
        if tensor.dtype != "float32":
            x = self.quantize(x, _units(tensor), "input")
        self.known[model.inputs[0]] = x

    def tensor(self, number: int) -> Tensor:
        return self.model.tensors[number]

    def result(self) -> tuple[Value, tuple[Array, Array] | None]:
        """The action, and its range where the file tells it."""
        names = [self.tensor(number).name for number in self.model.outputs]
        wanted = self.request.output
        if (wanted is None and len(names) != 1) or (wanted is not None and wanted not in names):
            raise TinyctlError(
                f"{len(names)} outputs ({', '.join(names)!s:.120})", fix="choose the action with --output NAME"
            )
        number = self.model.outputs[0 if wanted is None else names.index(wanted)]
        for operator in self._needed(number):
            where = f"operator {operator.kind} of {self.tensor(operator.outputs[0]).name!r:.80}"
            if operator.kind not in OPERATORS:
                raise TinyctlError(
                    "is not read", where=where, fix=f"read are {', '.join(sorted(OPERATORS))}; or export to ONNX"
                )
            try:
                with np.errstate(all="ignore"):  # what is not finite is refused where it would enter a layer
                    self.known[operator.outputs[0]] = OPERATORS[operator.kind](self, operator)
            except TinyctlError as error:
                raise TinyctlError(str(error), where=where) from None
            except (ValueError, IndexError) as error:
                raise TinyctlError(f"a form that is not read ({error})", where=where) from None
        if number not in self.known:
            raise TinyctlError("does not depend on the input", where=f"output {self.tensor(number).name!r:.80}")
        x = self.known[number]
        y = integers.decode(self.body, x, "output")
        if x.units is None:
            return y, self.body.final_range(y)
        low, high = x.units.span
        return y, (np.full(y.width, low), np.full(y.width, high))

    def _needed(self, number: int) -> list[Operator]:
        """The operators that compute a tensor, in order. Of a shape only its data count; constants are not computed."""
        wanted, found = {number} - set(self.known), []
        for operator in reversed(self.model.operators):
            if wanted & set(operator.outputs) and not self._decodes_constant(operator):
                if len(operator.outputs) != 1:
                    raise TinyctlError(f"{operator.kind} has {len(operator.outputs)} results; one is read")
                wanted.update(operator.inputs[:1] if operator.kind in PLAIN else operator.inputs)
                wanted -= set(self.known)
                found.append(operator)
        return found[::-1]

    def _decodes_constant(self, operator: Operator) -> bool:
        return operator.kind == "DEQUANTIZE" and all(self.tensor(n).data is not None for n in operator.inputs)

    # --- operands ---

    def columns(self, operator: Operator, place: int) -> Columns:
        number = operator.inputs[place]
        if number not in self.known:
            raise TinyctlError(f"operand {place} is not computed from the input")
        return self.known[number]

    def constant(self, number: int) -> Array | None:
        """The real values of a constant; None for what is computed or left out. Folds what decodes constants."""
        if number < 0 or number in self.known:
            return None
        tensor = self.tensor(number)
        if tensor.data is None:
            maker = next((o for o in self.model.operators if number in o.outputs), None)
            if maker is None or not self._decodes_constant(maker):
                raise TinyctlError(f"{tensor.name!r:.80} is neither a constant nor computed from the input")
            return self.constant(maker.inputs[0])
        values = tensor.data.astype(np.float64)
        if not tensor.scale.size:
            return values
        along = [1] * values.ndim
        if tensor.scale.size > 1:
            along[tensor.axis] = -1
        return (values - tensor.zero_point.reshape(along)) * tensor.scale.reshape(along)

    def quantize(self, x: Columns, units: Units, name: str) -> Columns:
        """float32 to integers; the range of the input is the contract's, or all that the integers can stand for."""
        self.quantized = True
        span = (-np.inf, np.inf)
        if x.value == self.body.input:
            if self.request.contract is None:
                span, width = units.span, x.value.width
                self.span = np.full(width, span[0]), np.full(width, span[1])
            else:
                signals = self.request.contract.inputs
                span = min(s.low for s in signals), max(s.high for s in signals)
        return integers.encode(self.body, x.value, units, name, span)

    def named(self, operator: Operator) -> str:
        return self.tensor(operator.outputs[0]).name.rpartition(";")[2] or operator.kind.lower()

    def units(self, operator: Operator, x: Columns) -> Units | None:
        """Of the result: integers where x is, and of its type."""
        tensor = self.tensor(operator.outputs[0])
        if x.units is None:
            if tensor.dtype != "float32":
                raise TinyctlError(f"makes {tensor.dtype!s:.20} of float32")
            return None
        units = _units(tensor)
        if units.dtype != x.units.dtype:
            raise TinyctlError(f"makes {units.dtype} of {x.units.dtype}")
        return units

    def fused(self, operator: Operator, y: Columns) -> Columns:
        """The activation that stands within an operator."""
        return _activation(self, operator.fused, y, y.units, self.named(operator)) if operator.fused else y


def _units(tensor: Tensor) -> Units:
    where = f"tensor {tensor.name!r:.80}"
    if tensor.dtype not in integers.FORMATS:
        raise TinyctlError(f"is {tensor.dtype!s:.20}", where=where, fix="convert in float32, int8 or int16x8")
    if tensor.scale.size != 1:
        raise TinyctlError(f"has {tensor.scale.size} scales instead of one", where=where)
    units = Units(tensor.dtype, float(tensor.scale[0]), int(tensor.zero_point[0]))
    least, most = units.limits
    if not least <= units.zero <= most or (units.dtype == "int16" and units.zero):
        raise TinyctlError(f"zero point {units.zero} is not possible", where=where)
    return units


def _activation(reader: _Reader, kind: str, x: Columns, units: Units | None, name: str) -> Columns:
    """RELU, TANH and the like, by the file's own name."""
    body, name = reader.body, f"{name}_{kind.lower()}"
    if kind in CLAMPS:
        low, high = CLAMPS[kind]
        if units is not None:
            return integers.requantize(body, integers.clamp(body, x, low, high, name), units, name)
        if kind == "RELU":
            return Columns(body.activation(x.value, "relu", name))
        return Columns(body.clip(x.value, low, high, name))
    if kind not in CURVES:
        raise TinyctlError(f"the activation {kind} is not read")
    layer, of = CURVES[kind]
    if units is None:
        return Columns(body.activation(x.value, layer, name))
    if units.dtype == "int8":
        return integers.function(body, x, of, units, name)
    if layer == "elu":
        raise TinyctlError("of int16 values is not read", fix="import the float model and quantize it here")
    return integers.sigmoid(body, x, layer, units, name)


def _unary(reader: _Reader, operator: Operator) -> Columns:
    x = reader.columns(operator, 0)
    return _activation(reader, operator.kind, x, reader.units(operator, x), reader.named(operator))


def _leaky_relu(reader: _Reader, operator: Operator) -> Columns:
    x, slope, name = reader.columns(operator, 0), float(operator.options["Alpha"]), reader.named(operator)
    units = reader.units(operator, x)
    if units is None:
        return Columns(reader.body.activation(x.value, "leaky_relu", name, slope))
    if units.dtype == "int8":
        return integers.function(reader.body, x, lambda v: np.where(v > 0, v, slope * v), units, name)
    one = np.ones(x.value.width)
    return integers.affine(reader.body, x, one, 0 * one, units, name, slope)


def _fully_connected(reader: _Reader, operator: Operator) -> Columns:
    x, name = reader.columns(operator, 0), reader.named(operator)
    stored = reader.tensor(operator.inputs[1])
    weight, bias = (reader.constant(number) for number in (*operator.inputs, -1)[1:3])
    if weight is None or weight.ndim != 2 or weight.shape[1] != x.value.width or operator.options["WeightsFormat"]:
        raise TinyctlError(f"a weight of shape {stored.shape!s:.60} for {x.value.width} columns")
    bias = np.zeros(len(weight)) if bias is None else bias.reshape(-1)
    if bias.shape != weight.shape[:1]:
        raise TinyctlError(f"a bias of shape {bias.shape!s:.60} for {len(weight)} rows")
    units = reader.units(operator, x)
    if units is None or x.units is None:
        if stored.dtype == "int8":
            note = "the interpreter rounds what enters the layers of int8 weights; here it stays float32"
            reader.notes += [note] if note not in reader.notes else []
        return reader.fused(operator, Columns(reader.body.dense(x.value, weight, bias, name)))
    if stored.dtype != "int8" or stored.data is None or stored.zero_point.any() or stored.axis:
        raise TinyctlError("its weights are not symmetric int8 by rows", fix="convert in int8 or int16x8")
    if len(operator.inputs) > 2 and operator.inputs[2] >= 0:  # in steps of the sums, whatever its tensor tells
        told = reader.tensor(operator.inputs[2]).data
        if told is None or told.dtype.kind != "i":
            raise TinyctlError("a bias that is not of integers")
        bias = told.reshape(-1)
    unit = np.broadcast_to(stored.scale, (len(weight),))
    y = integers.dense(reader.body, x, stored.data, unit, bias, units, name)
    return reader.fused(operator, y)


def _arithmetic(reader: _Reader, operator: Operator) -> Columns:
    """A computed value and a constant; or the sum of two in float32."""
    a, b = operator.inputs
    name = reader.named(operator)
    if a in reader.known and b in reader.known:
        left, right = reader.columns(operator, 0), reader.columns(operator, 1)
        if operator.kind != "ADD" or left.units or right.units:
            raise TinyctlError(
                "of two computed values is not read" + (" in integers" if operator.kind == "ADD" else ""),
                fix="import the float model and quantize it here" if operator.kind == "ADD" else None,
            )
        return reader.fused(operator, Columns(reader.body.add(left.value, right.value, name)))
    flipped = b in reader.known
    x, constant = reader.columns(operator, int(flipped)), reader.constant(a if flipped else b)
    assert constant is not None
    if constant.size not in (1, x.value.width):
        raise TinyctlError(f"a constant of shape {constant.shape!s:.60} for {x.value.width} columns")
    c, one = np.broadcast_to(constant.reshape(-1), (x.value.width,)), np.ones(x.value.width)
    if operator.kind == "DIV" and (flipped or not c.all()):
        raise TinyctlError("divides by a computed value or by zero")
    gain, offset = {
        "ADD": (one, c),
        "SUB": (-one if flipped else one, c if flipped else -c),
        "MUL": (c, 0 * one),
        "DIV": (1 / c, 0 * one),
    }[operator.kind]
    units = reader.units(operator, x)
    if units is None:
        y = Columns(reader.body.scale(x.value, gain, offset, name))
    elif units.dtype == "int8" and constant.size == 1:
        y = integers.function(reader.body, x, lambda v: v * gain[0] + offset[0], units, name)
    else:
        y = integers.affine(reader.body, x, gain, offset, units, name)
    return reader.fused(operator, y)


def _limit(reader: _Reader, operator: Operator) -> Columns:
    flipped = operator.inputs[1] in reader.known
    x, constant = reader.columns(operator, int(flipped)), reader.constant(operator.inputs[not flipped])
    if constant is None or constant.size not in (1, x.value.width):
        raise TinyctlError("is not of a computed value and a constant")
    units, c, name = reader.units(operator, x), constant.reshape(-1), reader.named(operator)
    infinity = np.full(c.shape, np.inf)
    low, high = (c, infinity) if operator.kind == "MAXIMUM" else (-infinity, c)
    if units is None:
        return Columns(reader.body.clip(x.value, low, high, name))
    if c.size > 1:
        raise TinyctlError("with a limit for each column is not read in integers")
    clamped = integers.clamp(reader.body, x, float(low[0]), float(high[0]), name)
    return integers.requantize(reader.body, clamped, units, name)


def _quantize(reader: _Reader, operator: Operator) -> Columns:
    x, units = reader.columns(operator, 0), _units(reader.tensor(operator.outputs[0]))
    if x.units is None:
        return reader.quantize(x, units, reader.named(operator))
    if x.units.dtype != units.dtype:
        raise TinyctlError(f"makes {units.dtype} of {x.units.dtype}", fix="convert with one type throughout")
    return integers.requantize(reader.body, x, units, reader.named(operator))


def _dequantize(reader: _Reader, operator: Operator) -> Columns:
    return Columns(integers.decode(reader.body, reader.columns(operator, 0), reader.named(operator)))


def _same(reader: _Reader, operator: Operator) -> Columns:
    x = reader.columns(operator, 0)
    if prod(reader.tensor(operator.outputs[0]).shape) != x.value.width:
        raise TinyctlError(f"makes {reader.tensor(operator.outputs[0]).shape!s:.60} of {x.value.width} columns")
    return x


def _concat(reader: _Reader, operator: Operator) -> Columns:
    parts = [reader.columns(operator, place) for place in range(len(operator.inputs))]
    if operator.options["Axis"] not in (-1, len(reader.tensor(operator.outputs[0]).shape) - 1):
        raise TinyctlError("along another axis than the last")
    units = [reader.units(operator, part) for part in parts]
    name = reader.named(operator)
    if units[0] is None:
        joined = Columns(reader.body.concat(tuple(part.value for part in parts), name))
    else:
        joined = integers.concat(reader.body, parts, units[0], name)
    return reader.fused(operator, joined)


OPERATORS: dict[str, Callable[[_Reader, Operator], Any]] = {
    **dict.fromkeys((*(k for k in CLAMPS if k != "RELU_N1_TO_1"), *CURVES), _unary),
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV"), _arithmetic),
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), _limit),
    **dict.fromkeys(PLAIN, _same),
    "FULLY_CONNECTED": _fully_connected,
    "LEAKY_RELU": _leaky_relu,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "CONCATENATION": _concat,
}
