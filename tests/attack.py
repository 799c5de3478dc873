"""Searches for a violation of a certificate: the emitted C at perturbed observations beside the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tinyctl.certificate import Certificate
from tinyctl.graph import Graph
from tinyctl.hostlib import HostController
from tinyctl.layers.base import F32, AppendingLayer, Array
from tinyctl.layers.convert import Encode
from tinyctl.layers.history import IntegerHistory
from tinyctl.layers.integral import FULL, IntegerIntegral, Integral
from tinyctl.layers.lag import IntegerLag
from tinyctl.network import Network, State
from tinyctl.pairing import Pairing
from tinyctl.policy import Policy
from tinyctl.reference import Slopes, real_values

BATCH = 25_000
FOUND = 128  # steep places, found by ascent, around which a quarter of all perturbations lie


@dataclass(frozen=True)
class Attack:
    """Of `perturbations`, how many were beyond the certificate; the largest part of it that any of them took, and of
    the error alone, without perturbation."""

    perturbations: int
    violations: int
    worst: float
    worst_error: float


def attack(
    certificate: Certificate, graph: Graph, reference: Network, controller: HostController, count: int, seed: int = 0
) -> Attack:
    """Step the emitted C of `graph` on `count` perturbed observations, from states that it has really been in."""
    violations, worst, worst_error = 0, 0.0, 0.0
    scales = memory_scales(graph, reference) if isinstance(reference, Policy) else {}
    for x, d, state in _places(graph, reference, controller, count, seed):
        inputs = np.concatenate([x, state.applied[:, list(graph.contract.applied_outputs)]], axis=1)
        real = real_values(reference, inputs, held_memory(graph, reference, state, scales))[reference.nodes[-1].name]
        moved = np.clip(x + d, *_box(graph)).astype(F32)
        lengths = np.linalg.norm(moved.astype(np.float64) - x, axis=1)
        apart = np.abs(controller.step(moved) - real)
        error = np.where(_saturated(graph, moved, state), certificate.error, certificate.error_unsaturated)
        allowed = certificate.lipschitz * lengths + error
        by_output = np.outer(lengths, certificate.lipschitz_outputs) + np.array(certificate.error_outputs)
        share = np.maximum(np.linalg.norm(apart, axis=1) / allowed, (apart / by_output).max(axis=1))
        violations += int((share > 1).sum())
        worst = max(worst, float((np.linalg.norm(apart, axis=1) / allowed).max()))
        still = lengths == 0
        worst_error = max(worst_error, float((np.linalg.norm(apart[still], axis=1) / error[still]).max(initial=0.0)))
    return Attack(count, violations, worst, worst_error)


def memory_scales(graph: Graph, policy: Policy) -> dict[str, tuple[Array, Array]]:
    """For each memory what a step of the columns that it remembers stands for, and what zero does."""
    pairing = Pairing(graph, policy, ignore_encodes=False)
    pairing.errors()
    return {
        name: (pairing.values[name].scale[list(layer.columns)], pairing.values[name].offset[list(layer.columns)])
        for name, layer in graph.stateful.items()
        if isinstance(layer, AppendingLayer)
    }


def held_memory(
    graph: Graph, reference: Network, state: State, scales: dict[str, tuple[Array, Array]]
) -> dict[str, tuple[Array, ...]]:
    """The reference's memory: what the graph's integers stand for, as docs/certificate.md says."""
    held = dict(state.memory)
    for name, (scale, offset) in scales.items():
        layer, real, memory = graph.stateful[name], reference.stateful[name], state.memory[name]
        if isinstance(layer, IntegerLag):
            held[name] = (memory[0] / 2.0**layer.bits * scale + offset,)
        elif isinstance(layer, IntegerIntegral) and isinstance(real, Integral):
            held[name] = (memory[0] / FULL * real.limit.astype(np.float64),)
        elif isinstance(layer, IntegerHistory):
            ring, total, newest, steps = memory
            slots = ring.astype(np.float64).reshape(len(ring), layer.depth, -1)
            rows = np.flatnonzero(steps[:, 0] < layer.every)  # whose mean goes on, from what it is before rounding
            slots[rows, newest[rows, 0]] = total[rows] / steps[rows]
            held[name] = ((slots * scale + offset).reshape(ring.shape), newest, steps)
    return held


def _saturated(graph: Graph, obs: Array, state: State) -> Array:
    """(batch,) bool: an encode node is at an end of its range."""
    values = graph.trace(obs, state)[0]
    found = np.zeros(len(obs), bool)
    for node in graph.nodes:
        if isinstance(node.layer, Encode):
            limits = np.iinfo(node.layer.activation)
            q = values[node.name]
            found |= ((q == limits.min) | (q == limits.max)).any(axis=1)
    return found


def _box(graph: Graph) -> tuple[Array, Array]:
    inputs = graph.contract.inputs[: graph.contract.n_obs]
    return np.array([s.low for s in inputs], F32), np.array([s.high for s in inputs], F32)


def _places(
    graph: Graph, reference: Network, controller: HostController, count: int, seed: int
) -> Iterator[tuple[Array, Array, State]]:
    """Observations (batch, n_obs) float32, perturbations and the state that graph and controller are in."""
    rng, search = np.random.default_rng(seed), Slopes(reference, seed)
    steep = search.points(FOUND)
    directions = search.steepest(steep)[1]
    _, steep[0], directions[0] = search.ascend()
    low, high = _box(graph)
    for first in range(0, count, BATCH):
        n = min(BATCH, count - first)
        controller.reset(n)
        state = graph.init(n)
        for _ in range(2):
            obs = search.points(n)[:, : len(low)].astype(F32)
            state = graph.run(obs, state)[1]
            controller.step(obs)
        applied = rng.uniform(
            [s.low for s in graph.contract.outputs],
            [s.high for s in graph.contract.outputs],
            (n, len(graph.contract.outputs)),
        ).astype(F32)
        controller.set_applied(applied)
        state = state.with_applied(applied)
        x = search.points(n)[:, : len(low)]
        d = (
            rng.standard_normal(x.shape)
            * (high - low)
            * 10.0 ** rng.uniform(-6, 0, (n, 1))
            * (rng.random((n, 1)) < 0.7)
        )
        chosen = np.flatnonzero(rng.random(n) < 0.25)
        which = rng.integers(0, FOUND, len(chosen))
        x[chosen] = steep[which, : len(low)]
        d[chosen] = directions[which] * (high - low).max() * 10.0 ** rng.uniform(-5, 0, (len(chosen), 1))
        yield np.clip(x, low, high).astype(F32), d, state
