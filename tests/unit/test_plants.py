"""Plants as declared: found by name or path, refused when they do not fit together, drawing what they promise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyctl.errors import FileError, TinyctlError
from tinyctl.sims.plant import Parameter
from tinyctl.sims.plants import load_plant, plant_files, plant_hash, plant_names
from tinyctl.sims.plants._quadrotor_tasks import hover_action
from tinyctl.sims.plants.quadrotor import PLANT

HOVER = PLANT.task("hover")


def test_a_plants_hash_covers_what_it_imports_from_its_folder(tmp_path: Path) -> None:
    plant, shape, other = (tmp_path / f"{name}.py" for name in ("arm", "shape", "other"))
    plant.write_text("import numpy\nfrom shape import LENGTH\n")
    shape.write_text("LENGTH = 1\n")
    other.write_text("")
    assert plant_files(plant) == (plant, shape)
    before = plant_hash(plant)
    other.write_text("LENGTH = 2\n")
    assert plant_hash(str(plant)) == before
    shape.write_text("LENGTH = 2\n")
    assert plant_hash(plant) != before
    assert [path.name for path in plant_files("quadrotor")] == ["quadrotor.py", "_quadrotor_tasks.py"]
    assert plant_hash("gym:Pendulum-v1") is None


@pytest.mark.parametrize("name", plant_names())
def test_every_plant_is_found_under_its_own_name(name: str) -> None:
    plant = load_plant(name)
    assert plant.name == name
    for task in plant.tasks.values():
        p = plant.nominal()
        assert task.initial(np.random.default_rng(0), 3, p).shape == (3, len(plant.state_columns(task)))
        assert task.disturb(np.random.default_rng(0), 3, p).shape == (3, len(plant.disturbances))


def test_a_plant_file_is_loaded_by_path(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "sims" / "plants" / "pendulum.py"
    (tmp_path / "mine.py").write_text(source.read_text().replace('name="pendulum"', 'name="mine"'))
    assert load_plant(tmp_path / "mine.py").name == "mine"
    assert load_plant(str(tmp_path / "mine.py")).name == "mine"


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("dragon", None, "no plant 'dragon'; one of .*quadrotor"),
        ("missing.py", None, "no such plant file"),
        ("empty.py", "x = 1", "does not define PLANT"),
        ("broken.py", "x = 1 +", "SyntaxError"),
        ("raises.py", "1 / 0", "ZeroDivisionError"),
    ],
)
def test_what_is_no_plant_is_told_in_one_line(tmp_path: Path, name: str, text: str | None, complaint: str) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(TinyctlError, match=complaint):
        load_plant(str(path) if name.endswith(".py") else name)


def test_a_directory_is_no_plant(tmp_path: Path) -> None:
    with pytest.raises(FileError):
        load_plant(tmp_path)


def test_starts_are_those_of_the_paper() -> None:
    x = HOVER.initial(np.random.default_rng(0), 20_000, PLANT.nominal())
    at_rest = (x[:, 0:3] == 0).all(axis=1)
    assert abs(at_rest.mean() - 0.1) < 0.01
    angle = 2 * np.arccos(np.clip(x[~at_rest, 3], -1, 1))
    assert angle.max() <= np.pi / 2 + 1e-3
    # Rejection from uniform quaternions: the same distribution, drawn another way.
    q = np.random.default_rng(1).normal(size=(200_000, 4))
    uniform = 2 * np.arccos(np.abs(q[:, 0]) / np.linalg.norm(q, axis=1))
    kept = uniform[uniform <= np.pi / 2]
    for quantile in (0.1, 0.5, 0.9):
        assert abs(np.quantile(angle, quantile) - np.quantile(kept, quantile)) < 0.01
    assert np.abs(x[:, 0:3]).max() <= 0.2
    assert np.abs(x[:, 7:13]).max() <= 1.0
    np.testing.assert_allclose(np.linalg.norm(x[:, 3:7], axis=1), 1, atol=1e-6)
    assert np.ptp(x[:, 13:]) == 0


def test_hover_is_the_published_command() -> None:
    assert abs(hover_action(PLANT.nominal()) - 0.334) < 5e-4
    assert np.allclose(HOVER.contract.initial_applied(), hover_action(PLANT.nominal()))


def test_variants_change_what_they_name_and_nothing_else() -> None:
    ours, theirs = PLANT.nominal(), PLANT.nominal("gym_pybullet_drones")
    assert theirs["inertia_x"] == 1.4e-5
    assert theirs["mass"] == ours["mass"]
    assert PLANT.nominal("learning_to_fly") == ours
    with pytest.raises(TinyctlError, match="no variant"):
        PLANT.nominal("paper_plane")


def test_randomised_parameters_stay_in_their_ranges() -> None:
    drawn, late_s = PLANT.randomise(replace(HOVER, randomisation=None), np.random.default_rng(0), 500, PLANT.nominal())
    assert not late_s.any()
    for column, q in zip(drawn.T, PLANT.parameters, strict=True):
        assert np.float32(q.low) <= column.min() <= column.max() <= np.float32(q.high)
        assert np.ptp(column) > 0.5 * (q.high - q.low)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"inputs": PLANT.inputs[:3]}, "4 outputs for 3 inputs"),
        ({"states": (*PLANT.states, PLANT.states[0])}, "stands twice"),
        ({"parameters": (Parameter("mass", "kg", 2.0, 0.0, 1.0),)}, "not in"),
        ({"variants": {"odd": {"wings": 2.0}}}, "unknown parameter 'wings'"),
        ({"tasks": {}}, "at least one task"),
    ],
)
def test_a_plant_that_does_not_fit_together_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(TinyctlError, match=complaint):
        replace(PLANT, **changes)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"noise": (0.1,)}, "noise is not 18"),
        ({"typical": 18 * (0.0,)}, "typical is not 18 positive"),
        ({"integral_limits": {"height": 1.0}}, "integral of 'height'"),
        ({"episode_steps": 100}, "not within the episode"),
    ],
)
def test_a_task_that_does_not_fit_together_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(TinyctlError, match=complaint):
        replace(HOVER, **changes)


def test_unknown_task() -> None:
    with pytest.raises(TinyctlError, match="one of hover"):
        PLANT.task("loop")
