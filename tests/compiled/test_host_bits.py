"""The emitted C on this machine gives the bits of `Graph.run`, whatever compiler and flags its user has."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Callable
from pathlib import Path

import cases
import networks
import numpy as np
import pytest
from replay import GraphCopies, HostCopies, of_case, play, play_q

from tinyctl import toolchains
from tinyctl.emitter import emit
from tinyctl.hostlib import FLAGS, HostController, compile_units

STEPS, COPIES, SEED = 250, 12, 3
PRAGMA = '#pragma GCC optimize("fp-contract=off", "no-tree-slp-vectorize")\n'
KINDS = "undefined,float-cast-overflow"
SANITIZE = (f"-fsanitize={KINDS}", f"-fsanitize-trap={KINDS}")
BUILDS = {
    "gcc": ("gcc", FLAGS),
    "zig": ("zig", FLAGS),
    # Pasted into somebody's project: no -std, no -ffp-contract, all the instructions of this machine.
    "gcc-native": ("gcc", ("-O2", "-march=native")),
    "gcc-O0": ("gcc", ("-O0",)),
    "zig-native": ("zig", ("-O2", "-march=native")),
    # Undefined behaviour ends the process: overflow, bad shifts, conversions out of range.
    "zig-traps": ("zig", ("-O0", *SANITIZE)),
}


@pytest.mark.parametrize("build", BUILDS)
def test_bits_equal_the_graphs(case_folders: dict[str, Path], build: str, require_tool: Callable[[str], str]) -> None:
    """Actions, status and state of every case, by both entries; and their self-tests."""
    compiler, flags = BUILDS[build]
    if compiler != "zig":
        require_tool(compiler)
    library = compile_units(case_folders.values(), compiler, flags)
    different = []
    for name, folder in case_folders.items():
        graph, copies = cases.graph(name), HostCopies(HostController(folder, library=library))
        for integers in (False, True):
            if integers and graph.integer_entry is None:
                continue
            expected = of_case(name, integers, STEPS, COPIES, SEED)
            found = (
                play_q(copies, graph, STEPS, COPIES, SEED)
                if integers
                else play(copies, graph.contract, STEPS, COPIES, SEED)
            )
            if found.differences(expected) or not 0 < expected.status.mean() < 1:
                different.append((name, integers))
        if copies.controller.selftest():
            different.append((name, "self-test"))
    assert not different


def test_the_integer_entry_is_told_what_was_applied(case_folders: dict[str, Path]) -> None:
    name = "all_layers_w16a16_throughout"
    graph, controller = cases.graph(name), HostController(case_folders[name])
    set_applied_q = getattr(controller._library, f"{name}_set_applied_q")
    controller.reset(1)
    state, rng = graph.init(1), np.random.default_rng(0)
    for _ in range(50):
        obs = rng.integers(-20000, 20000, (1, graph.contract.n_obs)).astype(np.int16)
        expected, state = graph.run_q(obs, state)
        assert (controller.step_q(obs) == expected).all()
        applied = rng.choice([-32768, 32767, 0, 1234], expected.shape).astype(np.int16)
        set_applied_q(controller._states.ctypes.data_as(ctypes.c_void_p), applied.ctypes.data_as(ctypes.c_void_p))
        state = state.with_applied_q(applied)
        assert (controller.words() == state.words()).all()


@pytest.fixture(scope="module")
def fma_flags(require_tool: Callable[[str], str]) -> tuple[str, ...]:
    """Flags with which this machine's gcc fuses multiply and add; skips the test where it has no such instruction."""
    gcc = require_tool("gcc")
    macros = toolchains.run([gcc, "-march=native", "-dM", "-E", "-x", "c", "/dev/null"], what="predefined macros")
    if "__FMA__" not in macros and "__ARM_FEATURE_FMA" not in macros:
        pytest.skip("this processor has no fused multiply-add")
    return ("-O2", "-march=native")


