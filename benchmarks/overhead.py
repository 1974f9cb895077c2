"""What recording costs at its defaults: statistics, histograms and samples of every step, looks at held-out views.

    python benchmarks/overhead.py [--encoders resnet18] [--recipes moco_v2 simclr] [--output benchmarks/overhead.md]

Steps with the recorder and without it are taken in turns, in one process, on images in memory. Reported are the share
of a step's time inside the recorder, as each run records it of itself (`time_record`) and its report prints it; the
ratio of the two kinds of steps, which is noisier; and a look of the gauge, times as many looks as a training of 200
epochs of 50 000 images has. Processor time on a CPU, wall time elsewhere.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from timing import now, steps

from pairlens.assemble import assemble
from pairlens.data.scenes import make_scenes
from pairlens.environment import apply, describe, in_lines
from pairlens.gauge import Gauge, looks
from pairlens.place import find_place
from pairlens.recipes import find_recipe
from pairlens.record.recorder import Recorder
from pairlens.record.table import read
from pairlens.report.read import step_seconds
from pairlens.resolve import resolve
from pairlens.settings import Machine, Network, Optimisation

IMAGES, EPOCHS = 50_000, 200
"""The training whose looks are counted: CIFAR-10's usual one."""


@dataclass(frozen=True)
class Cost:
    """What was found for one encoder and recipe."""

    encoder: str
    recipe: str
    step: float  # seconds, without recording
    recorded: float  # share of a recorded step's time inside the recorder
    ratio: float  # recorded steps over others, median of the rounds
    spread: tuple[float, float]  # its least and greatest
    look: float  # seconds of one
    looks: float  # share of the training's time


def main() -> None:
    """Measure and print, and write the table where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["resnet18", "resnet8w"])
    parser.add_argument("--recipes", nargs="+", default=["moco_v2", "simclr"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=10, help="steps of a round")
    parser.add_argument("--device", default=None)
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    given = parser.parse_args()
    place = find_place(Machine(device=given.device, threads=given.threads))
    apply(place)
    costs = []
    for encoder in given.encoders:
        for recipe in given.recipes:
            costs.append(measure(encoder, recipe, given))
            print(row(costs[-1]), flush=True)
    if given.output is not None:
        given.output.write_text("\n".join(page(costs, given, describe(place))) + "\n", encoding="utf-8")


def measure(encoder: str, recipe: str, given: argparse.Namespace) -> Cost:
    """Rounds of recorded steps and of others, in turns, and a look."""
    place = find_place(Machine(device=given.device, threads=given.threads))
    images = make_scenes(train=4096, test=16).train
    made = find_recipe(recipe)(
        network=Network(encoder=encoder), optimisation=Optimisation(epochs=10_000, batch=given.batch)
    )
    t = assemble(resolve(made, images, place), images, place, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder), ("z",), device=place.device, steps=t.steps, block=given.steps)
        ratios, plain = [], []
        for number in range(given.rounds + 1):  # the first only warms up
            recorded, other = steps(t, given.steps, [recorder]), steps(t, given.steps)
            if number:
                ratios.append(recorded / other)
                plain.append(other / given.steps)
        recorder.close()
        table = read(Path(folder) / "statistics.npy")[given.steps :]
        whole = step_seconds(table)
        assert whole is not None
        gauge = Gauge(Path(folder), t, ("z",))
        gauge.at = frozenset({t.step})
        gauge(t)  # warms up
        began = now(t)
        gauge(t)
        look = now(t) - began
    step = statistics.median(plain)
    count = EPOCHS * (IMAGES // given.batch)
    share = len(looks(count, given.batch, IMAGES)) * look / (count * step)
    inside = float(table["time_record"].sum() / whole.sum())
    return Cost(encoder, recipe, step, inside, statistics.median(ratios), (min(ratios), max(ratios)), look, share)


def row(c: Cost) -> str:
    """One line of the table."""
    low, high = c.spread
    return (
        f"| {c.encoder} | {c.recipe} | {1e3 * c.step:,.1f} | **{c.recorded:.2%}** | {c.ratio:.3f} ({low:.3f} to "
        f"{high:.3f}) | {c.look:.2f} | {c.looks:.3%} | **{c.recorded + c.looks:.2%}** |"
    )


def page(costs: list[Cost], given: argparse.Namespace, environment: dict) -> Iterator[str]:
    """Markdown lines."""
    yield "# What recording costs"
    yield ""
    yield (
        f"`python benchmarks/overhead.py`, {date.today().isoformat()}. Views of 32 px, batch {given.batch}, medians of "
        f"{given.rounds} rounds of {given.steps} steps with the recorder and as many without it, in turns."
    )
    yield ""
    yield (
        "| encoder | recipe | step without, ms | inside the recorder | recorded over not (least to greatest) | "
        "a look, s | looks, of 200 epochs of CIFAR-10 | both |"
    )
    yield "|" + "---|" * 8
    yield from map(row, costs)
    yield ""
    yield (
        "Inside the recorder: its share of a recorded step, as every run keeps it of itself and its report prints it. "
        "A look encodes four held-out views of 256 images and takes their spectra. In short trainings looks are at "
        "least four, and take more: the report prints that, too."
    )
    yield ""
    yield from in_lines(environment)


if __name__ == "__main__":
    main()
