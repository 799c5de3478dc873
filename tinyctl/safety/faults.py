"""Sensor faults, and a controller that suffers them: what a guard is tried with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.safety.guard import groups_of
from tinyctl.sims.loop import Controller
from tinyctl.sims.plant import Task

Kind = Literal["stuck", "delay", "flip", "noise", "lost"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DELAY_S = 0.1
LOST_S = 0.1
NOISE = 10.0  # times that of the task, on top of it
ONSET_S = 2.0  # a fault begins within this time: in the recovery from the start, or in what follows


@dataclass
class Faulty:
    """A controller behind a fault of `kind` in one sensor group of each episode, from a moment of the first `ONSET_S`
    on: the group stays as it is (stuck), comes `DELAY_S` late, with the wrong sign (flip), with tenfold noise, or is
    NaN for `LOST_S`. Group and onset depend on the seed and the episode's row alone. `group` (n,) tells which it
    was."""

    controller: Controller
    task: Task
    kind: Kind
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TinyctlError(f"no fault {self.kind!r:.40}", fix=f"one of {', '.join(KINDS)}")

    def reset(self, n: int) -> None:
        self.controller.reset(n)
        groups, rate = groups_of(self.task.contract), self.task.contract.rate_hz
        self._rng = np.random.default_rng([self.seed, KINDS.index(self.kind)])
        self.group = self._rng.integers(0, len(groups), n)
        self._onset = self._rng.integers(1, max(2, round(ONSET_S * rate)), n)
        self._late, self._lost = max(1, round(DELAY_S * rate)), max(1, round(LOST_S * rate))
        self._hit = np.zeros((n, self.task.contract.n_obs), bool)
        for i, (_, first, count) in enumerate(groups):
            self._hit[self.group == i, first : first + count] = True
        self._past: list[Array] = []

    def step(self, observations: Array) -> Array:
        k, obs = len(self._past), np.asarray(observations, F32)
        self._past.append(obs.copy())
        active = k >= self._onset
        if self.kind == "stuck":
            if k == 0:
                self._frozen = obs.copy()
            self._frozen = np.where(active[:, None], self._frozen, obs)
            wrong = self._frozen
        elif self.kind == "delay":
            wrong = self._past[max(0, k - self._late)]
        elif self.kind == "flip":
            wrong = -obs
        elif self.kind == "noise":
            wrong = obs + F32(NOISE) * np.array(self.task.noise, F32) * self._rng.standard_normal(obs.shape, F32)
        else:
            wrong = np.full_like(obs, np.nan)
            active &= k < self._onset + self._lost
        return self.controller.step(np.where(self._hit & active[:, None], wrong, obs))
