"""A PyTorch module of this very process to a policy: `torch.export` gives the operations, one after the other.

For modules with a plain forward of one vector: linear layers, activations, clamps, arithmetic with constants. Whatever
depends on constants alone is computed by PyTorch. The result is replayed against the module before it is returned.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.importers.base import Request, contract_of
from tinyctl.importers.parts.body import Body, Value
from tinyctl.layers.base import F32, Array
from tinyctl.policy import Policy

REPLAYED = 16  # observations on which policy and module are compared
TOLERANCE = 1e-4  # of the largest action; float32 sums in another order differ by less


def from_torch(module: torch.nn.Module, contract: Contract) -> Policy:
    """The policy that computes what `module` computes for one observation (1, columns of the contract), in eval mode.

    Raises `TinyctlError`, which names the operation, for a module that is more than a plain network.
    """
    n_in = len(contract.inputs)
    training = module.training
    module.eval()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            exported = torch.export.export(module, (torch.zeros(1, n_in),))
    except Exception as error:  # torch raises whatever the module's code made it raise
        raise TinyctlError(
            f"torch.export cannot trace it for {n_in} inputs ({type(error).__name__})",
            where=f"module {type(module).__name__!s:.60}",
            fix="its forward must take one tensor (1, columns of the contract) and have no branches",
        ) from None
    finally:
        module.train(training)
    body = Body(n_in)
    y = _walk(exported, body)
    if y.width != len(contract.outputs):
        raise TinyctlError(f"the contract has {len(contract.outputs)} outputs, the module {y.width}")
    _replay(exported.module(), body, y)
    return body.policy(y, contract)


def _walk(exported: Any, body: Body) -> Value:
    """The value of the output; every node is a constant tensor or columns of the body."""
    known: dict[str, Any] = {}
    signature = exported.graph_signature
    tensors = {**exported.constants, **exported.state_dict}
    stored = {spec.arg.name: spec.target for spec in signature.input_specs if spec.target is not None}
    for node in exported.graph.nodes:
        if node.op == "placeholder":
            known[node.name] = tensors[stored[node.name]].detach() if node.name in stored else body.input
        elif node.op == "output":
            (outputs,) = node.args
            if len(outputs) != 1 or not isinstance(known.get(getattr(outputs[0], "name", "")), Value):
                raise TinyctlError("does not return one tensor that depends on the observation")
            result: Value = known[outputs[0].name]
            return result
        elif node.op == "call_function":
            known[node.name] = _call(node, known, body)
        else:
            raise TinyctlError(f"{node.op} is not read", where=_where(node))
    raise TinyctlError("has no output")


def _call(node: Any, known: dict[str, Any], body: Body) -> Any:
    args = [known[a.name] if hasattr(a, "name") else a for a in node.args]
    if not any(isinstance(a, Value) for a in args):
        with torch.no_grad():
            return node.target(*args, **node.kwargs)
    name = str(node.target).split(".")[1]
    if name not in OPERATIONS:
        raise TinyctlError(
            f"{node.target!s:.60} is not read", where=_where(node), fix=f"these are: {', '.join(sorted(OPERATIONS))}"
        )
    try:
        return OPERATIONS[name](body, node, args)
    except (TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise TinyctlError(f"a form that is not read ({error})", where=_where(node)) from None


def _where(node: Any) -> str:
    return f"node {node.name!s:.60}"


def _numbers(value: Any) -> Array:
    return np.asarray(value.to(torch.float64) if isinstance(value, torch.Tensor) else value, np.float64)


def _across(node: Any, x_at: int, value: Any) -> Array:
    """A constant, broadcast to the columns of the operand `x_at`."""
    shape = tuple(node.args[x_at].meta["val"].shape)
    return np.broadcast_to(_numbers(value), shape).reshape(-1)


def _linear(body: Body, node: Any, args: list[Any]) -> Value:
    x, weight = args[:2]
    if tuple(node.args[0].meta["val"].shape)[-1] != x.width:
        raise ValueError("a product with more than one row")
    bias = args[2] if len(args) > 2 else None
    matrix = _numbers(weight)
    return body.dense(x, matrix, np.zeros(len(matrix)) if bias is None else _numbers(bias), node.name)


def _matmul(body: Body, node: Any, args: list[Any]) -> Value:
    return _linear(body, node, [args[0], args[1].T])


def _addmm(body: Body, node: Any, args: list[Any]) -> Value:
    bias, x, weight = args
    matrix = _numbers(weight).T
    return body.dense(x, matrix, np.broadcast_to(_numbers(bias), (len(matrix),)), node.name)


def _arithmetic(kind: str) -> Callable[[Body, Any, list[Any]], Value]:
    def call(body: Body, node: Any, args: list[Any]) -> Value:
        if kind == "add" and len(args) == 2 and not node.kwargs and all(isinstance(a, Value) for a in args):
            return body.add(args[0], args[1], node.name)
        if len(args) != 2 or node.kwargs or all(isinstance(a, Value) for a in args):
            raise ValueError("not a computed value and a constant")
        at = 0 if isinstance(args[0], Value) else 1
        x, c = args[at], _across(node, at, args[1 - at])
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
        return body.scale(x, gain, offset, node.name)

    return call


def _clamp(body: Body, node: Any, args: list[Any]) -> Value:
    given = dict(zip(("min", "max"), args[1:], strict=False)) | dict(node.kwargs)
    low, high = given.get("min"), given.get("max")
    ends = (-np.inf if low is None else _across(node, 0, low), np.inf if high is None else _across(node, 0, high))
    return body.clip(args[0], ends[0], ends[1], node.name)


def _hardtanh(body: Body, node: Any, args: list[Any]) -> Value:
    low, high = args[1:] or (-1.0, 1.0)
    return body.clip(args[0], low, high, node.name)


def _activation(kind: str) -> Callable[[Body, Any, list[Any]], Value]:
    def call(body: Body, node: Any, args: list[Any]) -> Value:
        return body.activation(args[0], kind, node.name, *(float(a) for a in args[1:]))

    return call


def _same(body: Body, node: Any, args: list[Any]) -> Value:
    """Another shape of the same columns in the same order."""
    x: Value = args[0]
    if node.meta["val"].numel() != x.width or node.meta["val"].dtype != torch.float32:
        raise ValueError("changes the number of columns or their type")
    return x


OPERATIONS: dict[str, Callable[[Body, Any, list[Any]], Value]] = {
    "linear": _linear,
    "matmul": _matmul,
    "mm": _matmul,
    "addmm": _addmm,
    **{kind: _arithmetic(kind) for kind in ("add", "sub", "rsub", "mul", "div")},
    "neg": lambda body, node, args: body.scale(args[0], -1.0, 0.0, node.name),
    "clamp": _clamp,
    "hardtanh": _hardtanh,
    **{kind: _activation(kind) for kind in ("relu", "tanh", "sigmoid", "elu", "leaky_relu")},
    **dict.fromkeys(
        ("flatten", "view", "reshape", "squeeze", "unsqueeze", "alias", "clone", "detach", "dropout"), _same
    ),
}


def _replay(module: Any, body: Body, y: Value) -> None:
    """Compare with the module on random observations."""
    contract, _ = contract_of(Request(Path(), rate_hz=1.0), body.input.width, y.width)  # lets every value through
    trial = body.policy(y, contract)
    x = 3 * np.random.default_rng(0).standard_normal((REPLAYED, body.input.width)).astype(F32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = np.stack([np.asarray(module(torch.from_numpy(row[None]))).reshape(-1) for row in x])
    worst = float(np.abs(trial.run(x, trial.init(len(x)))[0] - wanted).max())
    if not worst <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
        raise TinyctlError(f"the policy differs from the module by {worst:.2g}", fix="please report the module")
