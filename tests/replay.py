"""The same observations through any form of a controller: what the comparisons of bits replay.

The sequences bring zeros of both signs, subnormals, the largest floats, infinities and NaN; now and then another action
than the returned one is applied, and some copies are reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import cases
import numpy as np

from tinyctl.contract import Contract
from tinyctl.graph import Graph
from tinyctl.hostlib import HostController
from tinyctl.layers.base import F32, Array
from tinyctl.network import State
from tinyctl.sims.mcu.emulator import Emulator
from tinyctl.vectors import SPECIAL, integer_observations, observations


class Copies(Protocol):
    """`n` independent copies of a controller. `words` (n, state words) uint32 are the bits of the state."""

    def start(self, n: int) -> None: ...
    def step(self, obs: Array) -> tuple[Array, Array]: ...
    def set_applied(self, act: Array) -> None: ...
    def reset(self, rows: Array) -> None: ...
    def step_q(self, obs: Array) -> tuple[Array, Array]: ...
    def words(self) -> Array: ...


class GraphCopies:
    """The definition."""

    state: State

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def start(self, n: int) -> None:
        self.state = self.graph.init(n)

    def step(self, obs: Array) -> tuple[Array, Array]:
        act, self.state = self.graph.run(obs, self.state)
        return act, self.state.status

    def step_q(self, obs: Array) -> tuple[Array, Array]:
        act, self.state = self.graph.run_q(obs, self.state)
        return act, self.state.status

    def set_applied(self, act: Array) -> None:
        self.state = self.state.with_applied(act)

    def reset(self, rows: Array) -> None:
        self.state = self.graph.reset(self.state, rows)

    def words(self) -> Array:
        return self.state.words()


class HostCopies:
    """Its C on this machine."""

    def __init__(self, controller: HostController) -> None:
        self.controller = controller
        self.start, self.set_applied = controller.reset, controller.set_applied
        self.reset, self.words = controller.restart, controller.words

    def step(self, obs: Array) -> tuple[Array, Array]:
        return self.controller.step(obs), self.controller.status.copy()

    def step_q(self, obs: Array) -> tuple[Array, Array]:
        return self.controller.step_q(obs), self.controller.status.copy()


class EmulatedCopies:
    """Its C on the emulated board."""

    def __init__(self, image: Path | Emulator, act_q: str = "int16") -> None:
        self.emulator, self.act_q = image if isinstance(image, Emulator) else Emulator(image), act_q

    def start(self, n: int) -> None:
        self.structs = self.emulator.initial(n)

    def step(self, obs: Array) -> tuple[Array, Array]:
        return self.emulator.step_batch(self.structs, obs)

    def step_q(self, obs: Array) -> tuple[Array, Array]:
        return self.emulator.step_q_batch(self.structs, obs, self.act_q)

    def set_applied(self, act: Array) -> None:
        self.emulator.set_applied_batch(self.structs, act)

    def reset(self, rows: Array) -> None:
        self.structs[rows] = self.emulator.initial(int(rows.sum()))

    def words(self) -> Array:
        return np.ascontiguousarray(self.structs[:, : self.emulator.descriptor.state_bytes]).view(np.uint32)


@dataclass(frozen=True)
class Bits:
    """Everything a controller shows: actions (steps, n, n_act), status (steps, n), state (steps, n, words), uint32."""

    action: Array
    status: Array
    state: Array

    def differences(self, other: Bits) -> int:
        """How many words are not equal."""
        pairs = ((self.action, other.action), (self.status, other.status), (self.state, other.state))
        return sum(int((ours != theirs).sum()) for ours, theirs in pairs)

    @property
    def n_words(self) -> int:
        return self.action.size + self.status.size + self.state.size


def play(copies: Copies, contract: Contract, steps: int, n: int, seed: int) -> Bits:
    """Run `n` copies over `steps` observations each; the same arguments bring the same sequences."""
    rng = np.random.default_rng(seed)
    obs = np.stack([observations(contract, steps, seed * 1_000_003 + k) for k in range(n)], axis=1)
    low, high = (np.array([getattr(s, side) for s in contract.outputs]) for side in ("low", "high"))
    copies.start(n)
    actions, statuses, states = [], [], []
    for k in range(steps):
        if k % 37 == 20:  # something else was applied, at times something impossible
            act = rng.uniform(1.5 * low, 1.5 * high, (n, contract.n_act)).astype(F32)
            copies.set_applied(np.where(rng.random(act.shape) < 0.1, rng.choice(SPECIAL, size=act.shape), act))
        if k % 101 == 60:
            copies.reset(rng.random(n) < 0.3)
        act, status = copies.step(obs[k])
        actions.append(act.view(np.uint32).copy())
        statuses.append(status)
        states.append(copies.words())
    return Bits(np.stack(actions), np.stack(statuses), np.stack(states))


def play_q(copies: Copies, graph: Graph, steps: int, n: int, seed: int) -> Bits:
    """The same for the integer entry."""
    entry = graph.integer_entry
    assert entry is not None
    n_obs = graph.contract.n_obs
    obs = np.stack([integer_observations(entry, n_obs, steps, seed * 1_000_003 + k) for k in range(n)], axis=1)
    copies.start(n)
    actions, statuses, states = [], [], []
    for k in range(steps):
        act, status = copies.step_q(obs[k])
        actions.append(act.astype(np.int32).view(np.uint32))
        statuses.append(status)
        states.append(copies.words())
    return Bits(np.stack(actions), np.stack(statuses), np.stack(states))


@cache
def of_case(name: str, integers: bool, steps: int, n: int, seed: int) -> Bits:
    """What the graph of a case does, by its float entry or the integer one."""
    graph = cases.graph(name)
    if integers:
        return play_q(GraphCopies(graph), graph, steps, n, seed)
    return play(GraphCopies(graph), graph.contract, steps, n, seed)
