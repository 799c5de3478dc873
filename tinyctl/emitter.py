"""Graph to C: everything is decided here, the templates in `codegen/` only write it down.

The same graph and name give the same bytes. Names that reach the text are checked C identifiers; everything else that
comes from a file is a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinyctl import sequences
from tinyctl.contract import Contract, Signal, check_identifier
from tinyctl.errors import TinyctlError
from tinyctl.files import write_atomically
from tinyctl.graph import Graph
from tinyctl.integer_entry import IntegerEntry
from tinyctl.kernels import kernel, kernel_name
from tinyctl.kernels.base import Table
from tinyctl.layers.base import Array, StatefulLayer
from tinyctl.layers.convert import Decode, Encode
from tinyctl.layers.dense import storage_of
from tinyctl.layers.screen import Screen
from tinyctl.layers.table import SEGMENT_BITS
from tinyctl.layers.tanh import CLAMP, DENOMINATOR, LINEAR, NUMERATOR
from tinyctl.layers.unit_delay import DelayLayer
from tinyctl.layouts import PLAIN, check_layout, lay_out
from tinyctl.network import Node
from tinyctl.safety.guard import Guarded
from tinyctl.specifications.formula import Specification
from tinyctl.specifications.monitor import Monitor, text_of
from tinyctl.templates import literal, template
from tinyctl.unit import FACTS, Unit, UnitNode
from tinyctl.vectors import stored_q_steps, stored_steps
from tinyctl.version import VERSION

C_TYPES = {"float32": ("float", "f32", 4), "int16": ("int16_t", "i16", 2), "int8": ("int8_t", "i8", 1)}
STATE_TYPES = {"float32": "float", "int32": "int32_t"}  # of four bytes, so that the state is words
SATURATE = {"int16": "saturate", "int8": "saturate8"}  # helpers
TABLE_BYTES = {"float": 4, "uint32_t": 4, "int32_t": 4, "uint16_t": 2, "int16_t": 2, "uint8_t": 1, "int8_t": 1}
HELPER_ORDER = (
    "bits",
    "screen_any",
    "screen",
    "clip",
    "scale_f32",
    "relu_f32",
    "tanh_f32",
    "tanh_columns_f32",
    "rows16_f32",
    "rows4_f32",
    "saturate_a16",
    "encode_a16",
    "encode_gain_a16",
    "encode_gains_a16",
    "encode_affine_a16",
    "decode_a16",
    "relu_a16",
    "requantize_a16",
    "saturate_a8",
    "encode_a8",
    "encode_gain_a8",
    "encode_gains_a8",
    "encode_affine_a8",
    "decode_a8",
    "relu_a8",
    "requantize_a8",
    "rows5_w16a16",
    "rows4_w16a16",
    "rows4_w8a16",
    "rows4_w8a8",
    "table_a16",
    "integers",
)
SECTION = r"\.?[A-Za-z_][\w.]{0,60}"
LINE = 118  # columns of generated tables


def emit(
    graph: Graph,
    folder: str | Path,
    name: str = "policy",
    layout: str = PLAIN,
    section: str | None = None,
    monitored: Sequence[Specification] = (),
) -> Unit:
    """Write the C of a graph into `folder`, packaged as `layout` says; raises `TinyctlError` before anything is
    written. With `section` the constants get this section, which a linker script can place. A monitor of the
    specifications `monitored` goes beside it (docs/specifications.md)."""
    check_identifier(name, "name")
    if name == "stdint":
        raise TinyctlError("name 'stdint' is that of the header the C includes")
    if name.upper() == name:
        raise TinyctlError(f"name {name!r} is all upper case, which the header uses for constants")
    if section is not None and not re.fullmatch(SECTION, section, re.ASCII):
        raise TinyctlError(f"section {section!r:.80} is not a name of letters, digits, _ and .")
    check_layout(layout)
    unit, texts = render(graph, name, section, Monitor(graph.contract, tuple(monitored)) if monitored else None)
    for path, text in lay_out(layout, texts, graph.contract, _packaging(unit)).items():
        write_atomically(Path(folder) / path, text)
    return unit


def render(
    graph: Graph, name: str, section: str | None = None, monitor: Monitor | None = None
) -> tuple[Unit, dict[str, str]]:
    """The facts and the text of every file of the unit `name`."""
    if isinstance(graph, Guarded):
        from tinyctl.safety.emitting import render_guarded  # which renders its parts here

        return render_guarded(graph, name, section, monitor)
    slots, places = _allocate(graph)
    parts = {node.name: kernel(node, graph.contract) for node in graph.nodes}
    shared = {table.name: table for part in parts.values() for table in part.shared}
    helpers = {h for part in parts.values() for h in part.helpers}
    if graph.stateful:
        helpers.add("bits")
    if graph.integer_entry is not None:
        helpers.add("integers")
    facts = _facts(graph, name, slots, places)
    room = 1 << (sum(node.count for node in facts) - 1).bit_length()  # a power of two: the count may wrap around
    common = {**_common(graph, name, slots), "entry": None, "probe_room": room}
    if graph.integer_entry is not None:
        common["entry"] = _entry(graph, graph.integer_entry, common, places)
    nodes = []
    for node, fact in zip(graph.nodes, facts, strict=True):
        symbol = fact.symbol
        reads, writes = [places[read] for read in node.inputs], places[node.name]
        values = {
            "symbol": symbol,
            "n_in": node.layer.n_in,
            "n_out": node.layer.n_out,
            "x_type": C_TYPES[node.reads][0],
            "y_type": C_TYPES[node.returns][0],
            "saturate": SATURATE.get(node.returns),
            "in_place": writes.slot in [place.slot for place in reads],
            **{k: literal(v) for k, v in parts[node.name].values.items()},
        }
        nodes.append(
            {
                "title": _title(node),
                "tables": [_table(symbol, t, common["macro"]) for t in parts[node.name].tables],
                "function": template(f"kernels/{kernel_name(node)}.c.j2").render(common, **values),
                "call": _call(symbol, node, reads, writes),
                "keep": _keep(symbol, node, reads),
                "probe": _probe(graph, node, common["macro"], writes),
            }
        )
    tables = [*shared.values(), *(t for part in parts.values() for t in part.tables)]
    unit = Unit(
        name,
        graph.contract.n_obs,
        graph.contract.n_act,
        graph.contract.rate_hz,
        _state_bytes(graph),
        _state_bytes(graph) + sum(4 * slot.words for slot in slots),
        sum(t.values.size * TABLE_BYTES[t.ctype] for t in tables),
        graph.contract.hash,
        graph.hash,
        facts,
        *(("", "") if graph.integer_entry is None else (graph.integer_entry.obs_type, graph.integer_entry.act_type)),
        monitored=() if monitor is None else tuple(map(text_of, monitor.formulas)),
        length=sequences.rates_of(graph.contract).length,
    )
    helper_texts = [_helper(h, common) for h in HELPER_ORDER if h in helpers]
    code = "".join([*helper_texts, *(str(node["function"]) for node in nodes)])
    body = template("unit.c.j2").render(
        common,
        nodes=nodes,
        shared=[_table(name, t, common["macro"]) for t in shared.values()],
        helpers=helper_texts,
        uses_dsp=f"{common['macro']}_DSP" in code,
        uses_fpu=f"{common['macro']}_FPU" in code,
        initial=_initial(graph),
        section=section,
    )
    steps, records = stored_texts(graph)
    steps_q = [
        {"obs": obs.tolist(), "act": act.tolist(), "status": f"{status}u"} for obs, act, status in stored_q_steps(graph)
    ]
    header = template("unit.h.j2").render(
        common,
        nodes=facts,
        signals=_signal_lines(graph.contract),
        state_bytes=unit.state_bytes,
        state_members=_members(graph),
        contract_hash=unit.contract_hash,
        graph_hash=unit.graph_hash,
        rate_literal=literal(np.float32(unit.rate_hz)),
        latency_literal=literal(np.float32(graph.contract.latency_s)),
        rate_hz=f"{unit.rate_hz:g}",
    )
    return unit, {
        f"{name}.h": header,
        f"{name}.c": body,
        f"{name}_selftest.c": template("selftest.c.j2").render(common, steps=steps, steps_q=steps_q),
        "vectors.json": json.dumps({"graph_hash": unit.graph_hash, "steps": records}, indent=1) + "\n",
        FACTS: json.dumps(unit.to_json(), indent=1) + "\n",
        **({} if monitor is None else monitor.render(name)),
        **(sequences.render(graph.contract, name) if unit.length > 1 else {}),
    }


def stored_texts(graph: Graph) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The stored steps as C text, and as records for `vectors.json`."""
    vectors = stored_steps(graph)
    steps = [{"obs": _words(obs), "act": _words(act), "status": f"{status}u"} for obs, act, status in vectors]
    return steps, [{"obs": _bits(obs), "act": _bits(act), "status": status} for obs, act, status in vectors]


