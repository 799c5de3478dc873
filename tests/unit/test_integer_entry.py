"""The integer entry: when a graph has one, what its screen does, and that it is the float entry without the floats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cases
import networks
import numpy as np
import pytest

from tinyctl.emitter import render
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32
from tinyctl.layers.convert import Decode, Encode
from tinyctl.layers.scale import Scale
from tinyctl.layers.screen import Screen
from tinyctl.network import chain
from tinyctl.policy import Policy


def chained(seed: int = 0, gain: float = 1.0) -> Policy:
    """Scale, dense, tanh, dense: nothing that a graph would leave in float32."""
    rng = np.random.default_rng(seed)
    contract = networks.all_layers_contract()
    contract = replace(contract, inputs=contract.inputs[:5])
    screen, clip = Screen.of(contract), networks.Clip.of(contract)
    scale = Scale((np.array([0.4, -0.5, 2.0, 900.0, 0.01]) * gain).astype(F32), np.full(5, 0.1, F32))
    layers = [("scale", scale), ("a", networks.dense(rng, 5, 8)), ("b", networks.Tanh(8))]
    return Policy(contract, chain([("screen", screen), *layers, ("c", networks.dense(rng, 8, 3)), ("clip", clip)]))


def test_which_graphs_have_one() -> None:
    having = {name for name in cases.MAKERS if cases.graph(name).integer_entry is not None}
    assert {name for name in having if name.endswith("throughout")} == {
        name for name in cases.MAKERS if name.endswith("throughout")
    }
    assert not {name for name in having if "_f32" in name}
    assert "tiny_w16a16" not in having  # lag and integral in float32
    assert {"widths_w8a8", "branching_w16a16", "mixed"} <= having
    graph = cases.graph("tiny_w16a16")
    with pytest.raises(TinyctlError, match="no integer entry"):
        graph.run_q(np.zeros((1, 2), np.int16), graph.init(1))


@pytest.mark.parametrize("format_name", cases.INTEGERS)
def test_the_two_entries_agree(format_name: str) -> None:
    """Observations that encode to the same integers bring the same actions, but for those beyond the last clip."""
    graph = networks.in_format(chained(), format_name)
    entry = graph.integer_entry
    assert entry is not None
    assert isinstance(entry.encode.layer, Encode)
    assert isinstance(entry.decode.layer, Decode)
    rng = np.random.default_rng(1)
    low, high = (np.array([getattr(s, side) for s in graph.contract.inputs]) for side in ("low", "high"))
    obs = rng.uniform(1.2 * low, 1.2 * high, (500, 5)).astype(F32)
    act, _ = graph.run(obs, graph.init(500))
    obs_q = np.maximum(entry.encode.layer.run(obs), entry.invalid + 1)
    act_q, state = graph.run_q(obs_q, graph.init(500))
    assert (act_q.dtype, state.status.any()) == (np.dtype(entry.act_type), False)
    scale = entry.decode.layer.scale
    # A value beyond the type's range need not be the same in both.
    same = (np.abs(obs_q.astype(int)) < np.iinfo(obs_q.dtype).max).all(axis=1)
    assert same.any()
    assert (np.abs(act_q * scale - act) <= scale)[same].all()
    assert ((act_q * scale)[same] == act[same]).mean() > 0.7


def test_the_screen_of_integers() -> None:
    graph = networks.in_format(chained(), "w16a16")
    entry = graph.integer_entry
    assert entry is not None
    state = graph.init(3)
    obs = np.zeros((3, 5), np.int16)
    obs[1, 2] = entry.invalid
    obs[2] = 32767
    x, rejected = entry.screen(obs, np.zeros((3, 3)))
    assert rejected.tolist() == [False, True, False]
    assert x[1, 2] == entry.on_nan[2]
    assert (x[2] == entry.high).all()
    assert graph.run_q(obs, state)[1].status.tolist() == [0, 1, 0]
    for bad in (obs.astype(np.int32), obs[:2], obs[:, :4]):
        with pytest.raises(TinyctlError, match="observations are"):
            graph.run_q(bad, state)


def test_a_rejected_observation_keeps_the_state_and_the_last_action_comes_back() -> None:
    graph = cases.graph("all_layers_w16a16_throughout")
    state = graph.init(1)
    assert state.applied_q is not None
    obs = np.full((1, 5), 1000, np.int16)
    act, state = graph.run_q(obs, state)
    assert (state.applied_q == act).all()
    obs[0, 1] = -32768
    _, following = graph.run_q(obs, state)
    assert following.status[0] == 1
    for name, arrays in state.memory.items():
        assert all((a == b).all() for a, b in zip(arrays, following.memory[name], strict=True))
    one = graph.run_q(np.full((1, 5), 1000, np.int16), state)[0]
    other = graph.run_q(np.full((1, 5), 1000, np.int16), state.with_applied_q(np.full((1, 3), -9000)))[0]
    assert (one != other).any()
    with pytest.raises(TinyctlError, match="not kept here"):
        graph.init(2).with_applied_q(np.zeros((1, 3)))


@pytest.mark.parametrize("make", [chained, lambda: chained(gain=-1.0)])
def test_actions_stay_within_the_contract(make: Callable[[], Policy]) -> None:
    for format_name in cases.INTEGERS:
        graph: Graph = networks.in_format(make(), format_name)
        entry = graph.integer_entry
        assert entry is not None
        assert (entry.low <= entry.high).all()
        act_q, _ = graph.run_q(np.full((1, 5), entry.high.max(), entry.obs_type), graph.init(1))
        assert isinstance(entry.decode.layer, Decode)
        act = act_q[0] * entry.decode.layer.scale.astype(float)
        for value, signal in zip(act, graph.contract.outputs, strict=True):
            assert signal.low - 1e-6 <= value <= signal.high + 1e-6


def test_the_header_tells_the_scales() -> None:
    graph = networks.in_format(chained(), "w16a16")
    entry = graph.integer_entry
    assert entry is not None
    unit, texts = render(graph, "hover")
    assert (unit.obs_q, unit.act_q) == ("int16", "int16")
    for text in ("HOVER_OBS_Q_GAIN { ", "HOVER_OBS_Q_OFFSET { ", "HOVER_ACT_Q_SCALE { ", "HOVER_INVALID_Q (-32768)"):
        assert text in texts["hover.h"]
    assert "applied_q" not in texts["hover.h"]  # nothing reads the last action
    without, texts = render(networks.in_format(chained(), "f32"), "hover")
    assert (without.obs_q, "step_q" in texts["hover.h"]) == ("", False)
