"""Model predictive control by mixed-integer programming over learned ReLU dynamics: the sum of |x - x_ref| and a little
|u| over the horizon, solved by HiGHS to its optimum or until the time limit.

After Liu et al., Model-Based Control with Sparse Neural Dynamics (2023). A bar on the host, never for a board.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32
from tinyctl.policy import Policy
from tinyctl.relu_program import Affine, Program, Ranges, embed
from tinyctl.sims.experts.model import Model, find_rest, model_of
from tinyctl.sims.plant import Array, Plant, Task

CHANGE = "_change"  # what a model's output is called after the observation's name
KEEP = 0.25  # of the ReLUs of a model that is learned here
DRAWN = 4096  # plans that a search begins with
EFFORT = 0.01  # what a unit of |u - u_ref| costs


def make(
    plant: Plant, task: Task, *, variant: str | None = None, dynamics: Policy | None = None, steps: int = 6,
    time_limit_s: float = 1.0, weights: Sequence[float] | None = None,
) -> MixedInteger:  # fmt: skip
    """A controller that looks `steps` of the dynamics' periods ahead; without `dynamics` it learns them first, a model
    of 16 ReLUs, and keeps 4 of them.

    `weights` (n_obs,) are those of |observation - reference|, one over the task's typical ones by default. The
    reference is the task's best rest. Raises `TinyctlError` for tasks with goals.
    """
    if task.goals:
        raise TinyctlError("the mixed-integer expert follows no goals", where=f"plant {plant.name}", fix="use mpc")
    if dynamics is None:
        from tinyctl.trainers import dynamics as learning  # torch, and only here
        from tinyctl.trainers import sparse_dynamics

        config = learning.Config(variant=variant)
        dynamics = learning.train(plant, task, config=config)
        dynamics = sparse_dynamics.sparsify(
            dynamics, plant, task, keep=KEEP, config=sparse_dynamics.Config(fit=config)
        ).policy
    elif not is_model(dynamics, task):
        raise TinyctlError("no model of the task's dynamics", where=f"plant {plant.name}", fix="train --algo dynamics")
    return MixedInteger(model_of(plant, task, variant), dynamics, steps, time_limit_s, weights)


def is_model(network: Policy, task: Task) -> bool:
    """Whether it is a model of the task's dynamics, by the names of its inputs and outputs."""
    seen = [s.name for s in task.contract.inputs[: len(task.typical)]]
    ours = [s.name for s in network.contract.inputs], [s.name for s in network.contract.outputs]
    return ours == ([*seen, *(s.name for s in task.contract.outputs)], [name + CHANGE for name in seen])


@dataclass(frozen=True)
class Solved:
    """One search: ReLUs and binaries of the program, its time, whether the optimum was proved, and whether the search
    found a better plan than those it began with."""

    relus: int
    binaries: int
    seconds: float
    proved: bool
    improved: bool


