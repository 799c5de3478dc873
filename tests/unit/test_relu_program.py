"""The mixed-integer form of a network: its values are the network's, its extremes are reached and never passed."""

from __future__ import annotations

import networks
import numpy as np
import pytest

from tinyctl.contract import Contract, Input, Output
from tinyctl.errors import TinyctlError
from tinyctl.layers.add import Add
from tinyctl.layers.base import F32
from tinyctl.layers.clip import Clip
from tinyctl.layers.concat import Concat
from tinyctl.layers.relu import Relu
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import Node
from tinyctl.policy import Policy
from tinyctl.relu_program import Program, embed, worst_case

CONTRACT = Contract(
    inputs=tuple(Input(name, "1", "", -2.0, 2.0) for name in "abc"),
    outputs=tuple(Output(name, "1", "", -0.6, 0.6) for name in "uv"),
    rate_hz=50.0,
)
LOW, HIGH = np.array([-1.0, -2.5, 0.5]), np.array([2.0, 1.0, 0.5])  # beyond the screen, and a point


@pytest.fixture(scope="module")
def policy() -> Policy:
    """Every layer that has such a form, a skip among them; the clip is reached."""
    rng = np.random.default_rng(3)
    nodes = {
        "screen": (Screen.of(CONTRACT), ()),
        "scale": (Scale(np.array([0.5, 2.0, 1.0], F32), np.array([0.1, 0.0, -0.2], F32)), ("screen",)),
        "first": (networks.dense(rng, 3, 6), ("scale",)),
        "bend": (Relu(6), ("first",)),
        "second": (networks.dense(rng, 6, 6), ("bend",)),
        "fold": (Relu(6), ("second",)),
        "skip": (Add(6), ("fold", "bend")),
        "wide": (Concat((6, 3)), ("skip", "scale")),
        "third": (networks.dense(rng, 9, 2), ("wide",)),
        "clip": (Clip.of(CONTRACT), ("third",)),
    }
    return Policy(CONTRACT, tuple(Node(name, layer, reads) for name, (layer, reads) in nodes.items()))


def test_the_program_computes_what_the_network_does(policy: Policy) -> None:
    rng = np.random.default_rng(0)
    obs = rng.uniform(LOW, HIGH, (12, 3)).astype(F32)
    wanted, _ = policy.trace(obs, policy.init(12))
    for row in range(12):
        program = Program()
        x = program.variables(LOW, HIGH)
        made = embed(program, policy, x, LOW, HIGH)
        assert 0 < program.binaries <= 12 + 2 * 2 + 2  # ReLUs, both sides of each clip, the one open side of a screen
        assert program.relus == 12
        program.equal(x, x.mapped(np.zeros((3, 3)), obs[row].astype(np.float64)))
        found = program.minimise(made.output)
        assert found.point is not None
        for name, value in made.values.items():
            np.testing.assert_allclose(value.at(found.point), wanted[name][row], atol=1e-6, err_msg=name)


def test_the_extremes_are_reached_and_lie_within_the_bounds(policy: Policy) -> None:
    found = worst_case(policy, LOW, HIGH)
    low, high = policy.bounds()["third"]
    assert (np.maximum(low, -0.6) - 1e-6 <= found.least).all()
    assert (found.most <= np.minimum(high, 0.6) + 1e-6).all()
    obs = np.random.default_rng(1).uniform(LOW, HIGH, (20_000, 3)).astype(F32)
    sampled, _ = policy.run(obs, policy.init(len(obs)))
    assert (found.least <= sampled.min(axis=0) + 1e-6).all()
    assert (found.most >= sampled.max(axis=0) - 1e-6).all()
    for side, values in enumerate((found.least, found.most)):
        reached, _ = policy.run(found.where[side].astype(F32), policy.init(2))
        np.testing.assert_allclose(np.diag(reached), values, atol=1e-5)


def test_neurons_on_one_side_take_no_binary(policy: Policy) -> None:
    program = Program()
    x = program.variables(np.zeros(3), np.zeros(3))
    embed(program, policy, x, np.zeros(3), np.zeros(3))
    assert program.binaries == 0


def test_other_layers_and_boxes_are_refused(policy: Policy) -> None:
    tiny = networks.tiny()
    with pytest.raises(TinyctlError, match="a lag has no mixed-integer form"):
        worst_case(tiny, -np.ones(3), np.ones(3))
    with pytest.raises(TinyctlError, match="not a box of 3 inputs"):
        worst_case(policy, HIGH, LOW)
