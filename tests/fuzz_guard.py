"""Builds and runs `compiled/fuzz_guard.c` on a guarded controller."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tinyctl.emitter import emit
from tinyctl.layers.base import F32
from tinyctl.safety.guard import Guarded
from tinyctl.safety.program import literal
from tinyctl.toolchains import host_cc, run

HARNESS = Path(__file__).parent / "compiled" / "fuzz_guard.c"
FAULTS = ("not a number", "stuck", "jump", "out of range", "sign flip", "late")
REST = {"p_x": 0.1, "v_x": 0.2, "w_x": 0.6}  # what a flip of the sign must change
SANITIZE = ("-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all")


def fuzz(guarded: Guarded, folder: Path, sequences: int, seed: int, compiler: str | None = None) -> dict[str, int]:
    """How many sequences suffered each fault; raises `TinyctlError` or `AssertionError` when one goes wrong. Undefined
    behaviour ends it."""
    emit(guarded, folder, "fuzzed")
    (folder / "fuzz_guard.h").write_text(_header(guarded))
    program, found = folder / "fuzz", host_cc(compiler)
    trap = ("-fsanitize-trap=undefined",) if "cc" in found else ()  # `zig cc` brings no library that would tell
    command = (*found, "-std=c99", "-O1", *SANITIZE, *trap, f"-I{folder.resolve()}", "-o", program)
    run([*command, HARNESS, folder / "fuzzed.c"], what="compiling the fuzzer")
    done = subprocess.run([program, str(sequences), str(seed)], capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout[-400:]}{done.stderr[-400:]}"
    return dict(zip(FAULTS, (int(n) for n in done.stdout.split()), strict=True))


def _header(guarded: Guarded) -> str:
    contract, rows = guarded.contract, []
    calm = []
    for g in guarded.guard.groups:
        end = g.first + g.count
        rows.append(f"{{ {end - g.judged}, {end}, {literal(F32(g.limit))}, {literal(F32(g.reach))} }}")
        for s in contract.inputs[g.first : end]:
            calm.append(f"{{ {literal(F32(REST.get(g.name, 0.0) or s.on_nan))}, {literal(F32(0.02 * g.limit))} }}")
    box = [f"{{ {literal(F32(s.low))}, {literal(F32(s.high))} }}" for s in contract.outputs]
    return f"""#include "fuzzed.h"
#include <math.h>
#define UNIT_STRUCT fuzzed
#define UNIT(name) fuzzed_##name
#define MACRO(name) FUZZED_##name
enum {{ N_OBS = {contract.n_obs}, N_ACT = {contract.n_act}, N_GROUPS = {len(rows)} }};
static const struct {{ int judged, end; float limit, reach; }} group[N_GROUPS] = {{ {", ".join(rows)} }};
static const float calm[N_OBS][2] = {{ {", ".join(calm)} }};
static const float box[N_ACT][2] = {{ {", ".join(box)} }};
static float not_a_number(void) {{ return NAN; }}
static float infinity_of(unsigned sign) {{ return sign ? INFINITY : -INFINITY; }}
"""
