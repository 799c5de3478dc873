"""Hardware in the loop on the virtual board: every action that of the graph, nothing lost, the same counts always."""

from __future__ import annotations

import json
import os
import pty
import threading
import tty
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import networks
import numpy as np
import pytest
import toy_plant
from typer.testing import CliRunner

from tinyctl import api, archive
from tinyctl.boards import Board
from tinyctl.cli import app
from tinyctl.flight import GraphController
from tinyctl.graph import Graph
from tinyctl.hil import VIRTUAL_BOARD, BoardController, Line, open_link, step_on_board
from tinyctl.image import read_image
from tinyctl.layers.base import F32
from tinyctl.layers.clip import Clip
from tinyctl.layers.screen import Screen
from tinyctl.layers.tanh import Tanh
from tinyctl.link import Link
from tinyctl.network import chain
from tinyctl.policy import Policy
from tinyctl.recording import read_recording
from tinyctl.sims.loop import fly
from tinyctl.sims.mcu.cores import CORES
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.program import Program
from tinyctl.sims.mcu.trace import PythonTracer
from tinyctl.transports import Descriptors
from tinyctl.trial import controller
from tinyctl.vectors import observations

FRAMES = 3000
pytestmark = pytest.mark.usefixtures("qemu")


@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_every_action_is_that_of_the_graph(
    graph: Graph, board: Board, toolchain: str, require_tool: Callable[[str], str]
) -> None:
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    report = step_on_board(graph, board, frames=FRAMES, toolchain=toolchain)  # type: ignore[arg-type]
    assert (report.frames, report.lost, report.rejected) == (FRAMES, 0, 0)
    assert report.identical_actions
    assert report.identical_status
    assert report.good
    assert (report.counter, report.clock) == ("timer", "reset")  # neither DWT nor RCC is there: both were found out
    assert report.instructions is not None
    assert 100 < report.instructions.least <= report.instructions.most < 5000
    assert report.cycles is report.missed_deadlines is None  # an emulator's instructions are neither


def test_a_damaged_line(graph: Graph, board: Board) -> None:
    """Two frames in a hundred lose, gain or change a byte, each way: no wrong action, and none is missing."""
    report = step_on_board(graph, board, Line(corrupt=0.02, seed=3), frames=FRAMES)
    assert report.rejected > FRAMES // 50
    assert report.resent > FRAMES // 50
    assert (report.frames, report.lost) == (FRAMES, 0)
    assert report.identical_actions
    assert report.identical_status


def test_a_very_bad_line(graph: Graph, board: Board) -> None:
    """Every third frame each way: slow, and still complete."""
    report = step_on_board(graph, board, Line(corrupt=0.3, seed=1), frames=40)
    assert report.resent > 20
    assert (report.frames, report.lost) == (40, 0)
    assert report.good


