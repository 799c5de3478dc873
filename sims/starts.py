"""Starts of episodes in a file: where a controller failed, for training to begin there."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyctl.errors import FileError
from tinyctl.files import write_atomically
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.plant import Array

MAX_BYTES = 1 << 28
NAMES = ("x", "d", "p")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format's zero: the same starts give the same bytes


@dataclass(frozen=True)
class Starts:
    """States `x` (n, nx) with goals, disturbances `d` (n, nd), and parameters `p` (n, np), float32."""

    x: Array
    d: Array
    p: Array


def write_starts(path: Path, starts: Starts) -> None:
    """Write them as `.npz`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # `numpy.savez` would write the date
        for name in NAMES:
            array = io.BytesIO()
            np.save(array, np.ascontiguousarray(getattr(starts, name)), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), array.getvalue())
    write_atomically(path, buffer.getvalue())


def read_starts(path: str | Path, kernel: Kernel) -> Starts:
    """The starts of a file, which may come from anyone; raises `FileError` unless they fit the kernel's plant."""
    plant, task = kernel.plant, kernel.task
    widths = (len(plant.state_columns(task)), max(len(plant.disturbances), 1), max(len(plant.parameters), 1))
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise FileError(f"larger than {MAX_BYTES >> 20} MiB", where=path)
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in NAMES}
    except FileError:
        raise
    except Exception as error:  # NumPy and zipfile raise many kinds
        raise FileError(f"not a file of starts ({error})", where=path) from None
    for (name, array), width in zip(found.items(), widths, strict=True):
        fits = array.dtype == np.float32 and array.ndim == 2 and array.shape == (len(found["x"]), width)
        if not fits or not len(array) or not np.isfinite(array).all():
            raise FileError(f"{name} is {array.dtype}{array.shape}, not finite float32(n, {width})", where=path)
    return Starts(**found)
