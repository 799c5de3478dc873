"""Stable-Baselines3: the deterministic action of the model itself, VecNormalize asked for, pickles never loaded."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tinyctl.errors import TinyctlError
from tinyctl.importers import Request, read
from tinyctl.importers.parts.normalizer import Normalizer
from tinyctl.layers.base import Array
from tinyctl.network import Network

pytestmark = pytest.mark.filterwarnings("ignore")  # of the framework about gymnasium and itself
SQUASHED = ("SAC", "TD3", "DDPG")


@pytest.fixture(scope="module")
def sb3(require_package: Callable[[str], ModuleType]) -> Any:
    return require_package("stable_baselines3")


def make(sb3: Any, name: str, *, normalized: bool = False, **kwargs: Any) -> tuple[Any, Any]:
    """A model after a few steps of Pendulum, and its environment."""
    import gymnasium
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    env: Any = DummyVecEnv([lambda: gymnasium.make("Pendulum-v1")])
    if normalized:
        env = VecNormalize(env, clip_obs=1.5)
    steps = {"learning_starts": 100} if name in SQUASHED else {"n_steps": 8}
    batch = {"batch_size": 8} if name == "PPO" else {}
    model = getattr(sb3, name)(
        "MlpPolicy", env, seed=0, device="cpu", policy_kwargs={"net_arch": [16, 8], **kwargs}, **steps, **batch
    )
    return model.learn(16), env


def run(network: Network, x: Array) -> Array:
    return network.run(x, network.init(len(x)))[0]


def observations() -> Array:
    return (np.random.default_rng(0).standard_normal((1000, 3)) * [1, 1, 8]).astype(np.float32)


@pytest.mark.parametrize("name", ["PPO", "A2C", "SAC", "TD3", "DDPG"])
def test_actors_equal_their_models(tmp_path: Path, sb3: Any, name: str) -> None:
    model, _ = make(sb3, name)
    model.save(tmp_path / "model.zip")
    request = Request(tmp_path / "model.zip", rate_hz=20.0)
    if name in SQUASHED:
        with pytest.raises(TinyctlError, match="does not tell whether VecNormalize was used"):
            read(request)
        request = Request(tmp_path / "model.zip", rate_hz=20.0, unnormalized=True)
    policy = read(request).policy
    x = observations()
    np.testing.assert_allclose(run(policy, x), model.predict(x, deterministic=True)[0], atol=5e-6)
    assert (policy.contract.outputs[0].low, policy.contract.outputs[0].high) == (-2.0, 2.0)


@pytest.mark.parametrize("name", ["PPO", "TD3"])
def test_statistics_of_vec_normalize_are_demanded_and_kept(tmp_path: Path, sb3: Any, name: str) -> None:
    model, env = make(sb3, name, normalized=True)
    model.save(tmp_path / "model.zip")
    message = "was trained with VecNormalize" if name == "PPO" else "does not tell"
    with pytest.raises(TinyctlError, match=f"{message}.*--normalize"):
        read(Request(tmp_path / "model.zip", rate_hz=20.0))
    normalizer = Normalizer(env.obs_rms.mean, env.obs_rms.var, env.clip_obs, env.epsilon)
    policy = read(Request(tmp_path / "model.zip", rate_hz=20.0, normalizer=normalizer)).policy
    x = observations()
    wanted = model.predict(env.normalize_obs(x), deterministic=True)[0]
    np.testing.assert_allclose(run(policy, x), wanted, atol=1e-5)


def test_activation_functions_are_heeded(tmp_path: Path, sb3: Any) -> None:
    import torch

    model, _ = make(sb3, "PPO", activation_fn=torch.nn.ReLU)
    model.save(tmp_path / "model.zip")
    policy = read(Request(tmp_path / "model.zip", rate_hz=20.0)).policy
    x = observations()
    np.testing.assert_allclose(run(policy, x), model.predict(x, deterministic=True)[0], atol=5e-6)
    model, _ = make(sb3, "PPO", activation_fn=torch.nn.GELU)
    model.save(tmp_path / "model.zip")
    with pytest.raises(TinyctlError, match=r"activation_fn .*GELU.* is not read"):
        read(Request(tmp_path / "model.zip", rate_hz=20.0))


def test_other_models_are_refused(tmp_path: Path, sb3: Any) -> None:
    import gymnasium

    for name in ("DQN", "PPO"):
        getattr(sb3, name)("MlpPolicy", gymnasium.make("CartPole-v1"), device="cpu").save(tmp_path / f"{name}.zip")
    with pytest.raises(TinyctlError, match="no actor of PPO"):
        read(Request(tmp_path / "DQN.zip", rate_hz=20.0))
    with pytest.raises(TinyctlError, match=r"not a Box|--no-normalize"):
        read(Request(tmp_path / "PPO.zip", rate_hz=20.0))


@pytest.fixture(scope="module")
def good(sb3: Any) -> bytes:
    stream = io.BytesIO()
    make(sb3, "PPO")[0].save(stream)
    return stream.getvalue()


def changed(good: bytes, path: Path, **fields: Any) -> Path:
    """The model with other values in its `data`."""
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == "data":
                data = json.dumps({**json.loads(data), **fields}).encode()
            new.writestr(entry.filename, data)
    return path


def test_pickled_parts_are_never_loaded(tmp_path: Path, good: bytes) -> None:
    """A file whose every pickle is nonsense is read as before."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        data = json.loads(archive.read("data"))
    nonsense = {
        k: {**v, ":serialized:": "AAAA"} for k, v in data.items() if isinstance(v, dict) and ":serialized:" in v
    }
    assert "action_space" in nonsense
    policy = read(Request(changed(good, tmp_path / "m.zip", **nonsense), rate_hz=20.0)).policy
    (tmp_path / "good.zip").write_bytes(good)
    assert policy.hash == read(Request(tmp_path / "good.zip", rate_hz=20.0)).policy.hash


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action_space": {":type:": "Box", "low": "[-2. -2.]", "high": "[2.]"}}, "not a range of 1 actions"),
        ({"action_space": {":type:": "Box", "low": "[nan]", "high": "[2.]"}}, "not a range"),
        ({"action_space": {":type:": "Box", "low": "import os", "high": "[2.]"}}, "not a list of numbers"),
        ({"action_space": {":type:": "MultiBinary"}}, "neither a Box nor a Discrete"),
        ({"action_space": {":type:": "<class 'discrete.Discrete'>", "n": "-2"}}, "'-2' is not a number of choices"),
        ({"action_space": {":type:": "<class 'discrete.Discrete'>", "n": "7"}}, "7 choices do not fit an actor with 1"),
        ({"action_space": [[[]]]}, "neither a Box"),
        ({"policy_kwargs": {"activation_fn": "<class '*/'>"}}, "activation_fn"),
        ({"policy_kwargs": {"squash_output": True}}, "squash_output"),
        ({"num_timesteps": 0}, "does not tell"),
    ],
)
def test_damaged_data_is_refused(tmp_path: Path, good: bytes, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(TinyctlError, match=message) as raised:
        read(Request(changed(good, tmp_path / "m.zip", **fields), rate_hz=20.0))
    assert str(raised.value).isprintable()
