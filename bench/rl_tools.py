"""rl-tools on this machine: its simulator's speed, and what its TD3 learns of our task in the same CPU time.

    pip install 'tinyctl[bench]'
    python bench/rl_tools.py [--seconds S] [--seed N]

The wheels bring rl-tools' own simulator (`l2f`, compiled for any x86-64) and trainer, compiled here by g++ at first
use; without MKL its products are several times slower. The simulator gets our quadrotor's nominal parameters, starts,
disturbances and sensor noise; reward (raised so that it is positive within the box), observation (16 past actions) and
networks (64-64) are rl-tools' own, the settings after Eschmann et al., *Learning to Fly in Seconds*. Four sets of them
were tried by hand, one seed each, and the best is kept; no systematic search was made: the figures quoted in
`bench/training.py` are better, and those to be held against. The policy is flown in our evaluator as any other; only
training counts as its time. Without the wheels: a line that says so, and exit status 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from simulator import simulator_rows

import tinyctl
from tinyctl.sims.loop import fly
from tinyctl.sims.plants._quadrotor_tasks import BOX_M, hover_action

PACKAGES = ("rltools", "l2f")
PUBLIC_S = 45.0  # CPU seconds behind the published figures
STEPS = 3_000_000  # as for the policy that its authors ship; the CPU time ends it before
HISTORY = 16  # past actions in an observation, the last one first
EPISODES, SEED = 1000, 101
LANES = 1024
SETTINGS = {
    "ACTOR_BATCH_SIZE": 256, "CRITIC_BATCH_SIZE": 256, "CRITIC_TRAINING_INTERVAL": 10, "ACTOR_TRAINING_INTERVAL": 20,
    "CRITIC_TARGET_UPDATE_INTERVAL": 10, "ACTOR_TARGET_UPDATE_INTERVAL": 20, "N_WARMUP_STEPS": 15_000,
    "EXPLORATION_NOISE": 0.5, "ACTOR_ACTIVATION_FUNCTION": "FAST_TANH",
    "CRITIC_ACTIVATION_FUNCTION": "FAST_TANH", "EPISODE_STEP_LIMIT": 500, "STEP_LIMIT": STEPS,
    "REPLAY_BUFFER_CAP": 300_000,
}  # fmt: skip

HEADER = """\
#include "{environment}"
#include <rl_tools/rl/environments/l2f/parameters/reward_functions/default.h>
#include <rl_tools/rl/environments/l2f/parameters/termination/default.h>

template <typename T, typename TI>
struct Setting {{
    using Theirs = env_builder::ENVIRONMENT_FACTORY<rl_tools::devices::DefaultCPU, T, TI>;
    static constexpr auto changed() {{
        auto p = Theirs::nominal_parameters;
        auto &d = p.dynamics;
        for (int i = 0; i < 4; i++) {{
            d.rotor_thrust_coefficients[i][0] = d.rotor_thrust_coefficients[i][1] = 0;
            d.rotor_thrust_coefficients[i][2] = {thrust};
            d.rotor_torque_constants[i] = {yaw_arm};
            d.rotor_time_constants_rising[i] = d.rotor_time_constants_falling[i] = {motor_lag};
        }}
        d.mass = {mass};
        d.gravity[2] = -{gravity};
        constexpr T inertia[3] = {{{inertia_x}, {inertia_y}, {inertia_z}}};
        for (int i = 0; i < 3; i++) {{
            d.J[i][i] = inertia[i];
            d.J_inv[i][i] = 1 / inertia[i];
        }}
        d.hovering_throttle_relative = ({hover} + 1) / 2;
        p.mdp.init.max_position = 0.2;
        p.mdp.init.min_rpm = p.mdp.init.max_rpm = {hover};
        p.mdp.observation_noise = {{{noise}, 0}};
        namespace presets = rl_tools::rl::environments::l2f::parameters;
        // All of it: the two wheels differ in what fields a reward has.
        p.mdp.reward = presets::reward_functions::squared<T>;
        p.mdp.reward.constant = p.mdp.reward.position * {box};  // to die early never pays
        p.mdp.termination = presets::termination::narrow<typename Theirs::PARAMETERS_SPEC>;
        p.mdp.termination.position_threshold = {box};
        p.disturbances.random_force.std = {mass} * {gravity} / 20;
        p.disturbances.random_torque.std = {mass} * {gravity} / 10000;
        return p;
    }}
    struct Static: Theirs::ENVIRONMENT_STATIC_PARAMETERS {{
        static constexpr auto PARAMETER_VALUES = changed();
    }};
    using Environment = rl_tools::rl::environments::Multirotor<
        rl_tools::rl::environments::l2f::Specification<T, TI, Static>>;
}};
template <typename T, typename TI>
using ENVIRONMENT_FACTORY = typename Setting<T, TI>::Environment;
"""


@dataclass(frozen=True)
class Figures:
    """Steps/s of the simulator on one core, and of ours; of the trained policy the steps it had, CPU s and flights."""

    simulator: float
    ours: float
    steps: int
    cpu_s: float
    survived: float
    error_m: float


def missing() -> str | None:
    """What the comparison lacks; None when it can be run."""
    lacking = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return f"{' and '.join(lacking)} not installed; pip install 'tinyctl[bench]'" if lacking else None


def show_beside() -> None:
    """The table for another bench, or the line that says what is missing. In a process of its own: the trainer's MKL
    and PyTorch do not go together."""
    if lacking := missing():
        print(f"rl-tools: {lacking}")
    else:
        subprocess.run([sys.executable, __file__], check=True)


def simulator_rate(seconds: float = 3.0) -> float:
    """Steps/s of the wheel's simulator on one core, of many plants at once: the fastest of many calls."""
    import l2f

    kind = l2f.vector_selector[LANES]
    device, rng, env = l2f.Device(), kind.VectorRng(), kind.VectorEnvironment()
    parameters, now, after = kind.VectorParameters(), kind.VectorState(), kind.VectorState()
    kind.initialize_rng(device, rng, 0)
    kind.initialize_environment(device, env)
    kind.initial_parameters(device, env, parameters)
    kind.sample_initial_state(device, env, parameters, now, rng)
    action = np.random.default_rng(0).uniform(-1, 1, (LANES, 4)).astype(np.float32)
    fastest, began = np.inf, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        kind.step(device, env, parameters, now, action, after, rng)
        fastest = min(fastest, time.perf_counter() - start)
    return float(LANES / fastest)


