"""`tinyctl studio`: a page on this machine in which the emitted C, as WebAssembly, flies the plant.

The page's own files lie in codegen/studio; facts and modules are made when the studio starts. All of it is served from
memory under fixed names, on 127.0.0.1 only, and the page may load nothing else.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np

import tinyctl.codegen
from tinyctl.contract import Contract
from tinyctl.errors import TinyctlError
from tinyctl.flight import check_contract
from tinyctl.graph import Graph
from tinyctl.jsons import canonical_json
from tinyctl.safety.guard import groups_of
from tinyctl.status_log import NAMES
from tinyctl.wasm import controller_module, plant_module

if TYPE_CHECKING:  # these need the `sim` extra
    from tinyctl.checker import TimingReport
    from tinyctl.sims.plant import Plant, Task

ADDRESS = "127.0.0.1"
MOST = 4  # controllers at once: so many colours are told apart
STARTS = 32
REACH_M = 5.0  # a drone that gets farther than this is lost, and so is one that touches the ground
FLOOR_M = -1.0  # where the plant does not say
VIEWS = {  # the first whose states the plant has; any other plant is shown by its charts
    "quadrotor": {*(f"p_{a}" for a in "xyz"), *(f"v_{a}" for a in "xyz"), *(f"q_{a}" for a in "wxyz")},
    "cartpole": {"position", "angle"},
    "pendulum": {"angle"},
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",  # with the one above: a finer clock
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Flyer:
    """A controller on the page: its name there, its graph, the delay of its actions in s, and the prediction for the
    board from which that comes, if it was made."""

    name: str
    graph: Graph
    delay_s: float
    timing: TimingReport | None = None


def check_together(plant: Plant, task_name: str | None, graphs: Mapping[str, Graph]) -> None:
    """Raise `TinyctlError` for a controller whose contract is not the task's, and for too many of them."""
    if not 1 <= len(graphs) <= MOST:
        raise TinyctlError(f"{len(graphs)} controllers", fix=f"one to {MOST}")
    for name, graph in graphs.items():
        check_contract(graph.contract, plant.task(task_name), name)


def files(plant: Plant, task_name: str | None, flyers: Sequence[Flyer], *, seed: int = 0) -> dict[str, bytes]:
    """What the page is made of, by name, for controllers that passed `check_together`. The starts are those of the
    first episodes of `fly` under `seed`."""
    task = plant.task(task_name)
    page = importlib.resources.files(tinyctl.codegen).joinpath("studio")
    return {
        **{entry.name: entry.read_bytes() for entry in page.iterdir() if PurePath(entry.name).suffix in TYPES},
        "facts.json": canonical_json(_facts(plant, task, flyers, seed)).encode(),
        "plant.wasm": plant_module(plant, _roomy(plant, task)),
        **{_module(n): controller_module(flyer.graph) for n, flyer in enumerate(flyers)},
    }


def server(served: Mapping[str, bytes], port: int = 0) -> ThreadingHTTPServer:
    """Serves these files on 127.0.0.1, at a free port or at `port`, to who calls it by that address.

    A page elsewhere whose name was bound to this address (DNS rebinding) would send its own name as host: refused.
    """
    try:
        return _Server(served, port)
    except OSError as error:
        raise TinyctlError(f"port {port} cannot be had ({error.strerror})", fix="leave --port out") from None


