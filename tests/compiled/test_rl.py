"""Reinforcement learning: from a Gymnasium environment to a policy, and back into the environment as graph and C."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import gymnasium
import numpy as np
import pytest

from tinyctl import api, cli, closed_loop
from tinyctl.errors import TinyctlError
from tinyctl.sims import environments
from tinyctl.sims.environments import environment
from tinyctl.sims.plants import load_plant
from tinyctl.trainers import algorithm

pytestmark = pytest.mark.filterwarnings("ignore")  # of the framework about gymnasium and itself
SHORT = {"total_steps": 180, "hidden": (8, 8), "learning_starts": 50, "validation_episodes": 3, "curve_every": 50}


@pytest.fixture(scope="module")
def rl(require_package: Callable[[str], ModuleType]) -> ModuleType:
    require_package("stable_baselines3")
    from tinyctl.trainers import rl

    return rl


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "tinyctl.trainers.rl", raising=False)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(TinyctlError, match=r"stable_baselines3 is not installed; pip install 'tinyctl\[sb3\]'"):
        algorithm("rl")


def test_a_contract_follows_from_the_spaces() -> None:
    contract = environment("gym:Pendulum-v1").contract
    assert contract.rate_hz == 20.0
    assert [(s.name, s.low, s.high) for s in contract.inputs][2] == ("obs_2", -8.0, 8.0)
    assert [(s.name, s.low, s.high) for s in contract.outputs] == [("action_0", -2.0, 2.0)]


def test_infinite_ranges_become_the_widest() -> None:
    class Endless(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2, 2))
        action_space = gymnasium.spaces.Box(-1, 1, (1,))

    gymnasium.register("TinyctlEndless-v0", lambda: Endless())
    with pytest.raises(TinyctlError, match=r"does not tell its control period; give --set rate_hz"):
        environment("TinyctlEndless-v0")
    signals = environment("TinyctlEndless-v0", 50.0).contract.inputs
    assert [(s.low, s.high) for s in signals] == 4 * [(-1e6, 1e6)]


@pytest.mark.parametrize(
    ("name", "message"),
    [("TinyctlSwitches-v0", "its actions are a MultiBinary"), ("Nowhere-v0", "no environment 'Nowhere-v0'")],
)
def test_what_cannot_be_flown_is_told(name: str, message: str) -> None:
    class Switches(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,))
        action_space = gymnasium.spaces.MultiBinary(2)

    gymnasium.register("TinyctlSwitches-v0", lambda: Switches())
    with pytest.raises(TinyctlError, match=message):
        environment(name)


@pytest.mark.parametrize(("name", "normalize"), [("SAC", True), ("TD3", False), ("PPO", True)])
def test_the_policy_acts_as_the_model_and_so_does_its_c(
    rl: ModuleType, tmp_path: Path, name: str, normalize: bool
) -> None:
    config = rl.Config(algorithm=name, normalize=normalize, rollout=64, batch=32, **SHORT)
    env = environment("Pendulum-v1")
    solved = rl.train_environment(env, config=config)
    policy, learned = solved.learned.policy, solved.learned
    assert len(learned.curve) >= 3
    x = np.clip(np.random.default_rng(1).standard_normal((100, 3)), -1, 1).astype(np.float32)
    np.testing.assert_allclose(policy.run(x, policy.init(100))[0], learned.predict(x), atol=4e-4)
    with pytest.raises(TinyctlError, match="differs from Stable-Baselines3's"):
        rl.compare(policy, lambda x: learned.predict(x) + 0.01, np.zeros(3), np.ones(3))
    if name == "SAC":
        data = closed_loop.environment_observations(policy, env)
        graph, _ = api.quantize(policy, "w16a16", calibration=data)
        flown = {on: api.fly_environment(graph, "Pendulum-v1", on=on, episodes=3) for on in ("graph", "c", "emulator")}
        assert len({report.returns for report in flown.values()}) == 1
        assert flown["c"].scores["return"].ci95 is not None


def test_a_choice_of_actions_is_the_largest_preference(rl: ModuleType) -> None:
    env = environment("CartPole-v1")
    assert [(s.name, s.low, s.high) for s in env.contract.outputs] == [(f"preference_{i}", -1e6, 1e6) for i in (0, 1)]
    assert replace(env, first=-1).action(np.array([[1.0, 2.0], [3.0, 3.0]])).tolist() == [0, -1]
    with pytest.raises(TinyctlError, match="SAC cannot choose among actions; --set algorithm=PPO"):
        rl.learn(env, config=rl.Config(**SHORT), seed=0)
    solved = rl.train_environment(env, config=rl.Config(algorithm="PPO", rollout=64, batch=32, **SHORT))
    policy, learned = solved.learned.policy, solved.learned
    x = np.random.default_rng(1).uniform(-0.2, 0.2, (200, 4)).astype(np.float32)
    chosen = env.action(policy.run(x, policy.init(200))[0])
    told = learned.model.predict(learned.normalizer.normalize_obs(x), deterministic=True)[0]
    assert set(chosen) == {0, 1}
    assert (chosen == told).mean() > 0.98  # but where the two are preferred alike
    graph, _ = api.quantize(policy, "w16a16", calibration=closed_loop.environment_observations(policy, env))
    flown = [api.fly_environment(graph, "CartPole-v1", on=on, episodes=3) for on in ("graph", "c")]
    assert flown[0].returns == flown[1].returns


def test_a_weight_that_is_lost_stops_the_training(rl: ModuleType) -> None:
    config = rl.Config(algorithm="TD3", **{**SHORT, "learning_rate": 1e30})
    with pytest.raises(TinyctlError, match=r"training: \S+ is not finite after \d+ steps; lower learning_rate"):
        rl.learn(environment("Pendulum-v1"), config=config, seed=0)


def test_a_plant_is_an_environment_with_its_applied_actions(rl: ModuleType) -> None:
    plant = load_plant(Path(__file__).parents[1] / "toy_plant.py")
    result = rl.train(plant, config=rl.Config(algorithm="PPO", rollout=64, batch=32, **SHORT))
    assert result.policy.contract == plant.task().contract
    assert 0 <= result.survived.value <= 1
    assert all(np.isfinite(point.cost) for point in result.curve)


def test_episodes_depend_on_seed_and_number_alone() -> None:
    env = environment("MountainCarContinuous-v0")
    still = Still()
    together = environments.fly(env, still, episodes=4, seed=3)
    apart = environments.fly(env, still, episodes=4, seed=3, batch=1)
    assert np.array_equal(together.returns, apart.returns)
    assert together.steps.tolist() == 4 * [999]


class Still:
    def reset(self, n: int) -> None:
        self.n = n

    def step(self, observations: np.ndarray) -> np.ndarray:
        return np.zeros((self.n, 1), np.float32)


def test_from_the_command_line(
    rl: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tinyctl", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    sets = ("total_steps=120", "learning_starts=50", "hidden=8", "validation_episodes=2", "curve_every=50")
    status, out, _ = run(
        "train", "gym:Pendulum-v1", "--algo", "rl", *(word for s in sets for word in ("--set", s)), "--json"
    )
    assert status == 0
    record = json.loads(out)
    assert record["env_steps"] == 120
    assert [point["steps"] for point in record["curve"]] == [50, 100]
    assert run("quantize", "policy.tctl", "--env", "Pendulum-v1")[0] == 0
    status, out, _ = run("fly", "graph.tctl", "--env", "Pendulum-v1", "--on", "c", "--episodes", "2", "--json")
    assert json.loads(out)["scores"]["return"]["value"] < 0
    for words, message in (
        (("train", "gym:Pendulum-v1"), "--algo rl"),
        (("train", "gym:Pendulum-v1", "--algo", "rl", "--set", "algorithm=DQN"), "one of SAC, TD3, PPO"),
        (("fly", "graph.tctl", "--env", "MountainCarContinuous-v0"), "the controller has 3 observations"),
    ):
        status, _, err = run(*words)
        assert (status, err.count("\n")) == (2, 1)
        assert message in err
