"""The command line: exit status, one line for a mistake, one JSON object for a program, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest

from tinyctl import archive, cli
from tinyctl.emitter import emit
from tinyctl.version import VERSION

Run = Callable[..., tuple[int, str, str]]
Mistake = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """`run(*words)`: exit status, standard output and standard error of the command, run in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tinyctl", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


@pytest.fixture
def mistake(run: Run, tmp_path: Path) -> Mistake:
    """`mistake(*words)`: the one line told for a mistake, which ends with status 2 and writes nothing."""

    def call(*words: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        status, out, err = run(*words)
        assert status == 2
        assert out == ""
        assert err.startswith("tinyctl: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        assert sorted(tmp_path.rglob("*")) == before
        return err

    return call


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    archive.save(networks.tiny(), tmp_path / "policy.tctl")
    return tmp_path / "policy.tctl"


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    archive.save(networks.in_format(networks.tiny(), "w16a16"), tmp_path / "graph.tctl")
    return tmp_path / "graph.tctl"


def one_object(out: str) -> Any:
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=lambda c: pytest.fail(f"{c} is not JSON"))


# --- show and lists ---------------------------------------------------------------------------------------------------


def test_show_policy_and_graph(run: Run, policy: Path, graph: Path) -> None:
    for path, kind in ((policy, "policy"), (graph, "graph")):
        status, out, err = run("show", path)
        assert (status, err) == (0, "")
        network = archive.load(path)
        assert kind.capitalize() in out
        assert network.hash in out
        assert network.contract.hash in out
        for node in network.nodes:
            assert f" {node.name} " in out
        assert "rad/s" in out
        status, out, err = run("show", path, "--json")
        record = one_object(out)
        assert record["kind"] == kind
        assert record["graph_hash"] == network.hash
        assert record["contract"] == network.contract.to_json()
        assert [n["name"] for n in record["nodes"]] == [n.name for n in network.nodes]


def test_show_unit(run: Run, tmp_path: Path) -> None:
    unit = emit(networks.in_format(networks.tiny(), "f32"), tmp_path / "c", "tiny")
    status, out, _ = run("show", tmp_path / "c")
    assert status == 0
    assert unit.graph_hash in out
    assert one_object(run("show", "c", "--json")[1]) == json.loads(json.dumps(unit.to_json()))


def test_odd_file_names_are_shown_as_they_are(run: Run, tmp_path: Path) -> None:
    for name in ("[red]x[bold].tctl", "a b.tctl"):
        archive.save(networks.tiny(), tmp_path / name)
        status, out, _ = run("show", name)
        assert status == 0
        assert name in out


@pytest.mark.parametrize("what", ["boards", "formats"])
def test_lists(run: Run, what: str) -> None:
    status, out, err = run(what)
    assert (status, err) == (0, "")
    record = one_object(run(what, "--json")[1])
    assert record["schema"] == 1
    assert record[what]
    for name in record[what]:
        assert name in out


def test_version_and_help(run: Run) -> None:
    assert run("--version") == (0, f"tinyctl {VERSION}\n", "")
    status, out, _ = run("--help")
    assert status == 0
    for command in ("train", "quantize", "emit", "build", "check", "fly", "show", "demo"):
        assert command in out
        assert run(command, "--help")[0] == 0


# --- quantize, emit ---------------------------------------------------------------------------------------------------


def test_quantize(run: Run, policy: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((50, 2)))
    for extra in ((), ("--calibration", "x.npy"), ("--range", "-1", "1"), ("--format", "f32")):
        status, out, err = run("quantize", policy, *extra, "--out", "g.tctl", "--json")
        assert status == 0
        record = one_object(out)
        assert record["graph_hash"] == archive.load(tmp_path / "g.tctl").hash
        assert record["closed_loop_cost_ratio"] is None
        assert ("standard-normal" in err) == (extra == ())
        (tmp_path / "g.tctl").unlink()
    status, out, _ = run("quantize", policy)
    assert status == 0
    assert "graph.tctl" in out
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "g.tctl.run.json", "graph.tctl", "graph.tctl.run.json", "policy.tctl", "x.npy",
    ]  # fmt: skip


