"""An LSTM that imitates a clairvoyant regulator, beside the PI baseline, on the CSTR and the delay pipeline.

Both fly to 20 set-points, ten episodes each with disturbances of their own, without noise and with noise of 15 % of the
set-point on what is controlled; other sensors have the task's noise. A deviation is the mean over the last third of a
run of |y - y*| / y*. Without noise an integral ends with none, so that the two are compared with noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import casadi
import numpy as np

import tinyctl
from controller_rows import Figure, cost, kept_policy
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.policy import Policy
from tinyctl.sims.experts import expert
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Controller, Draws, Expert, close_loop, draw
from tinyctl.sims.plant import Plant, Score, Task
from tinyctl.trainers import recurrent
from tinyctl.trainers.recurrent import Config

POINTS, EACH, NOISY, WORST, SHARE = 20, 10, 0.15, 0.02, 1 / 3
SOURCES = ("tinyctl/trainers/recurrent.py", "tinyctl/trainers/memories.py", "sims/experts/clairvoyant.py")


@dataclass(frozen=True)
class Case:
    """A plant, where it goes, and how the pupil is trained. `y` is the row of the state that is controlled, and whose
    error is the first observation; `state` undoes the observation where PI looks."""

    plant: str
    low: float
    high: float
    y: int
    periods: int
    state: Callable[[Array], Array]
    config: Config


def _cstr_state(obs: Array) -> Array:
    from tinyctl.sims.plants.cstr import RATED_C, RATED_T

    return np.column_stack([obs[:, 0] + obs[:, 2] + RATED_C, obs[:, 1] + RATED_T, obs[:, 2] + RATED_C])


def _pipeline_state(obs: Array) -> Array:
    from tinyctl.sims.plants.pipeline import CELLS, MIDDLE, OUTLET

    x = np.zeros((len(obs), CELLS + 2), F32)
    x[:, 0], x[:, OUTLET], x[:, -1] = obs[:, 2] + MIDDLE, obs[:, 0] + obs[:, 1] + MIDDLE, obs[:, 1] + MIDDLE
    return x


COMMON = Config(
    window=2,
    every=8,
    lags=(30.0, 120.0, 400.0, 1200.0),
    louder=(12.0, 30.0),
    length=3000,
    episodes=48,
    rounds=4,
    steps=200,
    batch=16,
    learning_rate=3e-3,
    smooth=40.0,
    early=0.0,
    validation_episodes=10,
)
TANK = replace(COMMON, calm=4.0, episodes=72, steps=260, actions=True, loud=("concentration_error",))
PIPE = replace(COMMON, calm=30.0, loud=("error",))
CASES = (
    Case("cstr", 1.6, 2.4, 0, 3000, _cstr_state, TANK),
    Case("pipeline", 50.0, 140.0, 20, 3000, _pipeline_state, PIPE),
)


def figures() -> Iterator[Figure]:
    for case in CASES:
        plant = tinyctl.plant(case.plant)
        task = _longer(plant.task("set_point"), case)
        policy = kept_policy(f"lstm-{case.plant}", partial(_trained, case), case.config,
                             (*SOURCES, f"sims/plants/{case.plant}.py"))  # fmt: skip
        whole, _ = tinyctl.quantize(policy, "w16a16", plant_name=plant, task="set_point")
        graph = Graph(policy.contract, policy.nodes)
        kernel, drawn = compile_plant(plant, task), _drawn(plant, task, case)
        for noise, share in (("no", 0.0), (f"{NOISY:.0%}", NOISY)):
            noisy = replace(drawn, noise=_noise(drawn, task, share))
            ours, theirs, coarse = (
                _deviations(kernel, noisy, controller)
                for controller in (
                    GraphController(graph),
                    Measured(expert("pid", plant, task), case.state),
                    GraphController(whole),
                )
            )
            worst, ratio = float(ours.max()), float(ours.mean() / theirs.mean())
            yield Figure(f"{case.plant}, {noise} noise, worst set-point's deviation", f"{worst:.2%}",
                         f"at most {WORST:.0%}", worst <= WORST)  # fmt: skip
            told = f"{ours.mean():.3%} / {theirs.mean():.3%}" + (f" = {ratio:.2f}" if share else "")
            bar = ("at most 1/3", ratio <= SHARE) if share else ("", None)
            yield Figure(f"{case.plant}, {noise} noise, mean deviation over PI's", told, *bar)
            yield Figure(f"{case.plant}, {noise} noise, in int16: worst and mean",
                         f"{coarse.max():.2%}, {coarse.mean():.3%}")  # fmt: skip
        for name, network in (("float32", graph), ("w16a16", whole)):
            yield Figure(f"{case.plant}, a step, {name}", cost(network))


def _trained(case: Case) -> Policy:
    return recurrent.train(tinyctl.plant(case.plant), "set_point", config=case.config).policy


class Measured:
    """An expert that takes what was measured for the state."""

    def __init__(self, teacher: Expert, state: Callable[[Array], Array]) -> None:
        self.teacher, self.state = teacher, state

    def reset(self, n: int) -> None:
        self.teacher.reset(n)

    def step(self, observations: Array) -> Array:
        return self.teacher.act(self.state(observations))


def _longer(task: Task, case: Case) -> Task:
    score = Score("deviation", "1", lambda x: casadi.fabs(x[case.y] - x[-1]) / x[-1], case.periods // 3 * task.period_s)
    return replace(task, episode_steps=case.periods, scores=(score,))


def _drawn(plant: Plant, task: Task, case: Case) -> Draws:
    drawn = draw(plant, task, range(POINTS * EACH), 5)
    drawn.x[:, -1] = np.repeat(np.linspace(case.low, case.high, POINTS), EACH)
    return drawn


def _noise(drawn: Draws, task: Task, share: float) -> Array:
    """That of the draws, with a standard deviation of so much of the set-point on the first observation; none for 0."""
    if not share:
        return np.zeros_like(drawn.noise)
    noise = drawn.noise.copy()
    noise[:, :, 0] *= share / task.noise[0] * drawn.x[:, -1]
    return noise


def _deviations(kernel: Kernel, drawn: Draws, controller: Controller) -> Array:
    """(set-points,): the mean of each one's episodes; a lost episode counts as 100 %."""
    flown = close_loop(kernel, drawn, controller, delay_s=kernel.task.contract.latency_s, keep=0)
    found = np.where(flown.survived, flown.scores["deviation"], 1.0)
    return np.asarray(found.reshape(POINTS, EACH).mean(axis=1))
