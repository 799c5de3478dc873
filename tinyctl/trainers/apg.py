"""Analytic policy gradient: the cost of short flights is differentiated through plant and policy.

Many plants fly side by side in windows of a few control periods. A window's gradient is exact (truncated
back-propagation through time): the kernel gives the products with the plant's Jacobians, the policy's own are written
out below. Lost or old plants start afresh between windows.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Draws, Estimate, close_loop, draw
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.base import (
    Front,
    Pass,
    Pilot,
    Tensor,
    columns,
    first_memory,
    front_layers,
    initial_weights,
    policy_functions,
    policy_of,
)
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult


@dataclass(frozen=True)
class Config:
    """How long and how finely to train. The defaults train the quadrotor's hover in a few seconds."""

    iterations: int = 200
    """Gradient steps. The learning rate falls linearly to zero over them."""
    plants: int = 128
    """Plants that fly side by side; their mean cost is one sample of the objective."""
    window: int = 64
    """Control periods through which a gradient reaches back."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the tanh layers."""
    learning_rate: float = 2e-2
    """Adam's first step size."""
    gradient_norm: float = 0.5
    """A longer gradient is shortened to this Euclidean norm."""
    lifetime: tuple[int, int] = (100, 500)
    """Control periods, drawn uniformly, after which a plant starts afresh although it was not lost."""
    validate_every: int = 25
    """Iterations from one validation to the next. The last weights are kept that survive as the best did, within a
    standard error: steps become smaller and smaller, so of what validation cannot tell apart the later is better."""
    validation_episodes: int = 250
    """Episodes of a validation, drawn once from a seed of their own."""
    stop_survived: float = 1.0
    """Training ends early when a validation survives at least this fraction, and ..."""
    stop_score: float = 0.0
    """... its first score is at most this. The default, zero, never ends it."""
    cpu_seconds: float = math.inf
    """Training ends after this CPU time, of all threads. Where that is, the machine's load decides; `stop_after` with
    the iterations it came to gives the same policy again."""
    stop_after: int | None = None
    """Training ends after this many iterations, with the learning rate still falling as for all of them."""
    variant: str | None = None
    """A published parameter set of the plant instead of the nominal one."""
    randomise: bool = False
    """Draw the plant's parameters from their ranges at every start (domain randomisation)."""


def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0,
    progress: Progress | None = None,
) -> TrainResult:  # fmt: skip
    """Train a policy for `task` (the plant's first by default). The same seed gives the same weights on one machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the products are too small: a second thread costs more than it gains
    try:
        return _train(plant, plant.task(task), config, seed, progress)
    finally:
        torch.set_num_threads(threads)


def _train(plant: Plant, task: Task, config: Config, seed: int, progress: Progress | None) -> TrainResult:
    if task.contract.latency_s > task.period_s:
        raise TinyctlError("a latency longer than a control period cannot be trained", where=f"plant {plant.name}",
                           fix="lower rate_hz or latency_s of the contract")  # fmt: skip
    started, cpu_started = time.perf_counter(), time.process_time()
    front = front_layers(task)
    kernel = compile_plant(plant, task, policy_functions(task, front))
    weights = initial_weights(task, front[-1][1].n_out, config.hidden, torch.Generator().manual_seed(seed))
    window = Window(kernel, front, weights, config, np.random.default_rng([seed, 1]))
    pilot = Pilot(kernel, front, weights)
    flights = draw(plant, task, range(config.validation_episodes), _validation_seed(seed), variant=config.variant)
    optimiser = torch.optim.Adam(weights, lr=config.learning_rate)
    curve: list[CurvePoint] = []
    kept, figures, highest = weights, None, 0.0
    costs: list[float] = []
    survived = math.nan
    iteration = 0
    last = min(config.iterations, config.stop_after or config.iterations)
    while iteration < last and time.process_time() - cpu_started < config.cpu_seconds:
        window.restart()
        costs.append(window.forward())
        window.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, config.gradient_norm)
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * (1 - iteration / config.iterations)
        if math.isfinite(norm):  # a plant that tumbles beyond what float32 holds spoils this step only
            optimiser.step()
        iteration += 1
        if iteration % config.validate_every == 0 or iteration == config.iterations:
            point, estimates = _validate(kernel, flights, pilot, iteration, costs, time.perf_counter() - started)
            curve.append(point)
            survived, costs = point.survived, []
            highest = max(highest, point.survived)
            if point.survived >= highest - _standard_error(highest, config.validation_episodes):
                kept, figures = [w.clone() for w in weights], estimates
            if point.survived >= config.stop_survived and point.score <= config.stop_score:
                break
        if progress is not None:
            progress(iteration, config.iterations, survived)
    if figures is None:
        raise TinyctlError(f"training ended before its first validation, after {iteration} iterations",
                           where=f"plant {plant.name}", fix="give it more CPU seconds or iterations")  # fmt: skip
    policy = policy_of(task, front, kept)
    steps = iteration * config.plants * config.window
    return TrainResult(policy, *figures, tuple(curve), steps, time.perf_counter() - started,
                       time.process_time() - cpu_started, iteration)  # fmt: skip


def _standard_error(fraction: float, n: int) -> float:
    """Of a fraction seen in `n` episodes, at least one episode's worth."""
    return max(math.sqrt(fraction * (1 - fraction) / n), 1 / n)


