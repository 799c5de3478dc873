"""`tinyctl certify`: how far an action can move, and how far the emitted code can be off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tinyctl import api
from tinyctl.certificate import Certificate
from tinyctl.cli.base import Json, Seed, as_json, load_graph, load_policy, results, table, write_json


def command(
    graph: Annotated[Path, typer.Argument(help="A graph, or a policy as the float32 graph that it is (.tctl).")],
    policy: Annotated[
        Path | None, typer.Option(help="The float policy it was made from: the error then counts from that.")
    ] = None,
    lipschitz_at_most: Annotated[
        float | None, typer.Option(help="Exit status 1 when the Lipschitz bound is larger.", min=0)
    ] = None,
    error_at_most: Annotated[float | None, typer.Option(help="Exit status 1 when the error is larger.", min=0)] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Write the certificate as JSON.")] = None,
    as_object: Json = False,
) -> None:
    """Bound slope and error: |C(x + d) - policy(x)| <= L |d| + q for all observations in the contract's ranges."""
    made = api.certify(load_graph(graph), None if policy is None else load_policy(policy), seed)
    limits = (("L", made.lipschitz, lipschitz_at_most), ("q", made.error, error_at_most))
    missed = [
        f"{name} {found:.6g} is more than {limit:g}"
        for name, found, limit in limits
        if limit is not None and found > limit
    ]
    if out is not None:
        write_json(out, made.to_json())
    if as_object:
        print(as_json(made.to_json()))
    else:
        results.print(nodes(made))
        results.print(table(f"Certificate {graph.name}", [*summary(made), *(("because", text) for text in missed)]))
    raise typer.Exit(1 if missed else 0)


def summary(made: Certificate) -> list[tuple[str, str]]:
    gap = made.lipschitz / made.lipschitz_found if made.lipschitz_found > 0 else float("inf")
    rows = [
        ("claim", f"|C(x + d) - {made.reference}(x)| <= L |d| + q, Euclidean, state held fixed"),
        ("L", f"{made.lipschitz:.4g}; the steepest slope found is {made.lipschitz_found:.4g}, a gap of {gap:.2f}"),
        ("L by output", _list(made.lipschitz_outputs)),
        ("q", f"{made.error:.3g}"),
        ("q by output", _list(made.error_outputs)),
    ]
    if made.error_unsaturated < made.error:
        rows.append(("q unsaturated", f"{made.error_unsaturated:.3g} where no encode node saturates"))
    return rows


def nodes(made: Certificate) -> Table:
    shown = Table(title="Nodes", title_justify="left")
    for heading in ("name", "layer"):
        shown.add_column(heading, overflow="fold")
    for heading in ("least", "greatest", "L so far", "own error", "error"):
        shown.add_column(heading, justify="right", no_wrap=True)
    for node in made.nodes:
        figures = (min(node.low), max(node.high), node.slope, node.own_error, node.error)
        shown.add_row(escape(node.name), node.kind, *("" if f is None else f"{f:.2g}" for f in figures))
    return shown


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:.3g}" for v in values[:8]) + (", ..." if len(values) > 8 else "")
