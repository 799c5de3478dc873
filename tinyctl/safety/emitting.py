"""A guarded policy as C: one unit like any other, with policy and fallback inside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tinyctl.contract import check_identifier
from tinyctl.emitter import render, stored_texts
from tinyctl.layers.base import F32, FLT_MAX
from tinyctl.safety.guard import (
    FADES,
    FOREVER,
    GROUP_SHIFT,
    MAX_COUNT,
    REASONS,
    SCORE,
    UNKNOWN,
    Group,
    Guarded,
    Monitor,
)
from tinyctl.safety.program import literal
from tinyctl.specifications import monitor as specified
from tinyctl.templates import template
from tinyctl.unit import FACTS, Unit
from tinyctl.version import VERSION


def render_guarded(
    graph: Guarded, name: str, section: str | None, monitor: specified.Monitor | None
) -> tuple[Unit, dict[str, str]]:
    """The facts and the text of every file; `monitor` is that of specifications, which goes beside it."""
    graphs = {"policy": graph.policy, "fallback": graph.guard.fallback}
    made = {part: render(g, check_identifier(f"{name}_{part}", "name"), section) for part, g in graphs.items()}
    members = list(_members(graph))
    state_bytes = offset = 4 * sum(size for _, _, size in members)
    nodes = []
    for part, (unit, _) in made.items():
        nodes += [replace(n, name=f"{part}_{n.name}"[:63], offset=n.offset + offset) for n in unit.nodes]
        offset += unit.struct_bytes
    contract = graph.contract
    constants = sum(unit.const_bytes for unit, _ in made.values()) + 16 * len(graph.guard.groups)
    facts = Unit(name, contract.n_obs, contract.n_act, contract.rate_hz, state_bytes, offset, constants, contract.hash,
                 graph.hash, tuple(nodes),
                 monitored=() if monitor is None else tuple(map(specified.text_of, monitor.formulas)))  # fmt: skip
    common = {**_values(graph, name), "entry": None, "graph_hash": graph.hash, "members": members}
    own = re.compile(rf'#include "{name}_\w+\.h"\n')
    headers = [texts[f"{unit.name}.h"] for unit, texts in made.values()]
    bodies = [own.sub("", texts[f"{unit.name}.c"]) for unit, texts in made.values()]
    steps, records = stored_texts(graph)
    return facts, {
        f"{name}.h": template("guard.h.j2").render(common, headers=headers, state_bytes=state_bytes),
        f"{name}.c": template("guard.c.j2").render(common, bodies=bodies),
        f"{name}_selftest.c": template("selftest.c.j2").render(common, steps=steps, steps_q=[]),
        "vectors.json": json.dumps({"graph_hash": graph.hash, "steps": records}, indent=1) + "\n",
        FACTS: json.dumps(facts.to_json(), indent=1) + "\n",
        **({} if monitor is None else monitor.render(name)),
    }


def _members(graph: Guarded) -> Iterator[tuple[str, str, int]]:
    """C type, name and length of each array of the guard's own state, all of words."""
    yield "float", "applied", graph.contract.n_act
    for name, value in graph.start().items():
        yield "float" if value.dtype == F32 else "uint32_t", name, len(value)


def _values(graph: Guarded, name: str) -> dict[str, Any]:
    """What the templates are given."""
    contract, guard = graph.contract, graph.guard
    n_obs = contract.n_obs
    return {
        "unit": name,
        "macro": name.upper(),
        "version": VERSION,
        "n_obs": n_obs,
        "n_act": contract.n_act,
        "groups": [_group(g) for g in guard.groups],
        "kept": set().union(*(g.predict.reads(1) for g in guard.groups)),
        "all_groups": ((1 << len(guard.groups)) - 1) << GROUP_SHIFT,
        "reasons": [(key.upper(), bit) for key, bit in REASONS.items()],
        "group_bit": 1 << GROUP_SHIFT,
        "rules": guard.rules,
        "fade": literal(F32(guard.rules.fade)),
        "fades": FADES,
        "monitor": _monitor(guard.monitor, n_obs),
        "alpha": literal(guard.alpha),
        "flt_max": literal(F32(FLT_MAX)),
        "max_count": MAX_COUNT,
        "unknown": UNKNOWN,
        "forever": FOREVER,
        "ranges": [(literal(F32(s.low)), literal(F32(s.high))) for s in contract.outputs],
        "safe": [literal(F32(s.safe)) for s in contract.outputs],
        "start": [(member, [literal(v) if value.dtype == F32 else f"{v}u" for v in value])
                  for member, value in {"applied": graph.init(1).applied[0], **graph.start()}.items()],
    }  # fmt: skip


def _group(g: Group) -> dict[str, Any]:
    lines, predicted = g.predict.lines(("s->seen", "apart"))
    columns = list(range(g.first, g.first + g.count))
    return {
        "name": g.name,
        "columns": columns,
        "watch": max(g.watch, 0),
        "sticks": g.watch >= 0,
        "age_s": literal(F32(g.age_s)),
        "limit": literal(F32(g.limit**2)),
        "reach": literal(F32(g.reach**2)),
        "slack": literal(F32(g.slack**2)) if g.slack else None,
        "lines": lines,
        "predicted": predicted,
        "judged": columns[-g.judged :],
        "far": " + ".join(f"d{i} * d{i}" for i in columns[-g.judged :]),
        "motion": " + ".join(f"m{i} * m{i}" for i in columns[-g.judged :]),
    }


def _monitor(monitor: Monitor, n_obs: int) -> dict[str, Any]:
    """Numbers as C text; a term is a value and its weight."""
    columns = [f"s->seen[{v % n_obs}]" for v in monitor.values]
    values = [c if v < n_obs else f"{c} * {c}" for c, v in zip(columns, monitor.values, strict=True)]
    numbers = {"bias": monitor.bias, "rate": monitor.rate, "threshold": monitor.threshold, "most": SCORE}
    weights = [literal(F32(w)) for w in monitor.weights]
    return {**{k: literal(F32(v)) for k, v in numbers.items()}, "terms": list(zip(values, weights, strict=True))}
