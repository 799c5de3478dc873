"""Tensors from files that `torch.save` wrote, never anything else: `weights_only`, sizes checked before and after."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import MAX_ELEMENTS, MAX_FILE_BYTES, missing
from tinyctl.importers.parts.body import Weighted
from tinyctl.layers.base import Array

MAX_TENSORS = 4096
MAX_TOTAL = 1 << 24  # elements of all tensors together
CELL_PARTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of GRU and LSTM, in their order
WRAPPERS = ("model_state_dict", "state_dict")


def read_state_dict(data: bytes) -> dict[str, Array]:
    """The floating-point tensors of a saved `state_dict` as float64, in the file's order.

    A tuple or list stands for its first entry (CleanRL saves the actor first), a dictionary with `model_state_dict` or
    `state_dict` for that. Raises `TinyctlError` for anything else.
    """
    found = _load(data)
    if isinstance(found, tuple | list) and found:
        found = found[0]
    if isinstance(found, dict):
        aside = next((key for key, value in found.items() if "norm_state" in str(key) and value), None)
        if aside is not None:
            raise TinyctlError(f"a normaliser ({aside!s:.40}) beside the weights", fix="import the actor's ONNX export")
        found = next((found[key] for key in WRAPPERS if isinstance(found.get(key), dict)), found)
    if not isinstance(found, dict) or not 0 < len(found) <= MAX_TENSORS:
        raise TinyctlError("not a state_dict", fix="save it with torch.save(module.state_dict(), FILE)")
    tensors: dict[str, Array] = {}
    total = 0
    for name, value in found.items():
        if not isinstance(name, str):
            raise TinyctlError("not a state_dict: a key is not a string")
        array = _array(name, value)
        if array is not None:
            total += array.size
            tensors[name] = array
        if total > MAX_TOTAL:
            raise TinyctlError(f"more than {MAX_TOTAL} numbers; this project is for small networks")
    return tensors


def _load(data: bytes) -> Any:
    try:
        import torch
    except ImportError:
        raise missing("torch", "torch") from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # A member must not unfold to more than it takes in the file, nor stand for bytes of another.
            if sum(entry.file_size for entry in archive.infolist()) > MAX_FILE_BYTES:
                raise FileError(f"unfolds to more than {MAX_FILE_BYTES >> 20} MiB")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise FileError(
            f"not a file of torch.save, or damaged ({error})", fix="save it with PyTorch 1.6 or newer"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that torch itself still reads
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file raises whatever it likes inside torch
        raise FileError(
            f"holds more than tensors, or is damaged ({type(error).__name__})",
            fix="save the weights alone: torch.save(module.state_dict(), FILE)",
        ) from None


def _array(name: str, value: Any) -> Array | None:
    """A tensor as float64; None for integers (counters). Its size is checked before anything is copied."""
    import torch

    where = f"tensor {name!r:.80}"
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.device.type != "cpu":
        raise TinyctlError("is not a plain tensor", where=where, fix="save module.state_dict()")
    if value.numel() > MAX_ELEMENTS:
        raise TinyctlError(f"{value.numel()} numbers are too many", where=where)
    if value.is_quantized or value.is_complex():
        raise TinyctlError("is not a tensor of real numbers", where=where)
    if not value.is_floating_point():
        return None
    return np.array(value.detach().to(torch.float64).numpy())


def weighted_layers(tensors: dict[str, Array]) -> list[Weighted]:
    """The linear layers (weight, bias) and recurrent cells (weights of the input and of the recalled output, and their
    biases), in the file's order; every tensor must belong to one."""
    found: dict[str, Weighted] = {}
    for key, value in tensors.items():
        where = f"tensor {key!r:.80}"
        stem, _, part = key.rpartition(".")
        cell = re.fullmatch(r"(?:weight|bias)_(?:ih|hh)_(l\d+)", part)
        bias = part == "bias" and f"{stem}.weight" in tensors
        if part != "weight" and not bias and cell is None:
            raise TinyctlError(
                "does not belong to a linear layer, nor to a one-way GRU or LSTM",
                where=where,
                fix="import its ONNX export",
            )
        if value.ndim != 1 + (part.startswith("weight")):
            raise TinyctlError(f"shape {value.shape} is no {part}", where=where, fix="import its ONNX export")
        if cell is not None:
            name = f"{stem}_{cell[1]}".lstrip("_")
            parts = [tensors.get(key.replace(part, f"{kind}_{cell[1]}")) for kind in CELL_PARTS]
            if parts[0] is None or parts[1] is None:
                raise TinyctlError("a cell without both weights", where=where)
            none = np.zeros(len(parts[0]))
            found[name] = name, tuple(none if array is None else array for array in parts)
        elif not bias:
            found[stem] = stem or "dense", (value, tensors.get(f"{stem}.bias", np.zeros(len(value))))
    if not found:
        raise TinyctlError("no linear layer inside")
    return list(found.values())
