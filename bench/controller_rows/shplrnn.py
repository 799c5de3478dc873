"""A shallow piecewise-linear network learns Lorenz-63 with a force on it: gradients through chaos with and without
teacher forcing, and where the emitted C's orbit goes in a million steps."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from controller_rows import Figure, cost, kept_numbers
from tinyctl.contract import Contract, Input, Output
from tinyctl.emitter import emit
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.screen import Screen
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.toolchains import SHARED, host_cc, run
from tinyctl.trainers.shplrnn import Config, ShallowPlrnn, fit
from tinyctl.trainers.threads import one_thread

PERIOD_S, FORCE, HELD = 0.01, 5.0, 50
LENGTHS, LONGEST, GROWTH = (200, 2000, 19_000), 1_000_000, 10.0
SOURCES = ("tinyctl/trainers/shplrnn.py", "bench/controller_rows/shplrnn.py")
SETTINGS = Config(hidden=100, length=60, steps=3000)
ORBIT = """
#include "orbit.h"
float orbit_most(long steps)
{
    static struct orbit model;
    const float calm[3] = {0.0f, 0.0f, 0.0f};
    float z[3];
    float most = 0.0f;
    long k;
    int i;
    orbit_init(&model);
    for (k = 0; k < steps; k++) {
        orbit_step(&model, calm, z);
        for (i = 0; i < 3; i++) {
            const float size = z[i] < 0.0f ? -z[i] : z[i];
            most = size > most || size != size ? size : most;
        }
    }
    return most;
}
"""


@one_thread()
def figures() -> Iterator[Figure]:
    x, s = lorenz(20_000, 0)
    found = kept_numbers("shplrnn", lambda: learned(x, s), SETTINGS, SOURCES)
    net = ShallowPlrnn(3, SETTINGS.hidden, 3)
    net.load_state_dict({name: torch.tensor(value) for name, value in found["weights"].items()})
    states, moved = torch.from_numpy(x[None]), torch.from_numpy(s[None])
    alpha = net.alpha(states)
    ahead = prediction_error(net, states, moved)
    yield Figure("prediction 20 steps ahead, RMS over the spread", f"{ahead:.3f}")
    free, forced = ([gradient(net, states, moved, n, share) for n in LENGTHS] for share in (0.0, alpha))
    told = ", ".join(f"{g:.3g}" for g in free)
    yield Figure(f"gradient over {LENGTHS} steps, free", told, "overflows", not np.isfinite(free[-1]))
    told = ", ".join(f"{g:.3g}" for g in forced)
    bounded = bool(np.isfinite(forced).all() and max(forced) <= GROWTH * forced[0])
    yield Figure(f"the same, forced by {alpha:.3f}", told, f"at most {GROWTH:g} times the first", bounded)
    policy = model(net, x[0])
    most, bound = orbit(policy), float(np.abs(policy.bounds()["net_out"]).max())
    size = float(net.a.detach().abs().max())
    yield Figure(f"largest |z| in {LONGEST:,} steps of C, |A| = {size:.4f}", f"{most:.3f}", f"at most {bound:.3g}",
                 size < 1 and most <= bound)  # fmt: skip
    yield Figure("a step", cost(policy))


def lorenz(steps: int, seed: int) -> tuple[Array, Array]:
    """States (steps, 3), of mean 0 and spread 1, and the force (steps, 3), as a share of its largest, that moves each
    to the next; half the time there is none. Classical Runge-Kutta, sigma = 10, rho = 28, beta = 8/3."""
    rng, x, force, states, forces = np.random.default_rng(seed), np.array([1.0, 1.0, 25.0]), np.zeros(3), [], []

    def slope(at: Array) -> Array:
        a, b, c = at
        return np.array([10 * (b - a), a * (28 - c) - b, a * b - 8 / 3 * c]) + force

    for k in range(steps + 1000):
        if k % HELD == 0:
            force = rng.uniform(-FORCE, FORCE, 3) * (rng.random() < 0.5)
        states.append(x)
        forces.append(force / FORCE)
        first = slope(x)
        second = slope(x + PERIOD_S / 2 * first)
        third = slope(x + PERIOD_S / 2 * second)
        x = x + PERIOD_S / 6 * (first + 2 * (second + third) + slope(x + PERIOD_S * third))
    kept = np.array(states[1000:])
    return ((kept - kept.mean(axis=0)) / kept.std(axis=0)).astype(F32), np.array(forces[1000:], F32)


def learned(x: Array, s: Array) -> dict[str, object]:
    """The weights of a network fitted to the series, as JSON holds them."""
    net, _, _ = fit(x, s, SETTINGS)
    return {"weights": {name: value.tolist() for name, value in net.state_dict().items()}}


def prediction_error(net: ShallowPlrnn, x: torch.Tensor, s: torch.Tensor) -> float:
    """Root mean squared, 20 steps after starts all along the series."""
    first = torch.arange(0, x.shape[1] - 20, 20)
    with torch.no_grad():
        z = x[0, first]
        for k in range(20):
            z = net.step(z, s[0, first + k])
        return float(((z - x[0, first + 20]) ** 2).mean().sqrt())


def gradient(net: ShallowPlrnn, x: torch.Tensor, s: torch.Tensor, steps: int, alpha: float) -> float:
    """The norm of the gradient of the mean squared error over so many steps from the series' start."""
    net.zero_grad()
    ((net.forced(x[:, : steps + 1], s, alpha) - x[:, 1 : steps + 1]) ** 2).mean().backward()
    return float(torch.cat([p.grad.flatten() for p in net.parameters()]).norm())


def model(net: ShallowPlrnn, start: Array) -> Policy:
    """The network as a plant model: the force comes in, the state after it goes out."""
    ends = [Output(f"{n}_next", "1", "", -1e6, 1e6) for n in "xyz"]
    contract = Contract(tuple(Input(f"force_{n}", "1", "", -1.0, 1.0) for n in "xyz"), tuple(ends), 1 / PERIOD_S)
    cell = net.nodes("net", "screen", np.ones(3), start)
    return Policy(contract, (Node("screen", Screen.of(contract), ()), *cell,
                             Node("clip", Clip.of(contract), ("net_out",))))  # fmt: skip


def orbit(policy: Policy) -> float:
    """The largest value of the emitted C's outputs, run freely from the start."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        folder = Path(scratch)
        emit(Graph(policy.contract, policy.nodes), folder, "orbit")
        (folder / "run.c").write_text(ORBIT)
        run(
            [*host_cc(), "-std=c99", "-O2", *SHARED, "run.c", "orbit.c", "-o", "orbit.so"], what="the orbit", cwd=folder
        )
        function = ctypes.CDLL(str(folder / "orbit.so")).orbit_most
        function.restype = ctypes.c_float
        return float(function(ctypes.c_long(LONGEST)))
