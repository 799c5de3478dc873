"""A training that goes on later: all that its next step depends on, in one file of arrays and JSON, no pickle."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import write_atomically
from tinyctl.jsons import parse_json
from tinyctl.layers.base import Array

MAX_BYTES = 256 << 20
SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """`arrays` by name, and `facts` of JSON. `made_by` is what a training must have in common to go on from here."""

    arrays: dict[str, Array]
    facts: dict[str, Any]
    made_by: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the one before stays until this one is complete."""
    text = json.dumps({"schema": SCHEMA, "facts": checkpoint.facts, "made_by": checkpoint.made_by}, allow_nan=False)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, json=np.frombuffer(text.encode(), np.uint8), **checkpoint.arrays)
    write_atomically(path, buffer.getvalue())


def load(path: Path, made_by: dict[str, Any], shapes: dict[str, Array]) -> Checkpoint:
    """Read a checkpoint whose arrays have the types and shapes of `shapes`; raises `FileError` for anything else, and
    `TinyctlError` for one of another training."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"larger than {MAX_BYTES >> 20} MiB", where=path)
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        record = parse_json(found.pop("json").tobytes(), where=path)
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror or error})", where=path) from None
    except FileError:
        raise
    except Exception as error:  # NumPy raises many kinds for a damaged archive
        raise FileError(f"no checkpoint, or damaged ({type(error).__name__})", where=path) from None
    if not isinstance(record, dict) or set(record) != {"schema", "facts", "made_by"} or record["schema"] != SCHEMA:
        raise FileError("no checkpoint of this version", where=path)
    told = json.loads(json.dumps(made_by))
    if record["made_by"] != told:
        differing = sorted(k for k in {*told, *record["made_by"]} if told.get(k) != record["made_by"].get(k))
        raise TinyctlError(f"is of a training with another {', '.join(differing)}", where=path)
    if {n: (a.dtype, a.shape) for n, a in found.items()} != {n: (a.dtype, a.shape) for n, a in shapes.items()}:
        raise FileError("its arrays are not those of this training", where=path)
    return Checkpoint(found, record["facts"], told)


def exact(value: float) -> str:
    """A float as text that reads back to the same, also where it is not finite."""
    return float(value).hex()
