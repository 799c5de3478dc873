"""Sequences of actions: the player in C is the one in NumPy, training is exact, spare actions bridge what is missed."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networks
import numpy as np
import pytest
import sequence_policy
import torch

from tinyctl import api, closed_loop
from tinyctl.contract import Contract, Output
from tinyctl.errors import TinyctlError
from tinyctl.flight import GraphController, check_contract
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.sequences import EXHAUSTED, HELD, LATE, Player, Rates, rates_of, sequenced, start_of
from tinyctl.sims.kernel import Kernel, compile_plant
from tinyctl.sims.loop import close_loop, draw, fly
from tinyctl.sims.plant import Plant
from tinyctl.sims.plants import load_plant
from tinyctl.toolchains import SHARED, host_cc, run
from tinyctl.trainers.apg import Config, train
from tinyctl.trainers.base import Pilot, Tensor, front_layers, initial_weights, policy_functions
from tinyctl.trainers.distill import Watched, observe
from tinyctl.trainers.sequence import planned
from tinyctl.trainers.window import Window

BUILDS = {
    "gcc": ("gcc", ("-std=c99", "-O3", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")),
    "zig-traps": ("zig", ("-O0", "-fsanitize=undefined", "-fsanitize-trap=undefined")),
}


class InC:
    """The unit and its player, compiled for this machine."""

    def __init__(self, folder: Path, target: Path, compiler: str, flags: tuple[str, ...]) -> None:
        sources = [folder / "seq.c", folder / "seq_player.c"]
        run([*host_cc(compiler), *flags, *SHARED, f"-I{folder}", *sources, "-o", target], what="compiling")
        self.library, self.memory = ctypes.CDLL(str(target)), np.zeros((2, 4096), np.uint8)
        self.s, self.p = (ctypes.c_void_p(row.ctypes.data) for row in self.memory)
        self.act = np.zeros(1, F32)
        self.library.seq_init(self.s)
        self.library.seq_player_init(self.p)

    def tick(self, obs: Array) -> tuple[float, int]:
        status = self.library.seq_tick(self.p, self.s, _at(obs), _at(self.act))
        return float(self.act[0]), status & 0xFFFFFFFF

    def decide(self, obs: Array) -> None:
        self.library.seq_decide(self.p, self.s, _at(obs))

    def next(self) -> tuple[float, int]:
        status = self.library.seq_act(self.p, _at(self.act))
        return float(self.act[0]), status & 0xFFFFFFFF

    def set_applied(self, act: Array) -> None:
        self.library.seq_player_set_applied(self.p, _at(act))


def _at(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.fixture(scope="module", params=BUILDS)
def in_c(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
         require_tool: Callable[[str], str]) -> Callable[[], InC]:  # fmt: skip
    compiler, flags = BUILDS[request.param]
    if compiler != "zig":
        require_tool(compiler)
    folder = sequence_policy.emit_player(tmp_path_factory.mktemp("player"))
    return lambda: InC(folder, folder / "player.so", compiler, flags)


def test_ticks_in_c_are_those_of_the_player(in_c: Callable[[], InC]) -> None:
    unit, player = in_c(), sequence_policy.player()
    for k, obs in enumerate(sequence_policy.observations(60)):
        expected = float(player.step(obs)[0, 0])
        assert unit.tick(obs) == (expected, int(player.status[0]))
        if k % 7 == 3:  # a guard put something else in its place
            other = np.array([[0.5]], F32)
            player.set_applied(other)
            unit.set_applied(other)


@pytest.mark.parametrize(("miss", "late"), [(2, 0), (0, 1), (0, 3), (3, 1)])
def test_late_decisions_in_c_are_those_of_the_player(in_c: Callable[[], InC], miss: int, late: int) -> None:
    """`NAME_decide` in a task that `NAME_act` interrupts: what it writes takes effect `late` ticks after it began."""
    unit, player = in_c(), sequence_policy.player(miss=miss, late=late)
    words = unit.memory[1].view(np.uint32)
    length, coming = sequence_policy.RATES.length, None
    for k, obs in enumerate(sequence_policy.observations(60)):
        if coming is not None and k - coming[0] >= late:
            words[coming[1]], coming = coming[2], None
        number, rest = divmod(k, 2)
        if rest == 0 and coming is None and not (miss and number % miss == miss - 1):
            before, following = words.copy(), 1 - int(words[2 * length + 3])
            unit.decide(obs)
            written = [*range(following * length, (following + 1) * length), 2 * length + following, 2 * length + 3]
            coming = k, written, words[written]
            words[:] = before
            if late == 0:
                words[written], coming = coming[2], None
        expected, (action, status) = player.step(obs), unit.next()
        assert (action, status & ~LATE) == (float(expected[0, 0]), int(player.status[0]) & ~LATE)
        assert late or status == player.status[0]


def test_a_sequence_that_nothing_follows_goes_on_then_holds_then_is_exhausted(in_c: Callable[[], InC]) -> None:
    unit, player, rates = in_c(), sequence_policy.player(), sequence_policy.RATES
    obs, found = sequence_policy.observations(1)[0], []
    unit.decide(obs)
    for k in range(rates.exhausted + 4):
        expected = float(player.step(obs)[0, 0])
        player.miss = 1  # none comes any more
        found.append(unit.next())
        assert found[-1] == (expected, int(player.status[0]))
        assert found[-1][0] == player.sequence[0, min(k, rates.length - 1)]
    codes = [status for _, status in found]
    late, held = rates.length - rates.every, rates.exhausted - rates.length
    assert codes == [0] * 2 + [LATE] * late + [LATE | HELD] * held + [LATE | HELD | EXHAUSTED] * 4


def test_ticks_may_interrupt_a_decision(tmp_path: Path) -> None:
    """In a process of its own, which the signals do not disturb."""
    folder, program = sequence_policy.emit_player(tmp_path), tmp_path / "interrupted"
    main = tmp_path / "main.c"
    main.write_text("int interrupted(int wanted); int main(void) { return interrupted(300); }")
    sources = [Path(__file__).with_name("interrupted.c"), folder / "seq_player.c", main]
    run([*host_cc(None), "-O2", f"-I{folder}", *sources, "-o", program], what="compiling")
    assert subprocess.run([program], timeout=60).returncode == 0


def test_the_contract_tells_the_rates() -> None:
    task = networks.tiny_contract()
    for rates in (Rates(1, 1), Rates(1, 3), Rates(3, 3), Rates(2, 12)):
        made = sequenced(task, rates)
        assert (rates_of(made), made.rate_hz * rates.every) == (rates, task.rate_hz)
        assert start_of(made).tolist() == [0.25] * rates.length
    pair = sequenced(replace(task, outputs=(*task.outputs, Output("brake", "1", "", 0, 1))), Rates(2, 3))
    assert [s.name for s in pair.outputs[2:5]] == ["torque_tick_1", "brake_tick_1", "torque_spare_2"]
    shuffled = Contract(pair.inputs, (*pair.outputs[2:], *pair.outputs[:2]), pair.rate_hz)
    assert rates_of(shuffled) == Rates()
    with pytest.raises(TinyctlError, match="a sequence of 2 actions, decided every 3 ticks"):
        Rates(3, 2)


def _made(plant: Plant, rates: Rates, n: int = 40) -> tuple[Kernel, Window, list[Tensor], Contract]:
    task = plant.task()
    decides, intervals = planned(task, rates.every, rates.length, ())
    contract = decides.contract
    front = front_layers(decides)
    kernel = compile_plant(plant, task, policy_functions(decides, front))
    weights = initial_weights(decides, front[-1][1].n_out, (16, 8), torch.Generator().manual_seed(0))
    weights[-1][:] = torch.tensor(start_of(contract))[:, None]
    window = Window(kernel, front, weights, n, 12, np.random.default_rng(0), life=(100, 500), contract=contract,
                    intervals=intervals)  # fmt: skip
    return kernel, window, weights, contract


def test_the_gradient_through_sequences_is_that_of_the_cost() -> None:
    _, window, weights, _ = _made(load_plant("quadrotor"), Rates(3, 6))
    for _ in range(3):
        window.restart()
        window.forward()
    window.backward()
    rng = np.random.default_rng(1)
    for w in weights:
        direction = torch.from_numpy(rng.normal(size=tuple(w.shape)).astype(np.float32))
        direction += 10 * w.grad / w.grad.norm()
        direction /= direction.norm()
        costs, before, step = [], w.clone(), 3e-3
        for side in (step, -step):
            w.copy_(before + side * direction)
            window.forward()
            costs.append(window.cost.mean(dtype=np.float64))
        w.copy_(before)
        assert (costs[0] - costs[1]) / (2 * step) == pytest.approx(
            float((w.grad * direction).sum()), rel=0.03, abs=1e-4
        )


def test_sequences_fly_in_training_as_in_the_loop() -> None:
    plant = load_plant("quadrotor")
    task = plant.task()
    kernel, window, weights, contract = _made(plant, Rates(4, 4))
    flights = draw(plant, task, range(40), 5)
    window.restart()
    window.x[0][:], window.d[:], window.p[:] = flights.x.T, flights.d.T, flights.p[:, None]
    window.noise[:] = flights.noise[:12].transpose(0, 2, 1)
    window.forward()
    front = front_layers(replace(task, contract=contract))
    flown = close_loop(kernel, flights, Player(Pilot(kernel, front, weights, contract), contract),
                       delay_s=task.contract.latency_s, keep=40)  # fmt: skip
    np.testing.assert_allclose(np.stack(window.x).transpose(0, 2, 1), flown.states[:13], rtol=1e-5, atol=1e-5)


def test_spare_actions_bridge_a_missed_decision(tmp_path: Path) -> None:
    plant = load_plant("quadrotor")
    survived = {}
    for length in (4, 8):
        config = Config(iterations=80, plants=64, hidden=(32, 32), decide_every=4, sequence=length, validate_every=40,
                        validation_episodes=50)  # fmt: skip
        policy = train(plant, config=config, seed=1).policy
        assert rates_of(policy.contract) == Rates(4, length)
        graph = Graph(policy.contract, policy.nodes)
        for miss in (0, 4):
            player = Player(GraphController(graph), graph.contract, miss=miss)
            survived[length, miss] = fly(plant, plant.task(), player, episodes=60).survived.mean()
    assert min(survived[4, 0], survived[8, 0], survived[8, 4]) > 0.8
    assert survived[4, 4] < 0.5  # the last action is held
    assert closed_loop.observations(policy, plant).shape == (125, closed_loop.CALIBRATION_EPISODES, 18)
    seen = observe(Watched(graph, ["screen"]), plant, plant.task(), 5, 0)["screen"]
    assert (len(seen) <= 5 * 125, seen.shape[1]) == (True, 22)
    with pytest.raises(TinyctlError, match="inputs are not those of the task"):
        check_contract(graph.contract, plant.task(), "teacher")
    api.emit(graph, tmp_path, "hover")
    for delay_s in (0.004, 0.03):  # with the player in C, and with decisions three ticks late
        reports = [api.fly(source, plant, on=on, episodes=3, delay_s=delay_s, miss=3) for source, on in
                   ((graph, "graph"), (tmp_path, "c"))]  # fmt: skip
        assert reports[0].trajectories == reports[1].trajectories
    with pytest.raises(TinyctlError, match="contract is not that of the task"):
        api.fly(tmp_path, load_plant("cartpole"), on="c")
