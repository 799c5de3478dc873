"""Will it be in time? Runs an image's step under the cycle model, on many inputs, and judges what it finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tinyctl.audit import Finding, call_sites, foreign
from tinyctl.boards import Board
from tinyctl.builder import BESIDE
from tinyctl.callgraph import reachable, static_stack
from tinyctl.debug import Lines
from tinyctl.errors import TinyctlError
from tinyctl.image import ImageFile, read_image, read_program
from tinyctl.profile import InstructionCycles, LayerCycles, LineCycles, by_line, layers
from tinyctl.schedule import Schedule, Task, schedule
from tinyctl.sims.mcu.cores import CORES, unmodelled
from tinyctl.trial import Floats, Timing, Trial, controller, parting, plain_function, time_trial, try_inputs

TIME = (
    *(f"cycles_{kind}" for kind in ("typical", "zero_wait", "cold", "worst", "fastest", "slowest", "spread")),
    *("time_us_typical", "time_us_worst", "load", "single_path", "constant_time", "paths"),
)
# What an interrupt stacks, by whether there is an FPU: ARM DDI 0403, B1.5.7, aligned to 8 bytes.
EXCEPTION_FRAME_BYTES = {False: 8 * 4, True: 26 * 4}


@dataclass(frozen=True)
class PartTiming:
    """A part of an image that runs beside the controller's step, `monitor` or `player`: cycles as in `TimingReport`."""

    name: str
    cycles_typical: int
    cycles_worst: int
    time_us_worst: float
    single_path: bool
    ram_bytes: int
    stack_bytes: int


