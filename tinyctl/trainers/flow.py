"""Few-step flow policies: a small network refines a guess of the next actions a few times in each control period.

Flow matching (Lipman et al., Flow Matching for Generative Modeling, 2023): between noise at time 0 and a teacher's next
actions at time 1 a network learns the velocity. Whole, it is followed from the middle of the noise in many steps. On
board each period starts late, from the last period's actions moved up by one, and takes only the last few steps (Duan
et al., Real-Time Iteration Scheme for Diffusion Policy, 2025). Without noise of its own the policy is deterministic.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from tinyctl.errors import TinyctlError
from tinyctl.layers.add import Add
from tinyctl.layers.base import F32, Array, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.dense import Dense
from tinyctl.layers.tanh import Tanh
from tinyctl.layers.unit_delay import UnitDelay
from tinyctl.network import Node, chain
from tinyctl.policy import Policy
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import close_loop, draw
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.base import front_layers
from tinyctl.trainers.imitate import Config as Imitation
from tinyctl.trainers.imitate import Lesson, Pushes, first_pupil, teacher_of
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult
from tinyctl.trainers.threads import one_thread
from tinyctl.trainers.validation import validate

LIMIT = 1.5  # of an action guessed ahead, in half ranges


@dataclass(frozen=True)
class Config:
    """Whom to imitate, how far ahead, and in how many steps."""

    teacher: str = "lqr"
    """An expert (lqr, pid, mpc), or the path of a policy."""
    ahead: int = 4
    """Actions that are guessed at a time; the first of them is applied."""
    steps: int = 3
    """Steps of the flow in a control period, each an evaluation of the network."""
    whole: int = 10
    """Steps from noise to actions; a warm period takes the last `steps` of them. With `steps` = `whole` every period
    starts anew from the middle of the noise, and nothing is remembered."""
    hidden: tuple[int, ...] = (48, 48)
    """Widths of the tanh layers."""
    episodes: int = 64
    """Episodes of each round."""
    rounds: int = 4
    """The teacher flies the first, some of its episodes pushed; the pupil the others (DAgger)."""
    perturbed: float = 0.5
    """Share of the teacher's episodes in which it is pushed."""
    push: float = 0.5
    """Standard deviation of what a push adds to the action, as a share of its range."""
    fits: int = 2500
    """Gradient steps of each round."""
    batch: int = 512
    """States of a gradient step."""
    learning_rate: float = 3e-3
    """Adam's first step size; it falls linearly to zero over all rounds."""
    validation_episodes: int = 250
    """Episodes of a validation, after each round, drawn from a seed of their own."""
    variant: str | None = None
    """The plant's variant to fly, nominal by default."""


@one_thread()
def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0, progress: Progress | None = None
) -> TrainResult:
    """Train a policy for `task` (the plant's first by default). The same seed gives the same weights on one machine."""
    if not 1 <= config.steps <= config.whole or config.ahead < 1:
        raise TinyctlError(f"steps={config.steps} of whole={config.whole}, ahead={config.ahead}",
                           fix="1 <= steps <= whole, and at least one action ahead")  # fmt: skip
    return _train(plant, plant.task(task), config, seed, progress)


def _train(plant: Plant, task: Task, config: Config, seed: int, progress: Progress | None) -> TrainResult:
    started, cpu_started = time.perf_counter(), time.process_time()
    kernel = compile_plant(plant, task)
    flights = draw(plant, task, range(config.validation_episodes), 2**32 + seed, variant=config.variant)
    velocity = Velocity(task, config, seed)
    pupil = first_pupil(task, Imitation(), seed)
    curve: list[CurvePoint] = []
    seen: list[tuple[Array, Array]] = []
    for round_ in range(config.rounds):
        tell = None if progress is None else lambda k, done=round_ * config.fits: progress(
            done + k, config.rounds * config.fits, curve[-1].survived if curve else math.nan)  # fmt: skip
        seen.append(lessons(kernel, pupil, config, (seed, round_), pupil_flies=round_ > 0))
        observed, chunks = (np.concatenate(part) for part in zip(*seen, strict=True))
        loss = velocity.fit(observed, chunks, tell)
        pupil = velocity.policy()
        point, estimates = validate(kernel, flights, pupil, round_ + 1, loss, started)
        curve.append(point)
    return TrainResult(pupil, *estimates, tuple(curve), len(observed), time.perf_counter() - started,
                       time.process_time() - cpu_started, config.rounds)  # fmt: skip


def lessons(
    kernel: Kernel, pupil: Policy, config: Config, seed: tuple[int, int], *, pupil_flies: bool
) -> tuple[Array, Array]:
    """Scaled observations (states, columns) of flights, and what the teacher answered there and in the periods after
    (states, ahead, n_act)."""
    task = kernel.task
    teacher = teacher_of(kernel.plant, task, Imitation(teacher=config.teacher, variant=config.variant))
    drawn = draw(kernel.plant, task, range(config.episodes), seed, variant=config.variant)  # type: ignore[arg-type]
    pushes, rng = Pushes(config.perturbed, config.push), np.random.default_rng([*seed, 1])
    lesson = Lesson(kernel, teacher, pupil, pushes, rng, pupil_flies, {"scale"})
    flown = close_loop(kernel, replace(drawn, noise=0 * drawn.noise), lesson, delay_s=task.contract.latency_s, keep=0)
    end = np.where(np.isnan(flown.lost_s), np.inf, flown.lost_s)
    alive = (np.arange(len(lesson.answers)) * task.period_s)[:, None] < end
    answers = np.stack(lesson.answers)
    later = np.minimum(np.arange(len(answers))[:, None] + np.arange(config.ahead), len(answers) - 1)
    whole = alive & alive[later[:, -1]]  # no chunk reaches beyond the loss of its episode
    return np.stack(lesson.inputs["scale"])[whole], answers[later].swapaxes(1, 2)[whole]


