"""`check`: complete, the same twice, and bad news where there is bad news."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyctl.boards import Board
from tinyctl.builder import build
from tinyctl.checker import EXCEPTION_FRAME_BYTES, check
from tinyctl.errors import TinyctlError, ToolMissing
from tinyctl.graph import Graph
from tinyctl.image import read_image
from tinyctl.sims.mcu.cortex_m4 import CORE
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.fast import FastTracer, FastWalk
from tinyctl.sims.mcu.program import Program
from tinyctl.sims.mcu.trace import PythonTracer, Walk
from tinyctl.trial import inputs

DESIGN_KEYS = {
    "schema",
    "contract_hash",
    "graph_hash",
    "board",
    "toolchain",
    "cycles_typical",
    "cycles_worst",
    "time_us_worst",
    "deadline_us",
    "single_path",
    "constant_time",
    "flash_bytes",
    "ram_bytes",
    "stack_bytes",
    "layers",
    "verdict",
}
STEP = "    uint32_t status, i;\n"


def altered(unit: Path, board: Board, folder: Path, statement: str, head: str = "") -> Path:
    shutil.copytree(unit, folder)
    source = folder / "sample.c"
    text = source.read_text().replace(STEP, f"{STEP}    {statement}\n", 1)
    source.write_text(text.replace('#include "sample.h"\n', f'#include "sample.h"\n{head}\n', 1))
    return build(folder, board, "zig", out=folder / "image.elf").path


def test_report(each_image: Path, board: Board, graph: Graph) -> None:
    report = check(each_image, board)
    said = json.loads(json.dumps(report.to_json()))
    assert set(said) >= DESIGN_KEYS
    assert (said["schema"], said["verdict"], said["reasons"]) == (1, "pass", [])
    assert (report.contract_hash, report.graph_hash) == (graph.contract.hash, graph.hash)
    assert report.single_path
    assert report.constant_time
    assert [layer.name for layer in report.layers] == [*(node.name for node in graph.nodes), "sample_step"]
    assert all(layer.cycles >= layer.cycles_zero_wait > 0 for layer in report.layers)
    assert sum(layer.cycles for layer in report.layers) == report.cycles_typical
    assert sum(layer.cycles_zero_wait for layer in report.layers) == report.cycles_zero_wait
    assert report.cycles_zero_wait <= report.cycles_typical <= report.cycles_cold < report.cycles_worst
    assert report.deadline_us == 2000
    assert report.ram_bytes == read_image(each_image).descriptor.struct_bytes
    assert report.ram_bytes < report.flash_bytes < report.image_flash_bytes
    assert report.stack_bytes == report.stack_painted_bytes + EXCEPTION_FRAME_BYTES[True]
    assert report.stack_painted_bytes % 4 == 0
    assert check(each_image, board) == report


def accesses(walk: Walk | FastWalk) -> list[tuple[int, int, bool]]:
    """Address, bytes and direction: as the emulator reports them, or as found from registers."""
    if isinstance(walk, Walk):
        return [(a.address, a.size, a.write) for listed in walk.accesses.values() for a in listed]
    return [(int(a["address"]), int(a["size"]) >> 1, bool(a["size"] & 1)) for a in walk.accesses]


def test_block_table_and_walk_agree(each_image: Path, board: Board) -> None:
    """The memoised time of the block trace is the time of every instruction in turn."""
    image = read_image(each_image)
    machine, program = Machine(image, board), Program(image)
    descriptor = image.descriptor
    machine.call(image.function("sample_init").start, descriptor.self_address)
    arguments = (
        image.function("sample_step").start,
        descriptor.self_address,
        descriptor.observation_address,
        descriptor.action_address,
    )
    timed = []
    tracers = (
        PythonTracer(machine, program, CORE),
        FastTracer(machine, program, CORE),
        FastTracer(machine, program, CORE, "zig"),
    )
    walked = []
    for tracer in tracers:
        with tracer.paths() as record:
            path = record(*arguments)
        with tracer.walks() as record:
            walk = record(*arguments)
        walked.append(accesses(walk))
        first, zero_wait = tracer.time_path(path), tracer.time_walk(walk, None)
        assert first == tracer.time_path(path)
        assert (first.total, first.parts) == (zero_wait.total, zero_wait.parts)
        memories = tracer.memories()
        cold, warm = (tracer.time_walk(walk, memories) for _ in range(2))
        moved = np.arange(len(path.lines)) % 3 == 0
        missed = tracer.time_walk(walk, tracer.memories(moved))
        assert missed.total > cold.total > warm.total > first.total
        assert all(sum(lost) <= cold.parts[part] for part, lost in cold.stalls.items())
        timed.append((path.digest, path.lines_digest, first, zero_wait, cold, warm, missed))
    assert timed[0] == timed[1] == timed[2]
    assert walked[0] == walked[1] == walked[2]
    assert any(write for _, _, write in walked[0])


def test_without_a_host_compiler(image: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same report from the tracer in Python, of fewer inputs unless told otherwise."""

    def missing(compiler: str | None = None) -> None:
        raise ToolMissing("no compiler")

    expected = check(image, board, samples=20)
    monkeypatch.setattr("tinyctl.sims.mcu.fast.library", missing)
    assert check(image, board, samples=20) == expected
    assert check(image, board).samples == 48


