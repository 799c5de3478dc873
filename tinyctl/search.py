"""Running a sweep: trials of a sampler and, beside them, as many at random, kept by Optuna in a journal file.

What is in the journal is not done again: a sweep that was killed resumes, and a larger budget only adds trials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError, ToolMissing
from tinyctl.files import locked
from tinyctl.sweep import Choices, Figures, Sweep, measure, measure_elsewhere
from tinyctl.workers import Work, working

JOURNAL, LOCK = "journal.log", "journal.lock"
RANDOM = "random"
NUMBER = "number"  # of a draw: how Optuna numbers trials depends on the order in which they end
OBJECTIVES = ["minimize"] * 3
Tell = Callable[[int, int, str], None]  # done, of how many, which


@dataclass(frozen=True)
class Trial:
    """Settings as text, the format among them; figures with the tuning seeds, or why there are none; on a front also
    those with the test seeds."""

    number: int
    settings: dict[str, str]
    figures: Figures | str
    test: Figures | str | None = None


@dataclass(frozen=True)
class Side:
    """The trials of one way of choosing. `covered` is the share of the other side's front that a trial of this one's
    dominates or equals (the C metric of Zitzler and Thiele, 1999)."""

    trials: tuple[Trial, ...]
    covered: float

    @property
    def front(self) -> tuple[Trial, ...]:
        return front(self.trials)


def run_sweep(
    sweep: Sweep, *, workers: int = 1, ray: str | None = None, tell: Tell = lambda done, of, what: None
) -> dict[str, Side]:
    """The trials that are missing, then the test of both fronts: the sampler's side and the random one, by name.

    `workers` processes work at once, or the cluster whose address is `ray`. Raises `TinyctlError` when no trial of a
    side succeeded, or when the folder holds a sweep of something else or another one works in it.
    """
    names = (sweep.sampler, RANDOM)
    do = measure if ray is None else partial(measure_elsewhere, sweep.fingerprint())
    with locked(Path(sweep.out) / LOCK, "another sweep works in this folder"), working(do, workers, ray) as work:
        studies = _open(sweep, names)
        for index, name in enumerate(names):
            _search(sweep, studies[name], index, work, tell)
        fronts = {name: front(_trials(study)) for name, study in studies.items()}
        for name, study in studies.items():
            _test(sweep, study, fronts[name], work, tell)
        sides = {name: _trials(study) for name, study in studies.items()}
    covered = {name: coverage(fronts[name], fronts[other]) for name, other in zip(names, reversed(names), strict=True)}
    return {name: Side(sides[name], covered[name]) for name in names}


def front(trials: tuple[Trial, ...]) -> tuple[Trial, ...]:
    """Those that no other dominates, from the cheapest in cycles."""
    good = [t for t in trials if isinstance(t.figures, Figures)]
    best = [t for t in good if not any(_dominates(o.figures, t.figures) for o in good)]
    return tuple(sorted(best, key=lambda t: (t.figures.cycles, t.figures.cost, t.number)))  # type: ignore[union-attr]


def coverage(ours: tuple[Trial, ...], theirs: tuple[Trial, ...]) -> float:
    """The share of `theirs` that one of `ours` dominates or equals."""
    beaten = [any(o.figures == t.figures or _dominates(o.figures, t.figures) for o in ours) for t in theirs]
    return sum(beaten) / len(beaten)


def _dominates(a: Any, b: Any) -> bool:
    pairs = list(zip(_values(a), _values(b), strict=True))
    return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)


def _values(figures: Figures) -> tuple[float, int, int]:
    return figures.cost, figures.cycles, figures.flash_bytes


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ToolMissing("optuna is not installed", fix="pip install 'tinyctl[sweep]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _open(sweep: Sweep, names: tuple[str, ...]) -> dict[str, Any]:
    """The studies in the journal, new or as they were left."""
    optuna = _optuna()
    path, mark = Path(sweep.out) / JOURNAL, sweep.fingerprint()
    try:
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        studies = {}
        for name in names:
            studies[name] = study = optuna.create_study(
                study_name=name, storage=storage, directions=OBJECTIVES, load_if_exists=True
            )
            if study.user_attrs.setdefault("sweep", mark) != mark:
                raise TinyctlError("holds another sweep", where=path, fix="name another folder, or delete this one")
            study.set_user_attr("sweep", mark)
    except OSError as error:
        raise FileError(f"cannot be used ({error.strerror or error})", where=path) from None
    except (ValueError, KeyError, TypeError) as error:  # what Optuna's reader meets in a damaged line
        raise FileError(f"is not a journal of a sweep ({error})", where=path) from None
    return studies


def _search(sweep: Sweep, study: Any, index: int, work: Work, tell: Tell) -> None:
    """Draw and do what is missing of the budget, batch by batch.

    A draw depends on its number and the batches before its own alone: not on which worker is the fastest, nor on where
    a run was killed. Random draws know of none, so that all of them are one batch.
    """
    name, done = study.study_name, len(_trials(study))
    size = sweep.budget if name == RANDOM else sweep.batch
    tell(done, sweep.budget, name)
    for first in range(0, sweep.budget, size):
        kept = {trial.user_attrs[NUMBER]: trial for trial in study.get_trials(deepcopy=False)}
        missing = [n for n in range(first, min(first + size, sweep.budget)) if n not in kept]
        before = [kept[n] for n in range(first)]
        drawn = {n: _draw(sweep, name, [index, n], before) for n in missing}
        for n, figures in work((n, (sweep, settings, sweep.tuning_seeds)) for n, (settings, _) in drawn.items()):
            study.add_trial(_ended(drawn[n][1], n, figures))
            done += 1
            tell(done, sweep.budget, name)


def _draw(sweep: Sweep, name: str, seed: list[int], before: list[Any]) -> tuple[dict[str, str], Any]:
    """The settings that the sampler chooses with this seed after the trials `before`, and its own record of that."""
    study = _optuna().create_study(directions=OBJECTIVES, sampler=_sampler(name, seed))
    study.add_trials(before)
    settings = _suggested(study.ask(), sweep)
    return settings, study.trials[-1]


def _ended(drawn: Any, number: int, figures: Figures | str) -> Any:
    """The trial for the journal."""
    optuna = _optuna()
    good = isinstance(figures, Figures)
    return optuna.trial.create_trial(
        state=optuna.trial.TrialState.COMPLETE if good else optuna.trial.TrialState.FAIL,
        values=_values(figures) if isinstance(figures, Figures) else None,
        params=drawn.params, distributions=drawn.distributions, system_attrs=drawn.system_attrs,
        user_attrs={NUMBER: number} if good else {NUMBER: number, "error": figures},
    )  # fmt: skip


def _sampler(name: str, seed: list[int]) -> Any:
    samplers = _optuna().samplers
    kinds = {"tpe": samplers.TPESampler, "nsga": samplers.NSGAIISampler, RANDOM: samplers.RandomSampler}
    return kinds[name](seed=int(np.random.SeedSequence(seed).generate_state(1)[0]))


def _suggested(trial: Any, sweep: Sweep) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for key, setting in sweep.space().items():
        if isinstance(setting, Choices):
            chosen[key] = trial.suggest_categorical(key, setting.values)
        else:
            whole = isinstance(setting.low, int) and isinstance(setting.high, int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            chosen[key] = str(suggest(key, setting.low, setting.high, log=setting.log))
    return chosen


def _trials(study: Any) -> tuple[Trial, ...]:
    """The trials that ended, well or not, in the order of their draws; with the test's figures, where there are any."""
    trials, tests = [], study.user_attrs
    for t in study.get_trials(deepcopy=False):
        figures = Figures(t.values[0], int(t.values[1]), int(t.values[2])) if t.values else t.user_attrs["error"]
        number = t.user_attrs[NUMBER]
        test = tests.get(_test_key(number))
        settings = {key: str(value) for key, value in t.params.items()}
        trials.append(Trial(number, settings, figures, Figures(**test) if isinstance(test, dict) else test))
    return tuple(sorted(trials, key=lambda t: t.number))


def _test_key(number: int) -> str:
    return f"test {number}"


def _test(sweep: Sweep, study: Any, best: tuple[Trial, ...], work: Work, tell: Tell) -> None:
    """Train and fly a front with the test seeds."""
    if not best:
        why = next((t.figures for t in _trials(study)), "")
        raise TinyctlError(f"no trial of {study.study_name} succeeded; the first: {why}", where="sweep")
    left = [trial for trial in best if trial.test is None]
    jobs = ((trial.number, (sweep, trial.settings, sweep.test_seeds)) for trial in left)
    for count, (number, figures) in enumerate(work(jobs)):
        record = asdict(figures) if isinstance(figures, Figures) else figures
        study.set_user_attr(_test_key(number), record)
        tell(count + 1, len(left), f"{study.study_name}, test")
