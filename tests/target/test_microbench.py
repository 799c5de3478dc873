"""Every rule of every core on the few instructions that show it, in both tracers: the cycles worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinyctl import toolchains
from tinyctl.boards import Board, load_board
from tinyctl.image import ImageFile, read_program
from tinyctl.sims.mcu import microbench
from tinyctl.sims.mcu.cores import CORES
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.fast import FastTracer
from tinyctl.sims.mcu.microbench import FEW, MANY, MicroBenchmark
from tinyctl.sims.mcu.program import Program
from tinyctl.sims.mcu.trace import PythonTracer

BOARDS = {
    "cortex_m4": "crazyflie21",
    "cortex_m3": "crazyflie21",
    "cortex_m0plus": "pico",
    "cortex_m7": "h743",
    "cortex_m33": "pico2",
    "hazard3": "pico2_riscv",
}
CPUS = {
    "cortex_m4": "cortex_m4+vfp4d16sp",
    "cortex_m3": "cortex_m3",
    "cortex_m0plus": "cortex_m0plus",
    "cortex_m7": "cortex_m7+fp_armv8d16",
    "cortex_m33": "cortex_m33+dsp+fp_armv8d16sp",
    "hazard3": "generic_rv32+m+c",
}


class Bench:
    """The micro-benchmarks of one core, assembled, on a board with that core and no wait states."""

    def __init__(self, core: str, folder: Path) -> None:
        self.board = _board(core)
        self.image = _image(core, self.board, folder)
        machine = Machine(self.image, self.board)
        program = Program(self.image, "", CORES[core].decoder)
        self.tracers = [made(machine, program, CORES[core]) for made in (PythonTracer, FastTracer)]
        self.arguments = (self.board.data.origin + 0x1000, self.board.code.origin)

    def cycles(self, benchmark: MicroBenchmark, tracer: Any) -> float:
        few, many = (self._call(microbench.symbol(benchmark, count), tracer) for count in (FEW, MANY))
        return (many - few) / (MANY - FEW)

    def _call(self, name: str, tracer: Any) -> int:
        with tracer.walks() as record:
            walk = record(self.image.function(name).start, *self.arguments)
        return int(tracer.time_walk(walk, None).total)


def _board(core: str) -> Board:
    board = replace(load_board(BOARDS[core]), core=core)  # type: ignore[arg-type]
    code = replace(board.code, model="zero_wait", wait_states=0)
    return replace(board, regions=tuple((n, code if n == board.link.code else r) for n, r in board.regions))


def _image(core: str, board: Board, folder: Path) -> ImageFile:
    (folder / "bench.s").write_text(microbench.assembly(microbench.of_core(core)))
    target = "riscv32-freestanding-none" if board.riscv else "thumb-freestanding-eabi"
    cpu = ["-target", target, f"-mcpu={CPUS[core]}"]
    toolchains.run([*toolchains.zig(), "cc", *cpu, "-c", "bench.s", "-o", "bench.o"], what="test", cwd=folder)
    (folder / "bench.ld").write_text(f"SECTIONS {{ .text {board.code.origin:#x} : {{ *(.text) }} }}")
    words = [*toolchains.zig(), "ld.lld", "-T", "bench.ld", "bench.o", "-o", "bench.elf"]
    toolchains.run(words, what="test", cwd=folder)
    return read_program(folder / "bench.elf")


@pytest.fixture(scope="session")
def benches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bench]:
    return {core: Bench(core, tmp_path_factory.mktemp(core)) for core in BOARDS}


@pytest.mark.parametrize(
    ("core", "benchmark"),
    [(core, one) for core in BOARDS for one in microbench.of_core(core)],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_rule(benches: dict[str, Bench], core: str, benchmark: MicroBenchmark) -> None:
    bench = benches[core]
    expected = benchmark.cycles[core]
    assert [bench.cycles(benchmark, tracer) for tracer in bench.tracers] == [expected, expected]


def test_weak_evidence_comes_first() -> None:
    listed = [one.evidence for one in microbench.of_core("cortex_m4")]
    assert (listed[0], listed[-1]) == ("document", "measured")
    listed_all = (*microbench.ARM, *microbench.RISCV)
    assert len({one.name for one in listed_all}) == len(listed_all)
