"""Observation normalisers as users export them: mean, variance and clip in an `.npz` or JSON file."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.jsons import parse_json
from tinyctl.layers.base import Array

MAX_BYTES = 16 << 20
EPSILON = 1e-8  # Stable-Baselines3's and Gymnasium's default
KEYS = frozenset({"mean", "var", "clip", "epsilon"})


@dataclass(frozen=True)
class Normalizer:
    """`clip((x - mean) / sqrt(var + epsilon), -clip, clip)` by columns; `clip` None: unlimited."""

    mean: Array
    var: Array
    clip: float | None = None
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.var.shape or not self.mean.size:
            raise TinyctlError(f"mean {self.mean.shape} and var {self.var.shape} are not two equally long vectors")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.var).all() and (self.var >= 0).all()):
            raise TinyctlError("mean or var has a value that is not finite, or a negative variance")
        if not (0 <= self.epsilon < 1 and (self.var + self.epsilon > 0).all()):
            raise TinyctlError(f"epsilon {self.epsilon!r:.30} leaves a variance of zero, or is not small")
        if self.clip is not None and not 0 < self.clip <= 1e6:
            raise TinyctlError(f"clip {self.clip!r:.30} is not between 0 and 1e6")


def load_normalizer(path: Path) -> Normalizer:
    """Read `mean`, `var` and optionally `clip` and `epsilon` from `.npz` (never a pickle) or JSON."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"larger than {MAX_BYTES >> 20} MiB", where=path)
        record = _npz(path) if path.suffix == ".npz" else _json(path)
        if not {"mean", "var"} <= set(record) <= KEYS:
            raise FileError("does not hold mean and var (and clip, epsilon)", where=path)
        return Normalizer(
            np.asarray(record["mean"], np.float64).reshape(-1),
            np.asarray(record["var"], np.float64).reshape(-1),
            None if record.get("clip") is None else float(record["clip"]),
            float(record.get("epsilon", EPSILON)),
        )
    except FileNotFoundError:
        raise FileError("no such file", where=path) from None
    except FileError:
        raise
    except TinyctlError as error:
        raise FileError(str(error), where=path) from None
    except (
        OSError,
        ValueError,
        TypeError,
        EOFError,
        KeyError,
        OverflowError,
        zipfile.BadZipFile,
        SyntaxError,
    ) as error:
        raise FileError(f"not the statistics of a normaliser ({error})", where=path, fix="see docs/import.md") from None
    except (NotImplementedError, RuntimeError, MemoryError) as error:
        raise FileError(f"damaged ({error})", where=path) from None


def _json(path: Path) -> dict[str, Any]:
    record = parse_json(path.read_bytes(), where=path)
    if not isinstance(record, dict):
        raise FileError("not a JSON object", where=path)
    return record


def _npz(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:  # a member must not unfold to more than the limit
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise FileError(f"unfolds to more than {MAX_BYTES >> 20} MiB", where=path)
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files if name in KEYS}
