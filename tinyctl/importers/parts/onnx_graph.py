"""Walks an ONNX graph once: each value is either a constant array, folded, or columns that a node computes."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS, Request
from tinyctl.importers.parts.body import Body, Value
from tinyctl.importers.parts.onnx_constants import array, where
from tinyctl.importers.parts.onnx_constants import constant as fold_constant
from tinyctl.importers.parts.onnx_operators import CELLS, OPERATORS, Columns, Operand
from tinyctl.layers.base import Array

SCREENED = "tinyctl.screened"  # in our own exports the input once it is screened
PLUMBING = (  # on the way to the state that a cell starts from
    *("Concat", "Constant", "ConstantOfShape", "Expand", "Gather", "Identity", "Reshape"),
    *("Shape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"),
)
MAX_ONNX_NODES = 2000
MAX_FOLDED = 1 << 24  # elements that folding constants may make in all


class Reader:
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
        states = self._first_states()
        inputs = [i for i in self.graph.input if i.name not in self.values and i.name not in states]
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
        operands = [self._operand(name, node) if name else None for name in _read(node)]
        if not node.output:
            raise TinyctlError("has no output", where=where(node))
        columns = [o for o in operands if isinstance(o, Columns)]
        if not columns:
            result: Operand = self._fold(node, operands)
        elif node.op_type in OPERATORS:
            try:
                with np.errstate(all="ignore"):  # what is not finite is refused by name where it would enter a layer
                    result = OPERATORS[node.op_type](self.body, node, operands)
            except (IndexError, TypeError, AttributeError, ValueError) as error:  # an operand missing or of wrong kind
                raise TinyctlError(f"malformed or unsupported form ({error})", where=where(node)) from None
        else:
            raise TinyctlError(
                "is not an operator that is read", where=where(node), fix=f"those are {', '.join(sorted(OPERATORS))}"
            )
        results = {node.output[0]: result}
        if node.op_type in CELLS and isinstance(result, Columns) and len(node.output) > 1:
            results |= {node.output[1]: Columns(result.value, (0, 1, result.value.width))}  # the last of one step
        for name, value in results.items():
            if name in self.values:
                raise TinyctlError("computes a value that exists already", where=where(node))
            self.values[name] = value

    def _first_states(self) -> set[str]:
        """The inputs that carry the state of cells from step to step, which the policy keeps by itself."""
        makers = {name: node for node in self.graph.node for name in node.output}
        found: set[str] = set()
        for cell in self.graph.node:
            wanted = [name for name in cell.input[5:7] if name] if cell.op_type in CELLS else []
            while wanted:
                name = wanted.pop()
                constant = self.values.get(name)
                if isinstance(constant, np.ndarray) and constant.dtype.kind == "f" and constant.any():
                    raise TinyctlError("starts from another state than zero", where=where(cell))
                if name in makers and makers[name].op_type not in PLUMBING:
                    raise TinyctlError("computes the state it starts from", where=where(cell))
                wanted += makers[name].input if name in makers else []
                found.add(name)
        return found

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


def _needed(nodes: Iterable[Any], output: str, known: set[str]) -> list[Any]:
    """The nodes that `output` depends on, in order, but for values that are known."""
    wanted, found = {output} - known, []
    for node in reversed(list(nodes)):
        if wanted & set(node.output):
            wanted.update(set(_read(node)) - known)
            found.append(node)
    return found[::-1]


def _read(node: Any) -> list[str]:
    """The values a node needs; the state a cell starts from is its own business."""
    return list(node.input[:5] if node.op_type in CELLS else node.input)
