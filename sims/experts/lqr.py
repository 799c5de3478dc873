"""The linear-quadratic regulator at the rest that costs least, from the plant's own Jacobians at the contract's rate.

Where observations show the state to first order, it is also a policy of one dense layer, quantized and emitted like any
other: a fallback controller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import casadi
import numpy as np
from scipy.linalg import LinAlgError, solve_discrete_are

from tinyctl.errors import TinyctlError
from tinyctl.layers.base import F32, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.lag import Lag
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.sims.experts.model import Model, Rest, find_rest, magnitudes, model_of
from tinyctl.sims.plant import Array, Plant, Task

LEAST_WEIGHT = 1e-4  # on each scaled state and input, beside the cost's own
SHOWN = 1e-3  # observations show the state when their gain differs from that on the state by no more than this share
NUDGE = 1e-3  # of a goal, in its magnitude, to see how the rest moves with it


@dataclass(frozen=True)
class Gain:
    """`u = rest.u - k (x - rest.x)` with `k` (nu, nx), on the plant's own states; `a` (nx, nx), `b` (nx, nu) the plant
    linearised there, from one control period to the next."""

    rest: Rest
    k: Array
    a: Array
    b: Array


@dataclass(frozen=True)
class Weights:
    """Of a cost near a rest, on the plant's own states and inputs: `x' q x + 2 x' s u + u' r u`, convex."""

    q: Array
    s: Array
    r: Array


def weights_at(model: Model, rest: Rest) -> Weights:
    """The second derivatives of the task's cost at a rest, of which only what is convex counts."""
    nx, scale = model.nx, magnitudes(model)[: model.nx]
    _, weight = _expanded(model, rest)
    values, vectors = np.linalg.eigh((weight + weight.T) / 2)
    weight = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T + LEAST_WEIGHT * np.eye(len(weight))
    q, s, r = weight[:nx, :nx], weight[:nx, nx:], weight[nx:, nx:]
    return Weights(q / scale / scale[:, None], s / scale[:, None], r)


def gain_at(model: Model, rest: Rest) -> Gain:
    """The optimal gain at a rest: the discrete algebraic Riccati equation with the Jacobians of the plant's step and
    the second derivatives of the task's cost."""
    nx, scale = model.nx, magnitudes(model)[: model.nx]
    ab, weights = _expanded(model, rest)[0], weights_at(model, rest)
    a, b = ab[:, :nx], ab[:, nx:]
    q, r, s = weights.q * scale * scale[:, None], weights.r, weights.s * scale[:, None]
    try:
        p = solve_discrete_are(a, b, q, r, s=s)
    except (LinAlgError, ValueError) as error:
        raise TinyctlError(f"no regulator at this rest: {error}", where=f"plant {model.plant.name}") from None
    k = np.linalg.solve(r + b.T @ p @ b, b.T @ p @ a + s.T)
    return Gain(rest, k / scale, a * scale[:, None] / scale, b * scale[:, None])


def _expanded(model: Model, rest: Rest) -> tuple[Array, Array]:
    """The step's Jacobian (nx, nx + nu) and the cost's Hessian (nx + nu, nx + nu) in scaled states and inputs."""
    nx, scale = model.nx, magnitudes(model)[: model.nx]
    jacobian, hessian = _expansion(model)(rest.x[:nx] / scale, rest.u, rest.x[nx:], rest.u)
    return np.array(jacobian), np.array(hessian)


@cache
def _expansion(model: Model) -> Any:
    """Scaled states, input, goals and last input to the step's Jacobian and the cost's Hessian."""
    nx, nu, scale = model.nx, model.nu, magnitudes(model)[: model.nx]
    columns = (("z", nx), ("u", nu), ("goals", len(model.task.goals)), ("last", nu))
    z, u, goals, last = (casadi.SX.sym(name, rows) for name, rows in columns)
    x, both = casadi.vertcat(z * scale, goals), casadi.vertcat(z, u)
    linear = casadi.jacobian(model.step(x, u)[:nx] / scale, both)
    curved = casadi.hessian(model.cost(x, u, last), both)[0]
    return casadi.Function("expansion", [z, u, goals, last], [linear, curved])


@dataclass(frozen=True)
class Law:
    """`u = bias + on_obs obs + on_lag lag`: a gain as seen through the observations. `lag` (nu,) is what the inputs are
    after a first-order lag of the task's time constant, of which the states `lagged` show `lag - rest.u` by `unlag`."""

    bias: Array
    on_obs: Array
    on_lag: Array
    lagged: tuple[int, ...]
    unlag: Array


def law_of(model: Model, gain: Gain) -> Law | None:
    """The law on observations that equals a gain to first order; None where they do not show the state.

    Goals move the rest, so they join the states; a state that is the lagged input and nothing else needs no sensor,
    because the policy can filter its own actions as the plant does.
    """
    rest = gain.rest
    x = casadi.SX.sym("x", len(rest.x))
    shows = np.array(casadi.Function("shows", [x], [casadi.jacobian(model.observe(x), x)])(rest.x))
    k = np.hstack([gain.k, _on_goals(model, gain)])
    lagged, reach = _lagged(model, gain, shows)
    on_lag = -k[:, lagged] @ reach
    sensed = [i for i in range(len(rest.x)) if i not in lagged]
    wanted, size = -k[:, sensed], magnitudes(model)[sensed]
    on_obs = np.linalg.lstsq((shows[:, sensed] * size).T, (wanted * size).T, rcond=1e-9)[0].T
    if np.abs(on_obs @ shows[:, sensed] - wanted).max() > SHOWN * np.abs(wanted).max():
        return None
    bias = rest.u - on_obs @ np.array(model.observe(rest.x))[:, 0] - on_lag @ rest.u
    return Law(bias, on_obs, on_lag, tuple(lagged), np.linalg.pinv(reach))


def _on_goals(model: Model, gain: Gain) -> Array:
    """(nu, goals): minus the change of `rest.u + k rest.x` with each goal."""
    rest, columns = gain.rest, []
    for i, size in enumerate(magnitudes(model)[model.nx :]):
        goals = rest.x[model.nx :].copy()
        goals[i] += NUDGE * size
        moved = find_rest(model, goals, rest)
        columns.append(rest.u - moved.u + gain.k @ (rest.x - moved.x)[: model.nx])
    return np.array(columns).T.reshape(model.nu, -1) / (NUDGE * magnitudes(model)[model.nx :])


def _lagged(model: Model, gain: Gain, shows: Array) -> tuple[list[int], Array]:
    """Which unseen states are the inputs after the task's lag, and (those, nu) how they depend on these."""
    tau, h = model.task.lag_s, model.task.period_s
    if tau is None:
        return [], np.zeros((0, model.nu))
    keeps = math.exp(-h / tau)
    pure = [i for i in range(model.nx) if not shows[:, i].any() and np.allclose(gain.a[i], keeps * np.eye(model.nx)[i])]
    return pure, gain.b[pure] / (1 - keeps)


def make(plant: Plant, task: Task, *, variant: str | None = None) -> Regulator:
    """The regulator of a plant's task. Raises `TinyctlError` where there is no rest, or none that can be held."""
    return Regulator(plant, task, variant)


class Regulator:
    """An expert: with set-points a rest and a gain for each, else the law on (clean) observations, which knows no turns
    of an angle. Where goals drift it is that of the plant's task that has the same contract and none that drift."""

    def __init__(self, plant: Plant, task: Task, variant: str | None = None) -> None:
        self.model = model_of(plant, task, variant)
        still = task if task.drift is None else _still(plant, task)
        base = self.model if still is task else model_of(plant, still, variant)
        first = gain_at(base, find_rest(base))
        self.gain, self.law = first, law_of(base, first)
        self._scheduled = bool(task.goals) and task.drift is None
        self._gains = {first.rest.x[self.model.nx :].tobytes(): first}
        if task.drift is not None and self.law is None:
            raise TinyctlError("its observations do not show the state", where=f"plant {plant.name}", fix="use mpc")

    def reset(self, n: int) -> None:
        """Nothing is remembered."""

    def act(self, x: Array) -> Array:
        """(n, nu) from the true states (n, nx + goals): the linear law, clipped to the contract's ranges."""
        x = np.asarray(x, np.float64)
        if self._scheduled:
            u = self._by_goals(x)
        elif self.law is None:
            u = self._held(x, self.gain)
        else:
            lagged = list(self.law.lagged)
            lag = self.gain.rest.u + (x[:, lagged] - self.gain.rest.x[lagged]) @ self.law.unlag.T
            u = self.law.bias + np.array(self.model.observe(x.T)).T @ self.law.on_obs.T + lag @ self.law.on_lag.T
        return np.clip(u, *self.model.box()).astype(F32)

    def _by_goals(self, x: Array) -> Array:
        u, nx = np.empty((len(x), self.model.nu)), self.model.nx
        for goals in np.unique(x[:, nx:], axis=0):
            rows = (x[:, nx:] == goals).all(axis=1)
            if (key := goals.tobytes()) not in self._gains:
                self._gains[key] = gain_at(self.model, find_rest(self.model, goals, self.gain.rest))
            u[rows] = self._held(x[rows], self._gains[key])
        return u

    def _held(self, x: Array, gain: Gain) -> Array:
        return gain.rest.u - (x - gain.rest.x)[:, : self.model.nx] @ gain.k.T

    def policy(self) -> Policy:
        """The law as a policy: screen, lag where it needs one, scale, one dense layer, clip. Raises `TinyctlError`
        where the observations do not show the state."""
        task, law = self.model.task, self.law
        if law is None:
            raise TinyctlError("its observations do not show the state, so there is no such policy",
                               where=f"plant {self.model.plant.name}")  # fmt: skip
        contract = task.contract
        layers: list[tuple[str, Layer]] = [("screen", Screen.of(contract))]
        size = np.ones(len(contract.inputs) + len(law.on_lag.T) * bool(law.lagged))
        size[: contract.n_obs] = task.typical
        weight = np.zeros((self.model.nu, len(size)))
        weight[:, : contract.n_obs] = law.on_obs
        if law.lagged:
            assert task.lag_s is not None, "_lagged found them by it"
            applied = contract.applied_outputs
            columns = tuple(contract.n_obs + applied.index(i) for i in range(self.model.nu))
            layers.append(
                ("lag", Lag(len(contract.inputs), columns, task.lag_s, np.array(contract.initial_applied(), F32)))
            )
            weight[:, len(contract.inputs) :] = law.on_lag
        dense = Dense((weight * size).astype(F32), law.bias.astype(F32))
        gain = (1 / size).astype(F32)
        layers += [("scale", Scale(gain, np.zeros_like(gain))), ("dense", dense), ("clip", Clip.of(contract))]
        return Policy(contract, chain(layers))


def _still(plant: Plant, task: Task) -> Task:
    found = [t for t in plant.tasks.values() if t.contract == task.contract and t.drift is None]
    if not found:
        raise TinyctlError("its goals drift, so it has no rest", where=f"plant {plant.name}", fix="use mpc")
    return found[0]
