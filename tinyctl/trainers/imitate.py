"""Imitation: a policy learns to answer as its teacher does, an expert or another policy.

The teacher flies and its answers are fitted (behaviour cloning). In a share of its episodes it is pushed: for a while
something else than its answer is applied, so that the data show the way back (Laskey et al., DART, 2017). In further
rounds the pupil flies and the teacher says what it would have done (Ross et al., A Reduction of Imitation Learning and
Structured Prediction to No-Regret Online Learning, 2011). A bound on the policy's Lipschitz constant can be asked for
(Al Makdah et al., Learning Lipschitz Feedback Policies from Expert Demonstrations, 2021).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch

from tinyctl import archive, closed_loop
from tinyctl.certificate import certify
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController, check_contract
from tinyctl.formats import FORMATS
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.tanh import Tanh
from tinyctl.policy import Policy
from tinyctl.quantizer import quantize
from tinyctl.simplify import edit
from tinyctl.sims.experts import EXPERTS, expert
from tinyctl.sims.experts.mpc import Predictive
from tinyctl.sims.experts.recalled import Recalled
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Expert, close_loop, draw
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.base import front_layers, initial_weights, policy_of
from tinyctl.trainers.distill import Tensors, read_from_outside, tail_of
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult
from tinyctl.trainers.threads import one_thread
from tinyctl.trainers.validation import validate

BENDS = {"tanh": Tanh, "relu": Relu}
PUSH_EVERY = 25  # control periods from one push to the next, on average
PUSH_LENGTH = 5  # control periods of a push, on average
POWER_STEPS = 2  # of a power iteration that goes on from one gradient step to the next
TRIES = 8  # at scaling a policy into its bound; each moves what the formats are calibrated on
Tensor = Any  # torch.Tensor


@dataclass(frozen=True)
class Config:
    """Whom to imitate, and how."""

    teacher: str = "lqr"
    """An expert (lqr, pid, mpc), or the path of a policy."""
    episodes: int = 64
    """Episodes of each round."""
    rounds: int = 1
    """1 is behaviour cloning: the teacher flies. In each further round the pupil does (DAgger)."""
    perturbed: float = 0.2
    """Share of the teacher's episodes in which it is pushed."""
    push: float = 0.5
    """Standard deviation of what a push adds to the action, as a share of its range."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers."""
    activation: Literal["tanh", "relu"] = "tanh"
    """Of the hidden layers."""
    steps: int = 3000
    """Gradient steps of each round."""
    batch: int = 512
    """Answers of a gradient step."""
    learning_rate: float = 3e-3
    """Adam's first step size; it falls linearly to zero over all rounds."""
    lipschitz: float | None = None
    """An upper bound of the policy's Lipschitz constant, action over observation in the contract's units, as `certify`
    finds it for the policy and for the graph in each number format, calibrated in closed loop with the plant."""
    validation_episodes: int = 250
    """Episodes of a validation, after each round, drawn from a seed of their own."""
    cpu_seconds: float = math.inf
    """Training ends after this CPU time, with the round that is running; such a run is not reproducible."""
    variant: str | None = None
    """A published parameter set of the plant instead of the nominal one."""


@runtime_checkable
class Remembers(Protocol):
    """A teacher that wants to know when something other than its last answer was applied."""

    def set_applied(self, action: Array) -> None: ...


@dataclass(frozen=True)
class Lessons:
    """What a teacher answered: `inputs` name -> (states, columns) are the values that the trained part of the pupil
    reads, `answers` (states, n_act)."""

    inputs: dict[str, Array]
    answers: Array

    def joined(self, other: Lessons) -> Lessons:
        inputs = {name: np.concatenate([values, other.inputs[name]]) for name, values in self.inputs.items()}
        return Lessons(inputs, np.concatenate([self.answers, other.answers]))


@one_thread()
def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0, progress: Progress | None = None
) -> TrainResult:
    """Train a policy for `task` (the plant's first by default). The same seed gives the same weights on one machine."""
    return _train(plant, task, config, seed, progress)