class MixedInteger:
    """An expert. It plans once in each of the dynamics' periods, and holds the plan's first input until the next.

    A search begins with the best of the old plan, one period on, and of plans whose inputs lie at an end of their range
    or at rest, drawn once. It must be better than that one, which goes on where nothing better is found in its time.
    """

    def __init__(
        self, model: Model, dynamics: Policy, steps: int, time_limit_s: float, weights: Sequence[float] | None
    ) -> None:
        self.model, self.dynamics, self.steps, self.time_limit_s = model, dynamics, steps, time_limit_s
        self._hold = round(model.task.contract.rate_hz / dynamics.contract.rate_hz)
        rest = find_rest(model)
        self._target, self._still = np.array(model.observe(rest.x))[:, 0], rest.u
        typical = 1 / np.array(model.task.typical)
        self._weights = np.concatenate([typical if weights is None else np.array(weights), np.full(model.nu, EFFORT)])
        low, high = (np.array([getattr(s, k) for s in dynamics.contract.inputs], float) for k in ("low", "high"))
        self._box = low, high
        probe = Program()
        ends = np.stack([self._box[0][len(typical) :], self._still, self._box[1][len(typical) :]])
        drawn = np.random.default_rng(0).integers(0, len(ends), (DRAWN, steps, model.nu))
        self._drawn = np.take_along_axis(ends[None, :], drawn, axis=1)  # (plans, steps, nu)
        self._known = embed(probe, dynamics, probe.variables(low, high), low, high, tighten=True).ranges
        self.reset(0)

    def reset(self, n: int) -> None:
        """Forget the plans of `n` episodes, and what was solved for them."""
        self._plans: list[Array] = [np.tile(self._still, (self.steps, 1)) for _ in range(n)]
        self._calls = 0
        self.solved: list[Solved] = []

    def act(self, x: Array) -> Array:
        """(n, nu) from the true states (n, nx), one program an episode and period of the dynamics."""
        if self._calls % self._hold == 0:
            observed = np.array(self.model.observe(np.asarray(x, np.float64).T)).T
            self._plans = [self._plan(o, old) for o, old in zip(observed, self._plans, strict=True)]
        self._calls += 1
        return np.array([plan[0] for plan in self._plans]).astype(F32)

    def _plan(self, start: Array, old: Array) -> Array:
        """(steps, nu): the better of the program's plan and the old one, one period on."""
        shifted, started, n = np.vstack([old[1:], old[-1:]]), time.perf_counter(), len(start)
        start = np.clip(start, self._box[0][:n], self._box[1][:n])
        plans = np.concatenate([shifted[None], self._drawn])
        costs = self._costs(start, plans)
        program, inputs, cost = self._program(start)
        if np.isfinite(costs.min()):
            program.nonnegative(cost.mapped(-np.eye(1), np.array([costs.min()])))
        found = program.minimise(cost, time_limit_s=self.time_limit_s)
        improved, seconds = found.point is not None and found.value < costs.min(), time.perf_counter() - started
        self.solved.append(Solved(program.relus, program.binaries, seconds, found.proved, improved))
        if not improved or found.point is None:
            return plans[costs.argmin()]
        low, high = self.model.box()
        return np.array([np.clip(u.at(found.point), low, high) for u in inputs])

    def _program(self, start: Array) -> tuple[Program, list[Affine], Affine]:
        """The program from an observation (n_obs,), its inputs in order, and its cost. What the plant can reach bounds
        each step's ReLUs."""
        program, n = Program(), len(start)
        x, (least, most) = Affine(np.zeros((n, 0)), start), (start, start)
        inputs, cost = [], Affine(np.zeros((1, 0)), np.zeros(1))
        known: Ranges = self._known
        for _ in range(self.steps):
            u = program.variables(self._box[0][n:], self._box[1][n:])
            inputs.append(u)
            low, high = np.concatenate([least, self._box[0][n:]]), np.concatenate([most, self._box[1][n:]])
            made = embed(program, self.dynamics, _beside(x, u), low, high, known=known)
            change = made.ranges[self.dynamics.nodes[-1].name]
            least = np.clip(least + change[0], self._box[0][:n], self._box[1][:n])
            most = np.clip(most + change[1], self._box[0][:n], self._box[1][:n])
            after = program.variables(least, most)
            program.equal(after, x + made.output)
            x = after
            away = program.magnitude(_beside(x, u).mapped(np.eye(len(low)), -np.append(self._target, self._still)))
            cost = cost + away.mapped(self._weights[None], np.zeros(1))
        return program, inputs, cost

    def _costs(self, start: Array, plans: Array) -> Array:
        """(n,) of plans (n, steps, nu), as the learned dynamics foresee them; infinite where one leaves their box."""
        x, total, n = np.tile(start, (len(plans), 1)), np.zeros(len(plans)), len(start)
        for u in plans.transpose(1, 0, 2):
            x = x + self.dynamics.run(np.concatenate([x, u], axis=1).astype(F32), self.dynamics.init(len(x)))[0]
            total[((x < self._box[0][:n]) | (x > self._box[1][:n])).any(axis=1)] = np.inf
            total += np.abs(np.concatenate([x - self._target, u - self._still], axis=1)) @ self._weights
        return total


def _beside(a: Affine, b: Affine) -> Affine:
    """The values of both, one after the other."""
    n, m = len(a.offset), len(b.offset)
    first = a.mapped(np.eye(n + m, n), np.zeros(n + m))
    return first + b.mapped(np.eye(n + m, m, -n), np.zeros(n + m))
