"""Programs that `torch.export.save` wrote (`.pt2`): a zip of one JSON graph and plain arrays, read without PyTorch.

PyTorch's own loader evaluates expressions that stand in the file; here a size that is not a number is the batch.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS, MAX_FILE_BYTES
from tinyctl.importers.parts.body import Body, Value
from tinyctl.importers.parts.torch_operations import Call, apply
from tinyctl.jsons import parse_json
from tinyctl.layers.base import Array

MODEL = "models/model.json"
STORES = (("data/weights", "model_weights_config.json"), ("data/constants", "model_constants_config.json"))
TYPES = {7: "float32", 8: "float64"}  # torch._export.serde.schema.ScalarType
FOLDED: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "neg": np.negative,
    "sqrt": np.sqrt,
    "t": np.transpose,
    "clone": np.asarray,
    "detach": np.asarray,
}
MAX_TOTAL = 1 << 24  # elements of all tensors together
NUMBERS = ("as_int", "as_float", "as_bool")


class Program:
    """The graph of a program and its tensors, float64 by the names that the graph gives them."""

    def __init__(self, data: bytes) -> None:
        members = _members(data)
        if MODEL not in members:
            raise FileError("no models/model.json inside: not a program of torch.export.save, or of PyTorch before 2.8")
        module = parse_json(members[MODEL], where=MODEL)["graph_module"]
        self.graph, signature = module["graph"], module["signature"]
        tensors: dict[str, Array] = {}
        total = 0
        for folder, index in STORES:
            found = parse_json(members.get(f"{folder}/{index}", b'{"config": {}}'), where=index)["config"]
            for name, entry in found.items():
                tensors[name] = _tensor(name, entry, members.get(f"{folder}/{entry['path_name']}", b""))
                total += tensors[name].size
                if total > MAX_TOTAL:
                    raise TinyctlError(f"more than {MAX_TOTAL} numbers; this project is for small networks")
        self.known: dict[str, Any] = {}
        inputs = []
        for spec in signature["input_specs"]:
            ((kind, told),) = spec.items()
            if kind == "user_input":
                inputs.append(told["arg"]["as_tensor"]["name"])
            else:
                self.known[told["arg"]["name"]] = tensors[told[f"{kind}_name"]]
        if len(inputs) != 1:
            raise TinyctlError(f"{len(inputs)} inputs; one is read", fix="export the actor alone")
        self.input: str = inputs[0]
        shape = self._shape(self.input)
        if len(shape) > 1 and shape[0] != 1:
            raise TinyctlError(
                f"a batch of {shape[0]}", where=f"input {self.input!s:.60}", fix="export with a batch of 1"
            )
        self.n_in = prod(shape)

    def walk(self, body: Body, x: Value) -> Value:
        """The value of the only output."""
        self.known[self.input] = x
        for node in self.graph["nodes"]:
            (result,) = node["outputs"]
            name = result["as_tensor"]["name"]
            places = [i["arg"] for i in node["inputs"] if i.get("kind", 1) == 1]
            args = [self._argument(arg, name) for arg in places]
            shapes = tuple(self._shape(a["as_tensor"]["name"]) if "as_tensor" in a else () for a in places)
            others = [i for i in node["inputs"] if i.get("kind", 1) != 1]
            keywords = {i["name"]: self._argument(i["arg"], name) for i in others}
            dtype = TYPES.get(self.graph["tensor_values"][name]["dtype"], "another type")
            call = Call(name, str(node["target"]), shapes, self._shape(name), dtype, keywords)
            computed = any(isinstance(value, Value) for value in args)
            self.known[name] = apply(body, call, args) if computed else _fold(call, args)
        (output,) = self.graph["outputs"]
        y = self.known[output["as_tensor"]["name"]]
        if not isinstance(y, Value):
            raise TinyctlError("does not return a tensor that depends on the observation")
        return y

    def _shape(self, name: str) -> tuple[int, ...]:
        """Of a value; a size that is no number is the batch of one. (0,) when it is not possible here."""
        sizes = [size.get("as_int", 1) for size in self.graph["tensor_values"][name]["sizes"]]
        return tuple(sizes) if all(s > 0 for s in sizes) and prod(sizes) <= MAX_ELEMENTS else (0,)

    def _argument(self, arg: dict[str, Any], where: str) -> Any:
        ((kind, value),) = arg.items()
        if kind == "as_tensor":
            return self.known[value["name"]]
        if kind == "as_none":
            return None
        if kind in NUMBERS and isinstance(value, int | float):
            return value
        if kind == "as_ints" and all(isinstance(v, int) for v in value):
            return list(value)
        raise TinyctlError(f"an operand {kind!s:.30} is not read", where=f"node {where!s:.60}")


def read_program(data: bytes) -> tuple[Program, Body]:
    """A program and the body for its network. Raises `TinyctlError`."""
    try:
        program = Program(data)
        return program, Body(program.n_in)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FileError(f"its graph is not understood ({type(error).__name__})") from None


def walk(program: Program, body: Body, x: Value) -> Value:
    """The value of its output for the input `x`."""
    try:
        return program.walk(body, x)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FileError(f"its graph is not understood ({type(error).__name__})") from None


def _members(data: bytes) -> dict[str, bytes]:
    """What stands in the file, by the path below its only folder."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE_BYTES:
                raise FileError(f"unfolds to more than {MAX_FILE_BYTES >> 20} MiB")
            return {entry.filename.partition("/")[2]: archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise FileError(f"not a zip file, or damaged ({error})") from None


def _tensor(name: str, entry: dict[str, Any], raw: bytes) -> Array:
    """A stored array, float64."""
    meta, where = entry["tensor_meta"], f"tensor {name!r:.80}"
    shape = tuple(size["as_int"] for size in meta["sizes"])
    dtype = TYPES.get(meta["dtype"])
    if dtype is None or entry["use_pickle"]:
        raise TinyctlError("is pickled, or not of real numbers", where=where, fix="export in float32")
    if not all(isinstance(s, int) and 0 < s <= MAX_ELEMENTS for s in shape) or prod(shape) > MAX_ELEMENTS:
        raise TinyctlError(f"a shape {shape!s:.60} is not possible here", where=where)
    steps = [prod(shape[k + 1 :]) for k in range(len(shape))]
    if meta["storage_offset"]["as_int"] or [s["as_int"] for s in meta["strides"]] != steps:
        raise TinyctlError("does not lie in order", where=where, fix="export a module with contiguous tensors")
    if len(raw) != prod(shape) * np.dtype(dtype).itemsize:
        raise TinyctlError(f"{len(raw)} bytes do not fit {shape!s:.60} of {dtype}", where=where)
    with np.errstate(invalid="ignore"):  # a signalling NaN
        return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).reshape(shape).astype(np.float64)


def _fold(call: Call, args: list[Any]) -> Array:
    """An operation on constants alone: only such as make nothing larger."""
    kind = call.target.removeprefix("torch.ops.aten.").partition(".")[0]
    if kind not in FOLDED or len(args) != 1:
        raise TinyctlError(
            f"{call.target!s:.60} of constants is not read", where=call.where, fix="use tinyctl.from_torch, or ONNX"
        )
    with np.errstate(all="ignore"):
        return np.asarray(FOLDED[kind](args[0]), np.float64)
