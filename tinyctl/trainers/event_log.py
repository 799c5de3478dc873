"""Curves of a training as a TensorBoard event file. Needs the package `tensorboard`, not TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyctl.errors import FileError, ToolMissing


class EventLog:
    """A new event file in `folder`. Each record is complete when the training goes on: `tensorboard` may look on."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            raise ToolMissing("the Python package tensorboard is not installed",
                              fix="pip install 'tinyctl[tensorboard]'") from None  # fmt: skip
        self._event, self._summary, self._writer = Event, Summary, RecordWriter
        self._path = folder / f"events.out.tfevents.{time.time_ns()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._write(file_version="brain.Event:2")
        except OSError as error:
            raise FileError(f"cannot be written ({error.strerror})", where=folder) from None

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars by their tags."""
        told = [self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step=step, summary=self._summary(value=told))

    def _write(self, **what: Any) -> None:
        with self._path.open("ab") as file:
            self._writer(file).write(self._event(wall_time=time.time(), **what).SerializeToString())