# --- buffers ---------------------------------------------------------------------------------------------------------


@dataclass
class _Slot:
    """A work buffer of the struct: a union of the arrays that live in it at different times."""

    words: int = 0
    columns: dict[str, int] = field(default_factory=dict)  # NumPy type -> widest array

    @property
    def members(self) -> list[dict[str, Any]]:
        return [{"ctype": C_TYPES[t][0], "name": C_TYPES[t][1], "columns": n} for t, n in sorted(self.columns.items())]

    def hold(self, dtype: str, columns: int) -> None:
        size = C_TYPES[dtype][2]
        padded = -(-columns * size // 16) * 16 // size  # kernels read and write four words at a time
        self.columns[dtype] = max(self.columns.get(dtype, 0), padded)
        self.words = max(self.words, padded * size // 4)


@dataclass(frozen=True)
class _Place:
    """Where a node's value lies: in a work buffer, or as the action last applied."""

    slot: int | None
    dtype: str

    @property
    def text(self) -> str:
        return "applied" if self.slot is None else f"work{self.slot}.{C_TYPES[self.dtype][1]}"


def _allocate(graph: Graph) -> tuple[list[_Slot], dict[str, _Place]]:
    """Give every node's value a buffer; a buffer is reused once no later node reads what is in it. The last node writes
    the action last applied."""
    last_use = {name: i for i, node in enumerate(graph.nodes) for name in node.awaits}
    last_use |= {name: len(graph.nodes) for node in graph.nodes if not node.awaits for name in node.inputs}
    slots: list[_Slot] = []
    places = {graph.nodes[-1].name: _Place(None, "float32")}
    busy: set[int | None] = set()
    for i, node in enumerate(graph.nodes[:-1]):
        dying = [places[name] for name in node.awaits if last_use[name] == i]
        reuse = [p.slot for p in dying if p.slot is not None and node.layer.in_place and p.dtype == node.returns]
        free = [k for k in range(len(slots)) if k not in busy]
        if not (reuse or free):
            slots.append(_Slot())
            free = [len(slots) - 1]
        slot = (reuse or free)[0]
        busy = (busy - {p.slot for p in dying}) | {slot}
        places[node.name] = _Place(slot, node.returns)
        slots[slot].hold(node.returns, node.layer.n_out)
    return slots, places


def _facts(graph: Graph, name: str, slots: list[_Slot], places: dict[str, _Place]) -> tuple[UnitNode, ...]:
    """What is told of every node: where in the struct its value lies, too."""
    offsets: dict[int | None, int] = {None: 0}  # the action last applied comes first
    for i in range(len(slots)):
        offsets[i] = _state_bytes(graph) + 4 * sum(slot.words for slot in slots[:i])
    return tuple(
        UnitNode(
            node.name,
            node.layer.kind,
            node.format,
            _symbol(name, node.name),
            C_TYPES[node.returns][1],
            offsets[places[node.name].slot],
            node.layer.n_out,
        )
        for node in graph.nodes
    )


# --- text ------------------------------------------------------------------------------------------------------------


def _common(graph: Graph, name: str, slots: list[_Slot]) -> dict[str, Any]:
    return {
        "unit": name,
        "macro": name.upper(),
        "version": VERSION,
        "n_obs": graph.contract.n_obs,
        "n_act": graph.contract.n_act,
        "slots": slots,
    }


def _packaging(unit: Unit) -> dict[str, Any]:
    """What the templates of a layout are given."""
    return {
        "unit": unit.name,
        "macro": unit.name.upper(),
        "version": VERSION,
        "n_obs": unit.n_obs,
        "n_act": unit.n_act,
        "rate_hz": f"{unit.rate_hz:g}",
        "period_us": max(1, round(1e6 / unit.rate_hz)),
        "sources": [name for name in unit.files if name.endswith(".c")],
    }


def _helper(name: str, common: dict[str, Any]) -> str:
    constants = {
        "linear": f"{float(LINEAR):g}",
        "linear_bits": _word(LINEAR),
        "clamp_bits": _word(CLAMP),
        "numerator": [literal(c) for c in NUMERATOR],
        "denominator": [literal(c) for c in DENOMINATOR],
        "bits": SEGMENT_BITS,
        "half": 2 ** (SEGMENT_BITS - 1),
    }
    return template(f"math/{name}.c.j2").render(common, **constants)


def _symbol(unit: str, node: str) -> str:
    """The function of a node; its tables are called SYMBOL_word, so no other node's symbol can be the same."""
    return f"{unit}_{node}_node"


def _title(node: Node) -> str:
    storage = storage_of(node.layer)
    stored = "" if storage in (None, "dense") else f", {storage}"
    return f"{node.name}: {node.layer.kind}, {node.layer.n_in} -> {node.layer.n_out}, {node.format}{stored}"


def _call(symbol: str, node: Node, reads: list[_Place], writes: _Place) -> str:
    values = ", ".join(f"s->{place.text}" for place in (*reads, writes))
    if isinstance(node.layer, Screen):
        return f"status = {symbol}(obs, s->applied, s->{writes.text})"
    if isinstance(node.layer, DelayLayer):
        return f"{symbol}({_states(node)}, s->{writes.text})"
    if isinstance(node.layer, StatefulLayer):
        return f"{symbol}({_states(node)}, status, {values})"
    return f"{symbol}({values})"


def _keep(symbol: str, node: Node, reads: list[_Place]) -> str | None:
    """The call at the end of a step with which a delay keeps its input."""
    return f"{symbol}_keep({_states(node)}, status, s->{reads[0].text})" if isinstance(node.layer, DelayLayer) else None


def _states(node: Node) -> str:
    assert isinstance(node.layer, StatefulLayer)
    return ", ".join(f"s->{node.name}_{slot.name}" for slot in node.layer.state())


def _probe(graph: Graph, node: Node, macro: str, place: _Place) -> str:
    return f"{macro}_PROBE_NODE({graph.nodes.index(node)}, s->{place.text}, {node.layer.n_out})"


def _entry(graph: Graph, entry: IntegerEntry, common: dict[str, Any], places: dict[str, _Place]) -> dict[str, Any]:
    """The integer entry for the templates."""
    assert isinstance(entry.encode.layer, Encode)
    assert isinstance(entry.decode.layer, Decode)
    unit, n_obs = common["unit"], graph.contract.n_obs
    obs_type, act_type = C_TYPES[entry.obs_type][0], C_TYPES[entry.act_type][0]
    tables = [
        Table(obs_type, "obs_q_limits", np.stack([entry.low, entry.high, entry.on_nan], axis=1)),
        Table(act_type, "act_q_limits", np.stack([entry.act_low, entry.act_high], axis=1)),
    ]
    if entry.applied is not None:
        tables += [
            Table("uint16_t", "applied_q_output", np.array(entry.applied_outputs)),
            Table("int16_t", "applied_q_weight", entry.applied.weight),
            Table("int32_t", "applied_q_offset", entry.applied.offset),
            Table("int8_t", "applied_q_shift", entry.applied.shift),
        ]
    return {
        "obs_type": obs_type,
        "act_type": act_type,
        "n_applied": len(entry.applied_outputs),
        "tables": [_table(unit, t, common["macro"]) for t in tables],
        "first": places[entry.encode.name].text,
        "last": places[entry.decode.inputs[0]].text,
        "calls": [
            _call(_symbol(unit, n.name), n, [places[read] for read in n.inputs], places[n.name])
            + f";\n    {_probe(graph, n, common['macro'], places[n.name])}"
            for n in entry.nodes
        ],
        "keeps": [_keep(_symbol(unit, n.name), n, [places[n.inputs[0]]]) for n in entry.nodes if not n.awaits],
        "gain": [literal(v) for v in entry.encode.layer.gain[:n_obs]],
        "offset": [literal(v) for v in entry.encode.layer.offset[:n_obs]],
        "scale": [literal(v) for v in entry.decode.layer.scale],
        "invalid": entry.invalid,
    }


def _members(graph: Graph) -> list[tuple[str, str, int]]:
    """C type, name and columns of every array of the state."""
    return [
        (STATE_TYPES[slot.initial.dtype.name], f"{name}_{slot.name}", len(slot.initial))
        for name, layer in graph.stateful.items()
        for slot in layer.state()
    ]


def _state_bytes(graph: Graph) -> int:
    entry = graph.integer_entry
    copies = 2 if entry is not None and entry.applied is not None else 1
    return 4 * (copies * graph.contract.n_act + sum(columns for _, _, columns in _members(graph)))


def _initial(graph: Graph) -> list[tuple[str, str]]:
    arrays = [("applied", np.array(graph.contract.initial_applied(), np.float32))]
    entry = graph.integer_entry
    if entry is not None and entry.applied is not None:
        arrays.append(("applied_q", entry.initial))
    arrays += [(f"{n}_{slot.name}", slot.initial) for n, layer in graph.stateful.items() for slot in layer.state()]
    return [(f"s->{name}[{i}]", str(literal(v))) for name, array in arrays for i, v in enumerate(array)]


def _signal_lines(contract: Contract) -> list[str]:
    def line(where: str, signal: Signal, rest: str) -> str:
        meaning = f"{signal.unit}, {signal.frame}" if signal.frame else signal.unit
        return f"{where:<8} {signal.name}: {meaning}, {signal.low:g} to {signal.high:g}{rest}"

    columns = [s for s in contract.inputs if s.source == "observation"]
    lines = [line(f"obs[{i}]", s, f", on_nan {s.on_nan:g}") for i, s in enumerate(columns)]
    lines += [line("(state)", s, f", last applied, at first {s.on_nan:g}") for s in contract.inputs if s not in columns]
    return lines + [line(f"act[{i}]", s, f", safe {s.safe:g}") for i, s in enumerate(contract.outputs)]


def _table(owner: str, table: Table, macro: str) -> str:
    words = [str(literal(v)) for v in table.values.ravel()]
    lines, row = [], "   "
    for word in words:
        if len(row) + len(word) + 2 > LINE:
            lines.append(row)
            row = "   "
        row += f" {word},"
    body = "\n".join([*lines, row])
    # A block of four words is then one line of a flash cache, and numbers of 16 bits can be loaded as words.
    aligned = f" {macro}_ALIGNED" if table.name in ("weight", "gains", "affine") else ""
    return f"static const {table.ctype} {owner}_{table.name}[{len(words)}]{aligned} {macro}_CONSTANTS = {{\n{body}\n}};"


def _word(value: np.float32) -> str:
    return f"0x{int(value.view(np.uint32)):08x}"


def _bits(row: Array) -> list[int]:
    return [int(w) for w in row.view(np.uint32)]


def _words(row: Array) -> list[str]:
    return [f"0x{w:08x}u" for w in _bits(row)]
