"""A PyTorch module of this very process to a policy: `torch.export` gives the operations, one after the other.

For modules with a plain forward of one vector: linear layers, activations, clamps, arithmetic with constants. Whatever
depends on constants alone is computed by PyTorch. The result is replayed against the module before it is returned.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.importers.base import Request, contract_of
from tinyctl.importers.parts.body import Body, Value
from tinyctl.importers.parts.torch_operations import Call, apply
from tinyctl.layers.base import F32
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
            raise TinyctlError(f"{node.op} is not read", where=f"node {node.name!s:.60}")
    raise TinyctlError("has no output")


def _call(node: Any, known: dict[str, Any], body: Body) -> Any:
    args = [known[a.name] if hasattr(a, "name") else a for a in node.args]
    if not any(isinstance(a, Value) for a in args):
        with torch.no_grad():
            return node.target(*args, **node.kwargs)
    shapes = tuple(tuple(a.meta["val"].shape) if hasattr(a, "name") else () for a in node.args)
    result = node.meta["val"]
    dtype = str(result.dtype).removeprefix("torch.")
    call = Call(node.name, str(node.target), shapes, tuple(result.shape), dtype, dict(node.kwargs))
    arrays = [a.to(torch.float64).numpy() if isinstance(a, torch.Tensor) else a for a in args]
    return apply(body, call, arrays)


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
