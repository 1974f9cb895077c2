"""Do an encoder's features keep more of an image when it was trained with an MLP head (GP, Figure 2)?

    python benchmarks/inversion.py SOURCE --head RUN... --linear RUN... --output benchmarks/inversion.md

Inverts h, the head's hidden output and z of runs with an MLP head, and h of runs with one linear layer in its place,
the same images for all, in pairs of one training seed each; beside them the untrained encoder and raw pixels. Writes a
page and the pictures of the first pair. Stopped and called again, it goes on.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from pairlens.console import Console
from pairlens.data.sources import open_source
from pairlens.environment import describe
from pairlens.errors import InputError
from pairlens.evaluate.inversion import Prior
from pairlens.intervals import Estimate, interval
from pairlens.inversion.contestants import Contestant, Target, contestants
from pairlens.inversion.store import Store, to_numpy
from pairlens.inversion.summary import DIGITS, NAMES, PERCENT, estimate
from pairlens.inversion.whole import LIKENESS, SCORES, Asked, Found, invert_all
from pairlens.opened import open_encoder
from pairlens.place import find_place
from pairlens.record.run import Run
from pairlens.settings import Machine

ROWS = {
    ("linear", "h"): "h, trained without MLP head",
    ("head", "h"): "h, trained with MLP head",
    ("head", "hidden"): "the head's hidden output",
    ("head", "z"): "z, the head's output",
    ("", "untrained"): "h, untrained",
    ("", "pixels"): "raw pixels",
}
"""What the table's rows are, by the kind of run and the depth."""

CLAIMS = (
    (("head", "h"), ("linear", "h")),
    (("head", "h"), ("head", "hidden")),
    (("head", "h"), ("head", "z")),
    (("linear", "h"), ("", "untrained")),
    (("head", "h"), ("", "untrained")),
)
"""Which rows are compared, the one first of which more is expected."""

Kind = tuple[str, str]
Table = dict[Kind, list[Found]]


def main() -> None:
    given = arguments()
    place = find_place(Machine(device="cpu", threads=given.threads))
    torch.set_num_threads(place.threads)
    with Console() as console:
        kinds: dict[str, Kind] = {}
        found: list[Contestant] = []
        for kind, runs in (("linear", given.linear), ("head", given.head)):
            for pair, run in enumerate(runs):
                opened, first = open_encoder(run, place), kind == "linear" and pair == 0
                targets: tuple[Target, ...] | None = ("h",) if kind == "linear" else None
                for one in contestants([opened], [f"{kind} {pair}"], targets=targets, references=first):
                    found.append(one)
                    reference = one.depth in ("untrained", "pixels")
                    kinds[one.label] = ("" if reference else kind, one.depth)
        source = open_source(given.source, view=found[0].size, say=console.say)
        prior = Prior(given.iterations, jitter=given.jitter)
        asked = Asked(source, found, prior, images=given.images, draws=given.draws)
        results = invert_all(asked, Store(given.work, console.say), console.advance)
    table: Table = {kind: [r for r in results if kinds[r.contestant.label] == kind] for kind in ROWS}
    views = asked.views[found[0].size]
    picture(table, to_numpy(views.images), given.output.with_suffix(".webp"))
    mean = {name: interval(scores.tolist()) for name, scores in views.of_mean().items()}
    given.output.write_text(page(given, asked, table, mean, describe(place)), encoding="utf-8")
    print(given.output)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--head", nargs="+", required=True, help="runs with an MLP head, one a training seed")
    parser.add_argument("--linear", nargs="+", required=True, help="runs with a linear head, of the same seeds")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--jitter", type=float, default=Prior.jitter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("runs/inversion/store"), help="where finished parts are kept")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    if len(given.head) != len(given.linear):
        raise InputError(f"{len(given.head)} runs with a head and {len(given.linear)} without are no pairs")
    return given


def over_seeds(found: Sequence[Found], name: str) -> Estimate:
    """A score's mean and interval over training seeds; over images where there is one training."""
    if len(found) == 1:
        return estimate(found[0], name)
    return interval([float(one.scores[name].mean()) for one in found])


def apart(first: Sequence[Found], second: Sequence[Found], name: str) -> tuple[Estimate, Estimate]:
    """A difference over training seeds, and over images (means over the seeds)."""
    pairs = list(zip(first, second if len(second) == len(first) else [second[0]] * len(first), strict=True))
    each = np.stack([(a.scores[name] - b.scores[name]).mean(0) for a, b in pairs])
    return interval(each.mean(1).tolist()), interval(each.mean(0).tolist())


def text(name: str, value: Estimate, sign: str = "") -> str:
    scale = 100 if name in PERCENT else 1
    shown = f"{scale * value.mean:{sign}.{DIGITS[name]}f}"
    return shown if value.half is None else f"{shown} ± {scale * value.half:.{DIGITS[name]}f}"


