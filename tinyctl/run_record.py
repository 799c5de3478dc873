"""Run records: what a command was given, by what it was computed and what came of it, so that it can be done again.

A record lies beside the output as `OUTPUT.run.json`, for a command without one in the current folder as
`SOURCE.VERB.run.json`. It holds no host name and no absolute path: files are named relative to the record, or by their
name alone where nothing but the root of the file system leads from one to the other.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyctl import toolchains
from tinyctl.boards import load_board
from tinyctl.errors import FileError, TinyctlError
from tinyctl.files import write_atomically
from tinyctl.jsons import canonical_json, parse_json
from tinyctl.sims.plants import plant_hash
from tinyctl.unit import FACTS
from tinyctl.version import VERSION

SCHEMA = 1
SUFFIX = ".run.json"
VERBS = ("train", "prune", "sparsify", "quantize", "guard", "mine", "build", "check", "fly", "failures", "hil")
REPORTS = ("check", "fly", "failures", "hil")  # what these write as --out is their results
OUTPUTS = ("out", "record", "project", "log", "plot", "tensorboard")  # parameters that name what is written
UNRECORDED = (*OUTPUTS, "as_object")
NAMES_OF_FILES = (".py", ".toml")  # a plant or a board is given by name, or by the path of such a file
PACKAGES = ("numpy", "casadi", "torch", "stable_baselines3", "gymnasium", "unicorn", "capstone", "ziglang", "jinja2")
MAX_BYTES = 64 << 20
# Figures of the machine and the moment, not of the computation.
MEASURED = frozenset({"seconds", "cpu_seconds", "round_trips_per_s"})
MOST_DIFFERENCES = 20


@dataclass(frozen=True)
class Call:
    """A call of the command `verb`: its parameters, and the hashes of the files it was given, taken before anything
    was written over them."""

    verb: str
    parameters: dict[str, Any]
    inputs: dict[str, tuple[Path, str]]  # parameter -> file, SHA-256
    folder: Path  # where a record without an output goes

    @classmethod
    def of(cls, verb: str, parameters: Mapping[str, Any]) -> Call:
        """`parameters` is `locals()` in the first line of the command."""
        kept = {name: value for name, value in parameters.items() if name not in UNRECORDED}
        files = {name: Path(value) for name, value in kept.items() if _is_file(value)}
        return cls(verb, kept, {name: (path, sha256(path)) for name, path in files.items()}, Path.cwd())

    def write(self, results: Mapping[str, Any], *outputs: Path | None) -> Path:
        """Write the record beside the first output that there is; `results` is the command's report as JSON."""
        written = [path for path in outputs if path is not None]
        if written:
            path = written[0].with_name(written[0].name + SUFFIX)
        else:
            subject = next((self.parameters[k] for k in ("source", "policy", "expert") if self.parameters.get(k)), "")
            path = self.folder / f"{Path(str(subject)).name}.{self.verb}{SUFFIX}"
        record = {
            "schema": SCHEMA,
            "kind": "run",
            "verb": self.verb,
            "parameters": {name: self._told(name, value, path.parent) for name, value in self.parameters.items()},
            "inputs": {name: digest for name, (_, digest) in self.inputs.items()},
            "versions": versions(),
            "compilers": compilers(self.parameters),
            "plant_hash": plant_hash(self.parameters["plant"]) if self.parameters.get("plant") else None,
            "contract_hash": results.get("contract_hash"),
            "graph_hash": results.get("graph_hash"),
            "outputs": {_relative(p, path.parent): sha256(p) for p in written if p.is_file()},
            "results": results,
        }
        write_atomically(path, canonical_json(record) + "\n")
        return path

    def _told(self, name: str, value: Any, folder: Path) -> Any:
        if name in self.inputs:
            return _relative(self.inputs[name][0], folder)
        return str(value) if isinstance(value, Path) else value


def sha256(path: Path) -> str:
    """Of a file, or of the names and contents of an emitted folder."""
    total = hashlib.sha256()
    for part in sorted(path.iterdir()) if path.is_dir() else [path]:
        if part.is_file():
            content = hashlib.sha256(part.read_bytes()).hexdigest()
            total.update(f"{part.name} {content}\n".encode() if path.is_dir() else part.read_bytes())
    return total.hexdigest()


def versions() -> dict[str, str]:
    """Of Python, of tinyctl, and of the packages in use that have a say in the numbers."""
    names = [name for name in PACKAGES if name in sys.modules]
    told = {name: importlib.metadata.version(name.replace("_", "-")) for name in names}
    return {"python": platform.python_version(), "tinyctl": VERSION, **told}


def compilers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The host's compiler with the flags of plants, and the flags of the board, as far as they were used."""
    told: dict[str, Any] = {"system": f"{platform.system()} {platform.machine()}"}
    if "tinyctl.sims.kernel" in sys.modules:
        from tinyctl.sims.kernel import FLAGS

        told["host"] = {"version": toolchains.version(toolchains.host_cc()), "flags": FLAGS}
    if parameters.get("board"):
        board = load_board(parameters["board"])
        told["board"] = {name: [*flags.cpu, *flags.flags] for name, flags in board.toolchains}
    return told


