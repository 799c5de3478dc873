"""Analytic policy gradient: the cost of short flights is differentiated through plant and policy.

Many plants fly side by side in windows of a few control periods (`trainers.window`); each window is a gradient step.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from tinyctl.errors import TinyctlError
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import Draws, Estimate, close_loop, draw
from tinyctl.sims.plant import Plant, Task
from tinyctl.trainers.base import (
    Pilot,
    Tensor,
    cpu_time,
    front_layers,
    initial_weights,
    policy_functions,
    policy_of,
)
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult
from tinyctl.trainers.window import Window

SPOILT = 10  # gradients in a row that are not finite: more than a plant that tumbled


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
    """Training ends early when the 95 % interval of a validation's survival lies at or above this fraction, and ..."""
    stop_score: float = 0.0
    """... that of its first score at or below this. The default, zero, never ends it."""
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
    if task.contract.latency_s > task.period_s:  # `fly` would skip inferences; `late_s` does not
        raise TinyctlError("a controller that computes for longer than a control period cannot be trained",
                           where=f"plant {plant.name}", fix="lower rate_hz or latency_s of the contract")  # fmt: skip
    started, cpu_started = time.perf_counter(), cpu_time()
    front = front_layers(task)
    kernel = compile_plant(plant, task, policy_functions(task, front))
    weights = initial_weights(task, front[-1][1].n_out, config.hidden, torch.Generator().manual_seed(seed))
    window = Window(kernel, front, weights, config.plants, config.window, np.random.default_rng([seed, 1]),
                    life=config.lifetime, variant=config.variant, randomise=config.randomise)  # fmt: skip
    pilot = Pilot(kernel, front, weights)
    flights = draw(plant, task, range(config.validation_episodes), _validation_seed(seed), variant=config.variant,
                   randomise=config.randomise)  # fmt: skip
    optimiser = torch.optim.Adam(weights, lr=config.learning_rate)
    curve: list[CurvePoint] = []
    kept, figures, highest = weights, None, 0.0
    costs: list[float] = []
    survived = math.nan
    iteration = spoilt = 0
    last = min(config.iterations, config.stop_after or config.iterations)
    while iteration < last and cpu_time() - cpu_started < config.cpu_seconds:
        window.restart()
        costs.append(window.forward())
        window.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, config.gradient_norm)
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * (1 - iteration / config.iterations)
        if math.isfinite(norm):
            optimiser.step()
            spoilt = 0
        else:  # a plant that tumbles beyond what float32 holds spoils this step only
            spoilt += 1
            _stop_if_lasting(spoilt, weights, iteration, curve, plant)
        iteration += 1
        if iteration % config.validate_every == 0 or iteration == config.iterations:
            point, estimates = _validate(kernel, flights, pilot, iteration, costs, time.perf_counter() - started)
            curve.append(point)
            survived, costs = point.survived, []
            highest = max(highest, point.survived)
            if point.survived >= highest - _standard_error(highest, config.validation_episodes):
                kept, figures = [w.clone() for w in weights], estimates
            if _reached(estimates, config):
                break
        if progress is not None:
            progress(iteration, config.iterations, survived)
    if figures is None:
        raise TinyctlError(f"training ended before its first validation, after {iteration} iterations",
                           where=f"plant {plant.name}", fix="give it more CPU seconds or iterations")  # fmt: skip
    policy = policy_of(task, front, kept)
    steps = iteration * config.plants * config.window
    return TrainResult(policy, *figures, tuple(curve), steps, time.perf_counter() - started,
                       cpu_time() - cpu_started, iteration)  # fmt: skip


def _reached(estimates: tuple[Estimate, dict[str, Estimate | None]], config: Config) -> bool:
    """Whether the whole intervals of survival and of the first score lie beyond the target."""
    survived, first = estimates[0], next(iter(estimates[1].values()), None)
    return survived.low >= config.stop_survived and first is not None and first.high <= config.stop_score


def _stop_if_lasting(spoilt: int, weights: list[Tensor], iteration: int, curve: list[CurvePoint], plant: Plant) -> None:
    """Raise `TinyctlError` after `SPOILT` gradients in a row that are not finite, or at once for such a weight."""
    names = [f"{kind} of dense_{i + 1}" for i in range(len(weights) // 2) for kind in ("weight", "bias")]
    broken = next((n for n, w in zip(names, weights, strict=True) if not w.isfinite().all()), None)
    if broken is None and spoilt < SPOILT:
        return
    where = broken or next(n for n, w in zip(names, weights, strict=True) if not w.grad.isfinite().all())
    good = f"the last good validation was at {curve[-1].iteration}" if curve else "no validation came before"
    raise TinyctlError(f"training broke down at iteration {iteration}: {where} is not finite; {good}",
                       where=f"plant {plant.name}", fix="take a smaller learning_rate; is the plant smooth?")  # fmt: skip


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
