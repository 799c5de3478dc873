"""The compilers: the host's own, the `ziglang` wheel, and a gcc for the board's core when it is installed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tinyctl.errors import TinyctlError, ToolMissing
from tinyctl.files import write_atomically

# Shared libraries for this process. What they need (libm, at most) is loaded already; zig would first build its own
# libc, for 6 s.
SHARED = ("-fPIC", "-shared", "-nostdlib", *(("-undefined", "dynamic_lookup") if sys.platform == "darwin" else ()))


CROSS_GCC = {
    "arm": ("arm-none-eabi-gcc",),
    "riscv": ("riscv64-unknown-elf-gcc", "riscv32-unknown-elf-gcc", "riscv-none-elf-gcc"),  # all make 32-bit code too
}


@cache
def zig() -> tuple[str, ...]:
    """The `zig` program inside the `ziglang` wheel, as a command prefix."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or not spec.submodule_search_locations:
        raise ToolMissing("the zig compiler is missing", fix="pip install ziglang")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return (str(folder / ("zig.exe" if os.name == "nt" else "zig")),)


@cache
def host_cc(name: str | None = None) -> tuple[str, ...]:
    """The host's C compiler as a command prefix: `cc` when installed, else `zig cc`; or the one named (gcc, zig)."""
    if name == "zig":
        return (*zig(), "cc")
    found = shutil.which(name or "cc")
    if found:
        return (found,)
    if name:
        raise ToolMissing(f"the compiler {name} is not installed")
    return (*zig(), "cc")


def cross_gcc(riscv: bool) -> tuple[str, ...] | None:
    """The gcc for RISC-V or for Arm as a command prefix, or None where it is not installed."""
    found = next(filter(None, map(shutil.which, CROSS_GCC["riscv" if riscv else "arm"])), None)
    return (found,) if found else None


def zig_runtime(target: str, cpu: tuple[str, ...]) -> Path:
    """The archive of zig's compiler_rt for a bare target: float arithmetic for cores without FPU.

    Made once, in some seconds, and kept in the cache folder.
    """
    number = run([*zig(), "version"], what="the compiler's version").strip()
    key = hashlib.sha256("\0".join((number, target, *cpu)).encode()).hexdigest()[:16]
    kept = cache_folder() / f"compiler_rt-{key}.a"
    if not kept.is_file():
        with tempfile.TemporaryDirectory(prefix="tinyctl-rt-") as name:
            Path(name, "empty.c").touch()
            words = [*zig(), "build-lib", "-target", target, *cpu, "-OReleaseSmall", "-fstrip", "-fcompiler-rt"]
            run([*words, "empty.c", "--name", "rt"], what="compiler_rt", cwd=Path(name))
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(kept, Path(name, "librt.a").read_bytes())
    return kept


@cache
def version(command: tuple[str, ...]) -> str:
    """One line that identifies a compiler, for reports and cache keys."""
    first = [*command, "--version"]
    return run(first, what="the compiler's version").splitlines()[0]


def run(command: Sequence[str | Path], *, what: str, cwd: Path | None = None, timeout_s: float = 300) -> str:
    """Run a tool without a shell and return its standard output; its first complaint becomes a `TinyctlError`."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False)
    except FileNotFoundError:
        raise ToolMissing(f"{words[0]} is not installed", where=what) from None
    except subprocess.TimeoutExpired:
        raise TinyctlError(f"no answer after {timeout_s:.0f} s from: {' '.join(words)}", where=what) from None
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        complaint = next((line for line in lines if "error" in line), lines[0] if lines else "no message")
        raise TinyctlError(f"{complaint} (command: {' '.join(words)})", where=what)
    return done.stdout


def cache_folder() -> Path:
    """Where compiled kernels are kept between runs: `TINYCTL_CACHE`, else the user's cache folder."""
    root = os.environ.get("TINYCTL_CACHE")
    if root:
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinyctl"