def test_quantize_twice_gives_the_same_bytes(run: Run, policy: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("quantize", policy, "--out", name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_same_bytes_in_another_process(policy: Path, tmp_path: Path) -> None:
    """Whatever order Python's sets have."""
    found = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        for words in (("quantize", policy, "--out", folder / "g.tctl"), ("emit", folder / "g.tctl", "--out", folder)):
            subprocess.run(
                [sys.executable, "-m", "tinyctl", *map(str, words)],
                env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True,
            )  # fmt: skip
        found.append({p.name: p.read_bytes() for p in folder.iterdir()})
    assert found[0] == found[1]
    assert len(found[0]) == 7


def test_certify(run: Run, graph: Path, policy: Path, tmp_path: Path) -> None:
    status, out, _ = run("certify", graph, "--policy", policy, "--out", "c.json", "--lipschitz-at-most", "1", "--json")
    record = one_object(out)
    assert status == 0
    assert record == json.loads((tmp_path / "c.json").read_text())
    assert record["reference"] == "policy"
    status, out, _ = run("certify", graph, "--lipschitz-at-most", record["lipschitz"] / 2, "--error-at-most", "0")
    assert status == 1
    assert "is more than 0" in out
    assert run("certify", policy)[0] == 0


def test_emit(run: Run, graph: Path, policy: Path, tmp_path: Path) -> None:
    for source, folder in ((graph, "one"), (policy, "two")):
        status, out, _ = run("emit", source, "--out", folder, "--name", "tiny", "--json")
        assert status == 0
        record = one_object(out)
        assert sorted(p.name for p in (tmp_path / folder).iterdir()) == sorted(
            ["tiny.c", "tiny.h", "tiny_selftest.c", "vectors.json", "unit.json"]
        )
        assert record == json.loads((tmp_path / folder / "unit.json").read_text())
    assert "tiny.c" in run("emit", graph, "--out", "three", "--name", "tiny")[1]


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nonsense",), "nonsense"),
        (("show",), "Missing argument"),
        (("show", "none.tctl"), "none.tctl: no such file"),
        (("show", "."), "no unit.json inside"),
        (("show", "policy.tctl", "--what"), "--what"),
        (("show", "bad.tctl"), "bad.tctl: not a .tctl file, or damaged"),
        (("show", "bad.elf"), "bad.elf"),
        (("show", "none.elf"), "none.elf"),
        (("quantize", "policy.tctl", "--format", "w2a2"), "no number format 'w2a2'"),
        (("quantize", "graph.tctl"), "is a graph, not a policy"),
        (("quantize", "policy.tctl", "--calibration", "none.npy"), "none.npy"),
        (("quantize", "policy.tctl", "--calibration", "bad.npy"), "bad.npy: not a .npy array"),
        (("quantize", "policy.tctl", "--calibration", "bad.tctl"), "bad.tctl: not a .npy array"),
        (("quantize", "policy.tctl", "--calibration", "policy.tctl"), "policy.tctl: not a"),
        (("quantize", "policy.tctl", "--calibration", "wide.npy"), "wide.npy: holds"),
        (("quantize", "policy.tctl", "--calibration", "nan.npy"), "not finite"),
        (("quantize", "policy.tctl", "--calibration", "object.npy"), "object.npy"),
        (("quantize", "policy.tctl", "--calibration", "."), "not a .npy array"),
        (("quantize", "policy.tctl", "--calibration", "wide.npy", "--range", "0", "1"), "exclude each other"),
        (("quantize", "policy.tctl", "--range", "1", "0"), "not finite and increasing"),
        (("quantize", "policy.tctl", "--range", "nan", "1"), "not finite and increasing"),
        (("quantize", "policy.tctl", "--range", "0", "inf"), "--range"),
        (("quantize", "policy.tctl", "--range", "0"), "--range"),
        (("quantize", "policy.tctl", "--out", "bad.tctl/x"), "cannot be written"),
        (("quantize", "policy.tctl", "--out", "folder"), "cannot be written"),
        (("emit", "graph.tctl"), "--out"),
        (("emit", "graph.tctl", "--out", "c", "--name", "int"), "not a plain C identifier"),
        (("emit", "graph.tctl", "--out", "c", "--name", "../x"), "not a plain C identifier"),
        (("emit", "bad.tctl", "--out", "c"), "bad.tctl"),
        (("emit", "graph.tctl", "--out", "bad.tctl"), "cannot be written"),
        (("build", "graph.tctl", "--board", "nothing"), "nothing"),
        (("build", "graph.tctl", "--toolchain", "tcc"), "toolchain"),
        (("build", "folder"), "no unit.json inside"),
        (("build", "bad.tctl"), "bad.tctl"),
        (("check", "graph.tctl", "--board", "./none.toml"), "none.toml"),
        (("check", "bad.elf"), "bad.elf"),
        (("certify", "graph.tctl", "--policy", "graph.tctl"), "is a graph, not a policy"),
        (("certify", "bad.tctl"), "bad.tctl"),
        (("fly", "graph.tctl", "--episodes", "0"), "episodes"),
        (("fly", "graph.tctl", "--on", "[/moon]", "--delay-us", "0"), "moon"),
        (("fly", "none.tctl", "--delay-us", "0"), "no such file"),
        (("hil", "none.tctl"), "no such file"),
        (("hil", "graph.tctl", "--record", "x.txt"), "ends in .csv or .mcap"),
        (("hil", "graph.tctl", "--replay", "bad.csv"), "bad.csv: cannot be read"),
        (("hil", "graph.tctl", "--port", "/dev/none"), "/dev/none: cannot be opened"),
        (("hil", "graph.tctl", "--plant", "quadrotor"), "not those of the task"),
        (("hil", "graph.tctl", "--board", "h743"), "no virtual board is described"),
        (("calibrate", "--port", "/dev/none"), "/dev/none: cannot be opened"),
        (("build", "graph.tctl", "--hooks", "none.c"), "none.c: cannot be read"),
        (("build", "graph.tctl", "--program", "hil_usart", "--board", "h743"), "no serial line is described"),
        (("train", "quadrotor", "--seed", "-1"), "seed"),
        (("train", "quadrotor", "--algo", "magic"), "magic"),
    ],
)
def test_mistakes(
    mistake: Mistake, policy: Path, graph: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("bad.tctl", "bad.npy", "bad.elf"):
        (tmp_path / name).write_bytes(b"\x93NUMPY\x01\x00nonsense\x00\x1b[31m" * 20)
    np.save(tmp_path / "wide.npy", np.zeros((4, 9)))
    np.save(tmp_path / "nan.npy", np.full((4, 2), np.nan))
    np.save(tmp_path / "object.npy", np.array([[None, 1]], object), allow_pickle=True)
    assert message in mistake(*words)


def test_debug_shows_the_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tinyctl", "--debug", "show", "none.tctl"], capture_output=True, text=True, check=False
    )
    assert "Traceback" in done.stderr
    assert "FileError" in done.stderr