def test_a_wrong_action_is_told(graph: Graph, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: one bit of one action."""
    honest, steps = Link.step, []

    def lie(self: Link, observation: np.ndarray) -> object:
        step = honest(self, observation)
        steps.append(step)
        if len(steps) == 50:
            step.action.view(np.uint32)[0] ^= 1
        return step

    monkeypatch.setattr(Link, "step", lie)
    report = step_on_board(graph, board, frames=100)
    assert not report.identical_actions
    assert report.identical_status
    assert not report.good


def test_counts_are_the_same_every_time(graph: Graph, board: Board, tmp_path: Path) -> None:
    """Of every single step, over both links: the step runs with interrupts masked, one instruction is one count."""
    counts = []
    for name, line in (("a", VIRTUAL_BOARD), ("b", VIRTUAL_BOARD), ("c", Line(transport="usart"))):
        path = tmp_path / f"{name}.csv"
        report = step_on_board(graph, board, line, frames=150, record=path)
        assert report.good
        assert report.transport == line.transport
        counts.append(np.concatenate([e.count for e in read_recording(path, graph.contract).episodes]))
        assert len(counts[-1]) == 150
    assert np.array_equal(counts[0], counts[1])
    assert np.array_equal(counts[0], counts[2])
    other = step_on_board(networks.in_format(networks.tiny(), "w16a16"), board, frames=10).instructions
    assert other is not None
    assert 100 < other.least <= other.most < counts[0].min()  # a smaller network takes fewer


def test_two_emulators_count_the_same_instructions(board: Board, tmp_path: Path) -> None:
    """QEMU's count of a step and the number that the cycle model's emulator executes: the call is the difference."""
    calls = set()
    for policy, format_name in ((networks.tiny(), "w16a16"), (networks.branching(), "f32")):
        graph = networks.in_format(policy, format_name)
        image = read_image(api.build(graph, board, out=tmp_path / "hil.elf", program="hil_semihosting").path)
        target = controller(image, board)
        tracer = PythonTracer(Machine(image, board), Program(image), CORES[board.core])
        with tracer.walks() as record:
            executed = len(record(target.address, *target.arguments).addresses)
        counted = step_on_board(graph, board, frames=4).instructions
        assert counted is not None
        assert counted.least == counted.most
        calls.add(counted.least - executed)
    assert len(calls) == 1
    assert 5 < calls.pop() < 40


def toy_policy() -> Policy:
    contract, rng = toy_plant.CONTRACT, np.random.default_rng(3)
    layers = [("in", networks.dense(rng, 3, 8)), ("tanh", Tanh(8)), ("out", networks.dense(rng, 8, 1))]
    return Policy(contract, chain([("screen", Screen.of(contract)), *layers, ("clip", Clip.of(contract))]))


def test_twenty_flights_are_those_of_the_graph(board: Board) -> None:
    """Trajectory for trajectory, in all bits, with a delay within the period."""
    graph = networks.in_format(toy_policy(), "w16a16")
    flights = []
    with ExitStack() as stack:
        on_board = BoardController(stack.enter_context(open_link(graph, board, VIRTUAL_BOARD)))
        for flown, batch in ((GraphController(graph), 20), (on_board, 1)):
            task = toy_plant.PLANT.task()
            flights.append(fly(toy_plant.PLANT, task, flown, episodes=20, seed=2, delay_s=0.004, keep=20, batch=batch))
    ours, theirs = flights
    assert ours.states.shape == (101, 20, 3)
    assert np.array_equal(ours.states, theirs.states)
    assert np.array_equal(ours.actions, theirs.actions)
    assert on_board.frames == 2000


def test_an_applied_action_is_told(graph: Graph, board: Board) -> None:
    """A guard applied something else: the board's controller knows, as the graph's does."""
    with open_link(graph, board, VIRTUAL_BOARD) as link:
        link.reset()
        state = graph.init(1)
        for observation in observations(graph.contract, 40, seed=4):
            expected, state = graph.run(observation[None], state)
            assert link.step(observation).action.tobytes() == expected.tobytes()
            applied = np.array([observation[0] / 20], F32)
            link.set_applied(np.nan_to_num(applied))
            state = state.with_applied(np.nan_to_num(applied)[None])


@pytest.mark.parametrize("ending", [".csv", ".mcap"])
def test_record_and_replay(graph: Graph, board: Board, tmp_path: Path, ending: str) -> None:
    """The same steps again, to the bit; a file cut anywhere holds what came before the cut."""
    path = tmp_path / f"flight{ending}"
    first = step_on_board(graph, board, frames=700, record=path)
    recorded = read_recording(path, graph.contract)
    assert (recorded.contract_hash, recorded.graph_hash) == (graph.contract.hash, graph.hash)
    assert [len(e.obs) for e in recorded.episodes] == [500, 200]
    again = step_on_board(graph, board, replay=path)
    assert again.as_recorded
    assert again.identical_actions
    assert (again.frames, again.instructions) == (700, first.instructions)
    content = path.read_bytes()
    for cut in (len(content) // 3, len(content) // 2 + 1, len(content) - 1):
        path.write_bytes(content[:cut])
        kept = np.concatenate([e.act for e in read_recording(path, graph.contract).episodes])
        whole = np.concatenate([e.act for e in recorded.episodes])
        assert 0 < len(kept) <= 700
        assert kept.tobytes() == whole[: len(kept)].tobytes()


def test_a_serial_port(graph: Graph, board: Board) -> None:
    """The path of a real board, through pyserial: the virtual one's line on a pseudo-terminal."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    with open_link(graph, board, Line(transport="usart")) as link:
        wire, terminal = link._line, Descriptors(master, os.dup(master))  # type: ignore[attr-defined]
        ended = threading.Event()

        def carry(source: object, sink: object) -> None:
            while not ended.is_set():
                if data := source.read(0.05):  # type: ignore[attr-defined]
                    sink.write(data)  # type: ignore[attr-defined]

        threads = [threading.Thread(target=carry, args=pair) for pair in ((wire, terminal), (terminal, wire))]
        for thread in threads:
            thread.start()
        try:
            report = step_on_board(graph, board, Line(port=os.ttyname(slave)), frames=60)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            terminal.close()
            os.close(slave)
    assert report.identical_actions
    assert (report.frames, report.lost, report.transport) == (60, 0, "serial")
    assert report.instructions is None
    assert report.cycles is not None  # what the firmware's counter said: it cannot know that it is emulated
    assert report.missed_deadlines == 0


def test_command(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.save(graph, tmp_path / "graph.tctl")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["hil", "graph.tctl", "--frames", "600", "--record", "a.mcap", "--json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["frames"], record["lost"], record["identical_actions"], record["verdict"]) == (600, 0, True, "pass")
    assert record["round_trips_per_s"] > 0
    assert record["graph_hash"] == graph.hash
    assert record["instructions"]["least"] > 0
    again = CliRunner().invoke(app, ["hil", "graph.tctl", "--replay", "a.mcap"])
    assert again.exit_code == 0
    assert "actions as recorded" in again.stdout
