"""ONNX: feed-forward networks with one input and static widths. Metadata of Isaac Lab and mjlab exports is heeded.

The graph is walked once; each value is either a constant array, folded, or columns that a node computes. Nothing but
protobuf parses the file: no shape inference, no checker, no external data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS, Imported, Request, contract_of, missing, read_bytes
from tinyctl.importers.parts.body import Body, Value
from tinyctl.importers.parts.onnx_constants import SHAPES, array, attribute, where
from tinyctl.importers.parts.onnx_constants import constant as fold_constant
from tinyctl.jsons import parse_json
from tinyctl.layers.base import Array

SUFFIXES = (".onnx",)
CONTRACT_KEY = "tinyctl.contract"  # of our own exports, whose input, once screened, is the value SCREENED
SCREENED = "tinyctl.screened"
MAX_ONNX_NODES = 2000
MAX_FOLDED = 1 << 24  # elements that folding constants may make in all
RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
ACTIVATION_OPS: dict[str, tuple[str, float | None]] = {  # layer, default of the attribute alpha
    "Relu": ("relu", None),
    "Tanh": ("tanh", None),
    "Sigmoid": ("sigmoid", None),
    "Softsign": ("softsign", None),
    "LeakyRelu": ("leaky_relu", 0.01),
    "Elu": ("elu", 1.0),
}
ROBOT_KEYS = ("observation_names", "joint_names", "action_scale", "default_joint_pos")


@dataclass(frozen=True)
class Columns:
    """What a node computes: `shape` as ONNX has it, 0 for the dynamic batch; its columns in C order are `value`."""

    value: Value
    shape: tuple[int, ...]


Operand = Array | Columns


def read(request: Request) -> Imported:
    """Import an ONNX file."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise missing("onnx", "onnx") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_bytes(request.path))
    except (DecodeError, ValueError, RecursionError) as error:
        raise FileError(f"not an ONNX file, or damaged ({error})", where=request.path) from None
    if not model.graph.node and not model.graph.input:
        raise FileError("no graph inside: not an ONNX file", where=request.path)
    metadata = {p.key: p.value for p in model.metadata_props}
    reader = _Reader(model.graph)
    body, result = reader.network(request, CONTRACT_KEY in metadata)
    found = None
    if CONTRACT_KEY in metadata:
        found = Contract.from_json(parse_json(metadata[CONTRACT_KEY], where=f"metadata {CONTRACT_KEY}"))
    inputs, outputs, notes = _robot(metadata, reader.n_in, result.width)
    contract, warnings = contract_of(
        request,
        reader.n_in,
        result.width,
        found=found,
        input_names=inputs,
        output_names=outputs,
        output_range=body.final_range(result),
    )
    return Imported(body.policy(result, contract), "ONNX", tuple(warnings + notes))


def _robot(metadata: dict[str, str], n_in: int, n_out: int) -> tuple[list[str] | None, list[str] | None, list[str]]:
    """Names of inputs and outputs, and notes, from the comma-separated lists that Isaac Lab and mjlab attach."""
    lists = {key: metadata[key].split(",") for key in ROBOT_KEYS if metadata.get(key)}
    terms, joints = lists.get("observation_names"), lists.get("joint_names")
    notes = []
    if terms and len(terms) != n_in:
        notes.append(f"observation terms in order: {', '.join(terms)!s:.300}; the file does not tell their widths")
    if "action_scale" in lists:
        scale, rest = (", ".join(lists.get(k, ["unknown"]))[:200] for k in ("action_scale", "default_joint_pos"))
        notes.append(
            "the actions are the network's raw output; as metadata says (to three decimals), joint position = "
            f"default_joint_pos ({rest}) + action_scale ({scale}) * action"
        )
    same = terms is not None and len(terms) == n_in
    return terms if same else None, joints if joints and len(joints) == n_out else None, notes


