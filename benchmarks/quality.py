"""How far to trust measures without labels: their rank correlation with linear accuracy, over runs and checkpoints.

    python benchmarks/quality.py runs/benchmark-health [FOLDER...] [--output benchmarks/quality.md]

Takes folders of runs that were trained on labelled images; each kept checkpoint at which the gauge looked is read out
by a linear layer, fitted on training images and scored on others of the training set: test images have no part in it.
What was read out is kept beside the run, and not read out again.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from pairlens.environment import describe, in_lines
from pairlens.errors import InputError
from pairlens.evaluate.features import extract
from pairlens.evaluate.linear import linear_solver
from pairlens.evaluate.probe import validation_split
from pairlens.evaluate.spectrum import columns
from pairlens.opened import open_measured
from pairlens.place import find_place
from pairlens.record.checkpoint import checkpoints, load_encoder, step_of
from pairlens.record.run import Run, write_json
from pairlens.report.read import settled
from pairlens.settings import Machine

GALLERY = 4_000
"""Training images that a read-out is fitted on."""

KEPT = "readouts.json"
"""What is kept beside a run: accuracy by step."""

BETTER_LESS = ("alignment", "uniformity", "alpha", "loss")
"""Measures of which less is better: their sign is turned, so that a correlation above 0 is always agreement."""

OTHERS = ("loss", "accuracy", "knn")
"""What is recorded anyway and people go by: the last tenth's loss and contrastive accuracy; kNN, which needs labels."""


@dataclass(frozen=True)
class Point:
    """One checkpoint of one run."""

    run: str
    data: str
    step: int
    linear: float
    measures: Mapping[str, float]  # without labels, but for knn; NaN where unknown
    end: bool  # of the training


