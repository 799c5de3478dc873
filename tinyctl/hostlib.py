"""The emitted C on the host: compiled to a shared library and stepped in batches through ctypes."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.sequences import due
from tinyctl.templates import template
from tinyctl.toolchains import SHARED, host_cc, run
from tinyctl.unit import Unit, load_unit

FLAGS = ("-std=c99", "-O3")


class HostController:
    """`n` copies of an emitted unit, each with its own state."""

    def __init__(
        self,
        folder: Path,
        compiler: str | None = None,
        flags: tuple[str, ...] = FLAGS,
        library: ctypes.CDLL | None = None,
    ) -> None:
        """Compile the unit in `folder` with the host's compiler, or the one named ("gcc", "zig"); or take it from a
        `library` made by `compile_units`."""
        self.unit: Unit = load_unit(folder)
        self._library = library or compile_units([folder], compiler, flags)
        self._struct_bytes = int(self._call("struct_bytes"))
        self._states = np.zeros((0, self._struct_bytes // 4), np.uint32)
        self.status = np.zeros(0, np.uint32)

    def reset(self, n: int) -> None:
        """Start with `n` fresh copies."""
        self._states = np.zeros((n, self._struct_bytes // 4), np.uint32)
        self.status = np.zeros(n, np.uint32)
        self._call("init", _pointer(self._states), n)

    def restart(self, rows: Array) -> None:
        """Put the chosen copies (n,) bool back to the start."""
        chosen = np.ascontiguousarray(rows, np.uint8)
        self._call("reset", _pointer(self._states), _pointer(chosen), len(chosen))

    def step(self, obs: Array) -> Array:
        """Observations (n, n_obs) to actions (n, n_act), float32; `status` then holds the status words."""
        obs = np.ascontiguousarray(obs, F32)
        if obs.shape != (len(self._states), self.unit.n_obs):
            raise TinyctlError(f"observations {obs.shape} for {len(self._states)} copies of {self.unit.n_obs} inputs")
        act = np.empty((len(obs), self.unit.n_act), F32)
        self._call("step", _pointer(self._states), _pointer(obs), _pointer(act), _pointer(self.status), len(obs))
        return act

    def step_q(self, obs_q: Array) -> Array:
        """The integer entry: observations (n, n_obs) to actions (n, n_act), of the unit's types."""
        if obs_q.shape != (len(self._states), self.unit.n_obs) or obs_q.dtype.name != self.unit.obs_q:
            raise TinyctlError(
                f"observations are {obs_q.dtype} of shape {obs_q.shape}, not {self.unit.obs_q or 'possible'}"
            )
        act = np.empty((len(obs_q), self.unit.n_act), self.unit.act_q)
        arrays = (self._states, np.ascontiguousarray(obs_q), act, self.status)
        self._call("step_q", *map(_pointer, arrays), len(obs_q))
        return act

    def set_applied(self, act: Array) -> None:
        """Tell every copy what was applied instead of its returned action (n, n_act)."""
        act = np.ascontiguousarray(act, F32).reshape(len(self._states), self.unit.n_act)
        self._call("set_applied", _pointer(self._states), _pointer(act), len(act))

    def words(self) -> Array:
        """(n, state words) uint32, as `State.words`."""
        return self._states[:, : self.unit.state_bytes // 4].copy()

    def _call(self, what: str, *arguments: Any) -> Any:
        return getattr(self._library, f"{self.unit.name}_batch_{what}")(*arguments)

    def selftest(self) -> int:
        """The unit's own self-test: 0 when all stored steps agree."""
        return int(getattr(self._library, f"{self.unit.name}_selftest")())


class HostPlayer:
    """The emitted player of a unit that gives sequences, over the copies of its controller: a controller at the rate of
    the task, as `sequences.Player`. Decisions take no time; every `miss`-th does not come."""

    def __init__(self, controller: HostController, every: int, miss: int = 0) -> None:
        self._controller, self._every, self._miss = controller, every, miss
        self._players = np.zeros((0, 0), np.uint32)
        self.tick = 0

    def reset(self, n: int) -> None:
        self._controller.reset(n)
        self._players = np.zeros((n, int(self._controller._call("player_bytes")) // 4), np.uint32)
        self._controller._call("player_init", _pointer(self._players), n)
        self.tick = 0

    def step(self, obs: Array) -> Array:
        """Observations (n, n_obs) of a tick to its actions, float32; `status` then holds the words."""
        own, obs = self._controller, np.ascontiguousarray(obs, F32)
        own.status[:] = 0
        if due(self.tick, self._every, self._miss):
            arrays = (self._players, own._states, obs, own.status)
            own._call("decide", *map(_pointer, arrays), len(obs))
        act = np.empty((len(obs), own.unit.n_act // own.unit.length), F32)
        own._call("act", *map(_pointer, (self._players, act, own.status)), len(obs))
        self.tick += 1
        return act

    @property
    def status(self) -> Array:
        """(n,) uint32, of the last tick."""
        return self._controller.status

    def set_applied(self, act: Array) -> None:
        """Tell every player what was applied instead of its last action (n, actions of a tick)."""
        self._controller._call("player_set_applied", *map(_pointer, (self._players, np.asarray(act, F32))), len(act))


def compile_units(folders: Iterable[Path], compiler: str | None = None, flags: tuple[str, ...] = FLAGS) -> ctypes.CDLL:
    """A shared library for this process with the units of emitted folders, whose names differ."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        source, library = Path(scratch, "batch.c"), Path(scratch, "batch.so")
        texts, words = [], []
        for folder in folders:
            unit = load_unit(folder)
            facts = {name: getattr(unit, name) for name in ("n_obs", "n_act", "obs_q", "act_q", "length")}
            texts.append(template("batch.c.j2").render(unit=unit.name, **facts))
            # On a machine with FPU the integer entry would not be there.
            words += [f"-I{folder.resolve()}", f"-D{unit.name.upper()}_STEP_Q=1"]
        source.write_text("\n".join(texts))
        run([*host_cc(compiler), *flags, *SHARED, *words, source, "-o", library], what="compiling for the host")
        return ctypes.CDLL(str(library))  # stays loaded after the file is gone


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
