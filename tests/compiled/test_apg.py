"""The trainer: its gradient against differences, its policy against the layers' own arithmetic, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import casadi
import numpy as np
import pytest
import torch
from tensorboard.compat.proto.event_pb2 import Event

from tinyctl.archive import members
from tinyctl.errors import TinyctlError
from tinyctl.layers.tanh import tanh_f32
from tinyctl.sims.curriculum import WHOLE, Curriculum, Stage
from tinyctl.sims.declaration import declaration_hash
from tinyctl.sims.functions import staged_cost
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import close_loop, draw, split_delay
from tinyctl.sims.plant import Array, Plant, Randomisation, Spread
from tinyctl.sims.plants import load_plant, plant_names
from tinyctl.trainers.apg import Config, train
from tinyctl.trainers.base import Pilot, Tensor, front_layers, initial_weights, policy_functions, policy_of
from tinyctl.trainers.critic import Critic
from tinyctl.trainers.window import Window

SMALL = Config(plants=40, window=12, hidden=(16, 8))


def _made(plant: Plant, config: Config) -> tuple[Kernel, Window, list[Tensor]]:
    task = plant.task()
    front = front_layers(task)
    kernel = compile_plant(plant, task, [*policy_functions(task, front), *staged_cost(plant, task)])
    weights = initial_weights(task, front[-1][1].n_out, config.hidden, torch.Generator().manual_seed(0))
    window = Window(kernel, front, weights, config.plants, config.window, np.random.default_rng(0),
                    life=config.lifetime, randomise=config.randomise, staged=True)  # fmt: skip
    return kernel, window, weights


def late(plant: Plant) -> Plant:
    """Its first task with delays of 0.5 to 2.5 control periods."""
    task = plant.task()
    spread = Randomisation((Spread((plant.parameters[0].name,), 0.5, 2.0, log=True),), (0.0, 2 * task.period_s))
    return replace(plant, tasks={"late": replace(task, late_s=task.period_s / 2, randomisation=spread)})


@pytest.mark.parametrize("name", [*plant_names(), "pendulum, late", "quadrotor, late, critic"])
def test_the_gradient_is_that_of_the_cost(name: str) -> None:
    plant = load_plant(name.split(",")[0])
    randomise = "late" in name
    _, window, weights = _made(late(plant) if randomise else plant, replace(SMALL, randomise=randomise))
    critic = Critic(window, (8,), 0.9, torch.Generator().manual_seed(0)) if "critic" in name else None
    for _ in range(3):  # into the flight, so that lag, integral and last action are not at their start
        window.restart()
        window.forward()
        if critic:
            critic.look()
            critic.learn()
    window.backward(critic.look() if critic else None)

    def spent() -> float:
        """What the gradient is of: the mean cost, and what the critic expects of the plants inside."""
        window.forward()
        mean: float = window.cost.mean(dtype=np.float64)
        if critic is None:
            return mean
        critic.look()
        after = critic.value(critic.copy, torch.from_numpy(critic.seen[-1])).numpy()[0, critic.inside]
        return mean + 0.9**SMALL.window / 0.1 / window.cost.size * after.sum(dtype=np.float64)

    rng = np.random.default_rng(1)
    for w in weights:
        direction = torch.from_numpy(rng.normal(size=tuple(w.shape)).astype(np.float32))
        direction += 10 * w.grad / w.grad.norm()  # not orthogonal to the gradient by accident
        direction /= direction.norm()
        costs, before, step = [], w.clone(), 3e-3
        for side in (step, -step):
            w.copy_(before + side * direction)
            costs.append(spent())
        w.copy_(before)
        slope = (costs[0] - costs[1]) / (2 * step)
        assert slope == pytest.approx(float((w.grad * direction).sum()), rel=0.03, abs=1e-4)


def test_late_plants_fly_in_training_as_in_the_loop() -> None:
    plant = late(load_plant("quadrotor"))
    task = plant.task()
    kernel, window, weights = _made(plant, replace(SMALL, randomise=True))
    flights = draw(plant, task, range(40), 5, randomise=True)
    window.restart()
    window.x[0][:], window.d[:], window.p[:] = flights.x.T, flights.d.T, flights.p.T
    window.missed[:], rest = split_delay(task.contract.latency_s + flights.late_s, task.period_s)
    window.wait[:], window.move[:] = rest.T, np.float32(task.period_s) - rest.T
    window.noise[:] = flights.noise[:12].transpose(0, 2, 1)
    window.forward()
    flown = close_loop(kernel, flights, Pilot(kernel, front_layers(task), weights), delay_s=task.contract.latency_s,
                       keep=40)  # fmt: skip
    assert set(window.missed) == {0, 1, 2}
    np.testing.assert_allclose(np.stack(window.x).transpose(0, 2, 1), flown.states[:13], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(np.stack(window.taken).transpose(0, 2, 1), flown.actions[:12], rtol=1e-5, atol=1e-5)


def test_a_saturated_command_keeps_the_gradient_that_leads_back() -> None:
    kernel, _, _ = _made(load_plant("pendulum"), SMALL)
    raw = np.array([[-2], [-2], [0], [0], [2], [2]], np.float32)
    g = np.array([[1], [-1], [1], [-1], [1], [-1]], np.float32)
    # Descent moves against g: beyond the upper limit a positive g leads back, beyond the lower a negative one.
    assert kernel.call("clip_back", raw, g)[0][:, 0].tolist() == [0, -1, 1, -1, 1, 0]


def test_training_uses_the_tanh_of_the_layers() -> None:
    kernel, _, _ = _made(load_plant("pendulum"), SMALL)
    x = np.concatenate([np.linspace(-12, 12, 4001), [0.0, 1e-5, 3.9e-4, 1e-30]]).astype(np.float32)[:, None]
    np.testing.assert_allclose(kernel.call("tanh", x)[0], tanh_f32(x), rtol=1e-6)


@pytest.mark.parametrize("name", plant_names())
def test_the_policy_is_what_was_trained(name: str) -> None:
    plant = load_plant(name)
    kernel, _, weights = _made(plant, SMALL)
    front = front_layers(plant.task())
    for w in weights:
        w += 0.1 * torch.randn(w.shape, generator=torch.Generator().manual_seed(1))
    policy = policy_of(plant.task(), front, weights)

    class Layers:
        def reset(self, n: int) -> None:
            self.state = policy.init(n)

        def step(self, observations: Array) -> Array:
            action, self.state = policy.run(observations, self.state)
            return action

    drawn = draw(plant, plant.task(), range(4), 0)
    flown = [close_loop(kernel, drawn, controller) for controller in (Layers(), Pilot(kernel, front, weights))]
    np.testing.assert_allclose(flown[0].actions[:25], flown[1].actions[:25], atol=2e-4)
    np.testing.assert_allclose(flown[0].states[:25], flown[1].states[:25], rtol=1e-4, atol=1e-3)


def test_it_learns_and_the_same_seed_gives_the_same_weights() -> None:
    plant, calls = load_plant("quadrotor"), []
    config = Config(iterations=90, plants=48, hidden=(24, 24), validate_every=30,
                       validation_episodes=100)  # fmt: skip
    first = train(plant, config=config, seed=3, progress=lambda *call: calls.append(call))
    again, other = (train(plant, config=replace(config, stop_after=30), seed=seed) for seed in (3, 4))
    assert replace(again.curve[0], seconds=0) == replace(first.curve[0], seconds=0)
    assert list(members(again.policy)) != list(members(other.policy))
    assert [p.iteration for p in first.curve] == [30, 60, 90]
    assert first.curve[-1].cost < 0.5 * first.curve[0].cost
    assert max(p.survived for p in first.curve) > 0.2
    assert first.survived.value >= max(p.survived for p in first.curve) - 0.06  # a standard error of 100 episodes
    assert len(calls) == 90
    assert first.env_steps == 90 * 48 * 64


def test_a_critic_shows_a_short_window_the_way_up() -> None:
    short = Config(iterations=240, plants=96, window=8, hidden=(32, 32), validate_every=60, validation_episodes=5)
    alone, shown = (train(load_plant("pendulum"), config=replace(short, critic=c)) for c in ((), (32, 32)))
    assert shown.curve[-1].cost < 0.6 * alone.curve[-1].cost


def test_training_ends_early_on_its_target_or_budget() -> None:
    plant = load_plant("pendulum")
    config = Config(iterations=40, plants=8, window=8, hidden=(4,), validate_every=10, validation_episodes=5,
                       stop_survived=0.0, stop_score=40.0)  # fmt: skip
    assert len(train(plant, config=config).curve) == 1
    with pytest.raises(TinyctlError, match="before its first validation"):
        train(plant, config=Config(cpu_seconds=0.0))


def test_randomised_plants_and_variants_train() -> None:
    config = Config(iterations=3, plants=8, window=8, hidden=(4,), validation_episodes=5, randomise=True)
    result = train(load_plant("quadrotor"), config=config)
    other = train(load_plant("quadrotor"), config=replace(config, randomise=False, variant="gym_pybullet_drones"))
    assert list(members(result.policy)) != list(members(other.policy))


def test_a_nan_that_lasts_stops_with_step_and_parameter() -> None:
    plant = load_plant("pendulum")
    task = replace(plant.task(), cost=lambda x, u, u_last: casadi.sqrt(casadi.fmin(x[0] ** 2, 0)) + x[1] ** 2)  # 0 / 0
    config = Config(iterations=40, plants=8, window=8, hidden=(4,), validation_episodes=5)
    with pytest.raises(TinyctlError, match=r"at iteration 9: .* of dense_1 is not finite; no validation came before"):
        train(replace(plant, tasks={"broken": task}), config=config)


@pytest.mark.parametrize(("randomise", "critic"), [(False, ()), (True, (5,))])
def test_a_training_goes_on_from_its_checkpoint_bit_for_bit(
    randomise: bool, critic: tuple[int, ...], tmp_path: Path
) -> None:
    """From the middle of a stage, with a critic."""
    plant, file = load_plant("quadrotor"), str(tmp_path / "half.npz")
    plant = taught(plant) if critic else plant
    config = Config(iterations=8, plants=16, window=12, hidden=(6,), validate_every=4, validation_episodes=5,
                    lifetime=(20, 40), randomise=randomise, critic=critic)  # fmt: skip
    whole = train(plant, config=config)
    train(plant, config=replace(config, stop_after=4, checkpoint=file))
    rest = train(plant, config=replace(config, resume=file))
    assert list(members(rest.policy)) == list(members(whole.policy))
    assert repr([replace(p, seconds=0) for p in rest.curve]) == repr([replace(p, seconds=0) for p in whole.curve])
    with pytest.raises(TinyctlError, match="another seed"):
        train(plant, config=replace(config, resume=file), seed=1)
    with pytest.raises(TinyctlError, match="another hidden"):
        train(plant, config=replace(config, resume=file, hidden=(7,)))
    (tmp_path / "half.npz").write_bytes(b"PK nonsense")
    with pytest.raises(TinyctlError, match="no checkpoint, or damaged"):
        train(plant, config=replace(config, resume=file))


EASY = Curriculum(
    (Stage("upright", 0.25, starts=0.0, disturbances=0.0, weights={"speed": 3.0}), Stage("half", 0.5, starts=0.5)),
    easiest={"q_w": 1.0, "q_x": 0.0, "q_y": 0.0, "q_z": 0.0},
    terms={"speed": lambda x, u, u_last: 0.05 * casadi.sumsqr(x[7:10])},
)


def taught(plant: Plant) -> Plant:
    return replace(plant, tasks={"taught": replace(plant.task(), curriculum=EASY)})


def test_a_stage_eases_starts_and_disturbances_and_weighs_the_cost() -> None:
    plant = taught(load_plant("quadrotor"))
    task = plant.task()
    kernel, window, _ = _made(plant, SMALL)
    upright, half = EASY.stages
    assert [EASY.stage(done).name for done in (0, 0.24, 0.25, 0.74)] == ["upright", "upright", "half", "half"]
    assert EASY.stage(0.75) is WHOLE
    for stage in (upright, half, WHOLE):
        drawn = np.random.default_rng(0)
        window.rng, window.life[:] = np.random.default_rng(0), 0
        window.enter(stage)
        window.restart()
        start, disturbance = task.initial(drawn, 40, window.nominal), task.disturb(drawn, 40, window.nominal)
        middle = stage.starts * start[:, 3:7] + (1 - stage.starts) * np.array([1, 0, 0, 0])
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        np.testing.assert_allclose(window.x[0][3:7].T, middle, atol=1e-6)
        np.testing.assert_allclose(window.x[0][:3].T, start[:, :3], atol=1e-6)
        np.testing.assert_array_equal(window.d.T, disturbance * np.float32(stage.disturbances))
        window.forward()
        plain = kernel.cost(window.x[1].T, window.taken[0].T, window.held[0].T)
        more = (stage.weights.get("speed", 1) - 1) * 0.05 * (window.x[1][7:10] ** 2).sum(0)
        np.testing.assert_allclose(window.cost[0], plain + more, rtol=1e-5)


def test_training_follows_the_curriculum_or_is_told_not_to() -> None:
    config = Config(iterations=4, plants=8, window=8, hidden=(4,), validation_episodes=5)
    plain, plant = train(load_plant("quadrotor"), config=config), taught(load_plant("quadrotor"))
    assert list(members(train(plant, config=config).policy)) != list(members(plain.policy))
    assert list(members(train(plant, config=replace(config, curriculum=False)).policy)) == list(members(plain.policy))
    whole = load_plant("quadrotor")
    hashes = [declaration_hash(p, p.task()) for p in (whole, whole, plant, replace(plant, tasks={"taught": replace(
        plant.task(), curriculum=replace(EASY, terms={"speed": lambda x, u, u_last: x[7] ** 2}))}))]  # fmt: skip
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_tensorboard_reads_what_a_training_tells(tmp_path: Path) -> None:
    config = Config(iterations=4, plants=8, window=8, hidden=(4,), validate_every=2, validation_episodes=5,
                    gradient_norm=0.1, tensorboard=str(tmp_path / "curves"))  # fmt: skip
    result = train(load_plant("pendulum"), config=config)
    (file,) = (tmp_path / "curves").iterdir()
    seen = [Event.FromString(record) for record in records(file.read_bytes())]
    values = {(v.tag, e.step): v.simple_value for e in seen for v in e.summary.value}
    assert seen[0].file_version == "brain.Event:2"
    assert {step for tag, step in values if tag == "train/gradient_norm"} == {1, 2, 3, 4}
    assert [values["validation/survived", p.iteration] for p in result.curve] == [p.survived for p in result.curve]
    score = [values["validation/angle_error", p.iteration] for p in result.curve]
    assert score == pytest.approx([p.score for p in result.curve])
    norms = [v for (tag, _), v in values.items() if tag == "train/gradient_norm"]
    assert result.clipped == sum(norm > 0.1 for norm in norms) > 0


def records(data: bytes) -> list[bytes]:
    """The payloads of a TFRecord file: a length of 8 bytes, 4 of its checksum, the payload, 4 of its checksum."""
    found = []
    while data:
        size = int.from_bytes(data[:8], "little")
        found.append(data[12 : 12 + size])
        data = data[16 + size :]
    return found
