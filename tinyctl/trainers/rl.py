"""Reinforcement learning by Stable-Baselines3: for any Gymnasium environment, and for plants as environments.

The actor is read back by the importer (`importers/sb3.py`) from the file that Stable-Baselines3 writes; VecNormalize
becomes the policy's scale layer. The policy is compared with the model before it is returned.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import stable_baselines3
import torch
from gymnasium.spaces import Discrete
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tinyctl.contract import UNBOUNDED
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.importers import sb3
from tinyctl.importers.base import Request
from tinyctl.importers.parts.normalizer import Normalizer
from tinyctl.layers.base import F32, Array
from tinyctl.policy import Policy
from tinyctl.sims import environments
from tinyctl.sims.environments import Environment, plant_environment
from tinyctl.sims.loop import Estimate, mean_estimate
from tinyctl.sims.loop import fly as fly_plant
from tinyctl.sims.plant import Plant
from tinyctl.trainers.result import CurvePoint, Progress, TrainResult
from tinyctl.trainers.threads import one_thread

COMPARED = 1000  # observations on which policy and model are compared
TOLERANCE = 1e-4  # of an action's range; float32 sums in another order differ by less
RECENT = 20  # training episodes behind a point of the curve


@dataclass(frozen=True)
class Config:
    """What to learn by and how long. The defaults solve Gymnasium's Pendulum in a few minutes of one core."""

    algorithm: Literal["SAC", "TD3", "PPO"] = "SAC"
    """Of Stable-Baselines3; a choice of actions is learnt by PPO alone."""
    total_steps: int = 10_000
    """Steps of the environment."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the actor's and the critics' layers."""
    activation: Literal["relu", "tanh"] = "relu"
    """Between the layers."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    gamma: float = 0.98
    """The discount of a step."""
    batch: int = 256
    """Transitions of a gradient step."""
    learning_starts: int = 500
    """SAC and TD3: random steps before learning."""
    train_every: int = 1
    """SAC and TD3: steps of the environment between updates, each of as many gradient steps."""
    noise: float = 0.0
    """SAC and TD3: standard deviation of exploration noise, as a share of half the action's range."""
    correlated: bool = False
    """Whether that noise is an Ornstein-Uhlenbeck process, for environments that take a long push to move."""
    entropy: float | None = None
    """SAC, PPO: the weight of the entropy; by default SAC adapts it, and PPO takes 0."""
    rollout: int = 1024
    """PPO: steps of each environment before an update."""
    environments: int = 1
    """Environments that are stepped in turn."""
    normalize: bool = True
    """Whether observations are divided by their running deviation (VecNormalize)."""
    normalize_reward: bool = False
    """Whether rewards are scaled as well, for training alone."""
    rate_hz: float | None = None
    """Control rate of an environment that does not tell it."""
    validation_episodes: int = 100
    """Episodes after training, whose figures are reported."""
    curve_every: int = 1000
    """Steps from one point of the learning curve to the next."""
    cpu_seconds: float = math.inf
    """Training ends after this CPU time; a run it cuts short is not reproducible."""


@dataclass(frozen=True)
class Point:
    """Training so far: environment steps, the mean return of the last `RECENT` episodes (NaN before the first), mean
    reward a step since the point before, and seconds since the start."""

    steps: int
    mean_return: float
    mean_reward: float
    seconds: float


@dataclass(frozen=True)
class Learned:
    """The policy; `model` and `normalizer` are those of Stable-Baselines3 that it was compared with."""

    policy: Policy
    model: Any
    normalizer: Any
    curve: tuple[Point, ...]
    env_steps: int
    seconds: float
    cpu_seconds: float

    def predict(self, observations: Array) -> Array:
        """Stable-Baselines3's own deterministic outputs (n, n_act) for raw observations (n, columns)."""
        return model_outputs(self.model, self.normalizer, observations)


@dataclass(frozen=True)
class Solved:
    """What training on an environment came to: returns of the validation episodes beside `Learned`."""

    learned: Learned
    mean_return: Estimate
    mean_steps: float


