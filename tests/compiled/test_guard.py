"""The guard: its C is its definition bit for bit, every fault has a reason, and who flies is who should."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from guards import RULES, make_guarded, trouble

from tinyctl.archive import load, save
from tinyctl.emitter import emit
from tinyctl.errors import FileError
from tinyctl.hostlib import FLAGS, HostController
from tinyctl.layers.base import Array
from tinyctl.safety.faults import KINDS, Faulty, Kind
from tinyctl.safety.guard import (
    ALARM,
    FALLBACK,
    GROUP_SHIFT,
    JUMP,
    LATE,
    OUT_OF_RANGE,
    SAFE,
    STUCK,
    Guarded,
    GuardState,
    groups_of,
)
from tinyctl.sims.plants import load_plant

U32 = np.uint32
STRICT = ("-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wdouble-promotion", "-Werror")
REJECTED, EVERY = 1, (1 << (GROUP_SHIFT + 4)) - 1
P, R, V, W = (1 << (GROUP_SHIFT + i) for i in range(4))


@pytest.fixture(scope="module")
def guarded() -> Guarded:
    return make_guarded()


@pytest.fixture(scope="module")
def folder(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("guarded")
    emit(guarded, path, "hover")
    return path


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_the_c_equals_the_definition(
    guarded: Guarded, folder: Path, compiler: str, require_tool: Callable[[str], str]
) -> None:
    """Actions, status words and the guard's own words, through every kind of trouble; all reasons are met."""
    if compiler != "zig":
        require_tool(compiler)
    n, steps = 24, 400
    host = HostController(folder, compiler, (*FLAGS, *STRICT))
    host.reset(n)
    state, met = guarded.init(n), 0
    assert host.selftest() == 0
    for k, obs in enumerate(trouble(guarded, steps, n, seed=1)):
        if k == 200:
            late = np.zeros((n, 4), bool)
            late[:6, 1] = late[3:9, 0] = True
            state = state.with_late(late)
            column = list(guarded.start()).index("late")
            sizes = [len(v) for v in guarded.start().values()]
            host._states[:, guarded.contract.n_act + sum(sizes[:column])] = state.memory["late"][0][:, 0]
        action, following = guarded.run(obs, state)
        assert isinstance(following, GuardState)
        state = following
        np.testing.assert_array_equal(host.step(obs).view(U32), action.view(U32))
        np.testing.assert_array_equal(host.status, state.status)
        np.testing.assert_array_equal(_one_nan(host.words()), _one_nan(state.words()))
        met |= int(np.bitwise_or.reduce(state.status))
    assert met == EVERY


def test_a_file_keeps_it(guarded: Guarded, tmp_path: Path) -> None:
    """The same guard comes back, and a damaged one is refused in one line."""
    path = tmp_path / "guarded.tctl"
    save(guarded, path)
    again = load(path)
    assert isinstance(again, Guarded)
    assert again.hash == guarded.hash != guarded.policy.hash
    assert again.guard.groups == guarded.guard.groups
    for old, new in ((b'"mul"', b'"div"'), (b'"watch":', b'"watcx":'), (b'"judged":6', b'"judged":0')):
        data = path.read_bytes()
        assert old in data
        broken = tmp_path / "broken.tctl"
        broken.write_bytes(_rezipped(data, old, new))
        with pytest.raises(FileError):
            load(broken)


def test_every_fault_has_its_reason(guarded: Guarded) -> None:
    """The word of the step after a fault, one row a fault."""
    clean = _calm(guarded, 8)
    faults = {
        0: (slice(0, 3), np.nan, REJECTED | P),
        1: (slice(3, 12), np.inf, REJECTED | R),
        2: (slice(12, 15), 50.0, OUT_OF_RANGE | V),
        3: (slice(15, 18), 8.0, JUMP | W),
        4: (slice(0, 18), None, STUCK | P | R | V | W),
    }
    state = guarded.init(6)
    for k in range(6):
        obs = np.tile(clean[k], (6, 1))
        if k == 5:
            for row, (columns, value, _) in faults.items():
                obs[row, columns] = clean[k - 1][columns] if value is None else value
            state = state.with_late(np.arange(6)[:, None] * np.array([0, 0, 1, 0]) == 5)
        action, following = guarded.run(obs, state)
        assert isinstance(following, GuardState)
        state = following
        if k < 5:
            np.testing.assert_array_equal(state.status, 0)
    for row, (_, _, word) in faults.items():
        assert state.status[row] == word, row
    assert state.status[5] == LATE | V
    assert (np.abs(action) <= 1).all()


def test_a_sensor_that_jumps_is_replaced_for_a_while_and_at_last_for_good(guarded: Guarded) -> None:
    clean = _calm(guarded, 120)
    flagged = []
    state = guarded.init(1)
    for k, row in enumerate(clean):
        obs = row[None].copy()
        if k in (10, 40, 70):
            obs[0, 15] += 5
        _, following = guarded.run(obs, state)
        assert isinstance(following, GuardState)
        state = following
        flagged.append(bool(state.status[0] & W))
    assert sum(flagged[10:40]) == sum(flagged[40:70]) == RULES.hold
    assert all(flagged[70:])


