"""What a plant and a task are, as one hash: for records that must notice when either has changed."""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from tinyctl.jsons import canonical_json
from tinyctl.sims.functions import functions, staged_cost
from tinyctl.sims.instructions import block_of
from tinyctl.sims.loop import draw_start
from tinyctl.sims.plant import Plant, Task

DRAWS = 16  # starts and disturbances that stand for the functions that draw them


def declaration_hash(plant: Plant, task: Task) -> str:
    """SHA-256 of the equations as the kernels compute them, of all data of plant and task (curriculum, ranges, noise),
    and of what the first episodes draw."""
    total = hashlib.sha256()
    for f in (*functions(plant, task), *staged_cost(plant, task)):
        total.update(repr(block_of(f)).encode())
    data = {"name": plant.name, "parameters": _data(plant.parameters), "variants": _data(plant.variants)}
    total.update(canonical_json({**data, "integrator": plant.integrator, "task": _data(task)}).encode())
    for episode in range(DRAWS):
        start, disturbance = draw_start(plant, task, np.random.default_rng(episode), plant.nominal())
        total.update(start.tobytes() + disturbance.tobytes())
    return total.hexdigest()


def _data(value: Any) -> Any:
    """The JSON of records within records; functions, whose meaning is hashed otherwise, are left out."""
    if is_dataclass(value):
        return {f.name: _data(getattr(value, f.name)) for f in fields(value) if not callable(getattr(value, f.name))}
    if isinstance(value, tuple):
        return [_data(part) for part in value]
    if hasattr(value, "items"):
        return {key: _data(part) for key, part in value.items() if not callable(part)}
    return value
