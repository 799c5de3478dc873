"""The flash accelerator: what hits, what misses, what a prefetch hides."""

from __future__ import annotations

from tinyctl.boards import load_board
from tinyctl.sims.mcu.cores import CORES
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


def test_weights_that_stream_from_flash_miss_once_a_line() -> None:
    """VLDM of four words from successive lines: 5 cycles and 5 of waiting each, none when they are read again."""
    (vldm,) = decode_block(bytes.fromhex("b0ec040a"), BOARD.data.origin)  # vldmia r0!, {s0-s3}, run from RAM
    memories = Memories(BOARD)
    pipeline = Pipeline(CORE, memories)

    def read(line: int) -> int:
        begin = pipeline.time
        pipeline.call(vldm.address)
        entered = pipeline.time
        pipeline.execute(vldm, vldm.end, [Access(FLASH + 16 * line + 4 * i, 4, False) for i in range(4)])
        assert entered > begin
        return pipeline.time - entered

    assert [read(line) for line in range(4)] == [10] * 4
    assert [read(line) for line in range(4)] == [5] * 4
    assert [read(line) for line in range(4, 12)] == [10] * 8
    assert read(0) == 10  # driven out


def test_first_load_of_a_group() -> None:
    """SRAM3 of the STM32L4R5: one more for the first of pipelined loads, for each LDM, and not for stores."""
    board = load_board("nucleo_l4r5zi")
    place = dict(board.regions)["sram3"].origin

    def cycles(code: str, *counts: int, write: bool = False) -> int:
        pipeline = Pipeline(CORE, Memories(board))
        pipeline.call(place)
        begin = pipeline.time
        for instruction, count in zip(decode_block(bytes.fromhex(code), place), counts, strict=True):
            accesses = [Access(place + 4 * i, 4, write) for i in range(count)]
            pipeline.execute(instruction, instruction.end, accesses)
        return pipeline.finish() - begin

    assert cycles("0868", 1) == 2 + 1  # ldr r0, [r1]
    assert cycles("08681a686c68", 1, 1, 1) == 4 + 1  # three that pipeline
    assert cycles("086808461a68", 1, 0, 1) == 2 + 1 + 2 + 2  # ldr, mov, ldr: two groups
    assert cycles("90e80e00", 3) == 4 + 1  # ldm r0, {r1-r3}
    assert cycles("0860", 1, write=True) == 1


def test_flash_without_a_cache_always_waits() -> None:
    board = load_board("nano33ble")
    memories = Memories(board)
    for _ in range(2):
        assert memories.fetch(board.code.origin, 0) == 3
        assert memories.data(Access(board.code.origin, 4, False), 0, False) == 3
    assert memories.data(Access(board.data.origin, 4, False), 0, True) == 0


def test_a_multiple_load_waits_once_for_each_line_it_misses() -> None:
    """VLDM of sixteen words over four lines: the waits for one line do not count again for the next."""
    (load,) = decode_block(bytes.fromhex("b0ec100a"), 0x2000_0000)  # vldmia r0!, {s0-s15}
    words = [Access(FLASH + 4 * k, 4, False) for k in range(16)]

    def cycles(memories: Memories | None) -> int:
        pipeline = Pipeline(CORE, memories)
        pipeline.call(load.address)
        begin = pipeline.time
        pipeline.execute(load, load.end, words)
        return pipeline.finish() - begin

    assert cycles(None) == 17
    assert cycles(Memories(BOARD)) == 17 + 4 * 5


def test_a_set_holds_its_ways_and_drops_the_oldest() -> None:
    """The Cortex-M7's data cache of 16 KB: four lines of the addresses that lie 4 KB apart."""
    board = load_board("h743")
    memories = Memories(board)
    apart, place = 4096, dict(board.regions)["axi_sram"]

    def read(number: int) -> int:
        return memories.data(Access(place.origin + apart * number, 4, False), 0, True)

    assert [read(number) for number in range(4)] == [place.wait_states] * 4
    assert [read(number) for number in range(4)] == [0] * 4
    assert read(4) == place.wait_states  # drives out the oldest, line 0
    assert read(1) == 0
    assert read(0) == place.wait_states
    assert memories.data(Access(place.origin + 28, 4, False), 0, True) == 0  # the same line of 32 bytes
    assert memories.data(Access(place.origin + 1024, 4, True), 0, True) == 0  # a write does not wait, and allocates
    assert memories.data(Access(place.origin + 1024, 4, False), 0, True) == 0
    assert memories.fetch(board.code.origin, 0) == board.code.wait_states  # instructions have a cache of their own
    assert memories.fetch(board.code.origin + 28, 0) == 0


def test_the_xip_cache_holds_instructions_and_data() -> None:
    board = load_board("pico")
    memories = Memories(board)
    assert memories.fetch(board.code.origin, 0) == board.code.wait_states == 56
    assert memories.data(Access(board.code.origin + 4, 4, False), 0, True) == 0  # the line that the fetch brought
    assert memories.data(Access(board.code.origin + 8, 4, False), 0, True) == 56
    assert memories.fetch(board.code.origin + 8, 0) == 0


def test_slow_code_makes_the_cortex_m0plus_wait_for_each_line_once() -> None:
    board = load_board("pico")
    core, memories = CORES["cortex_m0plus"], Memories(board)

    def run(times: int) -> int:
        pipeline = core.pipeline(memories)
        pipeline.call(board.code.origin)
        begin = pipeline.time
        for _ in range(times):
            for instruction in core.decoder.block(bytes.fromhex("00bf" * 16), board.code.origin):
                pipeline.execute(instruction, instruction.end)
        return pipeline.finish() - begin

    assert run(1) == 16 + 4 * 56  # 32 bytes are four lines
    memories.restart()
    assert run(1) == 16