@dataclass(frozen=True)
class TimingReport:
    """The prediction for one image on one board.

    `cycles_typical`: the commonest path with warm caches. `cycles_cold`: the longest path from empty caches, every
    read whose address depends on data a miss. `cycles_worst`: that with `margin` on top, and what the slowest of each
    node on any path adds. `cycles_fastest` and `cycles_slowest` are of all inputs tried, warm: the jitter.
    `layers` follow the order of execution and end with the step function itself; `lines` have the same cycles by source
    line, and `instructions` are those that take most of them.
    `stack_bytes` holds one exception frame and the larger of two: the stack that was painted over, and that of the
    deepest chain of calls in the machine code (`stack_chain`; `stack_left_out` says what that cannot know).
    `flash_bytes` and `ram_bytes` are the controller's alone, `image_flash_bytes` the whole image; the budgets are what
    the board's firmware leaves. `constants_bytes` are the tables that the start-up code copies to `constants_region`;
    they count as flash too, and as RAM where that is the region of the data. `parting` names where paths part, when
    there is more than one. `findings` are the places in reach of the function that use double, libm or the heap, or
    divide by data. `latency_us` is the delay that training assumed, 0 where none was. `schedule` tells whether the
    firmware's tasks, where they are known, all meet their deadlines with this controller in one of them.
    `beside` tells of the specifications' monitor and of the player of sequences, where the image has them; the deadline
    is that of all together.
    Where the board's time cannot be predicted `layers` is empty, a reason says so, and figures about time mean nothing.
    """

    contract_hash: str
    graph_hash: str
    image_sha256: str
    board: str
    toolchain: str
    function: str
    cycles_typical: int
    cycles_zero_wait: int
    cycles_cold: int
    cycles_worst: int
    cycles_fastest: int
    cycles_slowest: int
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
    constants_region: str
    constants_bytes: int
    ram_bytes: int
    ram_budget_bytes: int
    stack_bytes: int
    stack_budget_bytes: int
    stack_painted_bytes: int
    stack_static_bytes: int
    stack_chain: tuple[str, ...]
    stack_left_out: tuple[str, ...]
    findings: tuple[Finding, ...]
    layers: tuple[LayerCycles, ...]
    lines: tuple[LineCycles, ...]
    instructions: tuple[InstructionCycles, ...]
    schedule: Schedule | None
    evidence: str
    verdict: Literal["pass", "fail"]
    reasons: tuple[str, ...]
    beside: tuple[PartTiming, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record; where the board's time cannot be predicted, null in place of every figure about it."""
        unknown = {key: None for key in TIME if not self.layers}
        return {
            "schema": 1,
            **asdict(self),
            **unknown,
            **{key: list(getattr(self, key)) for key in ("parting", "reasons", "stack_chain", "stack_left_out")},
            **{
                key: [asdict(row) for row in getattr(self, key)]
                for key in ("layers", "lines", "instructions", "findings", "beside")
            },
        }


def check(
    image_path: str | Path,
    board: Board,
    *,
    deadline_us: float | None = None,
    samples: int | None = None,
    seed: int = 0,
    function: str | None = None,
    n_obs: int = 0,
    n_act: int = 0,
    tasks: Sequence[Task] | None = None,
    integers: bool = False,
    observations: Floats | None = None,
) -> TimingReport:
    """Predict the cycles of one step of the image's controller on `board`, and compare with what is allowed.

    With `integers`, of its integer entry. With `function`, of `void function(const float *observation, float *action)`
    in any program for the board. The deadline is the board's loop period, or `deadline_us` when that is shorter.
    `samples` inputs are tried, extreme ones among them, or `observations` (steps, sequences, n_obs); by default 200.
    `tasks` are those beside the controller, by default the board's. Raises `TinyctlError` when the image is not one,
    was built for another board, or faults.
    """
    if deadline_us is not None and not (math.isfinite(deadline_us) and deadline_us > 0):
        raise TinyctlError(f"deadline of {deadline_us} us is not positive")
    if samples is not None and samples < 1:
        raise TinyctlError(f"{samples} samples; at least 1 is needed")
    if function is None:
        image = read_image(image_path)
        if image.descriptor.board != board.name:
            raise TinyctlError(f"built for board {image.descriptor.board}, not {board.name}", where=image.path)
        target = controller(image, board, integers)
    else:
        image = read_program(image_path)
        target = plain_function(image, board, function, n_obs, n_act)
    trial = try_inputs(target, samples, seed, observations)
    report = _report(
        trial, time_trial(trial) if trial.seen else None, min(board.loop_period_us, deadline_us or math.inf)
    )
    listed = board.tasks if tasks is None else tasks
    if listed and report.layers:
        report = replace(report, schedule=schedule(listed, report.time_us_worst))
    if function is None:
        parts = [f.name for f in image.functions if f.name.startswith(BESIDE)]
        ram = sum(image.objects[f"{name}_state"][1] for name in parts)
        beside = tuple(_part(image, board, name, samples, seed) for name in parts if report.layers)
        report = replace(report, beside=beside, ram_bytes=report.ram_bytes + ram)
    reasons = _complaints(report, trial)
    return replace(report, reasons=reasons, verdict="fail" if reasons else "pass")


def _part(image: ImageFile, board: Board, function: str, samples: int | None, seed: int) -> PartTiming:
    said = image.descriptor
    n_obs = said.n_obs + said.n_act
    found = check(
        image.path, board, samples=samples, seed=seed, function=function, n_obs=n_obs, n_act=said.n_act, tasks=()
    )
    return PartTiming(
        function.removeprefix(BESIDE),
        found.cycles_typical,
        found.cycles_worst,
        found.time_us_worst,
        found.single_path,
        image.objects[f"{function}_state"][1],
        found.stack_bytes,
    )


# --- judging ---------------------------------------------------------------------------------------------------------


def _report(trial: Trial, timing: Timing | None, deadline_us: float) -> TimingReport:
    image, board = trial.target.image, trial.target.board
    said = image.descriptor
    core = CORES[board.core] if timing is not None else None
    margin = core.margin if core else 0.0
    worst = typical = zero_wait = cold = fastest = slowest = spread = 0
    if timing is not None:
        worst = math.ceil(max(timing.cold + timing.slack, timing.slowest) * (1 + margin))
        typical, zero_wait, cold = timing.typical.total, timing.zero_wait.total, timing.cold
        fastest, slowest, spread = timing.fastest, timing.slowest, timing.spread
    own = trial.target.initialise is not None  # a controller of ours, not any function
    microsecond = board.clock_hz / 1e6
    lines = Lines(image.path)
    root = image.function(trial.target.name)
    bodies = reachable(image, root)
    stack = static_stack(image, bodies, root)
    by_lines, by_instructions = by_line(trial, timing, lines) if timing else ((), ())
    single = len(trial.seen) == 1
    loaded = sum(s.size for s in image.sections if s.loaded)
    moved = image.section_bytes(".constants") if own else 0
    place = next((s.address for s in image.sections if s.name == ".constants" and moved), board.code.origin)
    held = sum(s.size for s in image.sections if board.data.contains(s.address))
    return TimingReport(
        contract_hash=said.contract_hash,
        graph_hash=said.graph_hash,
        image_sha256=image.sha256,
        board=board.name,
        toolchain=said.toolchain,
        function=trial.target.name,
        cycles_typical=typical,
        cycles_zero_wait=zero_wait,
        cycles_cold=cold,
        cycles_worst=worst,
        cycles_fastest=fastest,
        cycles_slowest=slowest,
        time_us_typical=round(typical / microsecond, 3),
        time_us_worst=round(worst / microsecond, 3),
        deadline_us=deadline_us,
        latency_us=round(said.latency_s * 1e6, 3),
        load=round(worst / microsecond / deadline_us, 4),
        single_path=single,
        constant_time=single and not trial.seen[0].moved.any(),
        paths=len(trial.seen),
        cycles_spread=spread,
        parting=parting(trial, lines),
        samples=trial.samples,
        margin=margin,
        flash_bytes=image.section_bytes(".unit") + moved if own else loaded,
        flash_budget_bytes=board.firmware.flash_bytes if own else board.code.length,
        image_flash_bytes=loaded,
        constants_region=next(name for name, region in board.regions if region.contains(place)),
        constants_bytes=moved,
        ram_bytes=said.struct_bytes + moved * board.data.contains(place) if own else held,
        ram_budget_bytes=board.firmware.ram_bytes if own else board.data.length,
        stack_budget_bytes=board.firmware.stack_bytes,
        stack_bytes=max(trial.stack_bytes, stack.bytes) + EXCEPTION_FRAME_BYTES[board.fpu != "none"],
        stack_painted_bytes=trial.stack_bytes,
        stack_static_bytes=stack.bytes,
        stack_chain=stack.chain,
        stack_left_out=stack.left_out,
        findings=call_sites(image, bodies, root, lines, board),
        layers=layers(trial.target, timing) if timing else (),
        lines=by_lines,
        instructions=by_instructions,
        schedule=None,
        evidence=core.evidence if core else "",
        verdict="pass",
        reasons=(),
    )


def _complaints(report: TimingReport, trial: Trial) -> tuple[str, ...]:
    image, board = trial.target.image, trial.target.board
    found: list[str] = []
    unable = unmodelled(board)
    if unable:
        found.append(unable)
    worst_us = report.time_us_worst + sum(part.time_us_worst for part in report.beside)
    if worst_us > report.deadline_us:
        found.append(f"worst case {worst_us:.1f} us exceeds the deadline of {report.deadline_us:.1f} us")
    if 0 < report.latency_us < report.time_us_worst:
        found.append(
            f"worst case {report.time_us_worst:.1f} us exceeds the {report.latency_us:.1f} us of delay that "
            "training assumed"
        )
    if report.schedule is not None:
        found += report.schedule.missed
    limits: Sequence[tuple[str, int, int]] = (
        ("stack with one exception frame", report.stack_bytes, report.stack_budget_bytes),
        ("flash", report.flash_bytes, report.flash_budget_bytes),
        ("RAM", report.ram_bytes, report.ram_budget_bytes),
        ("flash of the whole image", report.image_flash_bytes, board.code.length),
    )
    found += [f"{what}: {used} bytes of {limit}" for what, used, limit in limits if used > limit]
    if trial.selftest:
        found.append(f"the self-test returns {trial.selftest}")
    if trial.target.initialise is None:
        return tuple(found)  # what any program of a user may hold is the user's affair
    found += [str(finding) for finding in report.findings]
    named = {finding.symbol for finding in report.findings}
    names = {*image.undefined, *(function.name for function in image.functions)} - named
    found += [f"the image holds {symbol}: {reason}" for symbol, reason in foreign(names, board)]
    found += [f"symbol {symbol} is undefined" for symbol in image.undefined]
    return tuple(found)
