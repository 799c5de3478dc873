"""The flash accelerator: what hits, what misses, what a prefetch hides."""

from __future__ import annotations

from tinyctl.boards import load_board
from tinyctl.sims.mcu.cortex_m4 import CORE
from tinyctl.sims.mcu.decode import decode_block
from tinyctl.sims.mcu.memories import DATA_LINES, INSTRUCTION_LINES, Art, Memories
from tinyctl.sims.mcu.pipeline import Access, Pipeline

BOARD = load_board("crazyflie21")
FLASH = BOARD.code.origin
NOP_W = bytes.fromhex("aff30080")


def straight(count: int, memories: Memories | None) -> int:
    """Cycles of `count` 32-bit instructions in a row, entered by a branch."""
    pipeline = Pipeline(CORE, memories)
    pipeline.call(FLASH)
    begin = pipeline.time
    for instruction in decode_block(NOP_W * count, FLASH):
        pipeline.execute(instruction, instruction.end)
    return pipeline.finish() - begin


def test_sequential_code_loses_about_two_cycles_a_line_when_cold_and_none_when_warm() -> None:
    memories = Memories(BOARD)
    cold = straight(160, memories)
    assert 160 + 5 + 39 * 2 <= cold <= 160 + 5 + 39 * 2 + 6
    memories.restart()
    assert straight(160, memories) == straight(160, None) == 160


def test_more_code_than_the_cache_holds_stays_cold() -> None:
    memories = Memories(BOARD)
    count = 4 * (INSTRUCTION_LINES + 8)
    first = straight(count, memories)
    memories.restart()
    assert straight(count, memories) > count + (first - count) // 2


def test_data_lines() -> None:
    art = Art(BOARD.code)
    time = 0
    for line in range(DATA_LINES):
        assert art.data(FLASH + 16 * line, time) == 5
        assert art.data(FLASH + 16 * line + 12, time + 6) == 0
        time += 20
    assert art.data(FLASH, time) == 0  # used again: now the youngest
    assert art.data(FLASH + 16 * DATA_LINES, time) == 5  # drives out the oldest, line 1
    time += 20
    assert art.data(FLASH, time) == 0
    assert art.data(FLASH + 16, time) == 5


def test_reads_wait_for_the_flash() -> None:
    art = Art(BOARD.code)
    assert art.data(FLASH, 100) == 5
    assert art.data(FLASH + 64, 102) == 4 + 5  # the first read holds the flash until 106


def test_unknown_reads_miss_and_drive_out_a_line() -> None:
    art = Art(BOARD.code)
    for line in range(DATA_LINES):
        art.data(FLASH + 16 * line, 20 * line)
    assert art.data_unknown(400) == 5
    assert art.data(FLASH, 420) == 5  # the oldest line had to go


def test_memories_by_region() -> None:
    memories = Memories(BOARD, unknown_reads=frozenset({1}))
    assert memories.data(Access(BOARD.data.origin, 4, False), 0, True) == 0
    assert memories.data(Access(0x10000000, 4, False), 0, True) == 0
    assert memories.fetch(BOARD.data.origin, 0) == 0
    assert memories.data(Access(FLASH + 64, 4, False), 100, True) == 5
    assert memories.data(Access(FLASH + 64, 4, False), 200, True) == 5  # position 1: depends on data
    assert memories.data(Access(FLASH + 64, 4, False), 300, True) == 0