def test_as_a_program(policy: Path) -> None:
    """The real process, its pipes apart."""
    done = subprocess.run(
        [sys.executable, "-m", "tinyctl", "show", policy, "--json"], capture_output=True, text=True, check=True
    )
    assert one_object(done.stdout)["kind"] == "policy"
    assert done.stderr == ""
    done = subprocess.run(
        [sys.executable, "-m", "tinyctl", "show", "none.tctl"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tinyctl: none.tctl: no such file\n"


def test_a_reader_that_stops_early(policy: Path) -> None:
    """`tinyctl show x | head -1` is no error worth a traceback."""
    done = subprocess.run(
        ["sh", "-c", f"'{sys.executable}' -m tinyctl show '{policy}' | head -c 1"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr


# --- extras -----------------------------------------------------------------------------------------------------------

WITHOUT = "import sys; sys.modules.update(dict.fromkeys({names!r})); from tinyctl.cli import main; main()"


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("plants",), "sim"),
        (("train", "quadrotor"), "train"),
        (("fly", "{graph}", "--delay-us", "0"), "sim"),
        (("hil", "{graph}", "--port", "/dev/ttyACM0"), "hil"),
    ],
)
def test_a_missing_extra_is_told(words: tuple[str, ...], extra: str, graph: Path) -> None:
    names = {"train": ("torch",), "hil": ("serial", "mcap")}.get(extra, ("casadi", "gymnasium", "torch"))
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names=names), *(w.format(graph=graph) for w in words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("tinyctl: ")
    assert f"pip install 'tinyctl[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_core_works_without_extras(policy: Path, tmp_path: Path) -> None:
    for words in (
        ("show", policy),
        ("quantize", policy, "--out", tmp_path / "g"),
        ("emit", tmp_path / "g", "--out", tmp_path / "c"),
        ("boards",),
        ("formats",),
        ("--help",),
    ):
        subprocess.run(
            [
                sys.executable,
                "-c",
                WITHOUT.format(names=("casadi", "gymnasium", "torch", "matplotlib")),
                *map(str, words),
            ],
            capture_output=True,
            check=True,
        )


def test_heavy_packages_are_imported_only_where_needed() -> None:
    heavy = {"torch", "casadi", "gymnasium", "matplotlib", "optuna"}
    code = f"import tinyctl.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