def test_without_its_pragma_the_c_would_differ(tmp_path: Path, fma_flags: tuple[str, ...]) -> None:
    """The canary of `gcc-native`: that comparison can fail."""
    graph = networks.in_format(networks.all_layers(), "f32")
    emit(graph, tmp_path)
    for name in ("policy.c", "policy_selftest.c"):
        text = (tmp_path / name).read_text()
        assert PRAGMA in text
        (tmp_path / name).write_text(text.replace(PRAGMA, ""))
    controller = HostController(tmp_path, "gcc", fma_flags)
    expected = play(GraphCopies(graph), graph.contract, STEPS, COPIES, seed=3)
    assert play(HostCopies(controller), graph.contract, STEPS, COPIES, seed=3).differences(expected) > 0
    assert controller.selftest() & 4


def test_gcc_does_not_fuse_while_vectorising(tmp_path: Path, fma_flags: tuple[str, ...]) -> None:
    """gcc 12 turned the additions of biases of alternating sign into vfmaddsub, even under -ffp-contract=off."""
    graph = networks.in_format(networks.tiny(), "f32")
    hidden = next(n.layer for n in graph.nodes if n.name == "hidden")
    assert list(np.sign(hidden.bias)) == [-1, 1, -1, 1]
    emit(graph, tmp_path)
    expected = play(GraphCopies(graph), graph.contract, STEPS, COPIES, seed=4)
    controller = HostController(tmp_path, "gcc", (*fma_flags, "-ffp-contract=off"))
    assert play(HostCopies(controller), graph.contract, STEPS, COPIES, seed=4).differences(expected) == 0


def test_selftest_notices_contraction_by_the_compiler(tmp_path: Path, fma_flags: tuple[str, ...]) -> None:
    """Only the self-test is compiled with contraction: its canary alone must speak."""
    emit(networks.in_format(networks.tiny(), "w16a16"), tmp_path)
    path = tmp_path / "policy_selftest.c"
    path.write_text(path.read_text().replace(PRAGMA, ""))
    assert HostController(tmp_path, "gcc", fma_flags).selftest() == 4


def test_fast_math_is_refused(tmp_path: Path, require_tool: Callable[[str], str]) -> None:
    gcc = require_tool("gcc")
    emit(networks.in_format(networks.tiny(), "f32"), tmp_path)
    with pytest.raises(toolchains.TinyctlError, match="compile without -ffast-math"):
        toolchains.run([gcc, "-ffast-math", "-c", tmp_path / "policy.c", "-o", tmp_path / "x.o"], what="compiling")


@pytest.mark.parametrize("format_name", ["f32", "w16a16"])
@pytest.mark.parametrize("what", ["stored action", "stored status", "weight"])
def test_selftest_notices_one_changed_word(tmp_path: Path, format_name: str, what: str) -> None:
    emit(networks.in_format(networks.tiny(), format_name), tmp_path / "good")
    shutil.copytree(tmp_path / "good", tmp_path / "bad")
    name = "policy.c" if what == "weight" else "policy_selftest.c"
    lines = (tmp_path / "bad" / name).read_text().splitlines()
    change, expected = {
        "stored action": (_other_action, 1),
        "stored status": (_other_status, 2),
        "weight": (_other_weight, 1),
    }[what]
    change(lines)
    (tmp_path / "bad" / name).write_text("\n".join(lines) + "\n")
    assert (tmp_path / "bad" / name).read_text() != (tmp_path / "good" / name).read_text()
    assert HostController(tmp_path / "bad").selftest() == expected


def _last_vector(lines: list[str]) -> int:
    return max(i for i, line in enumerate(lines) if line.endswith("u },"))


def _other_action(lines: list[str]) -> None:
    i = _last_vector(lines)
    lines[i] = lines[i].replace("{ 0x", "{ 0x1^0x", 1)


def _other_status(lines: list[str]) -> None:
    i = _last_vector(lines)
    lines[i] = lines[i].replace("}, ", "}, 1u ^ ", 1)


def _other_weight(lines: list[str]) -> None:
    i = next(i for i, line in enumerate(lines) if "out" in line and "_weight" in line and line.endswith("{"))
    first, rest = lines[i + 1].split(",", 1)
    lines[i + 1] = f"    1 - ({first.strip()}),{rest}"
