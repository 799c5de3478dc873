"""Calling a function of an image on many inputs in the emulator, and timing every path it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinyctl.boards import Board
from tinyctl.debug import Lines
from tinyctl.errors import TinyctlError
from tinyctl.image import ImageFile
from tinyctl.sims.mcu.cores import CORES, unmodelled
from tinyctl.sims.mcu.decode import THUMB
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.fast import FastTracer, tracer
from tinyctl.sims.mcu.program import Program
from tinyctl.sims.mcu.trace import SIZE_BITS, Cycles, Path, Tracer
from tinyctl.vectors import SPECIAL

PAINT = 0xA5
GUARD_BYTES = 64
EPISODE = 16  # steps between two initialisations, so that states of every age are tried
MAX_PLACES = 8
SAMPLES = 200
SAMPLES_WITHOUT_COMPILER = 48  # the tracer in Python is 20 times slower
LEAST_SAMPLES = 24  # tried of long functions, so that a check ends in about 10 s; all extremes are among them
MOST_CODE_BYTES = 200_000_000  # of executed code, for all samples together

F32 = np.float32
Floats = NDArray[np.float32]


def inputs(n_obs: int, samples: int, seed: int) -> Floats:
    """(samples, n_obs) float32. The image does not hold the contract's ranges: normal and uniform values of many
    magnitudes, corners, and rows with zeros of both signs, subnormals, the largest floats, infinities and NaN."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-4, 4, (samples, 1))
    rows = (
        np.where(
            rng.random((samples, 1)) < 0.5, rng.normal(size=(samples, n_obs)), rng.uniform(-1, 1, (samples, n_obs))
        )
        * scale
    )
    corner = rng.random((samples, 1)) < 0.15
    rows = np.where(corner, np.sign(rows) * 1e6, rows)
    special = (rng.random((samples, 1)) < 0.4) & (rng.random((samples, n_obs)) < 0.4)
    result = np.where(special, rng.choice(SPECIAL, size=rows.shape), rows.astype(F32)).astype(F32)
    for row, value in zip(range(1, samples), SPECIAL, strict=False):  # whole rows of each, too
        result[row] = value
    result[0] = 0.25
    return result


@dataclass(frozen=True)
class Target:
    """What is called: the function's address with its arguments, where its observation (n_obs,) float32 lies, the
    bytes that it keeps between calls, a call that makes those new (None where there is none), the self-test, and where
    free RAM begins, whose upper end is the stack."""

    image: ImageFile
    board: Board
    name: str
    address: int
    arguments: tuple[int, ...]
    observation_address: int
    n_obs: int
    state_address: int
    state_bytes: int
    initialise: tuple[int, ...] | None
    selftest: int | None
    free_address: int


def controller(image: ImageFile, board: Board, integers: bool = False) -> Target:
    """The step function of an image's controller, or its integer entry, on the same buffers."""
    said = image.descriptor
    name = f"{said.name}_step_q" if integers else f"{said.name}_step"
    if integers and all(function.name != name for function in image.functions):
        raise TinyctlError(
            "no integer entry", where=image.path, fix="quantize --throughout, and take a board without FPU"
        )
    return Target(
        image,
        board,
        name,
        image.function(name).start,
        (said.self_address, said.observation_address, said.action_address),
        said.observation_address,
        said.n_obs,
        said.self_address,
        said.struct_bytes,
        (image.function(f"{said.name}_init").start, said.self_address),
        image.function(f"{said.name}_selftest").start,
        data_end(image, board),
    )


