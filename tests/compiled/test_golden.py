"""The C of eight tiny networks, to be read: `tests/golden`, rewritten by `pytest --update-golden`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import networks
import numpy as np
import pytest
from networks import dense, floats

from tinyctl.contract import Contract, Input, Output
from tinyctl.emitter import render
from tinyctl.graph import Graph
from tinyctl.layers.add import Add
from tinyctl.layers.base import Layer
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.history import History
from tinyctl.layers.integral import Integral
from tinyctl.layers.lag import Lag
from tinyctl.layers.leaky_relu import LeakyRelu
from tinyctl.layers.relu import Relu
from tinyctl.layers.screen import Screen
from tinyctl.layers.sigmoid import Sigmoid
from tinyctl.network import Node, chain
from tinyctl.policy import Policy
from tinyctl.quantizer import everywhere, quantize, random_sequences

RNG = np.random.default_rng  # each network draws from its own


def two_inputs() -> Contract:
    return Contract(
        (Input("angle", "rad", "world", -3.0, 3.0), Input("speed", "rad/s", "world", -8.0, 8.0)),
        (Output("torque", "N m", "", -1.0, 1.0),),
        100.0,
    )


def chained(contract: Contract, **layers: Layer) -> Policy:
    return Policy(contract, chain([("screen", Screen.of(contract)), *layers.items(), ("clip", Clip.of(contract))]))


def in_formats(policy: Policy, formats: str | Mapping[str, str]) -> Graph:
    return quantize(policy, formats, random_sequences(policy.contract, None, None))


def narrow_weights() -> Graph:
    r = RNG(1)
    return in_formats(chained(two_inputs(), a=dense(r, 2, 5), fold=Relu(5), b=dense(r, 5, 1)), "w8a16")


def bytes_throughout() -> Graph:
    r = RNG(2)
    policy = chained(two_inputs(), a=dense(r, 2, 4), bend=Sigmoid(4), b=dense(r, 4, 1))
    return in_formats(policy, everywhere(policy, "w8a8"))


def joined() -> Graph:
    r, contract = RNG(3), two_inputs()
    nodes = (
        Node("screen", Screen.of(contract), ()),
        Node("a", dense(r, 2, 2), ("screen",)),
        Node("fold", LeakyRelu(2, 0.1), ("a",)),
        Node("skip", Add(2), ("fold", "screen")),
        Node("wide", Concat((2, 2)), ("skip", "fold")),
        Node("b", dense(r, 4, 1), ("wide",)),
        Node("clip", Clip.of(contract), ("b",)),
    )
    return in_formats(Policy(contract, nodes), "w16a16")


def remembering() -> Graph:
    history = History(2, (1,), 3, 2, floats(0.0))
    return in_formats(chained(two_inputs(), past=history, a=dense(RNG(4), 5, 1)), "f32")


def integer_entry() -> Graph:
    """Past actions, a lag of them, an integral: states in integers, and no float in `step_q`."""
    r, contract = RNG(5), networks.tiny_contract()
    policy = chained(
        contract,
        lag=Lag(3, (2,), 0.1, floats(0.25)),
        sum=Integral(4, (0,), floats(0.5)),
        a=dense(r, 5, 3),
        fold=Relu(3),
        b=dense(r, 3, 1),
    )
    return in_formats(policy, everywhere(policy, "w16a16"))


def mixed() -> Graph:
    r = RNG(6)
    policy = chained(two_inputs(), a=dense(r, 2, 3), b=dense(r, 3, 3), c=dense(r, 3, 1))
    return in_formats(policy, {"a": "w16a16", "b": "w8a8", "c": "f32"})


NETWORKS: dict[str, Callable[[], Graph]] = {
    "tiny_f32": lambda: networks.in_format(networks.tiny(), "f32"),
    "tiny_w16a16": lambda: networks.in_format(networks.tiny(), "w16a16"),
    "narrow_weights": narrow_weights,
    "bytes_throughout": bytes_throughout,
    "joined": joined,
    "remembering": remembering,
    "integer_entry": integer_entry,
    "mixed": mixed,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    texts = render(NETWORKS[name](), name)[1]
    golden(f"{name}.h", texts[f"{name}.h"])
    golden(f"{name}.c", texts[f"{name}.c"])
    if name in ("tiny_f32", "integer_entry"):
        golden(f"{name}_selftest.c", texts[f"{name}_selftest.c"])
