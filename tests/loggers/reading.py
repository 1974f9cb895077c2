"""Reading back what each tool has kept, without pairlens: {tag: {step: value}}."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Kept = dict[str, dict[int, Any]]


def from_tensorboard(folder: Path) -> tuple[Kept, Kept, Kept]:
    """Scalars, histograms (counts and upper edges) and texts. A step that is there twice fails."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    sizes = {"scalars": 0, "histograms": 0, "tensors": 0}  # all of them
    found = EventAccumulator(str(folder), size_guidance=sizes).Reload()
    tags = found.Tags()
    scalars = {tag: _once((e.step, e.value) for e in found.Scalars(tag)) for tag in tags["scalars"]}
    counts = {
        tag: _once((e.step, (e.histogram_value.bucket, e.histogram_value.bucket_limit)) for e in found.Histograms(tag))
        for tag in tags["histograms"]
    }
    texts = {
        tag: _once((e.step, e.tensor_proto.string_val[0].decode()) for e in found.Tensors(tag))
        for tag in tags["tensors"]
    }
    return scalars, counts, texts


def times_from_tensorboard(folder: Path, tag: str) -> dict[int, float]:
    """When each step of a scalar was, seconds since 1970."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {event.step: event.wall_time for event in found.Scalars(tag)}


def from_wandb(folder: Path) -> tuple[list[dict[str, str]], list[Any]]:
    """The lines of a run's history over all its offline files, as JSON by name, and the records of its runs."""
    from wandb.proto.wandb_internal_pb2 import Record

    lines, runs = [], []
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        for data in _records(path.read_bytes()):
            record = Record()
            record.ParseFromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "history":
                lines.append({i.key or "/".join(i.nested_key): i.value_json for i in record.history.item})
            elif kind == "run":
                runs.append(record.run)
    return lines, runs


def from_trackio(folder: Path, project: str) -> tuple[list[tuple[str, int, str, str]], list[Any], list[Any]]:
    """Rows (run, step, timestamp, JSON), alerts and configurations of trackio's database."""
    import sqlite3

    database = sqlite3.connect(folder / f"{project}.db")
    try:
        rows = database.execute("SELECT run_name, step, timestamp, metrics FROM metrics ORDER BY id").fetchall()
        alerts = database.execute("SELECT title, text, level, step FROM alerts ORDER BY id").fetchall()
        configs = database.execute("SELECT run_name, config FROM configs").fetchall()
    finally:
        database.close()
    return rows, alerts, configs


def _once(pairs: Iterator[tuple[int, Any]]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for step, value in pairs:
        assert step not in found, f"step {step} is there twice"
        found[step] = value
    return found


def _records(data: bytes) -> Iterator[bytes]:
    """The records of a log in LevelDB's format behind a header of seven bytes."""
    position, whole = 7, b""
    while position + 7 <= len(data):
        left = 32768 - position % 32768
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if left < 7 or kind == 0:  # the rest of a block
            position += left
            continue
        whole += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a record of one part, or its last
            yield whole
            whole = b""
