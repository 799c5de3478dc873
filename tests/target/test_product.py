"""Every layer in every format, by every compiler, on every core: the bits of the graph, from one image a compiler and
core that holds all cases. Cores are found by listing the boards, cases in `tests/cases.py`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cases
import pytest
from replay import EmulatedCopies, of_case, play, play_q

from tinyctl.audit import audit_object
from tinyctl.boards import Board, Region, board_names, load_board
from tinyctl.builder import Compiler, link_script
from tinyctl.callgraph import reachable
from tinyctl.emitter import render
from tinyctl.image import ImageFile, read_program
from tinyctl.sims.mcu.emulator import Emulator
from tinyctl.unit import Unit

RUN = (60, 6, 5)  # steps, copies, seed
SOFT_FLOAT = re.compile(r"__aeabi_(f|d|\w*2f|\w*2d|cf)\w*|__\w*[sd]f\w*")
CODE = Region(0x0800_0000, 0x0080_0000, "rx", "zero_wait", 0)
DATA = Region(0x2000_0000, 0x0010_0000, "rw", "zero_wait", 0)


def cores() -> dict[str, Board]:
    """A board for each core there is, with room for all cases."""
    found = {board.core: board for board in map(load_board, board_names())}
    roomy = {"regions": (("code", CODE), ("data", DATA))}
    return {c: replace(b, **roomy, link=replace(b.link, code="code", data="data")) for c, b in found.items()}


CORES = cores()
# The plain C beside the assembly is what cores without Thumb-2 take; one core with assembly tries it too.
VARIANTS = [
    *((core, toolchain, "") for core in CORES for toolchain in ("gcc", "zig")),
    ("cortex_m4", "gcc", "plain"),
]


@dataclass(frozen=True)
class Suite:
    """One image with all cases."""

    core: str
    board: Board
    image: ImageFile
    units: dict[str, Unit]


@cache
def rendered() -> dict[str, tuple[Unit, dict[str, str]]]:
    return {name: render(cases.graph(name), name) for name in cases.MAKERS}


def suites() -> list[Any]:
    """The variants as parameters; each is built by one worker alone."""
    names = ["-".join(filter(None, variant)) for variant in VARIANTS]
    return [
        pytest.param(variant, id=name, marks=pytest.mark.xdist_group(name))
        for variant, name in zip(VARIANTS, names, strict=True)
    ]


@pytest.fixture(scope="module", params=suites())
def suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, require_gcc: Callable[[Board], None]
) -> Suite:
    core, toolchain, variant = request.param
    board = CORES[core]
    if toolchain == "gcc":
        require_gcc(board)
    work = tmp_path_factory.mktemp("suite")
    for _, texts in rendered().values():
        for file, text in texts.items():
            if file.endswith((".c", ".h")):
                (work / file).write_text(text)
    defines = [f"#define {name.upper()}_STEP_Q 1" for name in cases.MAKERS]
    if variant == "plain":
        defines += [f"#define {name.upper()}_ASSEMBLY 0" for name in cases.MAKERS]
    (work / "unit.c").write_text("\n".join([*defines, *(f'#include "{name}.c"' for name in cases.MAKERS), ""]))
    (work / "entry.c").write_text("void tinyctl_reset(void);\nvoid tinyctl_reset(void) { for (;;) { } }\n")
    (work / "link.ld").write_text(link_script(board))
    compiler = Compiler.choose(board, toolchain)
    for name in ("unit", "entry"):
        compiler.compile(work, f"{name}.c", f"{name}.o")
    audit_object(work / "unit.o", board, "all cases")
    compiler.link(work, ["unit.o", "entry.o"], "image.elf")
    return Suite(core, board, read_program(work / "image.elf"), {name: unit for name, (unit, _) in rendered().items()})


def emulator(suite: Suite, name: str) -> Emulator:
    """The emulated controller of one case; the image has no descriptor, its facts are those of the unit."""
    unit = suite.units[name]
    sizes = {key: getattr(unit, key) for key in ("n_obs", "n_act", "struct_bytes", "state_bytes")}
    said = replace(suite.image.descriptor, name=name, board=suite.board.name, **sizes)
    return Emulator(replace(suite.image, descriptor=said), suite.board)


def test_bits_equal_the_graphs(suite: Suite) -> None:
    """Actions, status and state, with special values, resets and other actions applied; and of the integer entries."""
    different = []
    for name, unit in suite.units.items():
        graph = cases.graph(name)
        copies = EmulatedCopies(emulator(suite, name), unit.act_q or "int16")
        if play(copies, graph.contract, *RUN).differences(of_case(name, False, *RUN)):
            different.append(name)
        if unit.obs_q and play_q(copies, graph, *RUN).differences(of_case(name, True, *RUN)):
            different.append(f"{name}, integer entry")
    assert not different
    assert all(of_case(name, False, *RUN).status.any() for name in suite.units)


def reached(image: ImageFile, start: str) -> set[str]:
    """Names of all functions that can be reached by calls from one, those that share an address among them."""
    starts = reachable(image, image.function(start))
    return {function.name for function in image.functions if function.start in starts}


def test_no_float_is_reached_from_an_integer_entry(suite: Suite) -> None:
    """On cores without FPU, through all calls; from the float entry some is, so that the search can find it."""
    if suite.board.fpu != "none":
        return
    for name, unit in suite.units.items():
        assert any(map(SOFT_FLOAT.fullmatch, reached(suite.image, f"{name}_step"))), name
        if unit.obs_q:
            found = reached(suite.image, f"{name}_step_q")
            assert {node.symbol for node in unit.nodes if node.kind == "integer_dense"} <= found, name
            assert not set(filter(SOFT_FLOAT.fullmatch, found)), name


def test_every_core_is_there() -> None:
    assert set(CORES) == {"cortex_m0plus", "cortex_m3", "cortex_m4", "cortex_m7", "cortex_m33", "rv32imc", "hazard3"}