class Velocity:
    """The network in torch: scaled observation, guessed actions and time to the actions' velocity."""

    def __init__(self, task: Task, config: Config, seed: int) -> None:
        self.task, self.config, self.rng = task, config, np.random.default_rng([seed, 2])
        self.front = front_layers(task)
        low, high = (np.array([getattr(s, side) for s in task.contract.outputs]) for side in ("low", "high"))
        self.middle, self.reach = np.tile((low + high) / 2, config.ahead), np.tile((high - low) / 2, config.ahead)
        self.width = self.front[-1][1].n_out
        sizes = [self.width + len(self.middle) + 1, *config.hidden, len(self.middle)]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
        self.parameters = [p for layer in self.layers for p in layer.parameters()]
        self.optimiser, self.done = torch.optim.Adam(self.parameters, lr=config.learning_rate), 0

    def fit(self, observed: Array, chunks: Array, tell: object = None) -> float:
        """`config.fits` gradient steps; the mean squared error of the last hundred velocities."""
        goals = torch.from_numpy(((chunks.reshape(len(chunks), -1) - self.middle) / self.reach).astype(F32))
        given, losses, config = torch.from_numpy(observed), [], self.config
        for _ in range(config.fits):
            for group in self.optimiser.param_groups:
                group["lr"] = config.learning_rate * (1 - self.done / (config.fits * config.rounds))
            rows = torch.from_numpy(self.rng.integers(0, len(goals), config.batch))
            goal, noise = goals[rows], torch.from_numpy(self.rng.standard_normal(goals[rows].shape, F32))
            when = torch.from_numpy(self.rng.random((config.batch, 1), F32))
            guess = (1 - when) * noise + when * goal
            said = self(given[rows], guess, when)
            loss = ((said - (goal - noise)) ** 2).mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            losses.append(loss.item())
            self.done += 1
            if callable(tell) and self.done % 100 == 0:
                tell(self.done % config.fits)
        return float(np.mean(losses[-100:]))

    def __call__(self, observed: torch.Tensor, guess: torch.Tensor, when: torch.Tensor) -> torch.Tensor:
        value = torch.cat([observed, guess, when], dim=1)
        for layer in self.layers[:-1]:
            value = torch.tanh(layer(value))
        return self.layers[-1](value)

    def policy(self) -> Policy:
        """The flow's last steps as nodes: a step's time is part of its first bias, its length of its last weights."""
        config, contract, n = self.config, self.task.contract, len(self.middle)
        n_act = contract.n_act
        nodes = list(chain(self.front))
        start = (np.tile(contract.initial_applied(), config.ahead) - self.middle) / self.reach
        if config.steps < config.whole:
            up = np.eye(n, k=n_act) + np.eye(n) * (np.arange(n) >= n - n_act)
            nodes += [
                Node("last", UnitDelay(start.astype(F32), np.full(n, LIMIT, F32)), (f"guess_{config.steps}",)),
                Node("guess_0", Dense(up.astype(F32), np.zeros(n, F32)), ("last",)),
            ]
        else:
            nothing = Dense(np.zeros((n, self.width), F32), np.zeros(n, F32))
            nodes.append(Node("guess_0", nothing, ("scale",)))
        for k in range(config.steps):
            nodes += self._step(k, 1 - (config.steps - k) / config.whole)
        first = np.eye(n_act, n) * self.reach[:n_act, None]
        head: list[tuple[str, Layer]] = [("action", Dense(first.astype(F32), self.middle[:n_act].astype(F32)))]
        nodes += [Node(name, layer, (f"guess_{config.steps}",)) for name, layer in head]
        nodes.append(Node("clip", Clip.of(contract), ("action",)))
        return Policy(contract, tuple(nodes))

    def _step(self, k: int, when: float) -> list[Node]:
        """One step of the flow, as nodes: from `guess_k` to `guess_k+1`."""
        n, made = len(self.middle), list[Node]()
        made.append(Node(f"beside_{k}", Concat((self.width, n)), ("scale", f"guess_{k}")))
        weights = [(p.weight.detach().numpy(), p.bias.detach().numpy()) for p in self.layers]
        weights[0] = weights[0][0][:, :-1], weights[0][1] + F32(when) * weights[0][0][:, -1]
        weights[-1] = weights[-1][0] / self.config.whole, weights[-1][1] / self.config.whole
        for i, (weight, bias) in enumerate(weights):
            made.append(Node(f"dense_{k}_{i}", Dense(weight.astype(F32), bias.astype(F32)), (made[-1].name,)))
            if i < len(weights) - 1:
                made.append(Node(f"tanh_{k}_{i}", Tanh(len(bias)), (made[-1].name,)))
        made.append(Node(f"guess_{k + 1}", Add(n), (f"guess_{k}", made[-1].name)))
        return made