class _Reader:
    """Walks the nodes that the wanted output needs."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.folded = 0
        self.n_in = 0
        self.values: dict[str, Operand] = {}

    def network(self, request: Request, screened: bool) -> tuple[Body, Value]:
        graph = self.graph
        if len(graph.node) > MAX_ONNX_NODES:
            raise TinyctlError(f"{len(graph.node)} nodes; at most {MAX_ONNX_NODES} are possible")
        for node in graph.node:
            if node.op_type in RECURRENT:
                raise TinyctlError(
                    f"{node.op_type} is recurrent, which tinyctl does not have yet",
                    where=where(node),
                    fix="export an MLP",
                )
        if graph.sparse_initializer:
            raise TinyctlError("sparse initializers are not read", fix="export dense ones")
        for tensor in graph.initializer:
            self.values[tensor.name] = array(tensor)
        self.body, output = self._input(), self._output(request.output)
        source = self.values[self._input_name]
        assert isinstance(source, Columns)
        if screened:
            self.values[SCREENED] = source
        if request.normalizer is not None:
            self.values[self._input_name] = Columns(self.body.normalize(source.value, request.normalizer), source.shape)
        for node in _needed(graph.node, output, set(self.values)):
            self._node(node)
        result = self.values.get(output)
        if not isinstance(result, Columns):
            raise TinyctlError("does not depend on the input", where=f"output {output!r:.80}")
        return self.body, result.value

    def _input(self) -> Body:
        inputs = [i for i in self.graph.input if i.name not in self.values]
        if len(inputs) != 1:
            raise TinyctlError(
                f"{len(inputs)} inputs ({', '.join(i.name for i in inputs)!s:.120}); one is read",
                fix="export the actor alone, its observation as one vector",
            )
        name, kind = inputs[0].name, inputs[0].type.tensor_type
        if kind.elem_type != 1:
            raise TinyctlError("is not float32", where=f"input {name!r:.80}", fix="export in float32")
        if not kind.HasField("shape") or not 1 <= len(kind.shape.dim) <= 8:
            raise TinyctlError("has no shape of 1 to 8 axes", where=f"input {name!r:.80}", fix="export static shapes")
        shape = [0 if d.WhichOneof("value") != "dim_value" else int(d.dim_value) for d in kind.shape.dim]
        for axis, size in enumerate(shape):
            if size < 1 and (axis or len(shape) == 1):
                raise TinyctlError(
                    f"axis {axis} is dynamic", where=f"input {name!r:.80}", fix="export with only the batch dynamic"
                )
        if len(shape) > 1 and shape[0] > 1:
            raise TinyctlError(
                f"the batch is fixed to {shape[0]}", where=f"input {name!r:.80}", fix="export with a batch of 1"
            )
        inner = shape[1:] if len(shape) > 1 else shape
        if prod(inner) > MAX_ELEMENTS:
            raise TinyctlError(f"{prod(inner)} columns are too many", where=f"input {name!r:.80}")
        self.n_in = prod(inner)
        body = Body(self.n_in)
        self.values[name] = Columns(body.input, (0, *inner) if len(shape) > 1 else tuple(shape))
        self._input_name = name
        return body

    def _output(self, wanted: str | None) -> str:
        names = [o.name for o in self.graph.output]
        if wanted is None and len(names) != 1:
            raise TinyctlError(
                f"{len(names)} outputs ({', '.join(names)!s:.120})", fix="choose the action with --output NAME"
            )
        chosen: str = names[0] if wanted is None else wanted
        if chosen not in names:
            raise TinyctlError(f"no output {chosen!r:.60}", fix=f"there are {', '.join(names)!s:.120}")
        return chosen

    def _node(self, node: Any) -> None:
        if node.domain not in ("", "ai.onnx"):
            raise TinyctlError(f"operator of the domain {node.domain!r:.60}", where=where(node))
        operands = [self._operand(name, node) if name else None for name in node.input]
        if not node.output:
            raise TinyctlError("has no output", where=where(node))
        columns = [o for o in operands if isinstance(o, Columns)]
        if not columns:
            result: Operand = self._fold(node, operands)
        elif node.op_type in OPERATORS:
            try:
                with np.errstate(all="ignore"):  # what is not finite is refused by name where it would enter a layer
                    result = OPERATORS[node.op_type](self, node, operands)
            except (IndexError, TypeError, AttributeError, ValueError) as error:  # an operand missing or of wrong kind
                raise TinyctlError(f"malformed or unsupported form ({error})", where=where(node)) from None
        else:
            raise TinyctlError(
                "is not an operator that is read", where=where(node), fix=f"those are {', '.join(sorted(OPERATORS))}"
            )
        if node.output[0] in self.values:
            raise TinyctlError("computes a value that exists already", where=where(node))
        self.values[node.output[0]] = result

    def _operand(self, name: str, node: Any) -> Operand:
        if name not in self.values:
            raise TinyctlError(f"reads {name!r:.80}, which nothing before it computes", where=where(node))
        return self.values[name]

    def _fold(self, node: Any, operands: list[Any]) -> Array:
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(fold_constant(node, operands))
        except (IndexError, TypeError, AttributeError, ValueError, KeyError) as error:
            raise TinyctlError(f"constants that cannot be folded ({error})", where=where(node)) from None
        self.folded += result.size
        if result.size > MAX_ELEMENTS or self.folded > MAX_FOLDED:
            raise TinyctlError("folds to too large constants", where=where(node))
        return result


def _hint(node: Any) -> str:
    return str(node.name or node.op_type.lower())


def _needed(nodes: Iterable[Any], output: str, known: set[str]) -> list[Any]:
    """The nodes that `output` depends on, in order, but for values that are known."""
    wanted, found = {output} - known, []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            wanted.update(set(node.input) - known)
            found.append(node)
    return found[::-1]


def _shape(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    """A new shape of the same columns; the batch stays first."""
    x = operands[0]
    if not isinstance(x, Columns) or any(isinstance(o, Columns) for o in operands[1:]):
        raise TinyctlError("the shape depends on the input", where=where(node), fix="export static shapes")
    wanted = SHAPES[node.op_type](node, operands, x.shape)
    width = x.value.width
    if node.op_type == "Squeeze":  # of the batch too: it is one then
        return Columns(x.value, tuple(wanted))
    if x.shape[:1] == (0,):
        rest = wanted[1:]
        if -1 in wanted[1:]:
            known = prod(d for d in wanted[1:] if d != -1)
            rest = [width // known if d == -1 and known else d for d in wanted[1:]]
        if not wanted or wanted[0] not in (0, -1, 1) or prod(rest) != width or 0 in rest:
            raise TinyctlError(f"moves columns into the batch: {wanted!s:.60}", where=where(node))
        return Columns(x.value, (0, *rest))
    known = prod(d for d in wanted if d != -1)
    shape = tuple(width // known if d == -1 and known else d for d in wanted)
    if prod(shape) != width:
        raise TinyctlError(f"a shape {wanted!s:.60} for {width} columns", where=where(node))
    # A vector that gains an axis in front gains the batch.
    return Columns(x.value, (0, *shape[1:]) if len(shape) > 1 and shape[0] == 1 else shape)


# --- operators on columns ---------------------------------------------------------------------------------------------


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


def _affine(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    a, b = operands
    if isinstance(a, Columns) and isinstance(b, Columns):
        if node.op_type != "Add" or a.shape != b.shape:
            raise TinyctlError(f"of two computed values {a.shape} and {b.shape} is not read", where=where(node))
        return Columns(reader.body.add(a.value, b.value, _hint(node)), a.shape)
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
    return Columns(reader.body.scale(x.value, gain, offset, name), x.shape)


def _last_axis(x: Columns, node: Any) -> None:
    """A product runs over the last axis: all others must be of size one."""
    if prod(d or 1 for d in x.shape[:-1]) != 1 or not x.shape or x.shape[-1] != x.value.width:
        raise TinyctlError(f"a product with shape {x.shape}", where=where(node), fix="flatten the observation first")


def _gemm(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
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
    return Columns(reader.body.dense(x.value, matrix, bias, _hint(node)), (*x.shape[:-1], len(matrix)))


def _matmul(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
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
    y = reader.body.dense(x.value, matrix, np.zeros(len(matrix)), _hint(node))
    if flipped:
        return Columns(y, (y.width,) if x.shape[:1] != (0,) else (0, y.width, 1))
    return Columns(y, (*x.shape[:-1], y.width))


def _activation(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    (x,) = operands
    kind, alpha = ACTIVATION_OPS[node.op_type]
    parameters = () if alpha is None else (float(attribute(node, "alpha", alpha)),)
    return Columns(reader.body.activation(x.value, kind, _hint(node), *parameters), x.shape)


def _clip(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
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
    return Columns(reader.body.clip(x.value, sides[0], sides[1], _hint(node)), x.shape)


def _limit(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    x, constant = operands if isinstance(operands[0], Columns) else operands[::-1]
    if isinstance(constant, Columns):
        raise TinyctlError("of two computed values is not read", where=where(node))
    c = _across(x, constant, node)
    low, high = (c, np.inf) if node.op_type == "Max" else (-np.inf, c)
    return Columns(reader.body.clip(x.value, low, high, _hint(node)), x.shape)


def _same(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    if node.op_type == "Cast" and attribute(node, "to", 1) != 1:
        raise TinyctlError("casts to another type than float32", where=where(node))
    if node.op_type == "Dropout" and len(operands) > 2 and (isinstance(operands[2], Columns) or operands[2].any()):
        raise TinyctlError("is in training mode", where=where(node), fix="export after module.eval()")
    return operands[0]


def _negative(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    (x,) = operands
    return Columns(reader.body.scale(x.value, -1.0, 0.0, _hint(node)), x.shape)


def _batch_normalization(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    x, gain, offset, mean, variance = operands
    _last_axis(x, node)
    vectors = [v.astype(np.float64).reshape(x.value.width) for v in (gain, offset, mean, variance)]
    slope = vectors[0] / np.sqrt(vectors[3] + attribute(node, "epsilon", 1e-5))
    return Columns(reader.body.scale(x.value, slope, vectors[1] - vectors[2] * slope, _hint(node)), x.shape)


def _concat(reader: _Reader, node: Any, operands: list[Any]) -> Columns:
    if len(operands) == 1:
        return operands[0]
    if not all(isinstance(o, Columns) and o.shape[:-1] == operands[0].shape[:-1] for o in operands):
        raise TinyctlError("of constants and computed values, or of other shapes", where=where(node))
    if attribute(node, "axis", None) not in (-1, len(operands[0].shape) - 1):
        raise TinyctlError("along another axis than the last", where=where(node))
    for x in operands:
        _last_axis(x, node)
    made = reader.body.concat(tuple(o.value for o in operands), _hint(node))
    return Columns(made, (*operands[0].shape[:-1], made.width))


OPERATORS: dict[str, Callable[[_Reader, Any, list[Any]], Columns]] = {
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
}