def plain_function(image: ImageFile, board: Board, name: str, n_obs: int, n_act: int) -> Target:
    """`void NAME(const float *observation, float *action)` of any program; buffers behind the program's own data."""
    for count, what in ((n_obs, "--obs"), (n_act, "--act")):
        if not 0 <= count <= 65536:
            raise TinyctlError(f"{what} {count} is not between 0 and 65536")
    floor = data_end(image, board)
    observation, action = (-(-at // 16) * 16 for at in (floor, floor + 4 * n_obs + 16))
    if action + 4 * n_act + 1024 > board.data.end:
        raise TinyctlError(
            f"no room for {n_obs} observations, {n_act} actions and a stack behind the program's data",
            where=image.path,
        )
    origin = board.data.origin
    return Target(
        image,
        board,
        name,
        image.function(name).start,
        (observation, action),
        observation,
        n_obs,
        origin,
        floor - origin,
        None,
        None,
        -(-(action + 4 * n_act) // 16) * 16,
    )


def data_end(image: ImageFile, board: Board) -> int:
    """The first address of the data region behind the program's own data."""
    ends = (s.address + s.size for s in image.segments if board.data.contains(s.address))
    return max(ends, default=board.data.origin)


@dataclass(frozen=True)
class Call:
    """What one call began with: the bytes kept from the call before, and the observation (n_obs,) float32."""

    kept: bytes
    observation: Floats


@dataclass
class Seen:
    """A path: how often it was taken, which of its flash reads moved, and for each sequence of flash lines how often
    it was read and a call that does so."""

    path: Path
    moved: NDArray[np.bool_]
    count: int
    calls: dict[bytes, tuple[int, Call]]


@dataclass(frozen=True)
class Trial:
    """What came out. `tracer` is None and `seen` empty where the board's core has no model."""

    target: Target
    machine: Machine
    program: Program
    tracer: Tracer | None
    seen: list[Seen]
    samples: int
    stack_bytes: int
    selftest: int


def try_inputs(target: Target, samples: int | None, seed: int, observations: Floats | None = None) -> Trial:
    """Call the target on `samples` inputs and keep every path; None takes 200, or 48 without a host compiler, and
    fewer of a function that runs for more than about 400,000 instructions. The inputs are the first of `observations`
    (steps, sequences, n_obs), one sequence after the other, where these are given.

    Raises `TinyctlError` when the program faults, runs on, or lets its stack grow into its data.
    """
    image, board = target.image, target.board
    machine = Machine(image, board)
    decoder = CORES[board.core].decoder if board.core in CORES else THUMB
    program = Program(image, None if target.initialise else target.name, decoder)
    used = None if unmodelled(board) else tracer(machine, program, CORES[board.core])
    count = samples or (SAMPLES if isinstance(used, FastTracer) else SAMPLES_WITHOUT_COMPILER)
    free = machine.view(target.free_address, board.data.end - target.free_address)
    free[:] = PAINT
    guard = free[:GUARD_BYTES]
    failed = 0
    try:
        if target.selftest is not None:
            failed = machine.call(target.selftest)
            free[:] = PAINT
        rows, episode = inputs(target.n_obs, count, seed), EPISODE
        if observations is not None:
            if observations.ndim != 3 or observations.shape[2] != target.n_obs or not observations.size:
                raise TinyctlError(f"observations {observations.shape} are not (steps, sequences, {target.n_obs})")
            episode = len(observations)
            rows = observations.swapaxes(0, 1).reshape(-1, target.n_obs)[:count].astype(F32)
        with nullcontext(machine.call) if used is None else used.paths() as record:
            seen = _run_all(target, machine, rows, episode, record, MOST_CODE_BYTES if samples is None else None)
    except TinyctlError as error:
        if (guard != PAINT).any():
            raise TinyctlError(f"{_overflow(target)} ({error})") from None
        raise
    if (guard != PAINT).any():
        raise TinyctlError(_overflow(target), where=image.path)
    touched = np.flatnonzero(free != PAINT)
    stack = len(free) - int(touched[0]) if len(touched) else 0
    tried = sum(path.count for path in seen) if seen else count
    return Trial(target, machine, program, used, seen, tried, stack, failed)


def _overflow(target: Target) -> str:
    room = target.board.data.end - target.free_address
    return f"the stack of {target.name} grows through all {room} bytes of free RAM into the program's data"


def _run_all(
    target: Target, machine: Machine, rows: Floats, episode: int, record: Callable[..., Any], most_bytes: int | None
) -> list[Seen]:
    """Call on each of `rows`, begun anew after every `episode` of them; `record` gives paths, or plain results that are
    dropped. After `LEAST_SAMPLES` rows ends when `most_bytes` of code have been executed."""
    kept = machine.view(target.state_address, target.state_bytes)
    observation = machine.view(target.observation_address, 4 * target.n_obs).view(F32)
    seen: dict[bytes, Seen] = {}
    executed = 0
    for number, row in enumerate(rows):
        if most_bytes is not None and number >= LEAST_SAMPLES and executed > most_bytes:
            break
        if number % episode == 0 and target.initialise is not None:
            record(*target.initialise)
        observation[:] = row
        before = kept.tobytes()
        path = record(target.address, *target.arguments)
        if not isinstance(path, Path):
            continue
        executed += path.code_bytes
        known = seen.setdefault(path.digest, Seen(path, np.zeros(len(path.lines), np.bool_), 0, {}))
        known.count += 1
        if len(path.lines) != len(known.moved):  # skipped loads: nothing of this path's reads is certain
            known.moved[:] = True
        else:
            known.moved |= path.lines != known.path.lines
        times, call = known.calls.get(path.lines_digest, (0, Call(before, row)))
        known.calls[path.lines_digest] = (times + 1, call)
    return list(seen.values())


# --- timing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """`typical`: the commonest path, warm; `zero_wait`: the same without wait states; `cold`: the longest path from
    empty caches, moving reads missed, divisions the longest; `slack`: the slowest of each node on any path, above the
    longest path; `spread`: between paths, without wait states; `fastest` and `slowest` of all inputs, warm; `call`: one
    of the commonest path."""

    typical: Cycles
    zero_wait: Cycles
    cold: int
    slack: int
    spread: int
    fastest: int
    slowest: int
    call: Call


def time_trial(trial: Trial) -> Timing:
    """Time every path without wait states, and every path with every sequence of flash lines under the memory model,
    its caches as the same path left them."""
    used = trial.tracer
    assert used is not None
    times = [used.time_path(seen.path) for seen in trial.seen]
    totals = [cycles.total for cycles in times]
    longest = max(range(len(times)), key=lambda i: totals[i])
    commonest = max(range(len(times)), key=lambda i: trial.seen[i].count)
    parts: Counter[int] = Counter()
    for cycles in times:
        parts |= cycles.parts  # the larger of each
    target = trial.target
    warm: list[int] = []
    with used.walks() as record:
        for index, seen in enumerate(trial.seen):
            often = max(seen.calls, key=lambda lines: seen.calls[lines][0])
            for lines, (_, call) in seen.calls.items():
                prepare(trial, call)
                walk = record(target.address, *target.arguments)
                memories = used.memories()
                used.time_walk(walk, memories)
                again = used.time_walk(walk, memories)
                warm.append(again.total)
                if lines == often and index == commonest:
                    typical, zero_wait, typical_call = again, used.time_walk(walk, None), call
                if lines == often and index == longest:
                    cold = used.time_walk(walk, used.memories(seen.moved), longest=True).total
    return Timing(
        typical,
        zero_wait,
        cold,
        parts.total() - totals[longest],
        max(totals) - min(totals),
        min(warm),
        max(warm),
        typical_call,
    )


def prepare(trial: Trial, call: Call) -> None:
    """Put the kept bytes and the observation of a call back into memory."""
    target, machine = trial.target, trial.machine
    machine.view(target.state_address, target.state_bytes)[:] = np.frombuffer(call.kept, np.uint8)
    machine.view(target.observation_address, 4 * target.n_obs).view(F32)[:] = call.observation


def parting(trial: Trial, lines: Lines) -> tuple[str, ...]:
    """The blocks after which some path leaves the first one: function and offset, address, source line."""
    places = set()
    for other in trial.seen[1:]:
        first, blocks = trial.seen[0].path.blocks, other.path.blocks
        shorter = min(len(first), len(blocks))
        apart = np.flatnonzero(first[:shorter] != blocks[:shorter])
        block = int(first[max((int(apart[0]) if len(apart) else shorter) - 1, 0)])
        last = trial.program.block(block >> SIZE_BITS, block & (1 << SIZE_BITS) - 1)[-1]
        places.add(last.address)
    place = trial.target.image.place
    return tuple(
        f"{place(at)} ({', '.join(filter(None, (f'{at:#010x}', str(lines.at(at) or ''))))})"
        for at in sorted(places)[:MAX_PLACES]
    )