def teacher_of(plant: Plant, task: Task, config: Config) -> Expert | GraphController:
    """The teacher that a configuration names; raises `TinyctlError`."""
    if config.teacher in EXPERTS:
        made = expert(config.teacher, plant, task, variant=config.variant)
        return Recalled(made) if isinstance(made, Predictive) else made
    if not config.teacher.endswith(".tctl"):
        raise TinyctlError(f"no teacher {config.teacher!r:.60}", fix=f"one of {', '.join(EXPERTS)}, or a .tctl file")
    network = archive.load(Path(config.teacher))
    check_contract(network.contract, task, f"plant {plant.name}")
    return GraphController(network if isinstance(network, Graph) else Graph(network.contract, network.nodes))


def first_pupil(task: Task, config: Config, seed: int) -> Policy:
    """A policy with random weights that nearly holds the initial action."""
    front = front_layers(task)
    generator = torch.Generator().manual_seed(seed)
    weights = initial_weights(task, front[-1][1].n_out, config.hidden, generator)
    return policy_of(task, front, weights, BENDS[config.activation])


def lessons(
    kernel: Kernel, teacher: Expert | GraphController, pupil: Policy, config: Config, seed: tuple[int, int],
    *, pupil_flies: bool = False, tell: Callable[[int], None] | None = None,
) -> Lessons:  # fmt: skip
    """Fly `config.episodes` under the teacher, some of them pushed, or under the pupil; what the teacher answered in
    every state until the loss of its episode."""
    task = kernel.task
    drawn = draw(kernel.plant, task, range(config.episodes), seed, variant=config.variant)  # type: ignore[arg-type]
    rng = np.random.default_rng([*seed, 1])
    pushes, watched = Pushes(config.perturbed, config.push), read_from_outside(tail_of(pupil))
    lesson = Lesson(kernel, teacher, pupil, pushes, rng, pupil_flies, watched)
    flown = close_loop(kernel, replace(drawn, noise=0 * drawn.noise), lesson, delay_s=task.contract.latency_s, keep=0,
                       tick=tell)  # fmt: skip
    if isinstance(teacher, Recalled):
        teacher.save()
    end = np.where(np.isnan(flown.lost_s), np.inf, flown.lost_s)
    alive = (np.arange(len(lesson.answers)) * task.period_s)[:, None] < end
    inputs = {name: np.stack(values)[alive] for name, values in lesson.inputs.items()}
    return Lessons(inputs, np.stack(lesson.answers)[alive])


@dataclass(frozen=True)
class Pushes:
    """The share of episodes in which the teacher is pushed, how hard (standard deviation, as a share of the action's
    range), and for how many control periods from one push to the next and of a push, on average."""

    perturbed: float
    push: float
    every: float = PUSH_EVERY
    length: float = PUSH_LENGTH


