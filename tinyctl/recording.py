"""A flight as it was flown, step by step, in a CSV or MCAP file that is readable up to any interruption.

Every step is written to the operating system before the next one is computed. A CSV line counts only with its line
break, an MCAP record only when it is whole. Values are the shortest text that gives the same float32 again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import numpy as np

from tinyctl.contract import Contract
from tinyctl.errors import FileError, TinyctlError, ToolMissing
from tinyctl.layers.base import F32, Array
from tinyctl.link import Step

MAX_FILE_BYTES = 4 << 30
MAX_RECORD_BYTES = 1 << 20
TOPIC = "/tinyctl/step"
IDENTITY = "tinyctl"


@dataclass(frozen=True)
class Episode:
    """From one reset to the next: `obs` (steps, n_obs) and `act` (steps, n_act) float32, `status` and `count` (steps,)
    uint32."""

    obs: Array
    act: Array
    status: Array
    count: Array


@dataclass(frozen=True)
class Recording:
    """What a file holds, and for which controller."""

    contract_hash: str
    graph_hash: str
    episodes: tuple[Episode, ...]


def check_name(path: Path) -> None:
    """Raise `TinyctlError` unless the name says in which format."""
    if path.suffix not in (".csv", ".mcap"):
        raise TinyctlError("a recording ends in .csv or .mcap", where=path)


class _Sink(Protocol):
    def step(
        self, episode: int, time_s: float, obs: list[float], act: list[float], status: int, count: int
    ) -> None: ...

    def end(self) -> None: ...


class Recorder:
    """Writes steps to the file at `path`, in the format of its ending. A context manager; raises `FileError`."""

    def __init__(self, path: Path, contract: Contract, graph_hash: str) -> None:
        check_name(path)
        kind = _Csv if path.suffix == ".csv" else _Mcap
        self._path, self._rate_hz = path, contract.rate_hz
        self._episode, self._steps = -1, 0
        try:
            self._file = _Unbuffered(path)
        except OSError as error:
            raise self._broken(error) from None
        try:
            self._sink: _Sink = kind(self._file, contract, graph_hash)
        except OSError as error:
            self._file.close()
            raise self._broken(error) from None

    def reset(self) -> None:
        """Another episode begins."""
        self._episode += 1

    def step(self, observation: Array, step: Step) -> None:
        try:
            at = self._steps / self._rate_hz
            self._sink.step(self._episode, at, observation.tolist(), step.action.tolist(), step.status, step.count)
        except OSError as error:
            raise self._broken(error) from None
        self._steps += 1

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._sink.end()
        except OSError as failed:
            raise self._broken(failed) from None
        finally:
            self._file.close()

    def _broken(self, error: OSError) -> FileError:
        return FileError(f"the recording cannot be written ({error.strerror})", where=self._path)


def write_recording(path: Path, contract: Contract, graph_hash: str, episodes: Sequence[Episode]) -> None:
    """Write flown episodes as `Recorder` does. Raises `FileError`."""
    with Recorder(path, contract, graph_hash) as recorder:
        for episode in episodes:
            recorder.reset()
            for obs, act, status, count in zip(episode.obs, episode.act, episode.status, episode.count, strict=True):
                recorder.step(obs, Step(act, int(status), int(count)))


class _Unbuffered:
    """A new file whose every write is complete, or an `OSError`."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._at = 0

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while len(view):
            view = view[self._file.write(view) :]
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()


def _text(values: Sequence[float]) -> list[str]:
    return [f"{value:.9g}" for value in values]


class _Csv:
    """One line of comment with the identity, one of names, one for each step."""

    def __init__(self, file: _Unbuffered, contract: Contract, graph_hash: str) -> None:
        self._file = file
        names = [f"obs.{name}" for name in _observations(contract)] + [f"act.{o.name}" for o in contract.outputs]
        identity = json.dumps({"contract_hash": contract.hash, "graph_hash": graph_hash})
        file.write(f"# {IDENTITY} {identity}\nepisode,time_s,{','.join(names)},status,count\n".encode())

    def step(self, episode: int, time_s: float, obs: list[float], act: list[float], status: int, count: int) -> None:
        self._file.write(f"{episode},{time_s:.9g},{','.join(_text(obs + act))},{status},{count}\n".encode())

    def end(self) -> None:
        pass


class _Mcap:
    """One channel of JSON messages, which Foxglove and other viewers plot; the identity as metadata."""

    def __init__(self, file: _Unbuffered, contract: Contract, graph_hash: str) -> None:
        try:
            from mcap.writer import Writer
        except ImportError:
            raise ToolMissing("the Python package mcap is not installed", fix="pip install 'tinyctl[hil]'") from None
        self._names = _observations(contract), [o.name for o in contract.outputs]
        self._writer = Writer(file, use_chunking=False)  # type: ignore[arg-type]
        self._writer.start(library=IDENTITY)
        self._writer.add_metadata(IDENTITY, {"contract_hash": contract.hash, "graph_hash": graph_hash})
        schema = self._writer.register_schema("tinyctl.Step", "jsonschema", json.dumps(_schema(*self._names)).encode())
        self._channel = self._writer.register_channel(TOPIC, "json", schema)

    def step(self, episode: int, time_s: float, obs: list[float], act: list[float], status: int, count: int) -> None:
        observation, action = (
            dict(zip(names, map(_json_number, values), strict=True))
            for names, values in zip(self._names, (obs, act), strict=True)
        )
        message = {"episode": episode, "observation": observation, "action": action, "status": status, "count": count}
        at = round(time_s * 1e9)
        self._writer.add_message(self._channel, at, json.dumps(message).encode(), at)

    def end(self) -> None:
        self._writer.finish()  # type: ignore[no-untyped-call]


