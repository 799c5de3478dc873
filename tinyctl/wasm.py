"""C to WebAssembly with the zig compiler's wheel: what `tinyctl studio` runs in the browser.

WebAssembly's float32 arithmetic is IEEE, and has no fused operation that a compiler could pick: with contraction off
its results are those of any strict compiler. The target is freestanding: no libm, no libc, no imports.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyctl.emitter import emit
from tinyctl.errors import TinyctlError
from tinyctl.files import write_atomically
from tinyctl.graph import Graph
from tinyctl.templates import template
from tinyctl.toolchains import cache_folder, run, zig

if TYPE_CHECKING:  # these need the `sim` extra
    from tinyctl.sims.plant import Plant, Task

NAME = "controller"  # of every unit in a module of its own
CONTROLLER = tuple(f"{NAME}_{what}" for what in ("init", "reset", "step", "selftest", "batch_struct_bytes"))
GRADIENTS = "_vjp"  # the ending of functions that only training needs
FLAGS = ("-target", "wasm32-freestanding", "-std=gnu99", "-O2", "-ffp-contract=off", "-nostdlib",
         "-Wl,--no-entry,--strip-all", "-Wl,-z,stack-size=65536")  # fmt: skip
MAGIC = b"\0asm"


def controller_module(graph: Graph) -> bytes:
    """The emitted C of a graph, with its self-test, as a module that exports `CONTROLLER` and its memory."""
    with tempfile.TemporaryDirectory(prefix="tinyctl-wasm-") as scratch:
        unit = emit(graph, Path(scratch), NAME)
        text = template("batch.c.j2").render(
            unit=unit.name, n_obs=unit.n_obs, n_act=unit.n_act, obs_q="", act_q="", length=1
        )
        return compile_module(text, CONTROLLER, Path(scratch))


def plant_module(plant: Plant, task: Task) -> bytes:
    """The step, observation, cost, margin and scores of a plant's task as a module that exports `tinyctl_NAME` of each
    and its memory. `functions` of the kernel and the same walk of their instructions, for one lane."""
    from tinyctl.sims.functions import functions
    from tinyctl.sims.instructions import block_of

    blocks = [block_of(f) for f in functions(plant, task) if not f.name().endswith(GRADIENTS)]
    text = template("plant_wasm.c.j2").render(plant=plant.name, blocks=blocks)
    return compile_module(text, [f"tinyctl_{block.name}" for block in blocks])


def compile_module(source: str, exports: Sequence[str], include: Path | None = None) -> bytes:
    """The module of a C source, from the cache or freshly compiled; `include` is the folder of what it includes.

    A caller's buffers lie from the exported global `__heap_base` on.
    """
    texts = [source, *(path.read_text() for path in sorted(include.glob("*.[ch]")))] if include else [source]
    words = [*zig(), "cc", *FLAGS, *(f"-Wl,--export={name}" for name in ("__heap_base", *exports))]
    number = run([*zig(), "version"], what="the compiler's version")
    key = hashlib.sha256("\0".join((number, *words, *texts)).encode()).hexdigest()[:32]
    kept = cache_folder() / "wasm" / f"{key}.wasm"
    if not kept.is_file():
        with tempfile.TemporaryDirectory(prefix="tinyctl-wasm-") as name:
            work = Path(name)
            (work / "module.c").write_text(source)
            folder = [f"-I{include.resolve()}"] if include else []
            run([*words, *folder, "module.c", "-o", "module.wasm"], what="compiling for the browser", cwd=work)
            made = (work / "module.wasm").read_bytes()
        if not made.startswith(MAGIC):
            raise TinyctlError("the compiler made no WebAssembly module", where="compiling for the browser")
        write_atomically(kept, made)
    return kept.read_bytes()
