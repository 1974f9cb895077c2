"""The heat map of one run's scores: its histograms in blocks of steps that grow as it trains.

N histograms, M blocks, T bins of the cosine.
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from pairlens.live.blocks import Place, edges, place
from pairlens.live.traces import Traces
from pairlens.report.read import finite
from pairlens.report.thin import block_means

COLUMNS = 128  # of a heat map, at most


def heat_of(traces: Traces, space: str, stage: str, cursor: object) -> dict[str, Any] | None:
    """The columns that a reader with this cursor lacks; None where nothing was counted.

    Args:
        traces: the run.
        space: one of its embedding spaces.
        stage: "" after feature transform and selection, "raw_" before them.
        cursor: of an earlier answer about the same run, space and stage.
    """
    table = traces.table("histograms")
    names = [f"{space}.{stage}{kind}" for kind in ("positive", "negative")]
    if table is None or not len(table) or not all(_is_histogram(table, name) for name in names):
        return None
    at = place(cursor, traces.generation, len(table), COLUMNS)
    form = traces.info.get("histogram")
    form = form if isinstance(form, dict) else {}
    shares = {kind: _shares(table, name, at) for kind, name in zip(("positive", "negative"), names, strict=True)}
    begins = edges(len(table), at)
    start = at.first << at.k
    step = block_means(table["step"][start:], begins - start) if len(begins) else np.zeros(0)
    return {
        "cursor": at.cursor(len(table)),
        "from": at.first,
        "bins": int(table.dtype[names[0]].shape[0]),
        "low": finite(form.get("low"), -1.0),
        "high": finite(form.get("high"), 1.0),
        "last": float(table["step"][-1]),
        "step": step.astype(np.float32),
        **shares,
    }


def _is_histogram(table: np.ndarray, name: str) -> bool:
    return name in (table.dtype.names or ()) and len(table.dtype[name].shape) == 1


def _shares(table: np.ndarray, name: str, at: Place) -> Float[np.ndarray, "M T"]:
    """The shares of the scores in each bin, block by block."""
    start = at.first << at.k
    begins = edges(len(table), at) - start
    counts = table[name][start:]
    if not len(begins):
        return np.zeros((0, counts.shape[1]), np.float32)
    summed = np.add.reduceat(counts, begins, axis=0, dtype=np.float64)
    return (summed / np.maximum(summed.sum(1, keepdims=True), 1)).astype(np.float32)
