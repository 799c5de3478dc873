"""The player of sequences on emulated boards: the actions and status words of the one in NumPy."""

from __future__ import annotations

from pathlib import Path

import pytest
import sequence_policy

from tinyctl.boards import load_board
from tinyctl.builder import build
from tinyctl.checker import check
from tinyctl.image import read_image
from tinyctl.layers.base import F32
from tinyctl.sims.mcu.engine import Machine
from tinyctl.trial import data_end


@pytest.mark.parametrize("board", ["crazyflie21", "pico"])
def test_ticks_on_a_board_are_those_of_the_player(board: str, tmp_path: Path) -> None:
    known = load_board(board)
    image = read_image(build(sequence_policy.emit_player(tmp_path), known, "zig", out=tmp_path / "image.elf").path)
    machine, start = Machine(image, known), -(-data_end(image, known) // 16) * 16
    p, s, obs_at, act_at = (start + k * 1024 for k in range(4))
    entry = {name: image.function(f"seq_{name}").start for name in ("init", "player_init", "tick", "act")}
    machine.call(entry["init"], s)
    machine.call(entry["player_init"], p)
    player = sequence_policy.player()
    for k, obs in enumerate(sequence_policy.observations(40)):
        machine.view(obs_at, 8)[:] = obs.view("u1")[0]
        if k < 20:
            status = machine.call(entry["tick"], p, s, obs_at, act_at)
        else:
            player.miss = 1  # nothing decides any more
            status = machine.call(entry["act"], p, act_at)
        assert float(machine.view(act_at, 4).view(F32)[0]) == float(player.step(obs)[0, 0])
        assert status == player.status[0]
    assert player.status[0] > 0
    if board == "crazyflie21":
        (timed,) = check(image.path, known, samples=24).beside
        assert (timed.name, timed.single_path) == ("player", True)
        assert 10 < timed.cycles_worst < 500
        assert timed.ram_bytes == 4 * (2 * 5 + 2 + 1 + 3)
