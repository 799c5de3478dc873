"""Answers of nonlinear MPC that are computed once: each takes milliseconds, and a training that is run again asks for
the same ones.

An answer depends on all that the expert has been told since its reset. So each is kept under a hash of the expert, of
that, and of the state it is for, one file for a flight in the cache folder. Where a flight leaves the kept one, the
expert is told what it has missed and goes on by itself.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tinyctl.files import write_atomically
from tinyctl.sims.experts.mpc import OPTIONS, Predictive
from tinyctl.sims.plant import Array
from tinyctl.toolchains import cache_folder


class Recalled:
    """An expert, with the answers of another. `save` keeps those of the flight since the last reset."""

    def __init__(self, expert: Predictive) -> None:
        self.expert, self._identity = expert, _identity(expert)

    def reset(self, n: int) -> None:
        self.expert.reset(n)
        self._key = hashlib.sha256(f"{self._identity} {n}".encode()).digest()
        self._path: Path | None = None
        self._keys: list[bytes] = []
        self._answers: list[Array] = []
        self._kept: dict[bytes, Array] = {}
        self._missed: list[Callable[[], object]] = []  # what the expert has not been told

    def act(self, x: Array) -> Array:
        self._told(x)
        if self._path is None:
            self._path = cache_folder() / "answers" / f"{self._key.hex()[:32]}.npz"
            self._kept = _read(self._path, (len(x), self.expert.model.nu))
        answer = self._kept.get(self._key)
        if answer is None:
            self._catch_up()
            answer = self.expert.act(x)
        else:
            self._missed.append(partial(self.expert.act, x.copy()))
        self._keys.append(self._key)
        self._answers.append(answer)
        return answer.copy()

    def set_applied(self, action: Array) -> None:
        self._told(action)
        self._missed.append(partial(self.expert.set_applied, action.copy()))

    def save(self) -> None:
        """Write the flight's answers where some are new."""
        if self._path is not None and not self._kept.keys() >= set(self._keys):
            written = io.BytesIO()
            np.savez(written, keys=np.frombuffer(b"".join(self._keys), np.uint8), answers=np.stack(self._answers))
            write_atomically(self._path, written.getvalue())

    def _told(self, values: Array) -> None:
        self._key = hashlib.sha256(self._key + np.ascontiguousarray(values).tobytes()).digest()

    def _catch_up(self) -> None:
        for tell in self._missed:
            tell()
        self._missed.clear()


def _identity(expert: Predictive) -> str:
    """All that an answer depends on beside what the expert is told: its model, horizon and options, and this code."""
    model = expert.model
    functions = [f.serialize() for f in (model.step, model.cost)]
    code = [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    box = [side.tolist() for side in (*model.box(), np.array(model.task.contract.initial_applied()))]
    return repr((version("casadi"), OPTIONS, expert.steps, box, functions, code))


def _read(path: Path, shape: tuple[int, int]) -> dict[bytes, Array]:
    """The answers of a file by their keys; none where it is not there or not whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            keys, answers = file["keys"].reshape(-1, 32), file["answers"]
    except Exception:  # NumPy raises many kinds
        return {}
    if answers.dtype != np.float32 or answers.shape != (len(keys), *shape):
        return {}
    return {key.tobytes(): answer for key, answer in zip(keys, answers, strict=True)}
