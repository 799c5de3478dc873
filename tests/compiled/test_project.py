"""Projects: `tinyctl init` and `tinyctl run`, which does again only what has changed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tinyctl import cli
from tinyctl.builder import Compiler
from tinyctl.errors import TinyctlError
from tinyctl.project import load_project, project_text
from tinyctl.stages import FILE, Stage, run_stages

Run = Callable[..., tuple[int, str, str]]
TOY = """plant = "./toy_plant.py"
board = "crazyflie21"
[train.settings]
iterations = 20
plants = 16
window = 8
hidden = [4]
validate_every = 20
validation_episodes = 8
[fly]
episodes = 20
"""
ALL = ["train", "quantize", "emit", "build", "check", "fly", "report"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tinyctl", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return call


def test_only_what_changed_is_done_again(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(Path(__file__).parents[1] / "toy_plant.py", tmp_path)
    project = tmp_path / "tinyctl.toml"

    def done(text: str) -> tuple[int, list[str], Any]:
        project.write_text(text)
        status, out, _ = run("run", "--json")
        record = json.loads(out)
        return status, record["done"], record

    assert done(TOY)[:2] == (0, ALL)
    assert done(TOY)[:2] == (0, [])
    assert done("# said otherwise\n" + TOY)[1] == []
    assert done(TOY + '[quantize]\nformat = "w8a16"\n')[:2] == (0, ALL[1:])
    assert done(TOY + '[quantize]\nformat = "w8a16"\n[check]\ndeadline_us = 0.5\n')[:2] == (
        1,
        ["check", "fly", "report"],
    )
    (tmp_path / "build" / "graph.tctl").unlink()
    assert done(TOY + '[quantize]\nformat = "w8a16"\n')[1] == ["quantize", "check", "fly", "report"]  # the same bytes
    status, again, record = done(TOY + 'at_least = 1.1\n[quantize]\nformat = "w8a16"\n')
    assert (status, again) == (1, [])
    assert "is below 1.1" in record["reasons"][0]
    asked = '[specs]\nstill = "always size < 0"\n[signals]\nsize = "abs(angle)"\n'
    status, again, record = done(TOY + 'satisfied = 1.0\n[quantize]\nformat = "w8a16"\n' + asked)
    assert (status, again) == (1, ["fly", "report"])
    assert record["reasons"] == ["still is satisfied by 0, below 1"]
    assert "hidden" in project.read_text()
    plant = tmp_path / "toy_plant.py"
    plant.write_text(plant.read_text().replace("0.1 * x[1]", "0.2 * x[1]"))
    assert done(TOY + '[quantize]\nformat = "w8a16"\n')[1][:2] == ["train", "quantize"]
    assert done(TOY + "[prune]\nneurons = 0.5\n")[1][:2] == ["prune", "quantize"]
    choose = Compiler.choose
    monkeypatch.setattr(Compiler, "choose", lambda *words: replace(choose(*words), label="another"))
    assert done(TOY + "[prune]\nneurons = 0.5\n")[1][:2] == ["quantize", "build"]


def test_init_writes_a_project_that_is_one(run: Run, tmp_path: Path) -> None:
    assert run("init", "--plant", "pendulum", "--board", "nucleo_l4r5zi")[0] == 0
    project = load_project(tmp_path / "tinyctl.toml")
    assert (project.plant, project.board) == ("pendulum", "nucleo_l4r5zi")
    status, _, err = run("init")
    assert (status, err) == (2, "tinyctl: tinyctl.toml: is there already; remove it, or edit it\n")
    (tmp_path / "tinyctl.toml").unlink()
    assert run("init", "--plant", "gym:CartPole-v1")[0] == 0
    assert load_project(tmp_path / "tinyctl.toml").train.settings == {"algorithm": "PPO"}
    (tmp_path / "tinyctl.toml").unlink()
    for words in (("--plant", "nothing"), ("--board", "nothing"), ("--plant", "gym:Nothing-v0")):
        status, _, err = run("init", *words)
        assert (status, err.count("\n")) == (2, 1)
        assert not (tmp_path / "tinyctl.toml").exists()


def test_every_commented_key_is_one_that_is_read(tmp_path: Path) -> None:
    lines = project_text("pendulum", "swing_up", "crazyflie21").splitlines()
    text = "\n".join(line.removeprefix("# ") for line in lines if "=" in line or "[" in line)
    (tmp_path / "tinyctl.toml").write_text(text)
    project = load_project(tmp_path / "tinyctl.toml")
    assert project.prune is not None
    assert (project.task, project.check.deadline_us, project.fly.at_least) == ("swing_up", 1000.0, 0.95)
    assert project.train.settings == {"hidden": "32,32,"}


@pytest.mark.parametrize(
    ("name", "steps", "fewer"),
    [
        ("pendulum", "total_steps = 10000", "total_steps = 120\nlearning_starts = 50"),
        (
            "cartpole",
            "total_steps = 50000\nenvironments = 8\nrollout = 128",
            "total_steps = 64\nrollout = 64\nbatch = 32",
        ),
    ],
    ids=["pendulum", "cartpole"],
)
def test_the_examples_run_in_short(
    run: Run, tmp_path: Path, require_package: Callable[[str], Any], name: str, steps: str, fewer: str
) -> None:
    require_package("stable_baselines3")
    text = (Path(__file__).parents[2] / "examples" / name / "tinyctl.toml").read_text()
    assert steps in text
    short = text.replace(steps, f"{fewer}\nvalidation_episodes = 2")
    (tmp_path / "tinyctl.toml").write_text(short.replace("episodes = 100", "episodes = 2"))
    status, out, _ = run("run", "--json")
    assert status == 1  # it has learnt nothing yet
    record = json.loads(out)
    assert record["done"] == ALL
    assert "return" in record["reasons"][0]
    assert run("run", "--json")[0] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing key 'board', 'plant'"),
        ('plant = "p"\nboard = "b"\nspeed = 1', "unknown key 'speed'"),
        ('plant = "p"\nboard = "b"\n[train]\nalgorithm = "apg"', "train: unknown key 'algorithm'"),
        ('plant = "p"\nboard = "b"\n[fly]\nepisodes = "many"', r"fly.episodes: expected int"),
        ('plant = "p"\nboard = "b"\n[fly]\nepisodes = 0', "at least one"),
        ('plant = "p"\nboard = "b"\nname = "int"', "not a plain C identifier"),
        ('plant = "p"\nboard = "b"\n[train.settings]\nhidden = {a = 1}', r"train.settings.hidden: "),
        ('plant = "p"\nboard = "b"\nfly = 3', "fly: is not a table"),
        ('plant = "p"\nboard = "b"\n[specs]\nnear = "x <"', "specs.near: specification, line 1, column 4"),
        ("plant = ", "not valid TOML"),
    ],
)
def test_mistakes_in_a_project_are_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "tinyctl.toml"
    path.write_text(text)
    with pytest.raises(TinyctlError, match=message):
        load_project(path)


def test_a_stage_that_fails_is_not_recorded(tmp_path: Path) -> None:
    def fail() -> None:
        raise TinyctlError("no")

    stages = [
        Stage("first", 1, (), (tmp_path / "a",), lambda: (tmp_path / "a").write_text("a") and None),
        Stage("second", 1, (tmp_path / "a",), (tmp_path / "b",), fail),
    ]
    for expected in (["first", "second"], ["second"]):
        tried: list[str] = []
        with pytest.raises(TinyctlError):
            run_stages(tmp_path, stages, lambda s, works, tried=tried: tried.append(s.name) if works else None)
        assert tried == expected
    (tmp_path / FILE).write_text("{")
    with pytest.raises(TinyctlError):
        run_stages(tmp_path, stages, lambda s, works: None)
