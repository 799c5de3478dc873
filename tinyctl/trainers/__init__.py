"""Training algorithms, one self-contained file each: a documented dataclass `Config`, and

    train(plant, task, *, config, seed, progress) -> TrainResult

A configuration made of text, as a command line or a file of somebody's gives it, is checked field by field.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any

from tinyctl.errors import TinyctlError, ToolMissing

ALGORITHMS = {
    "apg": "analytic policy gradient",
    "dictionary": "sums of a few monomials",
    "flow": "imitation in a few steps of a flow",
    "imitate": "imitation of an expert or a policy",
    "koopman": "a regulator of the modes of monomials",
    "recurrent": "imitation by a network with memory, of a teacher that knows more",
    "rl": "any Gymnasium environment, through Stable-Baselines3",
}
MODELS = {"dynamics": "a ReLU network of the plant, for the expert mip"}  # `train` returns a Policy that does not fly
EXTRAS = {"rl": "sb3"}  # what to install for an algorithm, where it is not `train`


def algorithm(name: str) -> Any:
    """The module of an algorithm; its packages are imported here."""
    if name not in ALGORITHMS | MODELS:
        raise TinyctlError(f"no training algorithm {name!r}", fix=f"one of {', '.join(ALGORITHMS | MODELS)}")
    try:
        return import_module(f"tinyctl.trainers.{name}")
    except ImportError as error:
        if error.name and error.name.startswith("tinyctl"):
            raise
        extra = EXTRAS.get(name, "train")
        raise ToolMissing(
            f"the Python package {error.name} is not installed", fix=f"pip install 'tinyctl[{extra}]'"
        ) from None


def configured(name: str, settings: Mapping[str, str]) -> Any:
    """The `Config` of algorithm `name` with these fields set from text, e.g. `hidden` from `64,64`."""
    return filled(algorithm(name).Config, name, settings)


def filled(kind: Any, name: str, settings: Mapping[str, str]) -> Any:
    """The dataclass `kind`, the settings of `name`, with these fields set from text."""
    hints = typing.get_type_hints(kind)
    if unknown := set(settings) - {f.name for f in fields(kind)}:
        known = ", ".join(f.name for f in fields(kind))
        raise TinyctlError(f"{name} has no setting {min(unknown)!r}", fix=f"one of {known}")
    return kind(**{key: _parsed(text, hints[key], key) for key, text in settings.items()})


def _parsed(text: str, hint: Any, key: str) -> Any:
    """`text` as a bool, int, float, str, an optional of these, or a tuple of these separated by commas."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if text == "none":
            return None
        hint = next(h for h in typing.get_args(hint) if h is not type(None))
    if typing.get_origin(hint) is tuple:
        parts, kinds = [part for part in text.split(",") if part], typing.get_args(hint)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(parts)
        if len(parts) != len(kinds):
            raise TinyctlError(f"{key}={text!r} is not {len(kinds)} values separated by commas")
        return tuple(_parsed(part, kind, key) for part, kind in zip(parts, kinds, strict=True))
    if typing.get_origin(hint) is typing.Literal:
        if text not in typing.get_args(hint):
            raise TinyctlError(f"{key}={text!r}", fix=f"one of {', '.join(typing.get_args(hint))}")
        return text
    if hint is bool:
        if text not in ("true", "false"):
            raise TinyctlError(f"{key}={text!r} is neither true nor false")
        return text == "true"
    try:
        return hint(text)
    except ValueError:
        raise TinyctlError(f"{key}={text!r} is not of type {hint.__name__}") from None
