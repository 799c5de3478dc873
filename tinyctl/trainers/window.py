"""Many plants fly side by side for a few control periods; the gradient of what that costs.

A window's gradient is exact (truncated back-propagation through time): the kernel gives the products with the plant's
Jacobians, the policy's own are written out in `Pass`. Lost or old plants start afresh between windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Array
from tinyctl.sims.curriculum import WHOLE, Stage
from tinyctl.sims.kernel import Kernel
from tinyctl.sims.loop import split_delay
from tinyctl.sims.starts import Starts
from tinyctl.trainers.base import Front, Pass, Tensor, columns, first_memory
from tinyctl.trainers.sequence import Tick, tick_pass

AGAIN = 0.25  # share of the starts that is taken from mined ones


@dataclass(frozen=True)
class After:
    """The gradient of what comes after a window at its last state `x` (nx, n), at what was `said` last (nu, n), the
    latest first, and at the policy's `memory` (rows, n)."""

    x: Array
    said: tuple[Array, ...]
    memory: Array


class Window:
    """`periods` control periods of `n` plants, with all buffers and kernel calls made beforehand.

    `x[t]` is the state before period `t`. What the policy says at its beginning, `passes[t].action`, moves the plant a
    delay later: the contract's latency and the task's own. With `randomise` parameters and delays are drawn at every
    start, and each plant has a delay of its own. Within period `t` the plant first moves under `held[t]`, up to
    `turned[t]`, then under `taken[t]`. `life` bounds the control periods after which a plant starts afresh although it
    was not lost. `contract` is the policy's where it gives sequences of the task's actions, with `intervals` from one
    decision to the next.
    """

    def __init__(self, kernel: Kernel, front: Front, weights: list[Tensor], n: int, periods: int,
                 rng: np.random.Generator, *, life: tuple[int, int], variant: str | None = None,
                 randomise: bool = False, discount: float = 1.0, staged: bool = False,
                 contract: Contract | None = None, intervals: tuple[int, ...] = (),
                 again: Starts | None = None) -> None:  # fmt: skip
        plant, task, contract = kernel.plant, kernel.task, contract or kernel.task.contract
        nx, nu = len(plant.state_columns(task)), len(plant.inputs)
        self.kernel, self.task, self.weights, self.rng, self.n, self.lifetime = kernel, task, weights, rng, n, life
        self.randomise, self.again = randomise, again
        self.stage, self.terms = WHOLE, tuple(task.curriculum.terms) if staged and task.curriculum else ()
        self.weigh = columns(max(len(self.terms), 1), 1)
        self.first_memory = first_memory(front)
        self.first_action = np.array(task.contract.initial_applied(), F32)[:, None]
        self.nominal = plant.nominal(variant)
        self.age, self.life = np.zeros(n, np.int64), np.zeros(n, np.int64)  # zero life: all start afresh at first
        self.noise_std = np.array(task.noise, F32)[:, None]
        self.p, self.d = columns(max(len(plant.parameters), 1), n), columns(max(len(plant.disturbances), 1), n)
        self.p[: len(self.nominal)] = np.array([*self.nominal.values()], F32)[:, None]
        self._set_delays(periods)
        self.past = [columns(nu, n) for _ in range(self.reach)]  # past[j]: said j + 1 periods before the window
        self.memory = columns(len(self.first_memory), n)
        self.x = [columns(nx, n) for _ in range(periods + 1)]
        self.cost = columns(periods, n)
        self.passes: list[Pass | Tick] = []
        self.turned = [columns(nx, n) for _ in range(periods)]
        self.held: list[Array] = []
        self.taken: list[Array] = []
        self.g_x, self.g_turned = columns(nx, n), columns(nx, n)
        self.g_cost = (columns(nx, n), columns(nu, n), columns(nu, n))
        self.g_wait, self.g_act, self.g_obs = columns(nx, n), columns(nu, n), columns(nx, n)
        self.g_held, self.g_taken = columns(nu, n), columns(nu, n)
        shares = (discount ** np.arange(periods) / (n * periods)).astype(F32)
        self.calls = []
        for t in range(periods):
            memory = self.passes[-1].next_memory if t else self.memory
            now = tick_pass(kernel, front, weights, n, self.said(t - 1), memory, contract, intervals, self.passes)
            self.passes.append(now)
            for moving, late in ((self.held, self.least + 1), (self.taken, self.least)):
                moving.append(columns(nu, n) if randomise else self.said(t - late))  # one delay: no copies
            x, turned, after, taken, held = (b.T for b in (self.x[t], self.turned[t], self.x[t + 1],
                                                           self.taken[t], self.held[t]))  # fmt: skip
            waited, moved = [x, held, self.p.T, self.d.T, self.wait.T], [turned, taken, self.p.T, self.d.T, self.move.T]
            cost, weigh = ("staged_cost", [self.weigh.T]) if self.terms else ("cost", [])
            spent = [after, taken, held, *weigh]
            self.calls.append((
                kernel.bind("observe", n, [x], [now.obs.T]),
                kernel.bind("step", n, waited, [turned]),
                kernel.bind("step", n, moved, [after]),
                kernel.bind(cost, n, spent, [self.cost[t : t + 1].T]),
                kernel.bind(f"{cost}_vjp", n, [*spent, shares[t : t + 1]], [g.T for g in self.g_cost]),
                kernel.bind("step_vjp", n, [*moved, self.g_x.T], [self.g_turned.T, self.g_act.T]),
                kernel.bind("step_vjp", n, [*waited, self.g_turned.T], [self.g_wait.T, self.g_held.T]),
                kernel.bind("observe_vjp", n, [x, now.g_obs.T], [self.g_obs.T]),
            ))  # fmt: skip

    def _set_delays(self, periods: int) -> None:
        """The longest delay decides how many past actions are kept."""
        task, n = self.task, self.n
        spread = task.randomisation.late_s if self.randomise and task.randomisation else (0.0, 0.0)
        ends = [split_delay(task.contract.latency_s + task.late_s + s, task.period_s) for s in spread]
        self.least, most = ends[0][0], ends[1][0]
        self.reach = most + 1
        if self.reach > periods:
            raise TinyctlError(f"a delay of {most} control periods is not within a window of {periods}",
                               where=f"plant {self.kernel.plant.name}", fix="a longer window")  # fmt: skip
        self.missed = np.full(n, self.least)
        self.wait = np.full((1, n) if self.randomise else (1, 1), ends[0][1], F32)
        self.move = F32(task.period_s) - self.wait

    def said(self, t: int) -> Array:
        """What the policy said at the beginning of period `t`, from `-reach` on."""
        return self.passes[t].action if t >= 0 else self.past[-1 - t]

    def restart(self) -> None:
        """Carry the plants over into the next window; lost and old ones start afresh."""
        rng, periods = self.rng, len(self.passes)
        self.x[0][:], self.memory[:] = self.x[-1], self.passes[-1].next_memory
        for j, past in enumerate(self.past):
            past[:] = self.said(periods - 1 - j)
        fresh = np.flatnonzero((self.age >= self.life) | ~(self.kernel.margin(self.x[0].T) > 0))
        self.x[0][:, fresh] = self._eased(self.task.initial(rng, len(fresh), self.nominal)).T
        if self.kernel.plant.disturbances:
            drawn = self.task.disturb(rng, len(fresh), self.nominal)
            self.d[:, fresh] = drawn.T * F32(self.stage.disturbances)
        if self.randomise:
            p, late_s = self.kernel.plant.randomise(self.task, rng, len(fresh), self.nominal)
            self.p[: len(self.nominal), fresh] = p.T
            self.missed[fresh], rest = split_delay(self.task.contract.latency_s + late_s, self.task.period_s)
            self.wait[:, fresh] = rest.T
            self.move[:] = F32(self.task.period_s) - self.wait
        if self.again is not None:
            self._take_again(fresh)
        for past in self.past:
            past[:, fresh] = self.first_action
        self.memory[:, fresh] = self.first_memory
        self.age[fresh], self.life[fresh] = 0, rng.integers(*self.lifetime, len(fresh), endpoint=True)
        self.age += periods
        self.noise = rng.standard_normal((periods, len(self.noise_std), self.n), np.float32) * self.noise_std

    def _take_again(self, fresh: Array) -> None:
        """Mined starts for some of the plants that start afresh; the others fly with parameters of their own again."""
        assert self.again is not None
        if not self.randomise:
            self.p[: len(self.nominal), fresh] = np.array([*self.nominal.values()], F32)[:, None]
        rows = fresh[self.rng.random(len(fresh)) < AGAIN]
        chosen = self.rng.integers(0, len(self.again.x), len(rows))
        for mine, mined in ((self.x[0], self.again.x), (self.d, self.again.d), (self.p, self.again.p)):
            mine[:, rows] = mined[chosen].T

    def enter(self, stage: Stage) -> None:
        """What starts from now on, and what it costs, is of this stage."""
        self.stage = stage
        self.weigh[: len(self.terms), 0] = [stage.weights.get(name, 1.0) for name in self.terms]

    def _eased(self, x: Array) -> Array:
        """Starts (n, nx) brought nearer to the easiest, and back to where a state can be: by a step of no length."""
        plant, course = self.kernel.plant, self.task.curriculum
        if self.stage.starts == 1 or course is None:
            return x
        for i, variable in enumerate(plant.state_columns(self.task)):
            if variable.name in course.easiest:
                easiest = F32(course.easiest[variable.name])
                x[:, i] = easiest + F32(self.stage.starts) * (x[:, i] - easiest)
        p = np.array([*self.nominal.values()] or [0], F32)
        still = np.zeros(len(plant.inputs), F32), p, np.zeros(len(self.d), F32)
        return self.kernel.step(x, *still, 0.0)

    def forward(self) -> float:
        """Fly the window; the mean cost of a control period."""
        delays = self._delays()
        for t, (now, (observe, wait, move, cost, *_)) in enumerate(zip(self.passes, self.calls, strict=True)):
            observe()
            now.obs += self.noise[t]
            now.forward()
            if self.randomise:
                for missed, those in delays:
                    np.copyto(self.held[t], self.said(t - missed - 1), where=those)
                    np.copyto(self.taken[t], self.said(t - missed), where=those)
            wait()
            move()
            cost()
        return float(self.cost.mean())

    def backward(self, after: After | None = None) -> None:
        """The gradient of the mean cost, and of what comes `after` it, into the weights' `.grad`."""
        for w in self.weights:
            w.grad.zero_()
        for now in self.passes:
            now.g_action[:] = 0
        self.g_x[:] = after.x if after else 0
        g_memory, delays = after.memory if after else np.zeros_like(self.memory), self._delays()
        for j, g in enumerate(after.said if after else ()):
            self.passes[-1 - j].g_action += g
        for t in reversed(range(len(self.passes))):
            now, (*_, cost_back, move_back, wait_back, observe_back) = self.passes[t], self.calls[t]
            cost_back()
            self.g_x += self.g_cost[0]
            move_back()
            wait_back()
            np.add(self.g_act, self.g_cost[1], out=self.g_taken)
            self.g_held += self.g_cost[2]
            for missed, those in delays:
                for said, g in ((t - missed, self.g_taken), (t - missed - 1, self.g_held)):
                    if said >= 0:  # what was said before the window is past changing
                        np.add(self.passes[said].g_action, g, out=self.passes[said].g_action, where=those)
            now.g_next_memory[:] = g_memory
            now.backward()
            observe_back()
            np.add(self.g_wait, self.g_obs, out=self.g_x)
            g_memory = now.g_memory
            if t > 0:
                self.passes[t - 1].g_action += now.g_last

    def _delays(self) -> list[tuple[int, Any]]:
        """Each delay in whole periods, and the plants that have it."""
        if not self.randomise:
            return [(self.least, True)]
        return [(missed, self.missed == missed) for missed in range(self.reach)]

    def state(self) -> dict[str, Array]:
        """All that the next window depends on beside the weights and the generator, as views to be written into."""
        last = {f"said_{j}": self.said(len(self.passes) - 1 - j) for j in range(self.reach)}
        return {"x": self.x[-1], "memory": self.passes[-1].next_memory, "p": self.p, "d": self.d, "age": self.age,
                "life": self.life, "missed": self.missed, "wait": self.wait, "move": self.move, **last}  # fmt: skip
