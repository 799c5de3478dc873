"""Stable-Baselines3: the actors of PPO, A2C, SAC, TD3 and DDPG from the `.zip` that `model.save` writes.

Read are `policy.pth` (tensors alone) and the plain parts of `data` (JSON). The pickled parts are never unpickled.

An actor that chooses one of n actions becomes n outputs, its preferences: the choice is the largest, the first of
equals, as `argmax` has it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_FILE_BYTES, Imported, Request, contract_of, preferences, read_bytes
from tinyctl.importers.parts.body import Body, add_chain
from tinyctl.importers.parts.torch_file import read_state_dict, weighted_layers
from tinyctl.layers.base import Array

SUFFIXES = (".zip",)
MAX_TEXT = 1 << 18  # characters of an array's text
ACTIVATIONS = {"ReLU": "relu", "Tanh": "tanh", "ELU": "elu", "LeakyReLU": "leaky_relu", "Sigmoid": "sigmoid"}
EXPORT = "np.savez('stats.npz', mean=v.obs_rms.mean, var=v.obs_rms.var, clip=v.clip_obs, epsilon=v.epsilon)"


@dataclass(frozen=True)
class _Family:
    """Algorithms whose actors are stored alike: the pattern of their layers in order, and what follows."""

    title: str
    layers: tuple[str, ...]
    activation: str
    squashed: bool


FAMILIES = (
    _Family("PPO or A2C", (r"mlp_extractor\.policy_net\.\d+", "action_net"), "tanh", squashed=False),
    _Family("SAC", (r"actor\.latent_pi\.\d+", r"actor\.mu"), "relu", squashed=True),
    _Family("TD3 or DDPG", (r"actor\.mu\.\d+",), "relu", squashed=True),
)


def read(request: Request) -> Imported:
    """Import a saved model."""
    data, tensors = _members(read_bytes(request.path))
    family = next((f for f in FAMILIES if _layers(f, tensors)), None)
    if family is None:
        raise TinyctlError(
            "no actor of PPO, A2C, SAC, TD3 or DDPG inside", fix="other algorithms: export the actor to ONNX"
        )
    if any("features_extractor" in key for key in tensors):
        raise TinyctlError("a features extractor with weights is not read", fix="export the actor to ONNX")
    if family.squashed and data.get("use_sde"):
        raise TinyctlError("use_sde with a squashed action is not read", fix="export the actor to ONNX")
    kwargs = data.get("policy_kwargs")
    kwargs = kwargs if isinstance(kwargs, dict) else {}
    if kwargs.get("squash_output") not in (None, False) and not family.squashed:
        raise TinyctlError("squash_output is not read", fix="export the actor to ONNX")
    notes = _normalization(request, data, family)
    pairs = weighted_layers(
        {
            f"{n}.{p}": tensors[f"{n}.{p}"]
            for n in _layers(family, tensors)
            for p in ("weight", "bias")
            if f"{n}.{p}" in tensors
        }
    )
    between = _activation(kwargs, family)
    body = Body(pairs[0][1][0].shape[1])
    x = body.input if request.normalizer is None else body.normalize(body.input, request.normalizer)
    kinds = ("dense", *((between, "dense") * (len(pairs) - 1)), *(("tanh",) if family.squashed else ()))
    y = add_chain(body, x, kinds, pairs)
    choices = _choices(data.get("action_space"))
    if choices is not None:
        if family.squashed or choices != y.width:
            raise TinyctlError(f"{choices} choices do not fit an actor with {y.width} outputs", where="action_space")
        contract, warnings = contract_of(request, body.input.width, y.width, output_names=preferences(choices))
        return Imported(body.policy(y, contract), f"Stable-Baselines3 {family.title}", tuple(warnings + notes))
    low, high = _box(data.get("action_space"), y.width)
    if family.squashed:
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise TinyctlError("the action space is not finite", where="action_space")
        y = body.scale(y, (high - low) / 2, (high + low) / 2, "action_scale")  # from [-1, 1] to the box
    else:
        y = body.clip(y, low, high, "action_clip")
    contract, warnings = contract_of(request, body.input.width, y.width, output_range=(low, high))
    return Imported(body.policy(y, contract), f"Stable-Baselines3 {family.title}", tuple(warnings + notes))


def _members(raw: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            for name in ("data", "policy.pth"):
                if name not in entries:
                    raise FileError(f"no {name!r} inside: not a saved Stable-Baselines3 model")
                if entries[name].file_size > MAX_FILE_BYTES:
                    raise FileError(f"{name} unfolds to more than {MAX_FILE_BYTES >> 20} MiB")
            text, weights = (archive.read(entries[name]) for name in ("data", "policy.pth"))
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise FileError(f"not a zip file, or damaged ({error})") from None
    try:
        data = json.loads(text)  # with Infinity and NaN, which settings may be
    except (ValueError, RecursionError) as error:
        raise FileError(f"data is not valid JSON ({error})") from None
    if not isinstance(data, dict):
        raise FileError("data is not a JSON object")
    return data, read_state_dict(weights)


def _layers(family: _Family, tensors: dict[str, Array]) -> list[str]:
    """The names of the actor's layers in order; none when it is not of this family."""
    names = [key[: -len(".weight")] for key in tensors if key.endswith(".weight")]
    found = [[name for name in names if re.fullmatch(pattern, name)] for pattern in family.layers]
    if not found[-1]:
        return []
    return [name for group in found for name in sorted(group, key=lambda n: int("0" + re.sub(r"\D", "", n)))]


