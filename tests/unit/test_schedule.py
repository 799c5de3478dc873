"""Response times: textbook task sets, what is not known, and files that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyctl.boards import load_board
from tinyctl.errors import TinyctlError
from tinyctl.schedule import Task, load_tasks, response_us, schedule

TASK = "[[task]]\nname = 'a'\npriority = 1\nrate_hz = 100\ncontroller = true\n"


def tasks(*rows: tuple[float, float], **more: float) -> list[Task]:
    """From (period, worst case) in microseconds, the most urgent first; `more` goes to all."""
    return [Task(f"t{i}", 100 - i, 1e6 / period, worst, **more) for i, (period, worst) in enumerate(rows)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "responses"),
    [
        # A. Burns and A. Wellings, Real-Time Systems and Programming Languages, on response time analysis
        ([(7, 3), (12, 3), (20, 5)], [3, 6, 20]),
        ([(20, 5), (40, 10), (80, 40)], [5, 15, 80]),
    ],
)
def test_textbook_sets(rows: list[tuple[float, float]], responses: list[float]) -> None:
    found = schedule([*tasks(*rows), Task("policy", 0, 1e-2, controller=True)], 0.0)
    assert [task.response_us for task in found.tasks[:-1]] == responses
    assert found.missed == ()


def test_several_jobs_in_one_busy_period() -> None:
    """Lehoczky 1990, section 3: the worst of seven jobs is the fifth, 118; the first takes 114."""
    pair = tasks((70, 26), (100, 62), deadline_us=120)
    assert response_us(pair[1], pair) == 118


def test_blocking_jitter_and_equal_priorities() -> None:
    pair = tasks((4, 1), (10, 3))
    assert response_us(pair[1], pair) == 4
    late = [Task("late", 999, 250_000, 1, jitter_us=1), pair[1]]
    assert response_us(pair[1], late) == 5
    held = [pair[0], Task("held", 1, 100_000, 3, blocking_us=2)]
    assert response_us(held[1], held) == 7
    same = [Task("a", 1, 1000, 300), Task("b", 1, 1000, 400)]
    assert [response_us(task, same) for task in same] == [700, 700]


def test_the_controller_is_added_to_its_task_and_can_starve_another() -> None:
    listed = [
        Task("estimator", 1, 500, 700, deadline_us=1800, assumed=True),
        Task("loop", 2, 1000, 100, controller=True),
        Task("radio", 3),
    ]
    good = schedule(listed, 400)
    assert [task.name for task in good.tasks] == ["radio", "loop", "estimator"]
    assert good.utilisation == pytest.approx(0.5 + 0.35)
    assert [task.response_us for task in good.tasks] == [None, 500, 1700]
    assert (good.not_counted, good.assumed, good.missed) == (("radio",), ("estimator",), ())
    assert [task.room_us for task in good.tasks] == [None, 550, 800]
    bad = schedule(listed, 500)
    assert bad.missed == ("task estimator: response 1900.0 us exceeds its deadline of 1800.0 us",)
    assert schedule(listed, 600).missed == ("task estimator: response grows without bound, deadline 1800.0 us",)


def test_room_is_the_most_that_fits() -> None:
    pair = [Task("loop", 2, 1000, 100, controller=True), Task("estimator", 1, 500, 700)]
    room = schedule(pair, 0.0).tasks[0].room_us
    assert room is not None
    assert schedule(pair, room - 100).missed == ()
    assert schedule(pair, room - 100 + 0.001).missed


@pytest.mark.parametrize("name", ["crazyflie21", "crazyflie_brushless"])
def test_the_crazyflies_have_their_tasks(name: str) -> None:
    found = schedule(load_board(name).tasks, 120.0)
    by_name = {task.name: task for task in found.tasks}
    assert by_name["STABILIZER"].worst_us == 120
    assert by_name["KALMAN"].room_us == pytest.approx(10 * (1000 - 120))
    assert by_name["KALMAN"].response_us is None
    assert "KALMAN" in found.not_counted


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("schema = 2\n" + TASK, "schema is not 1"),
        ("schema = 1\nother = 1\n" + TASK, "unknown key 'other'"),
        ("schema = 1\n", r"no array \[\[task\]\]"),
        ("schema = 1\n" + TASK + TASK, "two tasks have one name"),
        ("schema = 1\n" + TASK.replace("true", "false"), "controller = true"),
        ("schema = 1\n" + TASK + "cost = 3\n", "unknown key 'cost'"),
        ("schema = 1\n" + TASK + "worst_us = -3\n", "a time is not between"),
        ("schema = 1\n" + TASK + "worst_us = nan\n", "a time is not between"),
        ("schema = 1\n" + TASK.replace("100", "1e9"), "rate_hz"),
        ("schema = 1\n" + TASK.replace("'a'", '"\\u001b[1m"'), "printable"),
        ("schema = [", "not valid TOML"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "tasks.toml"
    path.write_text(text)
    with pytest.raises(TinyctlError, match=complaint) as caught:
        load_tasks(path)
    assert "\n" not in str(caught.value)
