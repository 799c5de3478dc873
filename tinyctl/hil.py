"""Hardware in the loop: a board, real or virtual, steps the controller; every action is held against `Graph.run`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinyctl import vectors
from tinyctl.bare import Wire, program
from tinyctl.boards import Board
from tinyctl.builder import Toolchain, build
from tinyctl.contract import Contract
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.link import Link
from tinyctl.recording import Episode, Recorder, Recording, check_name, read_recording
from tinyctl.sequences import played, rates_of
from tinyctl.transports import Noisy, SerialPort, Transport
from tinyctl.virtual_board import virtual_board

if TYPE_CHECKING:  # needs the `sim` extra
    from tinyctl.sims.plant import Plant

SCHEMA = 1
VIRTUAL = "virtual"
SEQUENCE = 500  # steps from one reset to the next, where no plant says how long an episode is

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Line:
    """How to reach a board: the virtual one over `transport`, or the one at a serial port. A share `corrupt` of the
    frames is damaged on the way, for tests of the link."""

    port: str = VIRTUAL
    transport: Wire = "semihosting"
    corrupt: float = 0.0
    seed: int = 0


VIRTUAL_BOARD = Line()


@dataclass(frozen=True)
class Counts:
    """What the board's counter said of the steps."""

    least: int
    median: int
    most: int
    total: int


@dataclass(frozen=True)
class HilReport:
    """What came of it.

    `lost` requests were never answered, `rejected` frames were damaged and refused by either side, `resent` counts
    requests sent again. `instructions` are the virtual board's, of each step; `cycles` a real board's, on which
    `missed_deadlines` counts the steps longer than a control period. `identical_actions` and `identical_status` hold
    every step against `Graph.run`, `as_recorded` the actions against those of a replayed file.
    """

    board: str
    port: str
    transport: str
    counter: str
    clock: str
    clock_hz: int
    observations: str
    episodes: int
    frames: int
    lost: int
    rejected: int
    resent: int
    round_trips_per_s: float
    identical_actions: bool
    identical_status: bool
    as_recorded: bool | None
    instructions: Counts | None
    cycles: Counts | None
    missed_deadlines: int | None
    contract_hash: str
    graph_hash: str

    @property
    def good(self) -> bool:
        same = self.identical_actions and self.identical_status and self.as_recorded is not False
        return same and not self.lost and not self.missed_deadlines

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self), "verdict": "pass" if self.good else "fail"}


class BoardController:
    """A board as a controller of one episode at a time; keeps what was said in each, and records it."""

    def __init__(self, link: Link, recorder: Recorder | None = None) -> None:
        self.link, self._recorder = link, recorder
        self._episodes: list[list[tuple[Array, Array, int, int]]] = []
        self.waited_s = 0.0
        self.status = np.zeros(1, np.uint32)

    def reset(self, n: int) -> None:
        if n != 1:
            raise TinyctlError(f"a board flies one episode at a time, not {n}")
        self.link.reset()
        self._episodes.append([])
        if self._recorder:
            self._recorder.reset()

    def step(self, observations: Array) -> Array:
        observation = np.array(observations[0], F32)
        begin = time.perf_counter()
        step = self.link.step(observation)
        self.waited_s += time.perf_counter() - begin
        self._episodes[-1].append((observation, step.action, step.status, step.count))
        self.status = np.array([step.status], np.uint32)
        if self._recorder:
            self._recorder.step(observation, step)
        return step.action[None]

    def set_applied(self, action: Array) -> None:
        """Tell it that something other than its last action was applied, (1, n_act)."""
        self.link.set_applied(action[0])

    @property
    def frames(self) -> int:
        return sum(map(len, self._episodes))

    def episodes(self) -> list[Episode]:
        made = []
        for steps in self._episodes:
            if steps:
                obs, act, status, count = zip(*steps, strict=True)
                made.append(
                    Episode(np.stack(obs), np.stack(act), np.array(status, np.uint32), np.array(count, np.uint32))
                )
        return made


@contextmanager
def open_link(graph: Graph, board: Board, line: Line, toolchain: Toolchain | None = None) -> Iterator[Link]:
    """A link to a board that runs `graph`, greeted; the virtual board is built and started here."""
    with ExitStack() as stack:
        transport: Transport
        if line.port == VIRTUAL:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyctl-")))
            emit(graph, scratch / "c")
            image = build(
                scratch / "c", board, toolchain, out=scratch / "hil.elf", program=program("hil", line.transport)
            )
            transport = stack.enter_context(virtual_board(image.path, board, line.transport))
        else:
            transport = SerialPort(line.port, board.bare.baud)
            stack.callback(transport.close)
        link = Link(Noisy(transport, line.corrupt, line.seed) if line.corrupt else transport)
        link.greet(graph.contract.hash, graph.hash)
        yield link


