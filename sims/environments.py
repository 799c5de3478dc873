"""Gymnasium environments as tinyctl sees them: a contract made from the spaces, and episodes scored by their return.

An environment moves by whole control periods only, so no delay can be put into its loop: the action computed from an
observation takes effect at once, as it did when the policy was trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.importers.base import Request, contract_of, preferences
from tinyctl.layers.base import F32, Array
from tinyctl.sims.gym import make_env
from tinyctl.sims.loop import Controller
from tinyctl.sims.plant import Plant

PREFIX = "gym:"
BATCH = 100  # episodes flown side by side


@dataclass(frozen=True)
class Environment:
    """`make()` gives a fresh environment whose flat observations and actions are the contract's columns, in order;
    `applied_action` columns stand in the observations too. Where there is a choice of actions, the columns are the
    controller's preferences, and `first` is the number of the action that the first of them stands for."""

    name: str
    contract: Contract
    make: Callable[[], Any]
    first: int | None = None

    def action(self, outputs: Array) -> Any:
        """The environment's action for a controller's outputs (n_act,) or (n, n_act): the outputs themselves, or the
        number of the action that is preferred, of equals the first."""
        return outputs if self.first is None else self.first + outputs.argmax(axis=-1)


@dataclass(frozen=True)
class Episodes:
    """`returns` (n,): each episode's sum of rewards; `steps` (n,): its control periods; `terminated` (n,) bool: whether
    the environment ended it, for better or worse, before its time was up."""

    returns: Array
    steps: Array
    terminated: Array


def environment(name: str, rate_hz: float | None = None) -> Environment:
    """The registered Gymnasium environment called `name`: `Pendulum-v1`, or `module:Id-v0`, which imports `module`.

    Columns are called obs_0, action_0 and so on; a side of a range that is infinite becomes the contract's widest.
    The rate is what the environment tells: the inverse of its `dt` or `tau`, else its frames a second.
    """
    name = name.removeprefix(PREFIX)
    try:
        env = gymnasium.make(name)
    except (gymnasium.error.Error, ImportError, AttributeError, TypeError) as error:
        raise TinyctlError(f"no environment {name!r:.80} ({error})", fix="an id such as Pendulum-v1") from None
    try:
        seen, acts = env.observation_space, env.action_space
        for what, space, kinds in (("observations", seen, Box), ("actions", acts, Box | Discrete)):
            if not isinstance(space, kinds):
                raise TinyctlError(
                    f"its {what} are a {type(space).__name__}", where=name,
                    fix="possible are a Box and, for actions, a Discrete",
                )  # fmt: skip
        rate_hz = rate_hz or _rate_hz(env)
        if rate_hz is None:
            raise TinyctlError("does not tell its control period", where=name, fix="give --set rate_hz=HZ")
        ranges = seen.low.reshape(-1), seen.high.reshape(-1)
        outputs: dict[str, Any]
        if isinstance(acts, Discrete):
            first, n_act = int(acts.start), int(acts.n)
            outputs = {"output_names": preferences(n_act)}
        else:
            first, n_act = None, acts.low.size
            outputs = {"output_range": (acts.low.reshape(-1), acts.high.reshape(-1))}
        contract, _ = contract_of(Request(Path(), rate_hz=rate_hz), seen.low.size, n_act, input_range=ranges, **outputs)
    finally:
        env.close()
    return Environment(name, contract, lambda: gymnasium.make(name), first)


def plant_environment(plant: Plant, task: str | None = None) -> Environment:
    """One of our own plants at a task; the reward is minus the task's cost."""
    name = task or next(iter(plant.tasks))
    return Environment(
        f"{plant.name} {name}", plant.task(name).contract, lambda: make_env(plant, name, with_applied=True)
    )


def check_columns(contract: Contract, env: Environment) -> None:
    """Refuse a controller whose columns cannot be those of the environment."""
    ours, theirs = contract, env.contract
    for what, have, want in (("observations", ours.n_obs, theirs.n_obs), ("actions", ours.n_act, theirs.n_act)):
        if have != want:
            raise TinyctlError(f"the controller has {have} {what}, the environment {want}", where=env.name)
    for mine, its in zip(ours.outputs, theirs.outputs, strict=True):
        if mine.low < its.low or mine.high > its.high:
            raise TinyctlError(
                f"{mine.name} in [{mine.low:g}, {mine.high:g}] is not within the environment's "
                f"[{its.low:g}, {its.high:g}]",
                where=env.name,
            )


def episode_seed(seed: int, number: int) -> int:
    """The seed with which episode `number` is reset under `seed`."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def fly(
    env: Environment, controller: Controller, *, episodes: int, seed: int = 0, batch: int = BATCH,
    progress: Callable[[int, int], None] | None = None,
) -> Episodes:  # fmt: skip
    """Fly `episodes`; what an episode draws depends on the seed and its number alone. `progress` is told how many
    episodes have ended, and of how many."""
    if episodes < 1:
        raise TinyctlError(f"{episodes} episodes cannot be flown", fix="at least one")
    parts = []
    for first in range(0, episodes, batch):
        numbers = range(first, min(first + batch, episodes))
        parts.append(_fly(env, controller, [episode_seed(seed, k) for k in numbers]))
        if progress is not None:
            progress(numbers.stop, episodes)
    return Episodes(*(np.concatenate([getattr(p, f) for p in parts]) for f in ("returns", "steps", "terminated")))


def _fly(env: Environment, controller: Controller, seeds: list[int]) -> Episodes:
    lanes, n = [env.make() for _ in seeds], len(seeds)
    shape = lanes[0].action_space.shape
    returns, steps, terminated = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, bool)
    seen = np.stack([_flat(lane.reset(seed=s)[0]) for lane, s in zip(lanes, seeds, strict=True)])
    going = np.ones(n, bool)
    controller.reset(n)
    while going.any():
        actions = controller.step(seen[:, : env.contract.n_obs])  # a lane that has ended shows its last observation
        for k in np.flatnonzero(going):
            action = env.action(actions[k])
            observation, reward, ended, late, _ = lanes[k].step(action.reshape(shape))
            seen[k] = _flat(observation)
            returns[k] += float(reward)
            steps[k] += 1
            terminated[k] = ended
            going[k] = not (ended or late)
    for lane in lanes:
        lane.close()
    return Episodes(returns, steps, terminated)


def _flat(observation: Any) -> Array:
    return np.asarray(observation, F32).reshape(-1)


def _rate_hz(env: Any) -> float | None:
    """`dt` (classic control, MuJoCo) and `tau` (cart-pole) are control periods in s; else the frames a second."""
    for name in ("dt", "tau"):
        period = getattr(env.unwrapped, name, None)
        if isinstance(period, int | float) and period > 0:
            return 1 / period
    fps = env.metadata.get("render_fps")
    return float(fps) if isinstance(fps, int | float) and fps > 0 else None
