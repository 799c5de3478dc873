"""A network in real arithmetic: what a certificate compares the emitted code with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinyctl.layers.base import Array, JoinLayer, StatefulLayer
from tinyctl.network import Network

POINTS = 20_000  # evaluations of the network in one look at many Jacobians
STARTS, TURNS = 8, 12  # ascents, and steps of each


def real_values(network: Network, x: Array, memory: Mapping[str, tuple[Array, ...]]) -> dict[str, Array]:
    """The value of every node without any rounding but that of float64, from input columns (batch, columns): the
    observations and then the applied actions. Integer nodes count in their own steps, saturation included."""
    values: dict[str, Array] = {}
    for node in network.nodes:
        sources = [values[name] for name in node.awaits] or [np.asarray(x, np.float64)]
        if isinstance(node.layer, JoinLayer):
            values[node.name] = node.layer.exact_join(*sources)
        elif isinstance(node.layer, StatefulLayer):
            values[node.name] = node.layer.exact_step(sources[0], memory[node.name], network.contract.rate_hz)
        else:
            values[node.name] = node.layer.exact(sources[0])
    return values


class Slopes:
    """Secants of a network's real function from observation to action, its memory as after a reset."""

    def __init__(self, network: Network, seed: int) -> None:
        inputs = network.contract.inputs
        self.network, self.n_obs = network, network.contract.n_obs
        self.low, self.high = (np.array([getattr(s, side) for s in inputs]) for side in ("low", "high"))
        self.rng = np.random.default_rng(seed)

    def __call__(self, x: Array) -> Array:
        """(batch, columns) -> (batch, n_act)."""
        memory = {
            name: tuple(np.broadcast_to(slot.initial, (len(x), len(slot.initial))) for slot in layer.state())
            for name, layer in self.network.stateful.items()
        }
        return real_values(self.network, x, memory)[self.network.nodes[-1].name]

    def secants(self, x: Array, directions: Array) -> Array:
        """Differences (batch, n_act) of the action over that of the observation, between two points around x, both
        within the contract's box. `directions` (batch, n_obs) are unit vectors."""
        step = np.zeros_like(x)
        step[:, : self.n_obs] = directions * 1e-5 * (self.high - self.low)[: self.n_obs].max()
        ahead, behind = (np.clip(x + s, self.low, self.high) for s in (step, -step))
        length = np.linalg.norm(ahead - behind, axis=1)
        return (self(ahead) - self(behind)) / np.maximum(length, 1e-300)[:, None]

    def jacobians(self, x: Array) -> Array:
        """(batch, n_act, n_obs)."""
        directions = np.tile(np.eye(self.n_obs), (len(x), 1))
        columns = self.secants(np.repeat(x, self.n_obs, axis=0), directions)
        return columns.reshape(len(x), self.n_obs, -1).transpose(0, 2, 1)

    def steepest(self, x: Array) -> tuple[Array, Array]:
        """The steepest secant (batch,) at each point, and its direction (batch, n_obs)."""
        direction = np.linalg.svd(self.jacobians(x))[2][:, 0]
        return np.linalg.norm(self.secants(x, direction), axis=1), direction

    def points(self, n: int) -> Array:
        """Points of the contract's box, some of them close to its middle or to zero, where activations are steep."""
        spread = self.rng.choice([0.01, 0.1, 0.3, 1.0], (n, 1))
        around = self.rng.uniform(-1, 1, (n, len(self.low))) * (self.high - self.low) / 2 * spread
        return np.clip(self.rng.choice([0.0, 1.0], (n, 1)) * (self.low + self.high) / 2 + around, self.low, self.high)

    def ascend(self) -> tuple[float, Array, Array]:
        """A lower bound of the Lipschitz constant: the steepest secant found, its point and direction. From the best
        of many points along the gradient of the slope, as far as it rises."""
        x = self.points(max(STARTS, min(1024, POINTS // self.n_obs)))
        slope, direction = self.steepest(x)
        best = np.argsort(slope)[-STARTS:]
        x, slope, direction = x[best], slope[best], direction[best]
        for _ in range(TURNS):
            uphill = self._gradient(x, direction)
            for size in (0.3, 0.1, 0.03, 0.01):
                tried = np.clip(x + size * uphill, self.low, self.high)
                found, along = self.steepest(tried)
                better = found > slope
                x, direction = np.where(better[:, None], tried, x), np.where(better[:, None], along, direction)
                slope = np.where(better, found, slope)
        top = int(slope.argmax())
        return float(slope[top]), x[top], direction[top]

    def _gradient(self, x: Array, direction: Array) -> Array:
        """Of the secant along `direction`, scaled so that its largest entry is half the width of the box."""
        half = (self.high - self.low) / 2
        n = len(self.low)
        moves = np.tile(np.diag(half * 1e-3), (len(x), 1))
        at, along = np.repeat(x, n, axis=0), np.repeat(direction, n, axis=0)
        ends = [
            np.linalg.norm(self.secants(np.clip(at + s * moves, self.low, self.high), along), axis=1) for s in (1, -1)
        ]
        rise = (ends[0] - ends[1]).reshape(len(x), n)
        return rise / np.maximum(np.abs(rise).max(axis=1, keepdims=True), 1e-300) * half
