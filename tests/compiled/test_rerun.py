"""Run records: a recorded run gives the same bits again, and what differs is told."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tinyctl import cli
from tinyctl.cli.base import as_json
from tinyctl.run_record import VERBS

PLANT = Path(__file__).parent.parent / "toy_plant.py"
QUICK = ("--set", "iterations=20", "--set", "validate_every=10", "--set", "hidden=8")


RECORDS = {
    "p.tctl": "train", "c.tctl": "train", "g.tctl": "quantize", "g.tctl.fly": "fly", "g.tctl.failures": "failures",
    "pruned.tctl": "prune", "r.tctl": "train", "sparse.tctl": "sparsify", "image.elf": "build",
    "check.json": "check", "h.json": "hil", "guarded.tctl": "guard", "failures.npz": "mine",
}  # fmt: skip


def call(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["tinyctl", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A policy trained until its CPU time was spent, quantized and flown, with their records."""
    made = tmp_path_factory.mktemp("runs")
    shutil.copy(PLANT, made)
    plant = made / PLANT.name
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        assert call("train", plant, *QUICK, "--out", "p.tctl") == 0
        assert call("quantize", "p.tctl", "--plant", plant, "--out", "g.tctl") == 0
        assert call("fly", "g.tctl", "--plant", plant, "--episodes", "5", "--delay-us", "100") == 0
        assert call("failures", "g.tctl", "p.tctl", "--plant", plant, "--episodes", "20", "--twin-episodes", "40",
                    "--delay-us", "100") == 0  # fmt: skip
        assert call("prune", "p.tctl", "--neurons", "0.5", "--plant", plant, "--out", "pruned.tctl") == 0
        relu = "teacher=lqr", "activation=relu", "hidden=8", "episodes=20", "rounds=1", "steps=200"
        assert (
            call("train", plant, "--algo", "imitate", *(w for s in relu for w in ("--set", s)), "--out", "r.tctl") == 0
        )
        assert call("sparsify", "r.tctl", "--keep", "0.5", "--plant", plant, "--out", "sparse.tctl") == 0
        assert call("train", "pendulum", *QUICK, "--out", "pendulum.tctl") == 0
        assert call("guard", "pendulum.tctl", "--plant", "pendulum", "--set", "flights=8", "--out", "guarded.tctl") == 0
        assert call("mine", "g.tctl", "--plant", plant, "--flights", "64", "--scale", "6", "--out", "failures.npz") == 0
        assert call("build", "g.tctl", "--out", "image.elf") == 0
        assert call("check", "image.elf", "--out", "check.json") == 0
        assert call("hil", "g.tctl", "--frames", "50", "--plant", plant, "--out", "h.json", "--record", "h.mcap") == 0
        spent = "iterations=100000", "validate_every=1", "validation_episodes=20", "hidden=8"
        assert (
            call("train", plant, "--cpu-seconds", "2", *(w for s in spent for w in ("--set", s)), "--out", "c.tctl")
            == 0
        )
    return made


@pytest.mark.parametrize("name", RECORDS)
def test_a_run_gives_the_same_bits_again(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = folder / f"{name}.run.json"
    assert str(folder) not in record.read_text()
    assert json.loads(record.read_text())["verb"] == RECORDS[name]
    assert call("rerun", record, "--json") == 0
    assert json.loads(capsys.readouterr().out)["identical"]


def test_every_verb_with_a_record_was_run_again() -> None:
    assert set(RECORDS.values()) == set(VERBS)


def test_another_recording_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record: dict[str, Any] = json.loads((folder / "h.json.run.json").read_text())
    record["outputs"]["h.mcap"] = 64 * "0"
    (folder / "changed.run.json").write_text(as_json(record))
    assert call("rerun", folder / "changed.run.json", "--json") == 1
    assert json.loads(capsys.readouterr().out)["differs"] == ["h.mcap: other bytes"]


def test_what_differs_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record: dict[str, Any] = json.loads((folder / "g.tctl.fly.run.json").read_text())
    record["results"]["scores"]["angle_error"]["value"] += 1e-12
    (folder / "changed.run.json").write_text(as_json(record))
    assert call("rerun", folder / "changed.run.json", "--json") == 1
    differs = json.loads(capsys.readouterr().out)["differs"]
    assert [line.partition(":")[0] for line in differs] == ["scores.angle_error.value"]


def test_another_input_is_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (PLANT.name, "g.tctl.fly.run.json"):
        shutil.copy(folder / name, tmp_path)
    shutil.copy(folder / "p.tctl", tmp_path / "g.tctl")
    assert call("rerun", tmp_path / "g.tctl.fly.run.json") == 2
    assert "not the file the run was given" in capsys.readouterr().err
