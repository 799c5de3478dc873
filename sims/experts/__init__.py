"""Experts: controllers that are computed, not learned. They see the true state, goals included, so they can teach a
policy and be a bar for it. One file each, with

    make(plant, task, *, variant=None, ...) -> Expert

`sims.loop` flies an expert as it flies any controller.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tinyctl.errors import TinyctlError
from tinyctl.sims.loop import Expert
from tinyctl.sims.plant import Plant, Task

__all__ = ["EXPERTS", "Expert", "expert"]

EXPERTS = {
    "lqr": "linear-quadratic regulator at the task's best rest",
    "pid": "the plant's published or tuned PID",
    "mpc": "nonlinear model predictive control, by IPOPT",
    "mip": "mixed-integer predictive control over learned ReLU dynamics, by HiGHS",
}


FILES = {"mip": "mip_mpc"}  # where a file is not called as its expert


def expert(name: str, plant: Plant, task: Task | str | None = None, **options: Any) -> Expert:
    """The expert called `name` for a plant's task (the first by default); `options` are those of its `make`.

    Raises `TinyctlError` for an unknown name, and where the expert cannot do this task.
    """
    if name not in EXPERTS:
        raise TinyctlError(f"no expert {name!r:.40}", fix=f"one of {', '.join(EXPERTS)}")
    chosen = task if isinstance(task, Task) else plant.task(task)
    made: Expert = import_module(f"{__name__}.{FILES.get(name, name)}").make(plant, chosen, **options)
    return made
