"""An input-convex Lipschitz RNN as a model of the CSTR: its error, and convexity and norms of the stored integers.

The protocol is that of killingbear999/ICLRNN: 12,352 trajectories of 10 samples from the region of starts, inputs held;
starts, inputs and states scaled to a unit; 30 % kept for the test. To the scaled states that are trained on comes
noise of 0.9; the test's are clean. The network reads start and inputs in every step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import tinyctl
from controller_rows import Figure, cost, kept_policy
from tinyctl.contract import Contract, Input, Output
from tinyctl.curvature import require_convex
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import Network, Node
from tinyctl.policy import Policy
from tinyctl.quantizer import quantize_in_steps
from tinyctl.sims.kernel import compile_plant
from tinyctl.trainers.convex import Config, ConvexRnn, fit

PLANT = tinyctl.plant("cstr")
TRAJECTORIES, SAMPLES, TESTED, NOISE = 12_352, 10, 0.3, 0.9
WORST, MOST = 6e-4, 13_058
NORM = {"hidden": 1.0, "input": np.sqrt(2)}  # (U+ - U-) x = U [x, -x]
QUANTIZED = {"w16a16": 1.0, "w8a16": 1.02}  # how far the norms may be above
SOURCES = ("tinyctl/trainers/convex.py", "sims/plants/cstr.py", "bench/controller_rows/iclrnn.py")
SETTINGS = Config(steps=4000)


def figures() -> Iterator[Figure]:
    inputs, states = trajectories()
    known = round((1 - TESTED) * TRAJECTORIES)
    size = ConvexRnn(inputs.shape[1], SETTINGS.width, states.shape[2]).count()
    yield Figure("parameters", f"{size:,}", f"at most {MOST:,}", size <= MOST)
    policy = kept_policy("iclrnn", lambda: trained(inputs[:known], states[:known]), SETTINGS, SOURCES)
    error = test_error(policy, inputs[known:], states[known:])
    yield Figure("test MSE, float32", f"{error:.2e}", f"at most {WORST:g}", error <= WORST)
    calibration = np.repeat(inputs[None, :256], SAMPLES, axis=0)
    yield Figure("convex, float32", *_convex(policy))
    for name, above in QUANTIZED.items():
        graph, norms = _stored(policy, name, calibration)
        error = test_error(graph, inputs[known:], states[known:])
        yield Figure(f"test MSE, {name}", f"{error:.2e}", f"at most {WORST:g}", error <= WORST)
        yield Figure(f"convex, {name}", *_convex(graph))
        worst = max(norms.values())
        yield Figure(f"norms over their bounds, {name}", f"{worst:.4f}", f"at most {above:g}", worst <= above)
        yield Figure(f"a step, {name}", cost(graph))


def trajectories() -> tuple[Array, Array]:
    """Starts and inputs (trajectories, 4) and the states after them (trajectories, samples, 2), float32."""
    task, rng = PLANT.task(), np.random.default_rng(0)
    kernel, nominal = compile_plant(PLANT, task), PLANT.nominal()
    x = task.initial(rng, TRAJECTORIES, nominal)
    u = rng.uniform(-1, 1, (TRAJECTORIES, 2)).astype(F32)
    p, calm, seen = np.array([*nominal.values()], F32), np.zeros(2, F32), [x]
    for _ in range(SAMPLES):
        seen.append(kernel.step(seen[-1], u, p, calm, task.period_s))
    return np.column_stack([x[:, :2], u]), np.stack(seen[1:], axis=1)[:, :, :2]


def trained(inputs: Array, states: Array) -> Policy:
    """The network fitted to noisy scaled states, with its scaling, as nodes."""
    low, high = inputs.min(axis=0), inputs.max(axis=0)
    floor, top = states.min(axis=(0, 1)), states.max(axis=(0, 1))
    noise = NOISE * np.random.default_rng(1).standard_normal(states.shape)
    targets = ((states - floor) / (top - floor) + noise).astype(F32)
    scaled = np.repeat(((inputs - low) / (high - low)).astype(F32)[:, None], SAMPLES, axis=1)
    margin = 0.5 * (top - floor)
    names = (("concentration", "kmol/m^3"), ("temperature", "K"), ("feed", "1"), ("heat", "1"))
    ranges = zip(names, low, high, strict=True)
    reached = zip(names, floor - margin, top + margin, strict=False)
    contract = Contract(
        tuple(Input(name, unit, "", float(a), float(b), float(a)) for (name, unit), a, b in ranges),
        tuple(Output(f"{name}_next", unit, "", float(a), float(b), float(a + b) / 2) for (name, unit), a, b in reached),
        1 / PLANT.task().period_s,
    )
    net = fit(scaled, targets, SETTINGS)
    gain = 1 / (high - low)
    return Policy(contract, (
        Node("screen", Screen.of(contract), ()),
        Node("scale", Scale(gain.astype(F32), (-gain * low).astype(F32)), ("screen",)),
        *net.nodes("scale"),
        Node("unscale", Scale((top - floor).astype(F32), floor.astype(F32)), ("positive",)),
        Node("clip", Clip.of(contract), ("unscale",)),
    ))  # fmt: skip


def test_error(network: Network, inputs: Array, states: Array) -> float:
    """Mean squared error of all samples, in scaled states."""
    floor, top = states.min(axis=(0, 1)), states.max(axis=(0, 1))
    memory, said = network.init(len(inputs)), []
    for _ in range(SAMPLES):
        out, memory = network.run(inputs, memory)
        said.append(out)
    return float(np.mean(((np.stack(said, axis=1) - states) / (top - floor)) ** 2))


def _convex(network: Network) -> tuple[str, str, bool]:
    try:
        require_convex(network)
    except TinyctlError as error:
        return str(error), "proven", False
    return "proven", "proven", True


def _stored(policy: Policy, name: str, calibration: Array) -> tuple[Graph, dict[str, float]]:
    """The graph, and the spectral norm of each block of weights as stored, over its bound."""
    graph, values, taken = quantize_in_steps(policy, name, calibration)
    layers, norms = {node.name: node.layer for node in graph.nodes}, {}
    for node in policy.nodes:
        if not isinstance(node.layer, Dense):
            continue
        form, source = layers[node.name].affine(0.0), taken[node.name, node.inputs[0]].scale
        out = values[node.name].scale
        assert form is not None
        assert source is not None
        assert out is not None
        weight = form[0] * out[:, None] / source
        own = weight.shape[1] - len(weight) if node.name.endswith("_sum") else weight.shape[1]
        for block, part in (("input", weight[:, :own]), ("hidden", weight[:, own:])):
            if part.size:
                bound = NORM["input"] if (node.name, block) == ("first_sum", "input") else NORM["hidden"]
                norms[f"{node.name} {block}"] = float(np.linalg.norm(part, 2)) / bound
    return graph, norms