def main() -> None:
    """Read out what was not yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    given = parser.parse_args()
    found: list[Point] = []
    for path in sorted(path.parent for folder in given.folders for path in folder.glob("*/run.json")):
        try:
            found += points(Run.open(path))
        except InputError as error:
            print(f"{path.name}: left out, {error}", flush=True)
    text = "\n".join(page(found, [folder.name for folder in given.folders])) + "\n"
    if given.output is None:
        print(text)
    else:
        given.output.write_text(text, encoding="utf-8")


def points(run: Run) -> list[Point]:
    """Every kept checkpoint of a finished run at which its features were measured."""
    if run.status.get("state") != "finished" or not len(run.quality) or not run.info["data"]["labelled"]:
        return []
    steps = {int(step): place for place, step in enumerate(run.quality["step"])}
    kept = [path for path in checkpoints(run.folder / "checkpoints") if step_of(path) in steps]
    accuracy = readouts(run, kept)
    found = []
    for path in kept:
        step = step_of(path)
        row, until = run.quality[steps[step]], run.statistics[run.statistics["step"] < step]
        space = run.spaces[0]
        measures = {name: float(row[name]) for group in ("h", space) for name in columns([group])}
        measures = {name.replace(f"{space}.", "z."): value for name, value in measures.items()}
        measures |= {"loss": settled(until["loss"]), "accuracy": settled(until[f"{space}.accuracy"])}
        probes = run.probes[run.probes["step"] <= step] if len(run.probes) else run.probes
        measures["knn"] = float(probes["knn"][-1]) if len(probes) and probes["step"][-1] == step else math.nan
        data = f"{run.call['source']} at {run.info['size']} px"
        found.append(Point(run.name, data, step, accuracy[str(step)], measures, step == run.status["steps"]))
    return found


def readouts(run: Run, kept: Sequence[Path]) -> dict[str, float]:
    """Linear accuracy on held-out training images, by step."""
    path = run.folder / KEPT
    known: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    missing = [one for one in kept if str(step_of(one)) not in known]
    if missing:
        opened, source = open_measured(run, say=lambda text: None)
        torch.set_num_threads(1)
        images = source.train
        assert images.labels is not None
        fitted, held = validation_split(images, seed=0)
        fitted = fitted[torch.linspace(0, len(fitted) - 1, min(GALLERY, len(fitted))).long()]
        held = held[: GALLERY // 4]
        for one in missing:
            load_encoder(one / "weights.safetensors", opened.encoder, prefix="online.encoder.")
            look: dict[str, Any] = {
                "size": opened.size,
                "mean": opened.mean,
                "std": opened.std,
                "precision": opened.place.precision,
            }
            known_features, asked = (extract(opened.encoder, images, index=index, **look) for index in (fitted, held))
            readout = linear_solver(
                known_features,
                images.labels[fitted],
                classes=len(images.classes),
                generator=torch.Generator().manual_seed(0),
            )
            known[str(step_of(one))] = float(readout.score(asked, images.labels[held]).top1)
            write_json(path, known)
        print(f"{run.name}: {', '.join(f'{float(known[str(step_of(one))]):.1%}' for one in kept)}", flush=True)
    return known


def page(found: Sequence[Point], folders: Sequence[str]) -> Iterator[str]:
    """Markdown lines."""
    runs = sorted({point.run for point in found})
    yield "# How far to trust quality without labels"
    yield ""
    yield (
        f"`python benchmarks/quality.py {' '.join(folders)}`, {date.today().isoformat()}: {len(runs)} runs, good ones "
        f"and broken ones, {len(found)} checkpoints. Spearman's rank correlation of each measure with the accuracy of "
        f"a linear read-out, fitted on up to {GALLERY:,} training images and scored on {GALLERY // 4:,} others of the "
        "training set. Of measures of which less is better the sign is turned. Test images had no part in it."
    )
    yield ""
    yield "| measure | between runs, at their ends | within a run, over its checkpoints | lost by keeping its choice |"
    yield "|---|---|---|---|"
    rows = [(name, *row(found, name)) for name in (*columns(["h", "z"]), *OTHERS)]
    for name, between, within, lost in sorted(
        rows, key=lambda cells: -cells[1][0] if cells[1][0] == cells[1][0] else 9
    ):
        yield f"| {name} | {said(between)} | {said(within)} | {lost} |"
    yield ""
    yield (
        "Between runs: over runs of the same data and view size, the mean over such groups, and the number of runs. "
        "Within a run: the mean over runs, and how many. Lost: points of accuracy between a run's best checkpoint and "
        "the one that the measure chooses, in the mean over the runs; keeping the last one loses "
        f"{100 * statistics.mean(regret(found, lambda points: points[-1])):.2f}."
    )
    yield ""
    yield from in_lines(describe(find_place(Machine("cpu", threads=1))))


def row(found: Sequence[Point], name: str) -> tuple[tuple[float, int], tuple[float, int], str]:
    """Correlation between runs and within runs, each with its number, and the accuracy that its choice loses."""
    between = [
        (correlation(group, name), len(group))
        for group in grouped([point for point in found if point.end], lambda point: point.data)
        if len(group) >= 5
    ]
    within = [correlation(group, name) for group in grouped(found, lambda point: point.run) if len(group) >= 3]
    known = [(value, count) for value, count in between if not math.isnan(value)]
    inside = [value for value in within if not math.isnan(value)]
    lost = regret(found, lambda points: max(points, key=lambda point: signed(point, name)))
    return (
        (statistics.mean(v for v, _ in known) if known else math.nan, sum(c for _, c in known)),
        (statistics.mean(inside) if inside else math.nan, len(inside)),
        f"{100 * statistics.mean(lost):.2f}" if lost else "",
    )


def grouped(found: Sequence[Point], of: Callable[[Point], str]) -> list[list[Point]]:
    """The points that agree in something, each group by itself."""
    groups: dict[str, list[Point]] = {}
    for point in found:
        groups.setdefault(of(point), []).append(point)
    return list(groups.values())


def signed(point: Point, name: str) -> float:
    """A measure of which more is better; the least of all where it is unknown."""
    value = point.measures[name]
    if math.isnan(value):
        return -math.inf
    return -value if name.rpartition(".")[2] in BETTER_LESS else value


def correlation(group: Sequence[Point], name: str) -> float:
    """Spearman's, NaN where a measure is unknown or constant."""
    pairs = [(signed(point, name), point.linear) for point in group if math.isfinite(signed(point, name))]
    if len(pairs) < 3 or len({a for a, _ in pairs}) < 2 or len({b for _, b in pairs}) < 2:
        return math.nan
    return float(spearmanr(*np.array(pairs).T).statistic)


def regret(found: Sequence[Point], choose: Callable[[list[Point]], Point]) -> list[float]:
    """What choosing loses against each run's best checkpoint."""
    groups = [sorted(group, key=lambda point: point.step) for group in grouped(found, lambda point: point.run)]
    return [max(p.linear for p in group) - choose(group).linear for group in groups if len(group) >= 3]


def said(value: tuple[float, int]) -> str:
    """A correlation and the number it is of."""
    return f"{value[0]:+.2f} ({value[1]})" if not math.isnan(value[0]) else "-"


if __name__ == "__main__":
    main()