def trained(seconds: float, seed: int) -> tuple[Any, int, float]:
    """rl-tools' TD3 in our setting: its state, the steps that `seconds` of CPU allowed, and the seconds it took."""
    spec = importlib.util.find_spec("l2f")
    assert spec is not None
    assert spec.origin is not None
    plant = tinyctl.plant("quadrotor")
    p, noise = plant.nominal(), plant.task("hover").noise
    values = {**p, "thrust": p["thrust"] * p["rpm_max"] ** 2, "hover": hover_action(p), "box": BOX_M,
              "noise": ", ".join(str(noise[column]) for column in (0, 3, 12, 15)),
              "environment": Path(spec.origin).with_name("environment.h")}  # fmt: skip
    import rltools

    text = HEADER.format(**values)
    folder = Path(rltools.CACHE_PATH) / hashlib.sha256(text.encode()).hexdigest()  # kept modules know it by its path
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "environment.h").write_text(text)
    there = {"path": str(folder), "observation_dim": 18 + 4 * HISTORY, "action_dim": 4}
    module = rltools.TD3(there, interface_name="tinyctl", enable_evaluation=False, **SETTINGS)
    state, steps = module.State(seed), 0
    began = time.process_time()
    while time.process_time() - began < seconds and not state.step():
        steps += 1
    return state, steps, time.process_time() - began


class Pilot:
    """A policy of rl-tools for our observations: theirs have the past actions behind them."""

    def __init__(self, state: Any, resting: float) -> None:
        self.state, self.resting = state, resting

    def reset(self, n: int) -> None:
        self.history = np.full((n, HISTORY, 4), self.resting, np.float32)

    def step(self, observations: np.ndarray) -> np.ndarray:
        seen = np.concatenate([observations, self.history.reshape(len(observations), -1)], axis=1)
        action = np.clip([self.state.action(row) for row in seen.astype(np.float32)], -1, 1).astype(np.float32)
        self.history = np.concatenate([action[:, None], self.history[:, :-1]], axis=1)
        return action


def run(seconds: float, seed: int) -> Figures:
    """Measure here."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when l2f and MKL are loaded
    plant = tinyctl.plant("quadrotor")
    rate = simulator_rate()
    ours = next(row.rate for row in simulator_rows(1.0) if (row.what, row.threads) == ("step", 1))
    state, steps, cpu_s = trained(seconds, seed)
    task = plant.task("hover")
    flown = fly(plant, task, Pilot(state, hover_action(plant.nominal())), episodes=EPISODES, seed=SEED,
                delay_s=task.contract.latency_s, keep=0)  # fmt: skip
    errors = next(iter(flown.scores.values()))[flown.survived]
    return Figures(
        rate, ours, steps, cpu_s, float(flown.survived.mean()), float(errors.mean()) if len(errors) else np.inf
    )


def show(figures: Figures) -> None:
    table = Table("rl-tools, on this machine", "", title_justify="left")
    told = f"{figures.simulator / 1e6:.1f}; ours {figures.ours / 1e6:.1f}, {figures.ours / figures.simulator:.1f} times"
    table.add_row("simulator, one core, million steps/s", told)
    table.add_row("TD3: CPU s, steps", f"{figures.cpu_s:.0f}, {figures.steps}")
    table.add_row("TD3: hover survived, error", f"{figures.survived:.3f}, {figures.error_m:.3f} m")
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=PUBLIC_S, help="CPU seconds of training")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    if lacking := missing():
        sys.exit(lacking)
    show(run(asked.seconds, asked.seed))


if __name__ == "__main__":
    main()