def load_record(path: Path) -> dict[str, Any]:
    """A run record from anyone; its parameters are checked by the command that is given them."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FileError(f"larger than {MAX_BYTES >> 20} MiB", where=path)
        record = parse_json(path.read_bytes(), where=path)
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path) from None
    parts = {"parameters": dict, "inputs": dict, "outputs": dict, "results": dict, "versions": dict}
    if (
        not isinstance(record, dict)
        or record.get("kind") != "run"
        or record.get("verb") not in VERBS
        or not all(isinstance(record.get(key), kind) for key, kind in parts.items())
    ):
        raise FileError("not a run record", where=path, fix="give a file that ends in .run.json")
    if record.get("schema") != SCHEMA:
        raise FileError(f"schema {record.get('schema')!r:.20}, where this version reads {SCHEMA}", where=path)
    return record


def find_inputs(record: dict[str, Any], folder: Path) -> dict[str, Path]:
    """The files a record names, found from its folder and held against their hashes."""
    found = {}
    for name, digest in record["inputs"].items():
        told = record["parameters"].get(name)
        if not isinstance(told, str) or Path(told).is_absolute():
            raise FileError(f"parameter {name!r:.40} is not the relative path of a file", where=folder)
        path = folder / told
        if not _is_file(path):
            raise FileError(f"{told} is not there", where=folder, fix=f"put the file given as {name} there")
        if sha256(path) != digest:
            raise FileError("is not the file the run was given", where=path, fix="bring back the one with that hash")
        found[name] = path
    return found


def destinations(record: dict[str, Any], scratch: Path) -> dict[str, Path]:
    """Where a run again writes: parameter -> file in the folder `scratch`."""
    names = {"out": "report.json"}
    for name in _outputs(record):
        names["record" if record["verb"] in REPORTS and not name.endswith(".json") else "out"] = name
    return {parameter: scratch / name for parameter, name in names.items()}


def words(record: dict[str, Any], command: Any, inputs: Mapping[str, Path], written: Mapping[str, Path]) -> list[str]:
    """The command line of a record: `command` is the verb as click knows it, whose options check every value; `written`
    are its `destinations`.

    What CPU time cut short ends after the same number of iterations instead.
    """
    parameters = {**record["parameters"], **{name: str(path) for name, path in inputs.items()}}
    if record["verb"] == "train":
        parameters |= _by_iterations(parameters, record["results"])
    options, arguments = [], []
    known = {p.name: p for p in command.params}
    if unknown := set(parameters) - set(known):
        raise TinyctlError(f"{record['verb']} has no parameter {min(unknown)!r:.40}")
    parameters |= {name: str(path) for name, path in written.items() if name in known}
    for name, value in parameters.items():
        parameter = known[name]
        if value is None:
            continue
        if parameter.param_type_name == "argument":
            arguments.append(str(value))
        elif isinstance(value, bool):
            flags = parameter.opts if value else parameter.secondary_opts
            options += flags[:1]
        elif parameter.multiple:
            options += [word for item in value for word in (parameter.opts[0], str(item))]
        else:
            options += [parameter.opts[0], *map(str, value if isinstance(value, list) else [value])]
    return [record["verb"], *options, "--", *arguments]


def _by_iterations(parameters: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    settings = list(parameters.get("settings") or [])
    kept = [text for text in settings if not str(text).startswith("cpu_seconds=")]
    if parameters.get("cpu_seconds") is None and kept == settings:
        return {}
    ended = results.get("iterations")
    if not isinstance(ended, int) or ended < 1:
        raise TinyctlError("CPU time cut this training, and its algorithm does not say where", fix="train without it")
    return {"cpu_seconds": None, "settings": [*kept, f"stop_after={ended}"]}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What differs between two records of one call, a line each: outputs by their bytes where both are files, results
    value by value but for measured times."""
    told = []
    again = _outputs(after)
    for name, digest in _outputs(before).items():
        if before["verb"] in REPORTS and name.endswith(".json"):
            continue  # its values are compared below
        if again.get(name) != digest:
            told.append(f"{name}: other bytes" if name in again else f"{name}: not written")
    old, new = (dict(_leaves(record["results"], "")) for record in (before, after))
    for key in old.keys() | new.keys():
        a, b = old.get(key), new.get(key)
        if type(a) is not type(b) or a != b:
            told.append(f"{key}: {a!r:.40} then, {b!r:.40} now")
    return sorted(told)


def other_versions(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What else is installed now than then; it explains a difference, and is none by itself."""
    old, new = before["versions"], after["versions"]
    told = [f"{k} {old[k]!s:.40} then, {new.get(k)} now" for k in sorted(old) if old[k] != new.get(k)]
    for key, what in (("compilers", "another compiler, or other flags"), ("plant_hash", "another plant")):
        told += [what] if before.get(key) != after.get(key) else []
    return told


def _outputs(record: dict[str, Any]) -> dict[str, str]:
    """The hashes of what was written, by the names of the files."""
    return {str(path).rpartition("/")[2]: digest for path, digest in record["outputs"].items()}


def _leaves(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list) and value:
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for name, part in parts:
            if name not in MEASURED:
                yield from _leaves(part, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _is_file(value: Any) -> bool:
    """Whether a parameter's value is an input file, or an emitted folder."""
    if not isinstance(value, Path) and not (isinstance(value, str) and value.endswith(NAMES_OF_FILES)):
        return False
    return Path(value).is_file() or Path(value, FACTS).is_file()


def _relative(path: Path, folder: Path) -> str:
    full, start = path.resolve(), folder.resolve()
    if Path(os.path.commonpath([full, start])) == Path(full.anchor):
        return path.name
    return Path(os.path.relpath(full, start)).as_posix()
