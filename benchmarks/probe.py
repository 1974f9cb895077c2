"""The invariance probe against the factor probes, on the runs of `benchmarks/looc.py`: do both rank encoders alike?

    python benchmarks/probe.py runs/benchmark-looc/scenes --threads 1 --output benchmarks/probe-scenes.md

For every finished run of the folder: `pairlens probe` (the numbers are kept in RUN/probe.json) and `pairlens evaluate
--probes rotation factors` (RUN/kept.json). What a run has already is not measured again.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pairlens.environment import apply
from pairlens.errors import InputError
from pairlens.intervals import interval
from pairlens.kept import PROBES, measure_kept
from pairlens.place import Place, find_place
from pairlens.probing.record import record
from pairlens.probing.subject import open_subject
from pairlens.probing.whole import probe
from pairlens.record.run import Run, write_json
from pairlens.settings import Machine
from pairlens.studies.arms import Setting, job
from pairlens.studies.looc import scenes, table1


@dataclass(frozen=True)
class Question:
    """One thing that both probes ask of an encoder."""

    alteration: str  # the invariance probe's
    factor: str  # the factor probe's: "rotation", or one of `factors`
    said: str


QUESTIONS = (
    Question("rotation", "rotation", "rotation: which of four turns"),
    Question("hue", "hue", "hue of the digit"),
    Question("texture", "texture", "texture of the ground"),
    Question("position", "position", "position of the digit"),
    Question("scale", "size", "size of the digit"),
)


@dataclass(frozen=True)
class Seen:
    """What both probes found in one run, by question."""

    label: str
    invariance: Mapping[Question, float]
    told: Mapping[Question, float]
    kept: Mapping[Question, float]  # chance taken off, 1 is everything


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the runs")
    parser.add_argument("--images", type=int, default=None, help="of the probe")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    given = parser.parse_args(argv)
    try:
        place = find_place(Machine("cpu", "fp32", given.threads))
        apply(place)
        runs = finished(given.folder)
        labels = labels_of(runs)
        found = []
        for run in runs:
            print(f"{run.name}: {labels[run.name]}", flush=True)
            found.append(look(run, labels[run.name], place, given.images))
        text = page(found, runs, given.images)
    except InputError as error:
        print(f"pairlens: {error}", file=sys.stderr)
        return 2
    if given.output is not None:
        given.output.write_text(text, encoding="utf-8")
    print(text)
    return 0


def finished(folder: Path) -> list[Run]:
    """The finished runs below a folder, by name.

    Raises:
        InputError: there are none.
    """
    runs = [Run.open(path.parent) for path in sorted(folder.glob("*/run.json"))]
    runs = [run for run in runs if run.status.get("state") == "finished"]
    if not runs:
        raise InputError(f"there is no finished run in {folder}; give the folder that benchmarks/looc.py wrote to")
    return runs


def labels_of(runs: Sequence[Run]) -> dict[str, str]:
    """The arm that each run is of, in the words of the study; other runs have their own names."""
    found = {}
    for run in runs:
        seed = int(run.call["seed"])
        for study in (scenes(), table1()):
            for arm in study.arms:
                if job(arm, Setting("", Path()), seed).name == run.name:
                    found[run.name] = arm.label
        found.setdefault(run.name, run.name)
    return found


def look(run: Run, label: str, place: Place, images: int | None) -> Seen:
    """Both probes' numbers, measured where they are not there yet."""
    path = run.folder / "probe.json"
    probed = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    if probed is None or (images is not None and probed["images"] != images):
        subject = open_subject([str(run.folder)], place, images=images)
        probed = record(probe(subject))
        write_json(path, probed)
    kept = (
        run.kept
        if run.kept and "rotation" in run.kept["probes"]
        else measure_kept(run, probes=PROBES, baselines=False, say=quiet)
    )
    mine = probed["encoders"][0]["alterations"]
    asked = {q: one for q in QUESTIONS if (one := factor(kept["probes"], q.factor)) is not None}
    return Seen(
        label,
        {q: mine[q.alteration]["encoder"]["invariance"]["value"] for q in asked},
        {q: mine[q.alteration]["encoder"]["predictability"]["value"] for q in asked},
        asked,
    )


