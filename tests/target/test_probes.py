"""Probes: nothing when they are off; ring, callback and the emulator from outside tell what the definition says."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
from typer.testing import CliRunner

from tinyctl import toolchains
from tinyctl.boards import Board
from tinyctl.builder import build
from tinyctl.cli import app
from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.graph import Graph
from tinyctl.layers.base import Array
from tinyctl.sims.mcu.emulator import Emulator
from tinyctl.trial import inputs

FORMATS = ("f32", "w16a16", "w8a8")
STEPS = 12
MAIN = """
#include <stdio.h>
#include "policy.h"
static const float rows[][POLICY_N_OBS] = { ROWS };
#if POLICY_PROBES == 2
void policy_probe(uint32_t id, float value) { printf("%u %a\\n", (unsigned)id, (double)value); }
#endif
int main(void)
{
    static struct policy s;
    float act[POLICY_N_ACT];
    policy_init(&s);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        policy_step(&s, rows[i], act);
#if POLICY_PROBES == 1
        for (unsigned k = 0; k < VALUES; k++) {
            uint32_t at = (policy_probes.count - VALUES + k) % POLICY_PROBE_ROOM;
            printf("%u %a\\n", (unsigned)policy_probes.entry[at].id, (double)policy_probes.entry[at].value);
        }
#endif
    }
    return 0;
}
"""


@pytest.fixture(scope="module", params=FORMATS)
def emitted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Graph, Path]:
    graph = networks.in_format(networks.all_layers(), request.param)
    folder = tmp_path_factory.mktemp("probes")
    emit(graph, folder)
    return graph, folder


def expected(graph: Graph, rows: Array) -> dict[str, Array]:
    state, found = graph.init(1), []
    for row in rows:
        values, state = graph.trace(row[None], state)
        found.append(values)
    return {node.name: np.concatenate([values[node.name] for values in found]) for node in graph.nodes}


@pytest.mark.parametrize("toolchain", ["gcc", "zig"])
def test_off_is_as_if_they_were_not_there(
    emitted: tuple[Graph, Path], board: Board, tmp_path: Path, toolchain: str, require_tool: Callable[[str], str]
) -> None:
    text = (emitted[1] / "policy.c").read_text()
    without = re.sub(r"^ +POLICY_PROBE_NODE\(.*\);\n", "", text, flags=re.MULTILINE)
    assert text.count("POLICY_PROBE_NODE") == without.count("POLICY_PROBE_NODE") + len(emitted[0].nodes)
    flags = board.toolchain(toolchain)
    command = (
        [require_tool("arm-none-eabi-gcc")]
        if toolchain == "gcc"
        else [*toolchains.zig(), "cc", "-target", flags.target]
    )
    objects = []
    for folder, content in ((tmp_path / "with", text), (tmp_path / "without", without)):
        folder.mkdir()
        (folder / "policy.c").write_text(content)
        words = [*command, *flags.cpu, *flags.flags, "-ffreestanding", "-g0", f"-I{emitted[1]}"]
        toolchains.run([*words, "-c", "policy.c", "-o", "policy.o"], what="test", cwd=folder)
        objects.append((folder / "policy.o").read_bytes())
    assert objects[0] == objects[1]


@pytest.mark.parametrize("probes", ["-DPOLICY_PROBES=1", "-DPOLICY_PROBES=2"])
def test_ring_and_callback(emitted: tuple[Graph, Path], tmp_path: Path, probes: str) -> None:
    graph, folder = emitted
    rows = inputs(graph.contract.n_obs, STEPS, 3)
    rows = np.where(np.isfinite(rows), rows, np.float32(0.5))  # C has no literal for the others
    values = sum(node.layer.n_out for node in graph.nodes)
    literals = ", ".join("{" + ", ".join(f"{float(v).hex()}f" for v in row) + "}" for row in rows)
    (tmp_path / "main.c").write_text(MAIN.replace("ROWS", literals).replace("VALUES", f"{values}u"))
    strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-ffp-contract=off"]
    words = [*toolchains.host_cc(), *strict, probes, f"-I{folder}", "main.c", folder / "policy.c", "-o", "main"]
    toolchains.run(words, what="test", cwd=tmp_path)
    told = subprocess.run([str(tmp_path / "main")], capture_output=True, text=True, check=True).stdout.split("\n")
    found = [(int(line.split()[0]), float.fromhex(line.split()[1])) for line in told if line]
    traced = expected(graph, rows)
    wanted = [
        (number, float(value))
        for step in range(STEPS)
        for number, node in enumerate(graph.nodes)
        for value in traced[node.name][step]
    ]
    assert found == wanted


def test_the_emulator_attaches_from_outside(
    emitted: tuple[Graph, Path], board: Board, tmp_path: Path, require_tool: Callable[[str], str]
) -> None:
    graph, folder = emitted
    rows = inputs(graph.contract.n_obs, STEPS, 4)
    require_tool("arm-none-eabi-gcc")
    for toolchain in ("gcc", "zig"):
        image = build(folder, board, toolchain, out=tmp_path / "image.elf").path  # type: ignore[arg-type]
        plain, watched = Emulator(image, board), Emulator(image, board)
        acts = np.array([plain.step(row)[0] for row in rows])
        values, actions, _ = watched.trace(rows)
        assert (actions.view(np.uint32) == acts.view(np.uint32)).all()
        assert watched.state_bytes() == plain.state_bytes()
        for name, wanted in expected(graph, rows).items():
            assert values[name].dtype == wanted.dtype
            assert values[name].tobytes() == wanted.tobytes()


def test_command(image: Path, tmp_path: Path, graph: Graph) -> None:
    rows = inputs(3, 5, 1)
    np.save(tmp_path / "obs.npy", rows)
    words = ["probe", str(image), "--observations", str(tmp_path / "obs.npy"), "--out", str(tmp_path / "values.npz")]
    run = CliRunner().invoke(app, words)
    assert run.exit_code == 0, run.output
    assert "hidden" in run.stdout
    kept = np.load(tmp_path / "values.npz")
    wanted = expected(graph, rows)
    assert set(kept.files) == set(wanted)
    assert all(kept[name].tobytes() == wanted[name].tobytes() for name in wanted)
    np.save(tmp_path / "obs.npy", rows[:, :2])
    assert isinstance(CliRunner().invoke(app, words).exception, TinyctlError)
    assert "no node 'hiden'" in str(CliRunner().invoke(app, [*words[:2], "--node", "hiden"]).exception)