def page(
    given: argparse.Namespace, asked: Asked, table: Table, mean: dict[str, Estimate], environment: dict[str, object]
) -> str:
    head = ["", *NAMES.values()]
    rows = [[ROWS[kind], *(text(name, over_seeds(found, name)) for name in SCORES)] for kind, found in table.items()]
    rows.append(["the mean of 256 other images", *(text(n, mean[n]) if n in mean else "" for n in SCORES)])
    differences = []
    for one, other in CLAIMS:
        cells = []
        for name in LIKENESS:
            seeds, images = apart(table[one], table[other], name)
            over = images.half if images.half is not None else float("nan")
            cells.append(f"{text(name, seeds, '+')} (± {over:.{DIGITS[name]}f})")
        differences.append([f"{ROWS[one]} \u2212 {ROWS[other]}", *cells])
    shown = ["SOURCE" if word == given.source else Path(word).name if "/" in word else word for word in sys.argv[1:]]
    trained = len(given.head)
    parts = [
        "# Feature inversion: what of an image is left at each depth",
        f"`{shlex.join(['python', 'benchmarks/inversion.py', *shown])}`, {date.today().isoformat()}.",
        f"{asked.images} test images of {Path(given.source).name}, {asked.contestants[0].size} px, inverted through "
        f"U-Nets ({given.iterations} steps of Adam each, jitter {given.jitter:g}, {asked.draws} draw of the noise); "
        f"{trained} training seeds each of {training(given.linear)}, and of {training(given.head)}.",
        "Good Practices (2020), Figure 2, shows four photographs of ImageNet and no scores; its claim is that h of a "
        "model trained with an MLP head reconstructs images better than h of a model trained without, and than z. "
        "It trains for 100 epochs; whether a head pays in trainings as short as these the linear read-out tells.",
        f"![originals and reconstructions]({given.output.with_suffix('.webp').name})",
        "## Scores",
        markdown(head, rows),
        f"Mean and 95 % interval over the {trained} training seeds; of untrained, pixels and mean over the images. "
        "Layout: PSNR of the mean colours of 4 x 4 blocks. Recognised: share of reconstructions that are nearer to "
        "their own image, pixel by pixel, than to 256 others. Feature error: squared distance that was left, 100 % = "
        "that of different images; a score says something of the features only where it is near 0.",
        "## Differences",
        markdown(["", *(NAMES[n] for n in LIKENESS)], differences),
        "The same images and training seeds, paired: 95 % interval over training seeds, and in brackets over images.",
        verdict(table),
        "## Machine",
        ", ".join(f"{name} {value}" for name, value in environment.items() if name in SAID) + ".",
    ]
    return "\n\n".join(parts) + "\n"


SAID = ("python", "torch", "processor", "cores", "threads")


def verdict(table: Table) -> str:
    """What of the claims these numbers show, from the differences alone."""
    said = []
    for one, other in CLAIMS[:3]:
        ways = []
        for name in LIKENESS:
            by, over = apart(table[one], table[other], name)
            sure = all(e.half is not None and abs(e.mean) > e.half for e in (by, over))
            way = "shown" if sure and by.mean > 0 else "refuted" if sure else "not decided"
            ways.append(f"{way} by {NAMES[name].partition(',')[0]}")
        said.append(f"- {ROWS[one]}, reconstructs better than {ROWS[other]}: {', '.join(ways)}")
    return "\n".join(["Both intervals must leave out 0 for a claim to be shown or refuted:", "", *said])


def training(runs: Sequence[str]) -> str:
    """How runs were trained, and how good they are by the linear read-out where that was measured."""
    opened = [Run.open(run) for run in runs]
    told = opened[0].call["arguments"]
    shape = ", ".join(f"{name} {told[name]}" for name in ("encoder", "epochs", "batch", "negatives", "head"))
    tests = [run.evaluation["test"]["encoder"]["linear"]["top1"] for run in opened if run.evaluation]
    found = interval(tests) if tests else None
    if found is None:
        return f"{opened[0].call['recipe']} ({shape})"
    half = "" if found.half is None else f" ± {100 * found.half:.1f}"
    return f"{opened[0].call['recipe']} ({shape}), {100 * found.mean:.1f}{half} % by the linear read-out"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def picture(table: Table, originals: np.ndarray, path: Path, scale: int = 3, gap: int = 6, most: int = 8) -> None:
    """Originals, and beside each what the first pair of runs makes of it."""
    columns = [("original", originals), *((ROWS[kind], found[0].images) for kind, found in table.items())]
    rows, side, top = min(most, len(originals)), originals.shape[-1] * scale, 44
    sheet = Image.new("RGB", (len(columns) * (side + gap) + gap, rows * (side + gap) + gap + top), "white")
    pen = ImageDraw.Draw(sheet)
    for x, (name, images) in enumerate(columns):
        left = gap + x * (side + gap)
        for y, line in enumerate(wrapped(name, 15)):
            pen.text((left, 4 + 12 * y), line, fill="black")
        for y in range(rows):
            one = Image.fromarray(images[y].transpose(1, 2, 0)).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(one, (left, top + y * (side + gap)))
    sheet.save(path, quality=90, method=6)


def wrapped(words: str, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) > width and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        print(f"pairlens: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
