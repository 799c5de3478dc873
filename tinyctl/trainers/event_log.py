"""Curves of a training as a TensorBoard event file. Needs the package `tensorboard`, not TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinyctl.errors import FileError, ToolMissing


class EventLog:
    """A new event file in `folder`. Each record is on disk before the training goes on: `tensorboard` may look on."""

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            raise ToolMissing("the Python package tensorboard is not installed",
                              fix="pip install 'tinyctl[tensorboard]'") from None  # fmt: skip
        self._event, self._summary = Event, Summary
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / f"events.out.tfevents.{time.time_ns()}").open("xb")
        except OSError as error:
            raise FileError(f"cannot be written ({error.strerror})", where=folder) from None
        self._writer = RecordWriter(file)
        self._write(file_version="brain.Event:2")

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars by their tags."""
        told = [self._summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step=step, summary=self._summary(value=told))

    def close(self) -> None:
        self._writer.close()

    def _write(self, **what: Any) -> None:
        self._writer.write(self._event(wall_time=time.time(), **what).SerializeToString())
        self._writer.flush()
