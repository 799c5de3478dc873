"""Running a sweep: trials of a sampler and, beside them, as many at random, kept by Optuna in a journal file.

What is in the journal is not done again: a sweep that was killed resumes, and a larger budget only adds trials.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl.errors import FileError, TinyctlError, ToolMissing
from tinyctl.sweep import Choices, Figures, Sweep, measure

JOURNAL = "journal.log"
RANDOM = "random"
Job = tuple[Sweep, dict[str, str], tuple[int, ...]]  # the arguments of `measure`
Work = Callable[[Iterator[tuple[Any, Job]]], Iterator[tuple[Any, Figures | str]]]
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


def run_sweep(sweep: Sweep, *, workers: int = 1, tell: Tell = lambda done, of, what: None) -> dict[str, Side]:
    """The trials that are missing, then the test of both fronts: the sampler's side and the random one, by name.

    `workers` processes work at once. Raises `TinyctlError` when no trial of a side succeeded, or when the folder holds
    a sweep of something else.
    """
    names = (sweep.sampler, RANDOM)
    studies = _open(sweep, names)
    with _working(workers) as work:
        for index, name in enumerate(names):
            _search(sweep, studies[name], index, work, tell)
        fronts = {name: front(_trials(study)) for name, study in studies.items()}
        for name, study in studies.items():
            _test(sweep, study, fronts[name], work, tell)
    covered = {name: coverage(fronts[name], fronts[other]) for name, other in zip(names, reversed(names), strict=True)}
    return {name: Side(_trials(studies[name]), covered[name]) for name in names}


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
    """The studies in the journal, new or as they were left; what a killed run was at is failed."""
    optuna = _optuna()
    path, mark = Path(sweep.out) / JOURNAL, sweep.fingerprint()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
        studies = {}
        for name in names:
            studies[name] = study = optuna.create_study(
                study_name=name, storage=storage, directions=["minimize"] * 3, load_if_exists=True
            )
            if study.user_attrs.setdefault("sweep", mark) != mark:
                raise TinyctlError("holds another sweep", where=path, fix="name another folder, or delete this one")
            study.set_user_attr("sweep", mark)
            for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    except OSError as error:
        raise FileError(f"cannot be used ({error.strerror or error})", where=path) from None
    except (ValueError, KeyError, TypeError) as error:  # what Optuna's reader meets in a damaged line
        raise FileError(f"is not a journal of a sweep ({error})", where=path) from None
    return studies


def _search(sweep: Sweep, study: Any, index: int, work: Work, tell: Tell) -> None:
    """Ask and tell until the budget is spent; a trial draws from its own seed, so a resumed sweep draws the same."""
    optuna = _optuna()
    done = len(_trials(study))

    def asked() -> Iterator[tuple[Any, Job]]:
        for number in range(done, sweep.budget):
            study.sampler = _sampler(study.study_name, [index, number])
            trial = study.ask()
            yield trial, (sweep, _suggested(trial, sweep), sweep.tuning_seeds)

    tell(done, sweep.budget, study.study_name)
    for count, (trial, figures) in enumerate(work(asked()), done + 1):
        if isinstance(figures, Figures):
            study.tell(trial, _values(figures))
        else:
            trial.set_user_attr("error", figures)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        tell(count, sweep.budget, study.study_name)


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
    """The trials that ended by themselves, well or not; with the test's figures, where there are any."""
    trials, tests = [], study.user_attrs
    for t in study.get_trials(deepcopy=False):
        figures = Figures(t.values[0], int(t.values[1]), int(t.values[2])) if t.values else t.user_attrs.get("error")
        if figures is not None:
            test = tests.get(_test_key(t.number))
            settings = {key: str(value) for key, value in t.params.items()}
            trials.append(Trial(t.number, settings, figures, Figures(**test) if isinstance(test, dict) else test))
    return tuple(trials)


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


@contextmanager
def _working(workers: int) -> Iterator[Work]:
    """A function that does jobs and yields their results as they come: here for one worker, else in processes."""
    if workers == 1:
        yield lambda jobs: ((key, measure(*job)) for key, job in jobs)
        return
    try:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            yield partial(_in_processes, pool, workers)
    except BrokenProcessPool:
        raise TinyctlError("a worker was killed", where="sweep", fix="start again, with fewer workers") from None


def _in_processes(
    pool: ProcessPoolExecutor, workers: int, jobs: Iterator[tuple[Any, Job]]
) -> Iterator[tuple[Any, Figures | str]]:
    """`jobs` is asked for the next one only when a worker is free, and knows by then what was yielded."""
    at = {pool.submit(measure, *job): key for key, job in islice(jobs, workers)}
    while at:
        for future in wait(at, return_when=FIRST_COMPLETED).done:
            yield at.pop(future), future.result()
            at |= {pool.submit(measure, *job): key for key, job in islice(jobs, 1)}
