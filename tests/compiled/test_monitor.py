"""The monitor in C says what its NumPy definition says, and that is the formula, as late as it looks ahead."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import monitored
import networks
import numpy as np
import pytest

from tinyctl.emitter import emit
from tinyctl.errors import FileError, TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import F32, Array
from tinyctl.specifications.flights import specification
from tinyctl.specifications.monitor import MOST, Monitor
from tinyctl.specifications.semantics import TINY
from tinyctl.toolchains import SHARED, host_cc, run
from tinyctl.unit import load_unit

STEPS, COPIES = 400, 20
BUILDS = {
    "gcc": ("gcc", ("-std=c99", "-O3", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")),
    "gcc-native": ("gcc", ("-O2", "-march=native")),
    "zig-traps": ("zig", ("-O0", "-fsanitize=undefined", "-fsanitize-trap=undefined")),
}
AROUND = """
#include "tiny_monitor.c"
uint32_t bytes(void) { return (uint32_t)sizeof(struct tiny_monitor); }
void start(void *m) { tiny_monitor_init(m); }
uint32_t step(void *m, const float *obs, const float *act) { return tiny_monitor_step(m, obs, act); }
void roots(const float *x, float *y, uint32_t n) { for (uint32_t i = 0; i < n; i++) y[i] = tiny_monitor_root(x[i]); }
"""


class InC:
    """A monitor compiled for this machine."""

    def __init__(self, folder: Path, compiler: str, flags: tuple[str, ...]) -> None:
        source, target = folder / "around.c", folder / f"{compiler}{len(flags)}.so"
        source.write_text(AROUND)
        run([*host_cc(compiler), *flags, *SHARED, f"-I{folder}", source, "-o", target], what="compiling")
        self.library = ctypes.CDLL(str(target))

    def words(self, obs: Array, act: Array) -> list[int]:
        """Of one sequence (steps, n_obs) and (steps, n_act)."""
        memory = np.full(self.library.bytes(), 0xA5, np.uint8)
        self.library.start(_at(memory))
        rows = zip(np.ascontiguousarray(obs), np.ascontiguousarray(act), strict=True)
        return [self.library.step(_at(memory), _at(o), _at(a)) & 0xFFFFFFFF for o, a in rows]


def _at(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return monitored.emit_monitored(tmp_path_factory.mktemp("monitored"))


@pytest.mark.parametrize("build", BUILDS)
def test_the_words_are_those_of_the_definition(folder: Path, build: str, require_tool: Callable[[str], str]) -> None:
    compiler, flags = BUILDS[build]
    if compiler != "zig":
        require_tool(compiler)
    in_c = InC(folder, compiler, flags)
    obs, act = monitored.sequences(STEPS, COPIES)
    expected = monitored.monitor().run(obs, act)
    assert all(0.02 < (expected >> bit & 1).mean() < 0.98 for bit in range(len(monitored.TEXTS)))
    for copy in range(COPIES):
        assert in_c.words(obs[:, copy], act[:, copy]) == expected[:, copy].tolist()
    x = np.random.default_rng(1).integers(0, 0x7F800001, 200_000).astype(np.uint32).view(F32)
    y = np.empty_like(x)
    in_c.library.roots(_at(x), _at(y), len(x))
    assert (y.view(np.uint32) == np.where(x < TINY, F32(0), np.sqrt(x)).view(np.uint32)).all()


def test_random_formulas_in_c_are_their_definitions(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    root = "norm([angle, 1]) > 1.5"  # which AROUND wants
    texts = [root, *(monitored.random_formula(rng, 1 + k % 5) for k in range(MOST - 1))]
    in_c = InC(monitored.emit_monitored(tmp_path, texts), *BUILDS["zig-traps"])
    obs, act = monitored.sequences(STEPS, 4, seed=5)
    expected = monitored.monitor(texts).run(obs, act)
    for copy in range(4):
        assert in_c.words(obs[:, copy], act[:, copy]) == expected[:, copy].tolist()
    assert sum(0 < (expected >> bit & 1).mean() < 1 for bit in range(MOST)) > MOST // 2


def test_the_definition_waits_for_what_it_asks_for() -> None:
    watch = Monitor(networks.tiny_contract(), (specification("always[0, 0.1] eventually[0.02, 0.04] angle > 0"),))
    angle = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], F32)
    obs = np.stack([angle, angle], axis=1)[:, None]
    words = watch.run(obs, np.zeros((20, 1, 1), F32))[:, 0]
    # Samples 4 and 5 are followed by nothing for two samples; always looks 5 ahead, eventually 2.
    holds = [any(angle[j] > 0 for j in (k + 1, k + 2)) for k in range(18)]
    assert words.tolist() == [0] * 7 + [int(not all(holds[k : k + 6])) for k in range(13)]
    assert words.any()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("angle < 1 until[0, 1] speed < 1", "a monitor has no until"),
        ("always angle < 1", "cannot wait for the end of always"),
        ("angle / speed < 1", "a monitor does not divide"),
        ("height < 1", "no signal is called 'height'"),
        ("always[0, 1e6] angle < 1", "looks ahead 1048576 samples or more"),
    ],
)
def test_what_is_not_bounded_is_refused(text: str, told: str) -> None:
    with pytest.raises(TinyctlError, match=told):
        Monitor(networks.tiny_contract(), (specification(text),))


def test_the_facts_name_the_monitor(folder: Path, tmp_path: Path) -> None:
    assert load_unit(folder).monitored[2] == "eventually[0.1, 0.3] (act.torque <= (obs.angle - 0.25))"
    policy = networks.tiny()
    hostile = specification("angle < 1 # */ int x;")
    unit = emit(Graph(policy.contract, policy.nodes), tmp_path, "tiny", "cmake", monitored=[hostile])
    assert unit.monitored == ("obs.angle < 1",)
    assert "int x" not in "".join(path.read_text() for path in (tmp_path / "src").iterdir())
    assert "tiny_monitor.c" in (tmp_path / "CMakeLists.txt").read_text()
    (tmp_path / "src" / "tiny_monitor.c").unlink()
    with pytest.raises(FileError, match=r"tiny_monitor\.c is missing"):
        load_unit(tmp_path / "src")
