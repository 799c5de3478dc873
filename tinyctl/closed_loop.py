"""What quantizing and pruning ask of a plant: the observations that a controller meets, and what its flights cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tinyctl.flight import GraphController, check_contract
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.policy import Policy
from tinyctl.sequences import played

if TYPE_CHECKING:  # these need the `sim` extra
    from tinyctl.sims.environments import Environment
    from tinyctl.sims.plant import Plant

CALIBRATION_EPISODES = 64
COST_EPISODES = 200


def observations(policy: Policy, which: Plant, task: str | None = None, *, seed: int = 1) -> Array:
    """(steps, episodes, n_obs): what the policy observes in closed loop, lost episodes included up to their loss."""
    from tinyctl.sims.loop import fly

    chosen = which.task(task)
    check_contract(policy.contract, chosen, f"plant {which.name}", sequences=True)
    recorder = _Recorder(Graph(policy.contract, policy.nodes))
    fly(which, chosen, played(recorder, policy.contract), episodes=CALIBRATION_EPISODES, seed=seed, keep=0)
    return np.stack(recorder.seen)


def environment_observations(policy: Policy, env: Environment, *, seed: int = 1) -> Array:
    """Likewise in a Gymnasium environment; episodes that end early repeat their last observation."""
    from tinyctl.sims.environments import check_columns, fly

    check_columns(policy.contract, env)
    recorder = _Recorder(Graph(policy.contract, policy.nodes))
    fly(env, recorder, episodes=CALIBRATION_EPISODES, seed=seed)
    return np.stack(recorder.seen)


def cost(graph: Graph, which: Plant, task: str | None, *, seed: int = 1) -> float:
    """The mean training cost a control period over episodes, each up to its loss."""
    from tinyctl.sims.loop import fly

    controller = played(GraphController(graph), graph.contract)
    flights = fly(which, which.task(task), controller, episodes=COST_EPISODES, seed=seed, keep=1)
    return float(flights.cost.mean())


def cost_ratio(policy: Policy, which: Plant, task: str | None, *, seed: int = 1) -> Callable[[Graph], float]:
    """A function that flies a graph: its closed-loop cost over the policy's."""
    reference = cost(Graph(policy.contract, policy.nodes), which, task, seed=seed)
    return lambda graph: cost(graph, which, task, seed=seed) / reference


class _Recorder(GraphController):
    """Flies a graph and keeps what it saw."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.seen: list[Array] = []

    def step(self, observations: Array) -> Array:
        self.seen.append(observations.copy())
        return super().step(observations)