def factor(probes: Mapping[str, Any], name: str) -> float | None:
    """What a factor probe reads off, chance taken off; None where it was not asked."""
    found = probes.get("rotation") if name == "rotation" else probes.get("factors", {}).get(name)
    if found is None:
        return None
    value, chance = found["encoder"]["value"], found["chance"]
    return float((value - chance) / (1 - chance)) if found["measure"] == "accuracy" else float(value)


def quiet(text: str) -> None:
    """Say nothing."""


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """The correlation of ranks; equal values share the mean of theirs."""
    ranks = [_ranks(np.asarray(values)) for values in (a, b)]
    return float(np.corrcoef(ranks)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.array([(values < value).sum() + ((values == value).sum() - 1) / 2 for value in values])


def page(found: Sequence[Seen], runs: Sequence[Run], images: int | None) -> str:
    """The tables as Markdown."""
    labels = list(dict.fromkeys(one.label for one in found))
    questions = [q for q in QUESTIONS if all(q in one.kept for one in found)]
    seeds = sorted({int(run.call["seed"]) for run in runs})
    lines = [
        "# The invariance probe against the factor probes",
        "",
        f"`benchmarks/probe.py`: {len(found)} runs of `benchmarks/looc.py` on {Path(runs[0].call['source']).name} ("
        f"{max(run.status['epochs'] for run in runs)} epochs; seeds {', '.join(map(str, seeds))}), each probed with "
        f"{images or 'the usual number of'} test images. Means and 95 % intervals over the seeds (Student's t).",
        "",
        "Invariance: 1 where an alteration does nothing to features, 0 where it takes an image as far as another one. "
        "Read off: what a linear layer tells of the alteration's parameter, chance taken off. Factor probe: what a "
        "linear layer, fitted on up to 10 000 training images, tells of the property itself, chance taken off.",
    ]
    for q in questions:
        lines += ["", f"## {q.said[0].upper()}{q.said[1:]}", "", "| | invariance | read off | factor probe |"]
        lines.append("|---|---|---|---|")
        order = sorted(labels, key=lambda label: -_mean([s.kept[q] for s in found if s.label == label]))
        for label in order:
            some = [s for s in found if s.label == label]
            cells = [_said([of(s)[q] for s in some]) for of in (_invariance, _told, _kept)]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    lines += ["", "## Do they rank alike?", "", "Spearman's correlation with the factor probe.", ""]
    lines += [
        "| | runs | read off | invariance (below 0 agrees) | arms | read off | invariance |",
        "|---|" + "---|" * 6,
    ]
    for q in questions:
        cells = [f"{len(found)}", *_correlations([_numbers(s, q) for s in found])]
        means = [tuple(map(_mean, zip(*[_numbers(s, q) for s in found if s.label == x], strict=True))) for x in labels]
        cells += [f"{len(labels)}", *_correlations(means)]
        lines.append(f"| {q.said} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _invariance(seen: Seen) -> Mapping[Question, float]:
    return seen.invariance


def _told(seen: Seen) -> Mapping[Question, float]:
    return seen.told


def _kept(seen: Seen) -> Mapping[Question, float]:
    return seen.kept


def _numbers(seen: Seen, q: Question) -> tuple[float, ...]:
    return seen.told[q], seen.invariance[q], seen.kept[q]


def _correlations(rows: Sequence[tuple[float, ...]]) -> list[str]:
    told, level, kept = zip(*rows, strict=True)
    return [f"{spearman(values, kept):+.2f}" for values in (told, level)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _said(values: Sequence[float]) -> str:
    one = interval(values)
    return f"{one.mean:.3f}" if one.half is None else f"{one.mean:.3f} ± {one.half:.3f}"


if __name__ == "__main__":
    sys.exit(main())