def _observations(contract: Contract) -> list[str]:
    return [i.name for i in contract.inputs if i.source == "observation"]


def _json_number(value: float) -> float | str:
    """JSON has no infinity and no NaN: their names stand for them."""
    return float(f"{value:.9g}") if np.isfinite(value) else str(value)


def _schema(observations: list[str], actions: list[str]) -> dict[str, Any]:
    def numbers(names: list[str]) -> dict[str, Any]:
        return {"type": "object", "properties": {name: {"type": ["number", "string"]} for name in names}}

    whole = {"type": "integer"}
    return {
        "type": "object",
        "properties": {
            "episode": whole,
            "observation": numbers(observations),
            "action": numbers(actions),
            "status": whole,
            "count": whole,
        },
    }


def read_recording(path: Path, contract: Contract) -> Recording:
    """Read a file that `Recorder` wrote, up to where it was interrupted. Raises `FileError` for anything else."""
    check_name(path)
    try:
        if os.stat(path).st_size > MAX_FILE_BYTES:
            raise FileError(f"larger than {MAX_FILE_BYTES} bytes", where=path)
        rows = _read_csv(path, contract) if path.suffix == ".csv" else _read_mcap(path, contract)
        identity = next(rows)
        episodes = _episodes(rows, contract)
    except OSError as error:
        raise FileError(f"cannot be read ({error.strerror})", where=path) from None
    except (ValueError, KeyError, TypeError, OverflowError, StopIteration, RecursionError) as error:
        raise FileError(f"not a recording of this contract, or damaged ({error})", where=path) from None
    return Recording(str(identity["contract_hash"]), str(identity["graph_hash"]), episodes)


def _episodes(rows: Iterator[Any], contract: Contract) -> tuple[Episode, ...]:
    """Rows (episode, observation and action, status, count), those of an episode side by side."""
    found: dict[int, list[tuple[list[float], int, int]]] = {}
    for episode, values, status, count in rows:
        found.setdefault(int(episode), []).append((values, status, count))
    made = []
    for steps in found.values():
        values = np.array([row[0] for row in steps], np.float64).astype(F32)
        words = np.array([row[1:] for row in steps], np.uint32)
        n_obs = contract.n_obs
        made.append(Episode(values[:, :n_obs].copy(), values[:, n_obs:].copy(), words[:, 0], words[:, 1]))
    return tuple(made)


def _read_csv(path: Path, contract: Contract) -> Iterator[Any]:
    width = 2 + contract.n_obs + contract.n_act + 2
    with path.open("rb") as file:
        comment = file.readline(MAX_RECORD_BYTES).decode()
        if not comment.startswith(f"# {IDENTITY} "):
            raise ValueError("its first line is not tinyctl's")
        yield json.loads(comment[len(IDENTITY) + 3 :])
        file.readline(MAX_RECORD_BYTES)
        while (line := file.readline(MAX_RECORD_BYTES)).endswith(b"\n"):
            cells = line.decode().rstrip("\n").split(",")
            if len(cells) != width:
                raise ValueError(f"a line of {len(cells)} cells, not {width}")
            yield cells[0], [float(cell) for cell in cells[2:-2]], int(cells[-2]), int(cells[-1])


class _WholeReads:
    """A file that gives all that is asked for, or raises `ended`: mcap takes what a cut record still holds."""

    def __init__(self, file: BinaryIO, ended: type[Exception]) -> None:
        self._file, self._ended = file, ended

    def read(self, count: int) -> bytes:
        if count < 0:
            raise ValueError("a record of negative length")
        data = self._file.read(count)
        if len(data) < count:
            raise self._ended
        return data


def _read_mcap(path: Path, contract: Contract) -> Iterator[Any]:
    try:
        from mcap.exceptions import EndOfFile, McapError
        from mcap.records import Message, Metadata
        from mcap.stream_reader import StreamReader
    except ImportError:
        raise ToolMissing("the Python package mcap is not installed", fix="pip install 'tinyctl[hil]'") from None
    names = [("observation", n) for n in _observations(contract)] + [("action", o.name) for o in contract.outputs]
    with path.open("rb") as file:
        whole = _WholeReads(file, EndOfFile)
        records = StreamReader(whole, record_size_limit=MAX_RECORD_BYTES).records  # type: ignore[arg-type]
        identified = False
        while True:
            try:
                record = next(records)
            except (StopIteration, EndOfFile):
                return
            except McapError as error:
                raise ValueError(str(error)) from None
            if isinstance(record, Metadata) and record.name == IDENTITY and not identified:
                identified = True
                yield record.metadata
            elif isinstance(record, Message) and identified:
                said = json.loads(record.data)
                yield said["episode"], [float(said[part][name]) for part, name in names], said["status"], said["count"]