def train(
    plant: Plant, task: str | None = None, *, config: Config = Config(), seed: int = 0,
    progress: Progress | None = None,
) -> TrainResult:  # fmt: skip
    """Train a policy for a plant's `task` (the first by default), whose reward is minus its cost.

    Actions take effect at once in training; `TrainResult` holds figures of flights with the contract's latency.
    """
    chosen = plant.task(task)
    learned = learn(plant_environment(plant, task), config=config, seed=seed, progress=progress)
    pilot = GraphController(Graph(learned.policy.contract, learned.policy.nodes))
    flown = fly_plant(plant, chosen, pilot, episodes=config.validation_episodes, seed=_validation_seed(seed),
                      delay_s=chosen.contract.latency_s, keep=0)  # fmt: skip
    curve = tuple(CurvePoint(p.steps, -p.mean_reward, math.nan, math.nan, p.seconds) for p in learned.curve)
    scores = {s.name: flown.score(s.name) for s in chosen.scores}
    return TrainResult(learned.policy, flown.survival(), scores, curve, learned.env_steps, learned.seconds,
                       learned.cpu_seconds)  # fmt: skip


def train_environment(
    env: Environment, *, config: Config = Config(), seed: int = 0, progress: Progress | None = None
) -> Solved:
    """Train a policy for a Gymnasium environment; its progress tells the mean return of the last episodes."""
    learned = learn(env, config=config, seed=seed, progress=progress)
    pilot = GraphController(Graph(learned.policy.contract, learned.policy.nodes))
    flown = environments.fly(env, pilot, episodes=config.validation_episodes, seed=_validation_seed(seed))
    return Solved(learned, mean_estimate(flown.returns), float(flown.steps.mean()))


@one_thread()
def learn(env: Environment, *, config: Config, seed: int, progress: Progress | None = None) -> Learned:
    """Let Stable-Baselines3 learn, then take its actor. Raises `TinyctlError` when a weight is no longer finite, or
    when the policy differs from the model."""
    vector = DummyVecEnv([partial(_monitored, env) for _ in range(config.environments)])
    try:
        started, cpu_started = time.perf_counter(), time.process_time()
        vector.seed(seed)
        wrapped = vector
        if config.normalize or config.normalize_reward:
            wrapped = VecNormalize(vector, norm_obs=config.normalize, norm_reward=config.normalize_reward)
        model = _model(wrapped, config, seed)
        watch = _Watch(config, time.perf_counter, progress)
        try:
            model.learn(config.total_steps, callback=watch)
        except (ValueError, RuntimeError):  # what torch says of a NaN depends on where it meets it
            _check_finite(model, model.num_timesteps)
            raise
        _check_finite(model, model.num_timesteps)
        normalizer = wrapped if config.normalize else None
        policy = policy_of(model, normalizer, env)
        return Learned(policy, model, normalizer, tuple(watch.curve), model.num_timesteps,
                       time.perf_counter() - started, time.process_time() - cpu_started)  # fmt: skip
    finally:
        vector.close()


def policy_of(model: Any, normalizer: Any, env: Environment) -> Policy:
    """The policy that a model and its VecNormalize (or None) are, compared with them on observations."""
    stats = None
    if normalizer is not None:
        stats = Normalizer(
            normalizer.obs_rms.mean, normalizer.obs_rms.var, float(normalizer.clip_obs), float(normalizer.epsilon)
        )
    with tempfile.TemporaryDirectory(prefix="tinyctl-") as scratch:
        path = Path(scratch, "model.zip")
        model.save(path)
        read = sb3.read(Request(path, env.contract, normalizer=stats, unnormalized=stats is None)).policy
    policy = Policy(read.contract, read.nodes)
    if stats is not None:
        centre, spread = stats.mean.reshape(-1), np.sqrt(stats.var).reshape(-1)
    else:
        centre, spread = np.zeros(len(env.contract.inputs)), np.ones(len(env.contract.inputs))
    compare(policy, partial(model_outputs, model, normalizer), centre, spread)
    return policy


def model_outputs(model: Any, normalizer: Any, observations: Array) -> Array:
    """The deterministic actions (n, n_act) of a model for raw observations (n, columns), or its preferences among
    the actions it can choose from."""
    seen = observations if normalizer is None else normalizer.normalize_obs(observations)
    shaped = np.asarray(seen, F32).reshape(len(seen), *model.observation_space.shape)
    if isinstance(model.action_space, Discrete):
        with torch.no_grad():
            features = model.policy.extract_features(torch.as_tensor(shaped), model.policy.pi_features_extractor)
            said = model.policy.action_net(model.policy.mlp_extractor.forward_actor(features)).numpy()
    else:
        said = model.predict(shaped, deterministic=True)[0]
    return np.asarray(said, F32).reshape(len(seen), -1)


def _monitored(env: Environment) -> Monitor:
    return Monitor(env.make())