def test_alarm_fallback_and_return(guarded: Guarded) -> None:
    """Leaning raises an alarm; the fallback takes over without a bump, at least for the dwell, and hands back when all
    has been calm, but not after the last trip. Limits are wide here, so that nobody doubts the leaning."""
    wide = replace(guarded.guard, groups=tuple(g.limited(1e3) for g in guarded.guard.groups))
    guarded = replace(guarded, guard=wide)
    calm, leaning = _calm(guarded, 2000), _lean(_calm(guarded, 2000, seed=2))
    state, flies, bumps = guarded.init(1), [], []
    for k in range(400):
        obs = (leaning if k % 80 in range(20, 30) else calm)[k]
        before = state.applied
        action, following = guarded.run(obs[None], state)
        assert isinstance(following, GuardState)
        state = following
        changed = bool(state.status[0] & FALLBACK) != (flies[-1] if flies else False)
        flies.append(bool(state.status[0] & FALLBACK))
        if changed:
            bumps.append(float(np.abs(action - before).max()))
    turns = np.flatnonzero(np.diff(np.array(flies, int)))
    assert len(turns) == 2 * RULES.trips - 1  # the last time it stays
    assert (np.diff(turns)[::2] >= RULES.dwell).all()
    assert flies[-1]
    assert max(bumps) < 1e-6


def test_without_any_sensor_it_is_safe(guarded: Guarded) -> None:
    state, words = guarded.init(1), []
    for _ in range(RULES.blind + 2):
        action, following = guarded.run(np.full((1, 18), np.nan, np.float32), state)
        assert isinstance(following, GuardState)
        state = following
        words.append(int(state.status[0]))
    assert [bool(w & SAFE) for w in words] == [k + 1 >= RULES.blind for k in range(len(words))]
    np.testing.assert_array_equal(action[0], [s.safe for s in guarded.contract.outputs])


def test_what_is_never_bad_changes_nothing(guarded: Guarded) -> None:
    """The policy's own actions, as long as nothing is wrong."""
    state, alone = guarded.init(1), guarded.policy.init(1)
    for row in _calm(guarded, 60):
        action, state = guarded.run(row[None], state)  # type: ignore[assignment]
        expected, alone = guarded.policy.run(row[None], alone)
        np.testing.assert_array_equal(action, expected)
        assert not state.status[0] & (ALARM | FALLBACK)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_the_same_for_every_controller(kind: Kind) -> None:
    """What an episode suffers depends on its number, not on how many are flown at once."""
    task = load_plant("quadrotor").task("hover")
    together, alone = Faulty(_Echo(), task, kind, 3), Faulty(_Echo(), task, kind, 3)
    obs = np.random.default_rng(0).normal(size=(260, 3, 18)).astype(np.float32)
    together.reset(3)
    said = [together.step(row) for row in obs]
    onset = [next(k for k in range(260) if not np.array_equal(said[k][i], obs[k][i])) for i in range(3)]
    assert min(onset) >= 1
    assert max(onset) <= 201
    for i in range(3):
        alone.reset(1)
        for k, row in enumerate(obs):
            np.testing.assert_array_equal(alone.step(row[i : i + 1])[0], said[k][i])
        changed = np.flatnonzero((np.stack([s[i] for s in said]) != obs[:, i]).any(axis=0))
        _, first, count = groups_of(task.contract)[together.group[i]]
        np.testing.assert_array_equal(changed, np.arange(first, first + count))


class _Echo:
    """A controller that returns what it observed."""

    def reset(self, n: int) -> None:
        pass

    def step(self, observations: Array) -> Array:
        return observations


def _calm(guarded: Guarded, steps: int, seed: int = 0) -> Array:
    """(steps, n_obs): hovering, with noise."""
    rng = np.random.default_rng(seed)
    rest = np.array([s.on_nan for s in guarded.contract.inputs[:18]])
    return (rest + rng.normal(size=(steps, 18)) * 3e-4).astype(np.float32)


def _lean(rows: Array) -> Array:
    """The same where the third row of the attitude says that it leans by 60 degrees."""
    rows = rows.copy()
    rows[:, 9:12] += np.array([-0.866, 0, -0.5], np.float32)
    return rows


def _one_nan(words: Array) -> Array:
    """A NaN is a NaN, whatever its payload."""
    return np.where(np.isnan(words.view(np.float32)), U32(0x7FC00000), words)


def _rezipped(data: bytes, old: bytes, new: bytes) -> bytes:
    """The archive with `old` replaced in its manifest by `new` of the same length, checksums made anew."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            body = source.read(name)
            target.writestr(name, body.replace(old, new) if name == "manifest.json" else body)
    return buffer.getvalue()
