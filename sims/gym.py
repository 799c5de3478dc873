"""Any plant as a Gymnasium environment, for algorithms that want no more than samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np

from tinyctl.contract import Signal
from tinyctl.sims.kernel import compile_plant
from tinyctl.sims.loop import draw_start
from tinyctl.sims.plant import Array, Plant


class PlantEnv(gymnasium.Env):  # type: ignore[misc]  # without stubs
    """One plant at one task, at the contract's rate. Observations are the contract's observation columns with noise,
    actions its outputs, both float32 and within their ranges; the reward is minus the task's training cost.
    `with_applied` appends the contract's applied-action columns, as a policy sees them.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(
        self, plant: Plant, task: str | None = None, *, variant: str | None = None, with_applied: bool = False
    ) -> None:
        self.task = plant.task(task)
        self._kernel = compile_plant(plant, self.task)
        self._nominal = plant.nominal(variant)
        self._p = np.array([*self._nominal.values()] or [0.0], np.float32)
        self._noise = np.array(self.task.noise, np.float32)
        contract = self.task.contract
        self._applied = list(contract.applied_outputs) if with_applied else []
        shown = contract.inputs if with_applied else contract.inputs[: contract.n_obs]
        self._range, self._limits = _ends(shown), _ends(contract.outputs)
        self.observation_space = gymnasium.spaces.Box(*self._range, dtype=np.float32)
        self.action_space = gymnasium.spaces.Box(*self._limits, dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """A fresh start; `options` has no meaning here."""
        super().reset(seed=seed)
        self._x, self._d = draw_start(self._kernel.plant, self.task, self.np_random, self._nominal)
        self._action = np.array([self.task.contract.initial_applied()], np.float32)
        self._steps = 0
        return self._observe(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """One control period. Terminated when the episode is lost, truncated at the end of it."""
        last, self._action = self._action, np.clip(np.asarray(action, np.float32)[None], *self._limits)
        self._x = self._kernel.step(self._x, self._action, self._p, self._d, self.task.period_s)
        self._steps += 1
        reward = -float(self._kernel.cost(self._x, self._action, last)[0])
        lost = not self._kernel.margin(self._x)[0] > 0
        return self._observe(), reward, lost, self._steps >= self.task.episode_steps, {}

    def _observe(self) -> Array:
        clean = self._kernel.observe(self._x)[0]
        noise = self._noise * self.np_random.standard_normal(len(clean), np.float32)
        seen: Array = np.clip(np.append(clean + noise, self._action[0, self._applied]), *self._range)
        return seen


def _ends(signals: Sequence[Signal]) -> tuple[Array, Array]:
    return np.array([s.low for s in signals], np.float32), np.array([s.high for s in signals], np.float32)


def make_env(
    plant: Plant, task: str | None = None, *, variant: str | None = None, with_applied: bool = False
) -> PlantEnv:
    """The Gymnasium environment of a plant's task (the first by default) with one of its parameter sets."""
    return PlantEnv(plant, task, variant=variant, with_applied=with_applied)
