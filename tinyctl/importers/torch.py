"""PyTorch: a `state_dict` with a layer list, what CleanRL saves, exported programs. No pickle is loaded: files go
through `weights_only`, programs are read as JSON."""

from __future__ import annotations

import re

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.importers.base import Imported, Request, contract_of, read_bytes
from tinyctl.importers.parts.body import ARRAYS, Body, Value, Weighted, add_chain
from tinyctl.importers.parts.torch_file import read_state_dict, weighted_layers
from tinyctl.importers.parts.torch_program import read_program, walk
from tinyctl.layers.base import Array

SUFFIXES = (".pt", ".pth", ".bin", ".cleanrl_model", ".pt2")
SQUASHED = {"fc_mu": "CleanRL TD3 or DDPG", "fc_mean": "CleanRL SAC"}  # the last layer of actors that end in tanh


def read(request: Request) -> Imported:
    """Import a file of `torch.save` or `torch.export.save`."""
    if request.path.suffix.lower() == ".pt2":
        return _program(request)
    tensors = read_state_dict(read_bytes(request.path))
    last = next((name for name in SQUASHED if f"{name}.weight" in tensors), None)
    if last is not None:
        return _squashed(request, tensors, last)
    if any(re.fullmatch(r"actor_mean\.\d+\.weight", key) for key in tensors):
        return _cleanrl_ppo(request, tensors)
    return _chain(request, tensors)


def _program(request: Request) -> Imported:
    """A program of torch.export."""
    program, body = read_program(read_bytes(request.path))
    x = body.input if request.normalizer is None else body.normalize(body.input, request.normalizer)
    return _finish(request, body, walk(program, body, x), "PyTorch program", [])


def _chain(request: Request, tensors: dict[str, Array]) -> Imported:
    """A plain chain, of which the file has the weights and the user the layers."""
    actor = {key: value for key, value in tensors.items() if key.startswith("actor.")}
    pairs = weighted_layers(actor or tensors)
    if not request.layers:
        raise TinyctlError(
            f"a state_dict does not tell the layers between its {len(pairs)} with weights",
            fix=f"give --layers, for instance {_for_instance(pairs)!s:.120}",
        )
    dropped = [key for key in tensors if key not in actor] if actor else []
    if any("norm" in key for key in dropped):
        raise TinyctlError("the file has a normaliser beside the actor", fix="import its ONNX export instead")
    body, x = _start(request, pairs)
    notes = [f"only the tensors of the actor are used, not {', '.join(dropped)!s:.200}"] if dropped else []
    return _finish(request, body, add_chain(body, x, request.layers, pairs), "PyTorch state_dict", notes)


def _for_instance(pairs: list[Weighted]) -> str:
    words = ["dense,tanh" if len(arrays) == ARRAYS["dense"] else "lstm" for _, arrays in pairs]
    return ",".join(words).removesuffix(",tanh")


def _cleanrl_ppo(request: Request, tensors: dict[str, Array]) -> Imported:
    if request.normalizer is None and not request.unnormalized:
        raise TinyctlError(
            "CleanRL's PPO normalises observations and does not save the statistics",
            fix="give --normalize stats.npz (docs/import.md) or, for an agent trained without, --no-normalize",
        )
    pairs = weighted_layers({key: value for key, value in tensors.items() if key.startswith("actor_mean.")})
    kinds = request.layers or ("dense", *(("tanh", "dense") * (len(pairs) - 1)))
    body, x = _start(request, pairs)
    return _finish(request, body, add_chain(body, x, kinds, pairs), "CleanRL PPO", [])


def _squashed(request: Request, tensors: dict[str, Array], last: str) -> Imported:
    """CleanRL's TD3, DDPG and SAC actors: relu between, tanh at the end, scaled to the action space."""
    hidden = [key[: -len(".weight")] for key in tensors if re.fullmatch(r"fc\d+\.weight", key)]
    names = [*sorted(hidden, key=lambda name: int(name[2:])), last]
    keys = [f"{name}.{part}" for name in names for part in ("weight", "bias")]
    pairs = weighted_layers({key: tensors[key] for key in keys if key in tensors})
    for key in ("action_scale", "action_bias"):
        if key not in tensors:
            raise TinyctlError(f"{key!r} is missing", fix="save the actor's whole state_dict, its buffers too")
    kinds = request.layers or ("dense", *(("relu", "dense") * (len(pairs) - 1)), "tanh")
    body, x = _start(request, pairs)
    y = add_chain(body, x, kinds, pairs)
    gain, offset = (tensors[key].reshape(-1) for key in ("action_scale", "action_bias"))
    for key, values in (("action_scale", gain), ("action_bias", offset)):
        if values.size not in (1, y.width):
            raise TinyctlError(f"{values.size} values for {y.width} actions", where=f"tensor {key!r}")
    gain, offset = np.broadcast_to(gain, (y.width,)), np.broadcast_to(offset, (y.width,))
    span = (offset - np.abs(gain), offset + np.abs(gain))
    return _finish(request, body, body.scale(y, gain, offset, "action_scale"), SQUASHED[last], [], span)


def _start(request: Request, pairs: list[Weighted]) -> tuple[Body, Value]:
    body = Body(pairs[0][1][0].shape[1])
    return body, body.input if request.normalizer is None else body.normalize(body.input, request.normalizer)


def _finish(
    request: Request, body: Body, y: Value, source: str, notes: list[str], span: tuple[Array, Array] | None = None
) -> Imported:
    contract, warnings = contract_of(request, body.input.width, y.width, output_range=span or body.final_range(y))
    return Imported(body.policy(y, contract), source, tuple(warnings + notes))