def test_long_functions_are_tried_on_fewer_inputs(image: Path, board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(image, board).samples == 200
    monkeypatch.setattr("tinyctl.trial.MOST_CODE_BYTES", 1)
    assert check(image, board).samples == 24
    assert check(image, board, samples=30).samples == 30


def test_deadline(image: Path, board: Board) -> None:
    report = check(image, board, deadline_us=1.0)
    assert report.verdict == "fail"
    assert "exceeds the deadline of 1.0 us" in report.reasons[0]
    assert check(image, board, deadline_us=1e6).deadline_us == 2000
    for bad in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(TinyctlError, match="deadline"):
            check(image, board, deadline_us=bad)


def test_budgets(image: Path, board: Board) -> None:
    tight = replace(board, firmware=replace(board.firmware, stack_bytes=60, flash_bytes=100, ram_bytes=8))
    report = check(image, tight)
    assert report.verdict == "fail"
    assert [reason.split(":")[0] for reason in report.reasons] == ["stack with one exception frame", "flash", "RAM"]


def test_stack_is_measured(unit: Path, image: Path, board: Board, tmp_path: Path) -> None:
    deep = altered(
        unit, board, tmp_path / "unit", "volatile uint8_t room[1200]; for (i = 0; i < 1200; i++) room[i] = (uint8_t)i;"
    )
    shallow = check(image, board).stack_painted_bytes
    assert 1200 <= check(deep, board).stack_painted_bytes <= 1200 + shallow + 32


def test_two_paths_are_told_with_the_place(unit: Path, board: Board, tmp_path: Path) -> None:
    path = altered(
        unit, board, tmp_path / "unit", 'if (obs[0] > 0.1f) { for (i = 0; i < 40; i++) { __asm__ volatile("nop"); } }'
    )
    report = check(path, board)
    assert not report.single_path
    assert not report.constant_time
    assert report.paths == 2
    assert report.cycles_spread >= 35  # the shorter path pays for a taken branch
    assert all(re.fullmatch(r"sample_step\+0x\w+ \(0x08\w{6}, sample\.c:\d+\)", place) for place in report.parting)
    assert report.parting
    assert report.cycles_slowest > report.cycles_fastest + 20  # of one image: another lies otherwise in the flash lines
    assert report.cycles_worst >= report.cycles_slowest * (1 + report.margin)


def test_table_in_flash_is_not_constant_time(unit: Path, board: Board, tmp_path: Path) -> None:
    """One path, but which flash line a table gives depends on the observation."""
    path = altered(
        unit,
        board,
        tmp_path / "unit",
        "for (i = 0; i < 3; i++) { union { float f; uint32_t u; } w; w.f = obs[i]; sink = table[w.u >> 20 & 255u]; }",
        "static const uint32_t table[256] = {1u, 2u, 3u};\n#define sink (*(volatile uint32_t *)&s->work0)",
    )
    report = check(path, board)
    assert report.single_path
    assert not report.constant_time
    assert report.verdict == "pass"
    assert report.cycles_cold > report.cycles_typical + 3 * 5


def test_failing_self_test(unit: Path, board: Board, tmp_path: Path) -> None:
    folder = tmp_path / "unit"
    shutil.copytree(unit, folder)
    source = folder / "sample.c"
    text = source.read_text()
    assert "return status;\n}\n\nvoid sample_set_applied" in text
    source.write_text(
        text.replace(
            "return status;\n}\n\nvoid sample_set_applied",
            "act[0] = 0.125f; return status;\n}\n\nvoid sample_set_applied",
        )
    )
    report = check(build(folder, board, "zig", out=folder / "image.elf").path, board)
    assert report.verdict == "fail"
    assert report.reasons[0].startswith("the self-test returns")


def test_endless_step_is_an_error(unit: Path, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyctl.sims.mcu.trace.MAX_INSTRUCTIONS", 100_000)
    path = altered(unit, board, tmp_path / "unit", 'while (obs[0] > 1000.0f) { __asm__ volatile("nop"); }')
    with pytest.raises(TinyctlError, match="still running after 100000 instructions"):
        check(path, board)


def test_other_board(image: Path, board: Board) -> None:
    with pytest.raises(TinyctlError, match="built for board crazyflie21, not other"):
        check(image, replace(board, name="other"))


def test_inputs_hold_every_extreme() -> None:
    rows = inputs(3, 48, 0)
    assert rows.shape == (48, 3)
    assert rows.dtype == np.float32
    assert np.isnan(rows).any()
    assert np.isposinf(rows).any()
    assert np.isneginf(rows).any()
    assert ((rows == 0) & np.signbit(rows)).any()
    assert ((rows != 0) & (np.abs(rows) < 1.2e-38)).any()
    assert (inputs(3, 48, 0).view(np.uint32) == rows.view(np.uint32)).all()
    assert (inputs(3, 48, 1).view(np.uint32) != rows.view(np.uint32)).any()
