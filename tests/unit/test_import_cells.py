"""Recurrent networks of other frameworks: a flight of steps against theirs, sequence by sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tinyctl.errors import TinyctlError
from tinyctl.importers import Request, read
from tinyctl.layers.base import F32, Array
from tinyctl.policy import Policy

N_IN, STEPS = 5, 40
pytestmark = pytest.mark.filterwarnings("ignore")  # of the frameworks about themselves


@pytest.fixture(scope="module")
def keras(require_package: Callable[[str], ModuleType]) -> Any:
    require_package("h5py")
    return require_package("keras")


def observations(seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal((STEPS, N_IN)).astype(F32)


def flown(policy: Policy, x: Array) -> Array:
    state, seen = policy.init(1), []
    for obs in x:
        act, state = policy.run(obs[None], state)
        seen.append(act[0])
    return np.stack(seen)


class Recurrent(nn.Module):
    """Two cells and a head, one step of one robot at a time."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.rnn = getattr(nn, kind)(N_IN, 6, num_layers=2)
        self.head = nn.Linear(6, 2)

    def forward(self, obs: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, after = self.rnn(obs.unsqueeze(0), state if len(state) > 1 else state[0])
        return (self.head(y.squeeze(0)), *(after if isinstance(after, tuple) else (after,)))


def sequence(module: Recurrent, x: Array) -> Array:
    with torch.no_grad():
        found: Array = module.head(module.rnn(torch.from_numpy(x)[:, None])[0])[:, 0].numpy()
    return found


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_a_state_dict(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    module, path = Recurrent(kind), tmp_path / "net.pt"
    torch.save(module.state_dict(), path)
    cell = kind.lower()
    policy = read(Request(path, rate_hz=50.0, layers=(cell, cell, "dense"))).policy
    assert isinstance(policy, Policy)
    np.testing.assert_allclose(flown(policy, observations()), sequence(module, observations()), atol=3e-6)
    with pytest.raises(TinyctlError, match="--layers, for instance lstm,lstm,dense"):
        read(Request(path, rate_hz=50.0))
    with pytest.raises(TinyctlError, match=r"the layer list has 2 layers with weights .*, the file 3"):
        read(Request(path, rate_hz=50.0, layers=(cell, "dense")))


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_onnx(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(2)
    module, path = Recurrent(kind), tmp_path / "net.onnx"
    states = (torch.zeros(2, 1, 6),) * (2 if kind == "LSTM" else 1)
    names = ["h", "c"][: len(states)]
    torch.onnx.export(
        module, (torch.zeros(1, N_IN), *states), path, dynamo=False,
        input_names=["obs", *names], output_names=["actions", *(f"{n}_out" for n in names)],
    )  # fmt: skip
    policy = read(Request(path, rate_hz=50.0, output="actions")).policy
    assert isinstance(policy, Policy)
    np.testing.assert_allclose(flown(policy, observations()), sequence(module, observations()), atol=3e-6)
    model = onnx.load(path)
    cell = next(n for n in model.graph.node if n.op_type == kind)
    cell.attribute.append(onnx.helper.make_attribute("direction", "reverse"))
    onnx.save(model, path)
    with pytest.raises(TinyctlError, match="another direction than forward"):
        read(Request(path, rate_hz=50.0, output="actions"))


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras(reset_after: bool, suffix: str, tmp_path: Path, keras: Any) -> None:
    keras.utils.set_random_seed(3)
    layers = [
        keras.Input(batch_shape=(1, 1, N_IN)),
        keras.layers.GRU(6, stateful=True, return_sequences=True, reset_after=reset_after, bias_initializer="normal"),
        keras.layers.LSTM(4, stateful=True, bias_initializer="normal"),
        keras.layers.Dense(2, activation="tanh"),
    ]
    model, path = keras.Sequential(layers), tmp_path / f"net{suffix}"
    model.save(path)
    policy = read(Request(path, rate_hz=50.0)).policy
    assert isinstance(policy, Policy)
    theirs = np.stack([model(x[None, None]).detach().numpy()[0] for x in observations()])
    np.testing.assert_allclose(flown(policy, observations()), theirs, atol=3e-6)


def test_a_window_is_refused(tmp_path: Path, keras: Any) -> None:
    keras.Sequential([keras.Input((8, N_IN)), keras.layers.LSTM(4)]).save(tmp_path / "net.keras")
    with pytest.raises(TinyctlError, match=r"starts afresh for every window of 8 steps.*stateful=True"):
        read(Request(tmp_path / "net.keras", rate_hz=50.0))