class Lesson:
    """An expert to the loop: it sees the state, asks the teacher, and lets teacher, pupil or a push act.

    It keeps the values of the pupil's nodes `watched`, and the answers. The pupil's observations have `louder` times
    the task's noise, one number or one for each episode (n, 1).
    """

    def __init__(self, kernel: Kernel, teacher: Expert | GraphController, pupil: Policy, pushes: Pushes,
                 rng: np.random.Generator, pupil_flies: bool, watched: set[str], louder: float | Array = 1.0
                 ) -> None:  # fmt: skip
        self.kernel, self.teacher, self.pushes, self.rng, self.pupil_flies = kernel, teacher, pushes, rng, pupil_flies
        self.graph = Graph(pupil.contract, pupil.nodes)
        self.inputs: dict[str, list[Array]] = {name: [] for name in watched}
        self.answers: list[Array] = []
        self.noise = np.asarray(louder * np.array(kernel.task.noise), F32)
        outputs = pupil.contract.outputs
        self.low, self.high = (np.array([getattr(s, side) for s in outputs], F32) for side in ("low", "high"))

    def reset(self, n: int) -> None:
        self.teacher.reset(n)
        self.state = self.graph.init(n)
        self.pushed = np.arange(n) < round(self.pushes.perturbed * n)  # episodes are drawn alike: the first will do
        self.left, self.push = np.zeros(n, np.int64), np.zeros((n, len(self.low)), F32)

    def act(self, x: Array) -> Array:
        clean = self.kernel.observe(x)
        observed = clean + self.rng.standard_normal(clean.shape, F32) * self.noise
        answer = self.teacher.act(x) if isinstance(self.teacher, Expert) else self.teacher.step(observed)
        values, state = self.graph.trace(observed, self.state)
        for name, seen in self.inputs.items():
            seen.append(values[name])
        self.answers.append(np.asarray(answer, F32))
        action = state.applied if self.pupil_flies else self._pushed(answer)
        self.state = state.with_applied(action)
        if isinstance(self.teacher, Remembers):
            self.teacher.set_applied(action)
        return action

    def _pushed(self, answer: Array) -> Array:
        """The answer, in a pushed episode now and then with a constant added for a few control periods."""
        begins = self.pushed & (self.left == 0) & (self.rng.random(len(answer)) < 1 / self.pushes.every)
        size = self.pushes.push * (self.high - self.low)
        self.push[begins] = self.rng.standard_normal((int(begins.sum()), len(size)), F32) * size
        self.left[begins] = self.rng.geometric(1 / self.pushes.length, int(begins.sum()))
        active = self.left > 0
        self.left -= active
        return np.clip(answer + np.where(active[:, None], self.push, 0), self.low, self.high).astype(F32)


def _train(plant: Plant, name: str | None, config: Config, seed: int, progress: Progress | None) -> TrainResult:
    started, cpu_started, task = time.perf_counter(), time.process_time(), plant.task(name)
    kernel = compile_plant(plant, task)
    teacher, pupil = teacher_of(plant, task, config), first_pupil(task, config, seed)
    flights = draw(plant, task, range(config.validation_episodes), 2**32 + seed, variant=config.variant)
    fit = Fit(pupil, config, np.random.default_rng([seed, 2]), lambda made: certified(made, plant, name))
    known: Lessons | None = None
    curve: list[CurvePoint] = []
    periods = config.rounds * task.episode_steps
    for round_ in range(config.rounds):
        tell = None if progress is None else lambda k, done=round_ * task.episode_steps: progress(
            done + k, periods, curve[-1].survived if curve else math.nan)  # fmt: skip
        found = lessons(kernel, teacher, pupil, config, (seed, round_), pupil_flies=round_ > 0, tell=tell)
        known = found if known is None else known.joined(found)
        loss = fit.run(known)
        pupil = fit.policy()
        point, estimates = validate(kernel, flights, pupil, round_ + 1, loss, started)
        curve.append(point)
        if time.process_time() - cpu_started > config.cpu_seconds:
            break
    assert known is not None
    return TrainResult(pupil, *estimates, tuple(curve), len(known.answers), time.perf_counter() - started,
                       time.process_time() - cpu_started)  # fmt: skip


def certified(policy: Policy, plant: Plant, task: str | None) -> float:
    """The largest certified Lipschitz constant of a policy and of its graphs in the number formats, calibrated as
    `quantize` does in closed loop with the plant. Where integers saturate, their certificate is up to a tenth above."""
    calibration = closed_loop.observations(policy, plant, task)
    graphs = [quantize(policy, name, calibration) for name in FORMATS]
    return max(certify(graph).lipschitz for graph in graphs)


