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
    NaN for `LOST_S`. What an episode suffers depends on the seed and its number alone, not on the controller; `group`
    (n,) tells which group it was."""

    controller: Controller
    task: Task
    kind: Kind
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TinyctlError(f"no fault {self.kind!r:.40}", fix=f"one of {', '.join(KINDS)}")
        self._flown, self._n = 0, 0
        self._frozen: Array = np.zeros(0, F32)

    def reset(self, n: int) -> None:
        """Episodes that follow those since the last reset."""
        self.controller.reset(n)
        self._flown, self._n = self._flown + self._n, n
        task, rate = self.task, self.task.contract.rate_hz
        groups, latest = groups_of(task.contract), max(2, round(ONSET_S * rate))
        self._late, self._lost = max(1, round(DELAY_S * rate)), max(1, round(LOST_S * rate))
        self.group, self._onset = np.zeros(n, int), np.zeros(n, int)
        self._noise = np.zeros((task.episode_steps if self.kind == "noise" else 0, n, task.contract.n_obs), F32)
        self._hit = np.zeros((n, task.contract.n_obs), bool)
        for row in range(n):
            rng = np.random.default_rng([self.seed, 2, KINDS.index(self.kind), self._flown + row])
            self.group[row], self._onset[row] = rng.integers(0, len(groups)), rng.integers(1, latest)
            self._noise[:, row] = rng.standard_normal(self._noise[:, row].shape, F32)
            _, first, count = groups[self.group[row]]
            self._hit[row, first : first + count] = True
        self._past: list[Array] = []

    def step(self, observations: Array) -> Array:
        k, obs = len(self._past), np.asarray(observations, F32)
        active = k >= self._onset
        self._past.append(obs.copy())
        match self.kind:
            case "stuck":
                self._frozen = obs if k == 0 else np.where(active[:, None], self._frozen, obs)
                wrong = self._frozen
            case "delay":
                wrong = self._past[max(0, k - self._late)]
            case "flip":
                wrong = -obs
            case "noise":
                wrong = obs + F32(NOISE) * np.array(self.task.noise, F32) * self._noise[k % len(self._noise)]
            case "lost":
                wrong = np.full_like(obs, np.nan)
                active = active & (k < self._onset + self._lost)
        return self.controller.step(np.where(self._hit & active[:, None], wrong, obs))
