"""Where the jobs of a search are done: here, in processes of this machine, or as tasks on a Ray cluster.

All three give the same results: a job is a pure function's arguments, and which worker does it, and when, has no say.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

from tinyctl.errors import TinyctlError, ToolMissing

Jobs = Iterable[tuple[Any, tuple[Any, ...]]]  # a key, and the arguments
Work = Callable[[Jobs], Iterator[tuple[Any, Any]]]  # the keys with what came of them, in the order in which they end
NEAR = ("local", "auto")  # addresses by which Ray itself starts, or finds, a cluster on this machine
CONNECT_S = 5.0


@contextmanager
def working(do: Callable[..., Any], workers: int = 1, ray_address: str | None = None) -> Iterator[Work]:
    """A function that does jobs with `do`: here for one worker, in processes for more, or on the cluster at
    `ray_address`, which itself decides how many work at once. Raises `TinyctlError` when a worker or the cluster is
    lost."""
    if ray_address is not None:
        if workers != 1:
            raise TinyctlError("workers are of this machine, not of a cluster", fix="give one of --workers and --ray")
        with _cluster(ray_address) as ray:
            yield partial(_as_tasks, ray, ray.remote(num_cpus=1)(lambda *job: do(*job)))  # Ray takes functions alone
    elif workers == 1:
        yield lambda jobs: ((key, do(*job)) for key, job in jobs)
    else:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        try:
            yield partial(_in_processes, pool, do)
        except BrokenProcessPool:
            raise TinyctlError("a worker was killed", fix="start again, with fewer workers") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _in_processes(pool: ProcessPoolExecutor, do: Callable[..., Any], jobs: Jobs) -> Iterator[tuple[Any, Any]]:
    at = {pool.submit(do, *job): key for key, job in jobs}
    for future in as_completed(at):
        yield at[future], future.result()


def _as_tasks(ray: Any, task: Any, jobs: Jobs) -> Iterator[tuple[Any, Any]]:
    at = {task.remote(*job): key for key, job in jobs}
    while at:
        for reference in ray.wait(list(at))[0]:
            try:
                found = ray.get(reference)
            except ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, TinyctlError):
                    raise cause from None
                raise TinyctlError(f"a task failed: {error}", where="Ray") from error
            yield at.pop(reference), found


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    """Ray, connected to that cluster."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is started here reports to nobody
    try:
        import ray
    except ImportError:
        raise ToolMissing("ray is not installed", fix="pip install 'tinyctl[ray]'") from None
    _check_reachable(address)
    started: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR", **started)
    except (OSError, ValueError, RuntimeError) as error:
        raise TinyctlError(f"cannot be reached ({error})", where=f"Ray at {address}", fix=_FIX) from None
    try:
        yield ray
    finally:
        ray.shutdown()


_FIX = "--ray auto, local, or HOST:PORT as `ray start --head` tells it"


def _check_reachable(address: str) -> None:
    """Refuse an address where nothing listens: Ray would try for minutes, then end the process."""
    if address in NEAR:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host, int(port)), CONNECT_S):
            pass
    except (OSError, ValueError, OverflowError) as error:
        raise TinyctlError(f"cannot be reached ({error})", where=f"Ray at {address}", fix=_FIX) from None
