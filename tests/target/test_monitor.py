"""The monitor on the emulated boards: the bits of its definition, and its cycles told by `check`."""

from __future__ import annotations

from pathlib import Path

import monitored
import numpy as np
import pytest

from tinyctl.boards import load_board
from tinyctl.builder import BESIDE, Toolchain, build
from tinyctl.checker import check
from tinyctl.image import read_image
from tinyctl.sims.mcu.engine import Machine
from tinyctl.trial import plain_function

STEPS, SYMBOL = 120, f"{BESIDE}monitor"


BUILDS = [("crazyflie21", "gcc"), ("crazyflie21", "zig"), ("pico", "zig"), ("pico2_riscv", "zig")]


@pytest.mark.parametrize(("board", "toolchain"), BUILDS)
def test_the_words_on_a_board_are_those_of_the_definition(
    board: str, toolchain: Toolchain, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    known = load_board(board)
    if toolchain == "gcc":
        request.getfixturevalue("require_gcc")(known)
    image = read_image(build(monitored.emit_monitored(tmp_path), known, toolchain, out=tmp_path / "image.elf").path)
    target, machine = plain_function(image, known, SYMBOL, 3, 1), Machine(image, known)
    obs, act = monitored.sequences(STEPS, 1, seed=2)
    shown, word = machine.view(target.observation_address, 12), image.objects[f"{SYMBOL}_word"][0]
    found = []
    for k in range(STEPS):
        shown[:] = np.concatenate([obs[k, 0], act[k, 0]]).view(np.uint8)
        machine.call(target.address, *target.arguments)
        found.append(int(machine.view(word, 4).view(np.uint32)[0]))
    assert found == monitored.monitor().run(obs, act)[:, 0].tolist()
    assert len(set(found)) > 8


def test_check_tells_the_monitors_cycles(tmp_path: Path) -> None:
    board = load_board("crazyflie21")
    image = build(monitored.emit_monitored(tmp_path), board, "zig", out=tmp_path / "image.elf")
    report = check(image.path, board, samples=24)
    (monitor,) = report.beside
    assert (monitor.name, monitor.single_path) == ("monitor", True)
    assert 50 < monitor.cycles_typical <= monitor.cycles_worst < 2000
    assert report.to_json()["beside"][0]["ram_bytes"] == image_bytes(tmp_path)
    late = check(image.path, board, samples=24, deadline_us=report.time_us_worst + 0.5)
    assert late.verdict == "fail"  # the monitor runs behind the step


def image_bytes(folder: Path) -> int:
    text = (folder / "tiny_monitor.h").read_text()
    members = [line.split(";")[0] for line in text.splitlines() if line.startswith("    uint32_t")]
    return 4 * sum(int(part.split("[")[1].rstrip("]")) if "[" in part else 1 for m in members for part in m.split(","))