def _activation(kwargs: dict[str, Any], family: _Family) -> str:
    """The activation between the layers: the policy's default, or what `activation_fn` in the plain text says."""
    told = kwargs.get("activation_fn")
    if told is None:
        return family.activation
    name = re.fullmatch(r"<class 'torch\.nn\.modules\.activation\.(\w{1,40})'>", str(told)[:200])
    if name is None or name[1] not in ACTIVATIONS:
        raise TinyctlError(f"activation_fn {told!r:.80} is not read", fix=f"known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name[1]]


def _normalization(request: Request, data: dict[str, Any], family: _Family) -> list[str]:
    """Whether the model was trained with VecNormalize, and whether the request fits; notes.

    `_last_original_obs` is set in PPO and A2C only when observations pass through a VecNormalize
    (stable_baselines3/common/base_class.py); SAC, TD3 and DDPG always set it, so that their files do not tell.
    """
    certain = not family.squashed and bool(data.get("num_timesteps"))
    wrapped = data.get("_last_original_obs") is not None
    if request.normalizer is not None:
        return ["the file says that no VecNormalize was used"] if certain and not wrapped else []
    if request.unnormalized:
        return (
            ["the file says that a VecNormalize was used; right if it had norm_obs=False"]
            if certain and wrapped
            else []
        )
    if certain and not wrapped:
        return []
    told = "was trained with VecNormalize" if certain else "does not tell whether VecNormalize was used"
    raise TinyctlError(
        f"the model {told}, whose statistics it does not hold",
        fix=f"--normalize stats.npz, written by {EXPORT} where v is the VecNormalize; or --no-normalize",
    )


def _choices(space: Any) -> int | None:
    """How many actions there are to choose from; None when they are numbers."""
    if not isinstance(space, dict) or "discrete.Discrete'" not in str(space.get(":type:"))[:200]:
        return None
    text = str(space.get("n"))[:10]
    if not text.isdecimal() or int(text) < 1:
        raise TinyctlError(f"{text!r} is not a number of choices", where="action_space")
    return int(text)


def _box(space: Any, n_act: int) -> tuple[Array, Array]:
    """low and high (n_act,) of the action space, from the text beside its pickled form."""
    if not isinstance(space, dict) or "Box" not in str(space.get(":type:"))[:200]:
        raise TinyctlError("is neither a Box nor a Discrete: other actions are not read", where="action_space")
    sides = []
    for key in ("low", "high"):
        text = str(space.get(key))[:MAX_TEXT]
        words = re.sub(r"[\[\]]", " ", text).split()
        if "..." in words:  # NumPy shortens long arrays; the short form is there when all values are equal
            words = [str(space.get(f"{key}_repr"))[:40]] * n_act
        try:
            sides.append(np.array([float(word) for word in words]))
        except ValueError:
            raise TinyctlError(f"{key} {text!r:.60} is not a list of numbers", where="action_space") from None
    if any(side.shape != (n_act,) or np.isnan(side).any() for side in sides) or not (sides[0] < sides[1]).all():
        raise TinyctlError(f"is not a range of {n_act} actions", where="action_space")
    return sides[0], sides[1]
