"""Will it be in time? Runs an image's step under the cycle model, on many inputs, and judges what it finds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tinyctl.audit import foreign
from tinyctl.boards import Board
from tinyctl.errors import TinyctlError
from tinyctl.image import ImageFile, read_image
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.memories import Memories
from tinyctl.sims.mcu.program import STEP, Program
from tinyctl.sims.mcu.trace import SIZE_BITS, Cycles, PathTimer, record_path, record_walk, time_walk
from tinyctl.sims.mcu.trace import Path as CodePath
from tinyctl.vectors import SPECIAL

MARGIN = 0.05  # no item of the measurements the model was fitted to is further off
EXCEPTION_FRAME_BYTES = 26 * 4  # what an interrupt stacks on a core with FPU (ARM DDI 0403, B1.5.7)
PAINT = 0xA5
EPISODE = 16  # steps between two initialisations, so that states of every age are tried
MAX_PLACES = 8
EVIDENCE = (
    "predicted by a Cortex-M4 pipeline and flash model from vendor documents and published measurements; "
    "not confirmed on a board by this project"
)

F32 = np.float32
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class LayerCycles:
    """Cycles of one node's function, callees included: with the board's memory warm, and without wait states."""

    name: str
    kind: str
    format: str
    cycles: int
    cycles_zero_wait: int


@dataclass(frozen=True)
class TimingReport:
    """The prediction for one image on one board.

    `cycles_typical`: the commonest path with warm caches. `cycles_cold`: the longest path from empty caches, every
    read whose address depends on data a miss. `cycles_worst`: that with `margin` on top, and what the slowest of each
    node on any path adds. `layers` follow the order of execution and end with the step function itself.
    `stack_bytes` holds the painted stack and one exception frame; `flash_bytes` and `ram_bytes` are the controller's
    alone, `image_flash_bytes` the whole image; the budgets are what the board's firmware leaves. `parting` names where
    paths part, when there is more than one. `latency_us` is the delay that training assumed, 0 where none was.
    """

    contract_hash: str
    graph_hash: str
    board: str
    toolchain: str
    cycles_typical: int
    cycles_zero_wait: int
    cycles_cold: int
    cycles_worst: int
    time_us_typical: float
    time_us_worst: float
    deadline_us: float
    latency_us: float
    load: float
    single_path: bool
    constant_time: bool
    paths: int
    cycles_spread: int
    parting: tuple[str, ...]
    samples: int
    margin: float
    flash_bytes: int
    flash_budget_bytes: int
    image_flash_bytes: int
    ram_bytes: int
    ram_budget_bytes: int
    stack_bytes: int
    stack_budget_bytes: int
    stack_painted_bytes: int
    layers: tuple[LayerCycles, ...]
    evidence: str
    verdict: Literal["pass", "fail"]
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            **asdict(self),
            "parting": list(self.parting),
            "reasons": list(self.reasons),
            "layers": [asdict(layer) for layer in self.layers],
        }


def check(
    image_path: str | Path, board: Board, *, deadline_us: float | None = None, samples: int = 48, seed: int = 0
) -> TimingReport:
    """Predict the cycles of one step of the image's controller on `board`, and compare with what is allowed.

    The deadline is the board's loop period, or `deadline_us` when that is shorter. `samples` inputs are tried, extreme
    ones among them. Raises `TinyctlError` when the image is not one, was built for another board, or faults.
    """
    if deadline_us is not None and not (math.isfinite(deadline_us) and deadline_us > 0):
        raise TinyctlError(f"deadline of {deadline_us} us is not positive")
    if samples < 1:
        raise TinyctlError(f"{samples} samples; at least 1 is needed")
    image = read_image(image_path)
    if image.descriptor.board != board.name:
        raise TinyctlError(f"built for board {image.descriptor.board}, not {board.name}", where=image.path)
    trial = _try_inputs(image, board, inputs(image.descriptor.n_obs, samples, seed))
    timing = _time(trial, board)
    deadline = min(board.loop_period_us, deadline_us or math.inf)
    report = _report(image, board, trial, timing, deadline)
    reasons = _complaints(report, image, board, trial)
    return replace(report, reasons=reasons, verdict="fail" if reasons else "pass")


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


# --- trying ----------------------------------------------------------------------------------------------------------


@dataclass
class _Seen:
    """A path, how often it was taken, the first input that took it, and which of its flash reads moved."""

    path: CodePath
    count: int
    before: bytes  # the struct
    obs: Floats
    moved: NDArray[np.bool_]


@dataclass(frozen=True)
class _Trial:
    machine: Machine
    program: Program
    seen: list[_Seen]
    samples: int
    stack_bytes: int
    selftest: int


def _try_inputs(image: ImageFile, board: Board, rows: Floats) -> _Trial:
    descriptor = image.descriptor
    machine, program = Machine(image, board), Program(image)
    initialise, step, selftest = (
        image.function(f"{descriptor.name}_{verb}").start for verb in ("init", "step", "selftest")
    )
    failed = machine.call(selftest)
    floor = max(
        (s.address + s.size for s in image.segments if board.data.contains(s.address)), default=board.data.origin
    )
    free = machine.view(floor, board.data.end - floor)
    struct = machine.view(descriptor.self_address, descriptor.struct_bytes)
    observation = machine.view(descriptor.observation_address, 4 * descriptor.n_obs).view(F32)
    free[:] = PAINT
    seen: dict[bytes, _Seen] = {}
    for number, row in enumerate(rows):
        if number % EPISODE == 0:
            machine.call(initialise, descriptor.self_address)
        observation[:] = row
        before = struct.tobytes()
        path = record_path(machine, step, *_arguments(image))
        known = seen.setdefault(path.digest, _Seen(path, 0, before, row, np.zeros(len(path.lines), np.bool_)))
        known.count += 1
        if len(path.lines) != len(known.moved):  # skipped loads: nothing of this path's reads is certain
            known.moved[:] = True
        else:
            known.moved |= path.lines != known.path.lines
    touched = np.flatnonzero(free != PAINT)
    stack = len(free) - int(touched[0]) if len(touched) else 0
    return _Trial(machine, program, list(seen.values()), len(rows), stack, failed)


def _arguments(image: ImageFile) -> tuple[int, int, int]:
    descriptor = image.descriptor
    return descriptor.self_address, descriptor.observation_address, descriptor.action_address


# --- timing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Timing:
    typical: Cycles  # the commonest path, warm
    zero_wait: Cycles  # the same path
    cold: int  # the longest path, empty caches, moving reads missed
    slack: int  # the slowest of each node on any path, above the longest path
    spread: int


def _time(trial: _Trial, board: Board) -> _Timing:
    timer = PathTimer(trial.program)
    times = [timer.time(seen.path) for seen in trial.seen]
    longest = max(range(len(times)), key=lambda i: times[i].total)
    commonest = max(range(len(times)), key=lambda i: trial.seen[i].count)
    parts: Counter[int] = Counter()
    for cycles in times:
        parts |= cycles.parts  # the larger of each
    totals = [cycles.total for cycles in times]
    walk = _walk(trial, commonest)
    memories = Memories(board)
    cold = time_walk(walk, trial.program, memories)
    typical = time_walk(walk, trial.program, memories)
    moved = frozenset(int(i) for i in np.flatnonzero(trial.seen[longest].moved))
    if longest != commonest or moved:
        walk = walk if longest == commonest else _walk(trial, longest)
        cold = time_walk(walk, trial.program, Memories(board, moved))
    slack = parts.total() - totals[longest]
    return _Timing(typical, times[commonest], cold.total, slack, max(totals) - min(totals))


def _walk(trial: _Trial, index: int) -> Any:
    """Run the input again that took this path, and record every instruction."""
    machine, seen = trial.machine, trial.seen[index]
    descriptor = machine.image.descriptor
    machine.view(descriptor.self_address, descriptor.struct_bytes)[:] = np.frombuffer(seen.before, np.uint8)
    machine.view(descriptor.observation_address, 4 * descriptor.n_obs).view(F32)[:] = seen.obs
    step = machine.image.function(f"{descriptor.name}_step").start
    return record_walk(machine, trial.program, step, *_arguments(machine.image))


def _parting(trial: _Trial) -> tuple[str, ...]:
    """The blocks after which some path leaves the first one, as function and offset."""
    first = trial.seen[0].path.blocks
    places = set()
    for other in trial.seen[1:]:
        blocks = other.path.blocks
        at = next(
            (i for i, (a, b) in enumerate(zip(first, blocks, strict=False)) if a != b), min(len(first), len(blocks))
        )
        block = first[max(at - 1, 0)]
        last = trial.program.block(block >> SIZE_BITS, block & (1 << SIZE_BITS) - 1)[-1]
        places.add(last.address)
    return tuple(trial.machine.image.place(address) for address in sorted(places)[:MAX_PLACES])


# --- judging ---------------------------------------------------------------------------------------------------------


def _report(image: ImageFile, board: Board, trial: _Trial, timing: _Timing, deadline_us: float) -> TimingReport:
    descriptor = image.descriptor
    worst = math.ceil((timing.cold + timing.slack) * (1 + MARGIN))
    worst = max(worst, math.ceil(timing.typical.total * (1 + MARGIN)))
    microsecond = board.clock_hz / 1e6
    layers = [
        LayerCycles(node.name, node.kind, node.format, timing.typical.parts[i], timing.zero_wait.parts[i])
        for i, node in enumerate(descriptor.nodes)
    ]
    layers.append(
        LayerCycles(f"{descriptor.name}_step", "step", "", timing.typical.parts[STEP], timing.zero_wait.parts[STEP])
    )
    single = len(trial.seen) == 1
    return TimingReport(
        contract_hash=descriptor.contract_hash,
        graph_hash=descriptor.graph_hash,
        board=board.name,
        toolchain=descriptor.toolchain,
        cycles_typical=timing.typical.total,
        cycles_zero_wait=timing.zero_wait.total,
        cycles_cold=timing.cold,
        cycles_worst=worst,
        time_us_typical=round(timing.typical.total / microsecond, 3),
        time_us_worst=round(worst / microsecond, 3),
        deadline_us=deadline_us,
        latency_us=round(descriptor.latency_s * 1e6, 3),
        load=round(worst / microsecond / deadline_us, 4),
        single_path=single,
        constant_time=single and not any(seen.moved.any() for seen in trial.seen),
        paths=len(trial.seen),
        cycles_spread=timing.spread,
        parting=_parting(trial),
        samples=trial.samples,
        margin=MARGIN,
        flash_bytes=image.section_bytes(".unit"),
        flash_budget_bytes=board.firmware.flash_bytes,
        image_flash_bytes=sum(s.size for s in image.sections if s.loaded),
        ram_bytes=descriptor.struct_bytes,
        ram_budget_bytes=board.firmware.ram_bytes,
        stack_budget_bytes=board.firmware.stack_bytes,
        stack_bytes=trial.stack_bytes + EXCEPTION_FRAME_BYTES,
        stack_painted_bytes=trial.stack_bytes,
        layers=tuple(layers),
        evidence=EVIDENCE,
        verdict="pass",
        reasons=(),
    )


def _complaints(report: TimingReport, image: ImageFile, board: Board, trial: _Trial) -> tuple[str, ...]:
    budget = board.firmware
    found: list[str] = []
    if report.time_us_worst > report.deadline_us:
        found.append(f"worst case {report.time_us_worst:.1f} us exceeds the deadline of {report.deadline_us:.1f} us")
    if 0 < report.latency_us < report.time_us_worst:
        found.append(
            f"worst case {report.time_us_worst:.1f} us exceeds the {report.latency_us:.1f} us of delay that "
            "training assumed"
        )
    limits: Sequence[tuple[str, int, int]] = (
        ("stack with one exception frame", report.stack_bytes, budget.stack_bytes),
        ("flash", report.flash_bytes, budget.flash_bytes),
        ("RAM", report.ram_bytes, budget.ram_bytes),
        ("flash of the whole image", report.image_flash_bytes, board.code.length),
    )
    found += [f"{what}: {used} bytes of {limit}" for what, used, limit in limits if used > limit]
    if trial.selftest:
        found.append(f"the self-test returns {trial.selftest}")
    names = (*image.undefined, *(function.name for function in image.functions))
    found += [f"the image holds {symbol}: {reason}" for symbol, reason in foreign(names, board)]
    found += [f"symbol {symbol} is undefined" for symbol in image.undefined]
    return tuple(found)