def _validation_seed(seed: int) -> int:
    return 2**32 + seed  # away from the seeds people choose for their own flights


def _validate(
    kernel: Kernel, flights: Draws, pilot: Pilot, iteration: int, costs: list[float], seconds: float
) -> tuple[CurvePoint, tuple[Estimate, dict[str, Estimate | None]]]:
    flown = close_loop(kernel, flights, pilot, delay_s=kernel.task.contract.latency_s, keep=1)
    scores = {s.name: flown.score(s.name) for s in kernel.task.scores}
    first = next(iter(scores.values()), None)
    survival, score = flown.survival(), first.value if first else math.nan
    return CurvePoint(iteration, float(np.mean(costs)), survival.value, score, seconds), (survival, scores)


class Window:
    """`config.window` control periods of `config.plants` plants, with all buffers and kernel calls made beforehand.

    `x[t]` is the state before period `t`. Until the contract's latency has passed the plant still moves under the
    action of the period before; from `turned[t]` on under `passes[t].action`.
    """

    def __init__(self, kernel: Kernel, front: Front, weights: list[Tensor], config: Config,
                 rng: np.random.Generator) -> None:  # fmt: skip
        plant, task, n, h = kernel.plant, kernel.task, config.plants, config.window
        nx, nu = len(plant.state_columns(task)), len(plant.inputs)
        self.kernel, self.weights, self.config, self.rng, self.task = kernel, weights, config, rng, task
        self.first_memory = first_memory(front)
        self.first_action = np.array(task.contract.initial_applied(), F32)[:, None]
        self.nominal = plant.nominal(config.variant)
        self.age, self.life = np.zeros(n, np.int64), np.zeros(n, np.int64)  # zero life: all start afresh at first
        self.noise_std = np.array(task.noise, F32)[:, None]
        self.last, self.memory = columns(nu, n), columns(len(self.first_memory), n)
        self.p, self.d = columns(max(len(plant.parameters), 1), n), columns(max(len(plant.disturbances), 1), n)
        self.p[: len(self.nominal)] = np.array([*self.nominal.values()], F32)[:, None]
        self.x = [columns(nx, n) for _ in range(h + 1)]
        self.cost = columns(h, n)
        self.passes: list[Pass] = []
        self.turned = [columns(nx, n) for _ in range(h)]
        self.g_x, self.g_turned = columns(nx, n), columns(nx, n)
        self.g_cost = (columns(nx, n), columns(nu, n), columns(nu, n))
        self.g_wait, self.g_act, self.g_obs = columns(nx, n), columns(nu, n), columns(nx, n)
        self.g_held = columns(nu, n)
        wait, move = (np.array([s], F32) for s in (task.contract.latency_s, task.period_s - task.contract.latency_s))
        share = np.array([1 / (n * h)], F32)
        self.calls = []
        for t in range(h):
            last, memory = (self.passes[-1].action, self.passes[-1].next_memory) if t else (self.last, self.memory)
            now = Pass(kernel, front, weights, n, last, memory, gradients=True)
            self.passes.append(now)
            x, turned, after, u = self.x[t].T, self.turned[t].T, self.x[t + 1].T, now.action.T
            waited, moved = [x, last.T, self.p.T, self.d.T, wait], [turned, u, self.p.T, self.d.T, move]
            spent = [after, u, last.T]
            self.calls.append((
                kernel.bind("observe", n, [x], [now.obs.T]),
                kernel.bind("step", n, waited, [turned]),
                kernel.bind("step", n, moved, [after]),
                kernel.bind("cost", n, spent, [self.cost[t : t + 1].T]),
                kernel.bind("cost_vjp", n, [*spent, share], [g.T for g in self.g_cost]),
                kernel.bind("step_vjp", n, [*moved, self.g_x.T], [self.g_turned.T, self.g_act.T]),
                kernel.bind("step_vjp", n, [*waited, self.g_turned.T], [self.g_wait.T, self.g_held.T]),
                kernel.bind("observe_vjp", n, [x, now.g_obs.T], [self.g_obs.T]),
            ))  # fmt: skip

    def restart(self) -> None:
        """Carry the plants over into the next window; lost and old ones start afresh."""
        end, rng, n = self.passes[-1], self.rng, self.config.plants
        self.x[0][:], self.last[:], self.memory[:] = self.x[-1], end.action, end.next_memory
        fresh = np.flatnonzero((self.age >= self.life) | ~(self.kernel.margin(self.x[0].T) > 0))
        self.x[0][:, fresh] = self.task.initial(rng, len(fresh), self.nominal).T
        if self.kernel.plant.disturbances:
            self.d[:, fresh] = self.task.disturb(rng, len(fresh), self.nominal).T
        if self.config.randomise:
            self.p[: len(self.nominal), fresh] = self.kernel.plant.randomise(rng, len(fresh)).T
        self.last[:, fresh], self.memory[:, fresh] = self.first_action, self.first_memory
        self.age[fresh], self.life[fresh] = 0, rng.integers(*self.config.lifetime, len(fresh), endpoint=True)
        self.age += self.config.window
        self.noise = rng.standard_normal((self.config.window, len(self.noise_std), n), np.float32) * self.noise_std

    def forward(self) -> float:
        """Fly the window; the mean cost of a control period."""
        for now, noise, (observe, wait, move, cost, *_) in zip(self.passes, self.noise, self.calls, strict=True):
            observe()
            now.obs += noise
            now.forward()
            wait()
            move()
            cost()
        return float(self.cost.mean())

    def backward(self) -> None:
        """The gradient of the mean cost into the weights' `.grad`."""
        for w in self.weights:
            w.grad.zero_()
        g_last, g_memory = np.zeros_like(self.last), np.zeros_like(self.memory)
        self.g_x[:] = 0
        for now, (*_, cost_back, move_back, wait_back, observe_back) in zip(
            self.passes[::-1], self.calls[::-1], strict=True
        ):  # fmt: skip
            cost_back()
            self.g_x += self.g_cost[0]
            move_back()
            wait_back()
            np.add(self.g_act, self.g_cost[1], out=now.g_action)
            now.g_action += g_last
            now.g_next_memory[:] = g_memory
            now.backward()
            observe_back()
            np.add(self.g_wait, self.g_obs, out=self.g_x)
            g_last, g_memory = self.g_cost[2] + self.g_held + now.g_last, now.g_memory