class _Server(ThreadingHTTPServer):
    def __init__(self, served: Mapping[str, bytes], port: int) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.served, self.host = served, f"{ADDRESS}:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "tinyctl", ""
    timeout = 60

    def do_GET(self) -> None:
        content = self.server.served.get("index.html" if self.path == "/" else self.path[1:])
        if self.headers.get_all("Host") != [self.server.host]:
            self.send_error(421)
        elif content is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Type", TYPES[PurePath(self.path).suffix or ".html"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def end_headers(self) -> None:
        for header, value in HEADERS.items():
            self.send_header(header, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


# --- what the page is told -------------------------------------------------------------------------------------------


def _module(number: int) -> str:
    return f"controller{number}.wasm"


def _view(plant: Plant) -> str:
    states = {v.name for v in plant.states}
    return next((view for view, needed in VIEWS.items() if needed <= states), "charts")


def _roomy(plant: Plant, task: Task) -> Task:
    """The task; of a drone, which a hand may drag out of the task's box, with a larger one that ends at the ground."""
    if _view(plant) != "quadrotor":
        return task
    import casadi

    x, y, z = (_index(plant, f"p_{a}") for a in "xyz")

    def margin(s: Any) -> Any:
        far = casadi.fmax(casadi.fmax(casadi.fabs(s[x]), casadi.fabs(s[y])), casadi.fabs(s[z]))
        return casadi.fmin(REACH_M - far, s[z] - _floor(plant))

    return replace(task, margin=margin)


def _floor(plant: Plant) -> float:
    return plant.nominal().get("floor", FLOOR_M)


def _index(plant: Plant, state: str) -> int:
    return [v.name for v in plant.states].index(state)


def _facts(plant: Plant, task: Task, flyers: Sequence[Flyer], seed: int) -> dict[str, Any]:
    from tinyctl.sims.loop import draw_start

    contract, nominal = task.contract, plant.nominal()
    drawn = [draw_start(plant, task, np.random.default_rng([seed, k]), nominal) for k in range(STARTS)]
    typical = np.std([d[0] for _, d in drawn], axis=0)
    moving = _view(plant) == "quadrotor" and not task.goals
    return {
        "plant": plant.name,
        "task": next(name for name, other in plant.tasks.items() if other is task),
        "view": _view(plant),
        "floor": _floor(plant),
        "period_s": task.period_s,
        "late_s": task.late_s,
        "contract_hash": contract.hash,
        "states": _named(plant.state_columns(task)),
        "inputs": _named(plant.inputs),
        "parameters": [{**row, "nominal": q.nominal, "low": q.low, "high": q.high}
                       for row, q in zip(_named(plant.parameters), plant.parameters, strict=True)],
        "disturbances": [{**row, "typical": float(s)}
                         for row, s in zip(_named(plant.disturbances), typical, strict=False)],  # one zero for none
        "observations": _named(contract.inputs[: contract.n_obs]),
        "actions": [{**row, "low": o.low, "high": o.high}
                    for row, o in zip(_named(contract.outputs), contract.outputs, strict=True)],
        "initial_applied": list(contract.initial_applied()),
        "noise": list(task.noise),
        "scores": _named(task.scores),
        # Pairs of state columns, position and velocity, that a set-point of the page moves.
        "reference": [[_index(plant, f"p_{a}"), _index(plant, f"v_{a}")] for a in "xyz"] if moving else [],
        "starts": [{"x": x[0].tolist(), "d": d[0].tolist()} for x, d in drawn],
        "sensors": _sensors(contract),
        "status_bits": {str(mask.bit_length() - 1): text for mask, text in NAMES.items()},
        "controllers": [_controller(n, flyer) for n, flyer in enumerate(flyers)],
    }  # fmt: skip


def _controller(number: int, flyer: Flyer) -> dict[str, Any]:
    t = flyer.timing
    keys = ("board", "cycles_worst", "time_us_worst", "deadline_us", "load", "verdict", "reasons",
            "flash_bytes", "ram_bytes", "stack_bytes")  # fmt: skip
    return {
        "name": flyer.name,
        "module": _module(number),
        "graph_hash": flyer.graph.hash,
        "formats": list(flyer.graph.formats),
        "delay_s": flyer.delay_s,
        "timing": {key: getattr(t, key) for key in keys} if t is not None and t.layers else None,
    }


def _sensors(contract: Contract) -> list[dict[str, Any]]:
    """The sensor groups, by the names of their first and last observations."""
    return [
        {"name": " to ".join(dict.fromkeys((name, contract.inputs[first + count - 1].name))),
         "first": first, "count": count}
        for name, first, count in groups_of(contract)
    ]  # fmt: skip


def _named(rows: Sequence[Any]) -> list[dict[str, str]]:
    return [{"name": row.name, "unit": row.unit} for row in rows]