def _model(wrapped: Any, config: Config, seed: int) -> Any:
    activations = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    common: dict[str, Any] = {
        "learning_rate": config.learning_rate, "gamma": config.gamma, "batch_size": config.batch, "seed": seed,
        "device": "cpu",
        "policy_kwargs": {"net_arch": [*config.hidden], "activation_fn": activations[config.activation]},
    }  # fmt: skip
    if isinstance(wrapped.action_space, Discrete) and config.algorithm != "PPO":
        raise TinyctlError(f"{config.algorithm} cannot choose among actions", fix="--set algorithm=PPO")
    if config.algorithm == "PPO":
        common |= {"n_steps": config.rollout, "ent_coef": config.entropy or 0.0}
    else:
        n_act = math.prod(wrapped.action_space.shape)
        kind = OrnsteinUhlenbeckActionNoise if config.correlated else NormalActionNoise
        noise = kind(np.zeros(n_act), np.full(n_act, config.noise)) if config.noise else None
        common |= {
            "learning_starts": config.learning_starts, "train_freq": config.train_every, "gradient_steps": -1,
            "buffer_size": config.total_steps, "action_noise": noise,
        }  # fmt: skip
    if config.algorithm == "SAC" and config.entropy is not None:
        common["ent_coef"] = config.entropy
    return getattr(stable_baselines3, config.algorithm)("MlpPolicy", wrapped, **common)


class _Watch(BaseCallback):  # type: ignore[misc]  # without stubs
    """Keeps the curve, tells the progress, and ends a run whose time is up or whose weights are lost."""

    def __init__(self, config: Config, clock: Callable[[], float], progress: Progress | None) -> None:
        super().__init__()
        self.config, self.clock, self.progress = config, clock, progress
        self.curve: list[Point] = []
        self.returns: list[float] = []
        self.rewards: list[float] = []
        self.started, self.cpu_started = clock(), time.process_time()

    def _on_step(self) -> bool:
        self.rewards += [float(r) for r in self._rewards()]
        self.returns += [float(info["episode"]["r"]) for info in self.locals["infos"] if "episode" in info]
        if self.num_timesteps >= self.config.curve_every * (len(self.curve) + 1):
            _check_finite(self.model, self.num_timesteps)
            self.curve.append(
                Point(self.num_timesteps, self._recent(), float(np.mean(self.rewards)), self.clock() - self.started)
            )
            self.rewards = []
        if self.progress is not None and self.n_calls % 50 == 0:
            self.progress(self.num_timesteps, self.config.total_steps, self._recent())
        return time.process_time() - self.cpu_started < self.config.cpu_seconds

    def _rewards(self) -> Array:
        env = self.training_env
        return env.get_original_reward() if isinstance(env, VecNormalize) else self.locals["rewards"]

    def _recent(self) -> float:
        return float(np.mean(self.returns[-RECENT:])) if self.returns else math.nan


def _check_finite(model: Any, step: int) -> None:
    for name, tensor in model.policy.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise TinyctlError(f"{name} is not finite after {step} steps", where="training", fix="lower learning_rate")


def compare(policy: Policy, predict: Callable[[Array], Array], centre: Array, spread: Array) -> None:
    """Hold the policy against a model's `predict` on observations about `centre`, as far as `spread` tells, within
    the contract's ranges; raises `TinyctlError` where they differ by more than `TOLERANCE` of an output's range; of an
    output without one, such as a preference, by more than this of what the model's reach."""
    low, high = (np.array([getattr(s, side) for s in policy.contract.inputs]) for side in ("low", "high"))
    rows = np.random.default_rng(0).standard_normal((COMPARED, len(low)))
    x = np.clip(centre + 3 * spread * rows, low, high).astype(F32)
    wanted = predict(x)
    ranges = np.array([s.high - s.low for s in policy.contract.outputs])
    span = np.where(ranges < UNBOUNDED, ranges, np.ptp(wanted))
    worst = float((np.abs(_actions(policy, x) - wanted) / span).max())
    if not worst <= TOLERANCE:
        raise TinyctlError(f"the policy differs from Stable-Baselines3's by {worst:.2g} of the action's range",
                           fix="please report the settings")  # fmt: skip


def _actions(policy: Policy, x: Array) -> Array:
    """The actions for full rows of inputs, applied actions included."""
    contract, state = policy.contract, policy.init(len(x))
    if contract.applied_outputs:
        applied = state.applied.copy()
        applied[:, list(contract.applied_outputs)] = x[:, contract.n_obs :]
        state = state.with_applied(applied)
    return policy.run(x[:, : contract.n_obs], state)[0]


def _validation_seed(seed: int) -> int:
    return 2**32 + seed  # away from the seeds people choose for their own flights
