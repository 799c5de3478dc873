"""The tables of cores that rest on documents only. Code is given as the bytes of `arm-none-eabi-as`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyctl.boards import FOLDER, load_board
from tinyctl.sims.mcu import cortex_m0plus, cortex_m3
from tinyctl.sims.mcu.cores import CORES, unmodelled
from tinyctl.sims.mcu.decode import decode_block
from tinyctl.sims.mcu.pipeline import Pipeline, ScalarCore

BASE = 0x0800_0100


def cycles(core: ScalarCore, code: str, target: int | None = None) -> int:
    """The cycles of straight code entered by a branch, or left for `target` by its last instruction."""
    pipeline = Pipeline(core)
    pipeline.call(BASE)
    begin = pipeline.time
    instructions = decode_block(bytes.fromhex(code), BASE)
    for instruction in instructions[:-1]:
        pipeline.execute(instruction, instruction.end)
    pipeline.execute(instructions[-1], instructions[-1].end if target is None else target)
    return pipeline.finish() - begin


@pytest.mark.parametrize(
    ("code", "target", "expected"),
    [
        ("0846", None, 1),  # mov r0, r1
        ("4843", None, 1),  # muls r0, r1
        ("0868", None, 2),  # ldr r0, [r1]
        ("08681a68", None, 4),  # ldr, ldr: no pipelining
        ("0860", None, 2),  # str r0, [r1]
        ("0ec9", None, 4),  # ldmia r1!, {r1-r3}
        ("10b5", None, 3),  # push {r4, lr}
        ("10bd", BASE + 64, 5),  # pop {r4, pc}: 3 + 2
        ("02e0", BASE + 64, 2),  # b
        ("02d0", None, 1),  # beq, not taken
        ("02d0", BASE + 64, 2),
        ("00f002f8", BASE + 64, 3),  # bl
        ("7047", BASE + 64, 2),  # bx lr
        ("8847", BASE + 64, 2),  # blx r1
        ("bff34f8f", None, 3),  # dsb sy
    ],
)
def test_cortex_m0plus(code: str, target: int | None, expected: int) -> None:
    assert cycles(cortex_m0plus.CORE, code, target) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("00fb01f2", 1),  # mul r2, r0, r1
        ("00fb0132", 2),  # mla r2, r0, r1, r3
        ("a0fb0123", 5),  # umull r2, r3, r0, r1
        ("c0fb0123", 7),  # smlal r2, r3, r0, r1
        ("b1fbf2f0", 12),  # udiv
        ("08681a68", 3),  # loads pipeline
        ("08680068", 4),  # but not on the loaded register
    ],
)
def test_cortex_m3(code: str, expected: int) -> None:
    assert cycles(cortex_m3.CORE, code) == expected


def test_the_evidence_is_told() -> None:
    assert {name: "documents only" in core.evidence for name, core in CORES.items()} == {
        "cortex_m0plus": True,
        "cortex_m3": True,
        "cortex_m4": False,
    }
    assert all(core.name == name for name, core in CORES.items())


def test_the_cortex_m0plus_refuses_code_with_wait_states(tmp_path: Path) -> None:
    text = (FOLDER / "pico.toml").read_text()
    assert unmodelled(load_board("pico")) is not None
    for model, wait_states, told in (("zero_wait", 0, False), ("every_access", 2, True)):
        path = tmp_path / "mine.toml"
        changed = text.replace('model = "unknown"\nwait_states = 0', f'model = "{model}"\nwait_states = {wait_states}')
        path.write_text(changed)
        assert (unmodelled(load_board(path)) is not None) == told
