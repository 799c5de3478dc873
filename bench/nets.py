"""The reference nets of the kernel benchmark: seeded random weights, shapes that public tools were timed on."""

from __future__ import annotations

import itertools

import numpy as np

from tinyctl.contract import Contract, Input, Output
from tinyctl.layers.base import F32, Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.dense import Dense
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.network import chain
from tinyctl.policy import Policy

NETS: dict[str, tuple[tuple[int, ...], type[Tanh] | type[Relu]]] = {
    "N1": ((18, 64, 64, 4), Tanh),  # a hover policy
    "N2": ((146, 64, 64, 4), Tanh),  # the same with an action history: the policy of Learning to Fly in Seconds
    "N1s": ((18, 64, 64, 4), Relu),  # N1 pruned: 80 % of its weights are zero
    "N4": ((640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640), Relu),  # MLPerf Tiny, anomaly detection
}
ZEROS = {"N1s": 0.8}  # the share of weights that are zero, wherever they stand


def net(name: str, seed: int = 0) -> Policy:
    """A reference net by name, with the screen, an input scale and an output clip: what a policy has."""
    widths, bend = NETS[name]
    rng = np.random.default_rng(seed)
    contract = Contract(
        inputs=tuple(Input(f"x{i}", "1", "", -4.0, 4.0) for i in range(widths[0])),
        outputs=tuple(Output(f"y{i}", "1", "", -4.0, 4.0) for i in range(widths[-1])),
        rate_hz=100.0,
    )
    gain = 1.0 if bend is Tanh else float(np.sqrt(2.0))  # keeps the spread of the values from layer to layer
    layers: list[tuple[str, Layer]] = [
        ("screen", Screen.of(contract)),
        ("scale", Scale(np.full(widths[0], 0.5, F32), np.zeros(widths[0], F32))),
    ]
    for k, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        weight = rng.standard_normal((n_out, n_in)) * gain / np.sqrt(n_in)
        if name in ZEROS:
            kept = rng.random(weight.shape) >= ZEROS[name]
            weight = np.where(kept, weight, 0) / np.sqrt(1 - ZEROS[name])
        layers.append((f"dense{k}", Dense(weight.astype(F32), (0.1 * rng.standard_normal(n_out)).astype(F32))))
        if k < len(widths) - 2:
            layers.append((f"bend{k}", bend(n_out)))
    layers.append(("clip", Clip.of(contract)))
    return Policy(contract, chain(layers))