class Fit:
    """The trained part of a policy, fitted to answers. With a Lipschitz bound its layers are kept within it, by their
    norms in each gradient step, and by what `certified` says of the policy half-way and at the end."""

    def __init__(
        self, pupil: Policy, config: Config, rng: np.random.Generator, certified: Callable[[Policy], float]
    ) -> None:
        self.pupil, self.config, self.rng, self.certified = pupil, config, rng, certified
        self.tensors = Tensors(tail_of(pupil))
        self.optimiser = torch.optim.Adam(self.tensors.parameters, lr=config.learning_rate)
        self.span = torch.tensor([s.high - s.low for s in pupil.contract.outputs])
        self.done = 0
        if config.lipschitz is not None:
            if config.lipschitz <= 0:
                raise TinyctlError(f"lipschitz={config.lipschitz:g} is not positive")
            self.limits = _Limits(pupil, self.tensors, config.lipschitz)

    def run(self, known: Lessons) -> float:
        """`config.steps` gradient steps; the mean squared error of the last hundred, as a share of the range."""
        total, losses = self.config.steps * self.config.rounds, []
        inputs = {name: torch.from_numpy(values) for name, values in known.inputs.items()}
        answers = torch.from_numpy(known.answers)
        for step in range(self.config.steps):
            if self.config.lipschitz is not None and step == self.config.steps // 2:
                self.limits.tighten(self.config.lipschitz / self.certified(self.tensors.written_to(self.pupil)))
            for group in self.optimiser.param_groups:
                group["lr"] = self.config.learning_rate * (1 - self.done / total)
            rows = torch.from_numpy(self.rng.integers(0, len(answers), self.config.batch))
            said = self.tensors.forward({name: values[rows] for name, values in inputs.items()})
            loss = (((said - answers[rows]) / self.span) ** 2).mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            if self.config.lipschitz is not None:
                self.limits.project()
            losses.append(loss.item())
            self.done += 1
        return float(np.mean(losses[-100:]))

    def policy(self) -> Policy:
        """The pupil as it is now, its certified Lipschitz constant within the bound."""
        made = self.tensors.written_to(self.pupil)
        return made if self.config.lipschitz is None else within(made, self.config.lipschitz, self.certified)


class _Limits:
    """Spectral norms of the dense layers kept at most `bound` in all, in equal shares; the first layer's counts the
    scaling of its inputs. The norm is a power iteration that goes on from step to step."""

    def __init__(self, pupil: Policy, tensors: Tensors, bound: float) -> None:
        self.weights = list(tensors.weights.values())
        self.share = bound ** (1 / len(self.weights))
        scale = next((n.layer for n in reversed(pupil.nodes) if isinstance(n.layer, Scale)), None)
        self.gain = torch.ones(self.weights[0].shape[1]) if scale is None else torch.tensor(scale.gain)
        self.vectors = [torch.ones(w.shape[0]) / math.sqrt(w.shape[0]) for w in self.weights]

    def tighten(self, ratio: float) -> None:
        """Multiply the bound by a ratio below one: what is certified is above the product of the norms by as much."""
        self.share *= min(1.0, ratio) ** (1 / len(self.weights))

    def project(self) -> None:
        with torch.no_grad():
            for i, weight in enumerate(self.weights):
                matrix = weight * self.gain if i == 0 else weight
                for _ in range(POWER_STEPS):
                    across = matrix.T @ self.vectors[i]
                    self.vectors[i] = matrix @ (across / (across.norm() + 1e-12))
                    norm = self.vectors[i].norm()
                    self.vectors[i] /= norm + 1e-12
                weight /= max(1.0, float(norm) / self.share)


def within(policy: Policy, bound: float, certified: Callable[[Policy], float]) -> Policy:
    """The policy with its last dense layer's weights scaled so that `certified` says at most `bound`; what a power
    iteration underestimated, and memories in front of the layers, count too. Raises `TinyctlError` where that fails."""
    for _ in range(TRIES):
        found = certified(policy)
        if found <= bound:
            return policy
        last = next(n for n in reversed(policy.nodes) if isinstance(n.layer, Dense))
        assert isinstance(last.layer, Dense)
        smaller = (last.layer.weight * (bound / found * (1 - 1e-3))).astype(F32)
        policy = edit(policy, {last.name: replace(last.layer, weight=smaller)})
    raise TinyctlError(f"the policy's certificate stays above lipschitz={bound:g}", fix="ask for a larger one")
