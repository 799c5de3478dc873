"""The tracers in Python and in C give the same cycles on every core and behind every cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import networks
import numpy as np
import pytest

from tinyctl.boards import Board, load_board
from tinyctl.builder import build
from tinyctl.emitter import emit
from tinyctl.image import read_image
from tinyctl.sims.mcu.cores import CORES
from tinyctl.sims.mcu.engine import Machine
from tinyctl.sims.mcu.fast import FastTracer
from tinyctl.sims.mcu.program import Program
from tinyctl.sims.mcu.trace import PythonTracer

PLACES = [("h743", "axi_sram"), ("nucleo_f722ze", "dtcm"), ("pico", "sram"), ("pico2", "sram"), ("pico2_riscv", "sram")]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    emit(networks.in_format(networks.tiny(), "w16a16"), folder)
    return folder


def _board(name: str, data: str) -> Board:
    """With the data in the region of this name."""
    board = load_board(name)
    return replace(board, link=replace(board.link, data=data))


@pytest.mark.parametrize(("name", "data"), PLACES)
def test_both_tracers_agree(
    tiny: Path, tmp_path: Path, name: str, data: str, require_tool: Callable[[str], str]
) -> None:
    board = _board(name, data)
    toolchain = "zig" if "zig" in dict(board.toolchains) else "gcc"
    if toolchain == "gcc":
        require_tool("arm-none-eabi-gcc")
    image = read_image(build(tiny, board, toolchain, out=tmp_path / "image.elf").path)  # type: ignore[arg-type]
    said, core = image.descriptor, CORES[board.core]
    machine, program = Machine(image, board), Program(image, None, core.decoder)
    begin = (image.function(f"{said.name}_init").start, said.self_address)
    call = (image.function(f"{said.name}_step").start, said.self_address, said.observation_address, said.action_address)
    timed = []
    for tracer in (PythonTracer(machine, program, core), FastTracer(machine, program, core)):
        machine.call(*begin)
        with tracer.paths() as record:
            path = record(*call)
        machine.call(*begin)
        with tracer.walks() as record:
            walk = record(*call)
        memories = tracer.memories()
        cold, warm = (tracer.time_walk(walk, memories) for _ in range(2))
        moved = np.arange(len(path.lines)) % 3 == 0
        missed = tracer.time_walk(walk, tracer.memories(moved), longest=True)
        zero_wait = tracer.time_walk(walk, None)
        assert missed.total > cold.total > warm.total >= zero_wait.total
        assert len(path.lines) > 20
        timed.append((path.lines_digest, tracer.time_path(path), zero_wait, cold, warm, missed))
    assert timed[0] == timed[1]
