"""The sections of `crops.md` about scenes:small and about the overhead, and its figure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import crops_cost
import located
from drawing import INK, MUTED, Chart, Line, figure
from located import Sight, Trace

from pairlens.environment import in_lines
from pairlens.record.run import Run
from pairlens.studies.arms import Setting
from pairlens.studies.cells import percent, points
from pairlens.studies.summary import Estimate, interval, summarise

COLORS = {
    located.RANDOM: (MUTED, ""),
    "localised only, k .1": ("#0072b2", "2 4"),
    "ContrastiveCrop, k .1, alpha .1": ("#d55e00", "2 4"),
    "localised only": ("#0072b2", ""),
    "ContrastiveCrop, alpha .6": ("#15803d", ""),
    "ContrastiveCrop, alpha .1": ("#d55e00", ""),
    "true boxes, localised only": (INK, "8 4"),
    "true boxes, alpha .1": (INK, "2 4"),
}

Found = Mapping[str, Sequence[Trace]]
"""The traces of each arm's runs, by its label."""


def scenes_section(setting: Setting, runs: Mapping[str, Sequence[Run]], found: Found, picture: Path | None) -> str:
    """Boxes, pairs and accuracies on scenes:small."""
    rows = {row.arm.label: row for row in summarise(located.STUDY, setting)}
    first = next(run for some in runs.values() for run in some)
    head = (
        "| | kNN, % | kNN, minus random | linear, % | linear, minus random | k | median cover, % | IoU with the true "
        "box | pairs that miss the object, % | ... that hide it, % | overlap of the two crops | positive score |"
    )
    lines = [head, "|" + "---|" * 12]
    for label, traces in found.items():
        row, last = rows[label], [trace.moments[-1] for trace in traces]
        cells = [
            percent(row.estimate(lambda one: one.knn)),
            points(row.differences.get("knn")),
            percent(row.estimate(lambda one: one.linear)),
            points(row.differences.get("linear")),
            mean([m.k for m in last if m.k is not None], ".2f"),
            percent(over([m.cover for m in last])),
            mean([m.iou for m in last], ".3f"),
            percent(over([m.missed for m in last])),
            percent(over([m.hidden for m in last])),
            mean([m.overlap for m in last], ".3f"),
            number(row.estimate(lambda one: one.positive), ".3f"),
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    budget = ", ".join(f"{name} {value}" for name, value in setting.budget.items())
    some = next(iter(found.values()))[0]
    shares = [trace.refresh_share for traces in found.values() for trace in traces if trace.refresh_share]
    share = f" That took {max(shares):.1%} of a training's time at most." if shares else ""
    parts = [
        "## On scenes:small, whose true boxes are known",
        f"`{located.RECIPE}` with crops of .2 to 1 of the area; {budget}; seeds {', '.join(map(str, setting.seeds))}, "
        f"each with images of its own; {first.info['data']['train']:,} training images of {first.info['size']} px. "
        f"Boxes are found anew after every epoch.{share} Mean and 95 % interval over the seeds. Boxes and pairs are "
        "those of the last refresh; each pair is drawn by the run's own sampler, and judged by the true box. A pair "
        "misses the object where one of its crops shows nothing of its box, and hides it where one shows a quarter or "
        f"less. Where no k is named it is chosen so that half of the boxes cover {located.TARGET:.0%} of their image "
        "or more.",
        f"![Intersection over union of found and true boxes, and pairs that miss, over training]({picture.name})"
        if picture
        else "",
        "\n".join(lines),
        "That random crops miss the object is a property of these images: their objects are small. On `scenes`, whose "
        "objects fill 41 % of the image, one pair in a thousand does, and localisation has nothing to mend.",
        "### Which encoder finds the objects",
        f"Mean intersection over union of found and true boxes; the whole image has {some.whole:.3f}. The best k is "
        "chosen by the true boxes, from steps of .05: a bound, which nobody has without them.",
        "\n".join(sights(found)),
        "\n".join(in_lines(first.info["environment"])),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def sights(found: Found) -> list[str]:
    """How well the untrained encoder's heat finds the objects, and that of each arm's after its training."""
    rows: dict[str, list[Sight]] = {"untrained": [trace.untrained for trace in next(iter(found.values()))]}
    rows |= {f"trained with {label}": [trace.trained for trace in traces] for label, traces in found.items()}
    lines = ["| encoder | k .1 | k by coverage | which is | best k | which is |", "|" + "---|" * 6]
    for label, some in rows.items():
        cells = [mean([getattr(s, name) for s in some], ".3f") for name in ("paper", "chosen", "k", "best", "best_k")]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def draw(found: Found) -> str:
    """The figure: boxes and pairs over training, means over the seeds with their range."""
    untrained = [trace.untrained.chosen for traces in found.values() for trace in traces]
    level = Line("untrained encoder, k by coverage", MUTED, [(0.0, sum(untrained) / len(untrained))], "2 4")

    def lines(name: str) -> list[Line]:
        made = []
        for label, traces in found.items():
            series = [[(m.epoch, getattr(m, name)) for m in trace.moments] for trace in traces]
            columns = list(zip(*series, strict=True))
            if not columns or (name == "iou" and label.startswith("true")):
                continue
            color, dash = COLORS[label]
            values = [(column[0][0], [value for _, value in column]) for column in columns]
            band = [(x, min(some), max(some)) for x, some in values] if len(values) > 1 else []
            made.append(Line(label, color, [(x, sum(some) / len(some)) for x, some in values], dash, band))
        return made

    x = "epochs (0: no boxes yet)"
    return figure(
        [
            Chart("Found and true boxes: mean IoU", x, [*lines("iou"), level]),
            Chart("Pairs that miss the object", x, lines("missed"), per_cent=True),
            Chart("Pairs that show a quarter of it or less", x, lines("hidden"), per_cent=True),
        ],
        columns=3,
    )


def overhead_section(timed: Mapping[str, Any]) -> str:
    """What ContrastiveCrop costs at the paper's schedules."""
    costs = [crops_cost.Cost(**cost) for cost in timed["costs"]]
    parts = [
        "## Overhead at the paper's schedules",
        f"Measured on {timed['date']}: medians of {timed['rounds']} rounds, everything in turns. Finding boxes is one "
        "inference pass over the un-augmented images; added is what it takes as often as the paper does it, and what "
        "drawing crops about boxes takes beyond drawing them anywhere, in the epochs that have boxes, as shares of the "
        "time of all steps. Images are in memory already, and nothing is recorded.",
        "\n".join(crops_cost.table(costs)),
        "\n".join(in_lines(timed["environment"])),
    ]
    return "\n\n".join(parts) + "\n"


def over(values: Sequence[float]) -> Estimate | None:
    return interval(values) if values else None


def mean(values: Sequence[float], form: str) -> str:
    return number(over(values), form)


def number(estimate: Estimate | None, form: str) -> str:
    """A mean with its interval; empty without values."""
    if estimate is None:
        return ""
    return format(estimate.mean, form) + ("" if estimate.half is None else f" ± {estimate.half:{form}}")