def step_on_board(
    graph: Graph,
    board: Board,
    line: Line = VIRTUAL_BOARD,
    *,
    frames: int = 1000,
    flown: tuple[Plant, str] | None = None,
    replay: Path | None = None,
    record: Path | None = None,
    seed: int = 0,
    toolchain: Toolchain | None = None,
    progress: Progress | None = None,
) -> HilReport:
    """Let a board step `graph` and hold every step against `Graph.run`.

    Observations come from flights of a plant's task (`flown`; whole episodes, at least `frames` steps), from a
    recording (`replay`; all of it), or at random from inside and beyond the contract's ranges. `record` keeps the steps
    in a file. Raises `TinyctlError` when the board cannot be reached, goes away or holds another controller.
    """
    if record is not None:
        check_name(record)
    recorded = None if replay is None else read_recording(replay, graph.contract)
    if recorded is not None and recorded.contract_hash != graph.contract.hash:
        raise TinyctlError("recorded with another contract", where=replay)
    if recorded is not None and not recorded.episodes:
        raise TinyctlError("holds no step", where=replay)
    with open_link(graph, board, line, toolchain) as link, ExitStack() as stack:
        recorder = None if record is None else stack.enter_context(Recorder(record, graph.contract, graph.hash))
        controller = BoardController(link, recorder)
        if recorded is not None:
            observations = "a recording"
            _feed(controller, [episode.obs for episode in recorded.episodes], progress)
        elif flown is not None:
            observations = f"flights of the {flown[0].name}, task {flown[1]}"
            _fly(controller, graph.contract, *flown, frames, seed, progress)
        else:
            observations = "random"
            drawn = vectors.observations(graph.contract, frames, seed)
            _feed(controller, [drawn[start : start + SEQUENCE] for start in range(0, frames, SEQUENCE)], progress)
    return _judge(graph, board, line, controller, recorded, observations)


def _fly(
    controller: BoardController, contract: Contract, plant: Plant, task: str, frames: int, seed: int,
    progress: Progress | None,
) -> None:  # fmt: skip
    from tinyctl.sims.loop import fly

    which = plant.task(task)
    episodes = -(-frames * rates_of(contract).every // which.episode_steps)
    pilot = played(controller, contract)
    fly(plant, which, pilot, episodes=episodes, seed=seed, keep=0, batch=1, progress=progress)


def _feed(controller: BoardController, sequences: list[Array], progress: Progress | None) -> None:
    total = sum(map(len, sequences))
    for sequence in sequences:
        controller.reset(1)
        for observation in sequence:
            controller.step(observation[None])
        if progress is not None:
            progress(controller.frames, total)


def expected(graph: Graph, sequences: list[Array]) -> list[tuple[Array, Array]]:
    """What `Graph.run` makes of each sequence (steps, n_obs): actions (steps, n_act) and status words (steps,).

    Sequences of one length are run side by side.
    """
    found: dict[int, tuple[Array, Array]] = {}
    for length in {len(sequence) for sequence in sequences}:
        alike = [k for k, sequence in enumerate(sequences) if len(sequence) == length]
        state = graph.init(len(alike))
        act = np.empty((length, len(alike), graph.contract.n_act), F32)
        status = np.empty((length, len(alike)), np.uint32)
        for step, observations in enumerate(np.stack([sequences[k] for k in alike], axis=1)):
            act[step], state = graph.run(observations, state)
            status[step] = state.status
        found |= {k: (act[:, row], status[:, row]) for row, k in enumerate(alike)}
    return [found[k] for k in range(len(sequences))]


def _judge(
    graph: Graph, board: Board, line: Line, controller: BoardController, recorded: Recording | None, observations: str
) -> HilReport:
    episodes, link, hello = controller.episodes(), controller.link, controller.link.hello
    assert hello is not None
    reference = expected(graph, [episode.obs for episode in episodes])
    counts = np.concatenate([episode.count for episode in episodes])
    counted = None
    if hello.counter != "none":
        counted = Counts(int(counts.min()), int(np.median(counts)), int(counts.max()), int(counts.sum(dtype=np.int64)))
    real = line.port != VIRTUAL
    late = int(np.sum(counts * graph.contract.rate_hz > hello.counter_hz)) if real and counted is not None else None
    return HilReport(
        board=board.name,
        port=line.port,
        transport="serial" if real else line.transport,
        counter=hello.counter,
        clock=hello.clock,
        clock_hz=hello.clock_hz,
        observations=observations,
        episodes=len(episodes),
        frames=controller.frames,
        lost=link.requests - link.replies,
        rejected=link.rejected,
        resent=link.resent,
        round_trips_per_s=controller.frames / controller.waited_s,
        identical_actions=all(_same(e.act, act) for e, (act, _) in zip(episodes, reference, strict=True)),
        identical_status=all(_same(e.status, status) for e, (_, status) in zip(episodes, reference, strict=True)),
        as_recorded=None
        if recorded is None
        else all(_same(e.act, r.act) for e, r in zip(episodes, recorded.episodes, strict=True)),
        instructions=None if real else counted,
        cycles=counted if real and hello.counter_hz == hello.clock_hz else None,
        missed_deadlines=late,
        contract_hash=graph.contract.hash,
        graph_hash=graph.hash,
    )


def _same(a: Array, b: Array) -> bool:
    """Equal bit for bit."""
    return bool(np.array_equal(a.view(np.uint32), b.view(np.uint32)))
