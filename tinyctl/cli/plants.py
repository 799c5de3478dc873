"""`tinyctl plants`: the plants and their tasks."""

from __future__ import annotations

from tinyctl import api
from tinyctl.cli.base import Json, as_json, results, table
from tinyctl.sims.plants import plant_names


def command(as_object: Json = False) -> None:
    """List the plants, their tasks and their published parameter sets."""
    plants = [api.plant(name) for name in plant_names()]
    if as_object:
        print(
            as_json(
                {
                    "schema": 1,
                    "plants": {
                        p.name: {
                            "tasks": list(p.tasks),
                            "variants": list(p.variants),
                            "states": [v.name for v in p.states],
                        }
                        for p in plants
                    },
                }
            )
        )
        return
    results.print(
        table(
            "Plants",
            [
                (
                    p.name,
                    f"tasks {', '.join(p.tasks)}; {len(p.states)} states, {len(p.inputs)} inputs"
                    + (f"; variants {', '.join(p.variants)}" if p.variants else ""),
                )
                for p in plants
            ],
        )
    )
