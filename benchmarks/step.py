"""End-to-end training against the bare network: what data, views, loss, transform and recording cost.

    python benchmarks/step.py [--recipes moco_v2 simclr] [--threads 1] [--output benchmarks/step.md]

"Bare" is the same network's forward and backward on views that are ready in memory, with a sum as the loss: for MoCo
the query's forward and backward and the key's forward, for SimCLR both views' forward and backward. No data, no views,
no scores, no optimiser, no momentum, no queue, no recording. Both are measured in turns, in one process.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

from pairlens.assemble import assemble
from pairlens.data.scenes import make_scenes
from pairlens.environment import apply, describe, in_lines
from pairlens.place import find_place
from pairlens.recipes import find_recipe
from pairlens.record.recorder import Recorder
from pairlens.resolve import resolve
from pairlens.settings import FeatureTransform, Machine, Network, Optimisation
from pairlens.train import Training, drawn, fit, render_views

FT = FeatureTransform(extrapolate=2.0, interpolate=1.6, renormalise=True)


def main() -> None:
    """Measure and print, and write the table where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="resnet8w")
    parser.add_argument("--recipes", nargs="+", default=["moco_v2", "simclr"])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=12, help="steps of a round")
    parser.add_argument("--device", default=None)
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    arguments = parser.parse_args()
    place = find_place(Machine(device=arguments.device, threads=arguments.threads))
    apply(place)
    images = make_scenes(train=4096, test=16).train
    rows = []
    for name in arguments.recipes:
        recipe = find_recipe(name)(
            network=Network(encoder=arguments.encoder),
            transform=FT,
            optimisation=Optimisation(epochs=10_000, batch=arguments.batch),
        )
        training = assemble(resolve(recipe, images, place), images, place, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            recorder = Recorder(Path(folder), ("z",), device=place.device, steps=training.steps)
            whole = [run_whole(training, recorder, arguments.steps)]
            bare_step = bare(training)
            bares = [run_bare(bare_step, training, arguments.steps)]
            for _ in range(arguments.rounds):
                whole.append(run_whole(training, recorder, arguments.steps))
                bares.append(run_bare(bare_step, training, arguments.steps))
            recorder.close()
        ratios = [w / b for w, b in zip(whole[1:], bares[1:], strict=True)]
        middle = statistics.median(ratios)
        rows.append(
            (name, statistics.median(whole[1:]), statistics.median(bares[1:]), middle, min(ratios), max(ratios))
        )
        print(
            f"{name:8} end to end {rows[-1][1]:8,.0f} images/s, bare {rows[-1][2]:8,.0f}, "
            f"ratio {middle:.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
            flush=True,
        )
    if arguments.output is not None:
        arguments.output.write_text(table(rows, arguments, describe(place)), encoding="utf-8")


def run_whole(t: Training, recorder: Recorder, steps: int) -> float:
    """Images a second of so many steps of `fit`, recording on."""
    end = t.step + steps
    began: list[float] = []

    def hook(t: Training) -> None:
        if not began:
            began.append(time.perf_counter())  # the first step draws the epoch's order; it is not counted
        t.stop = t.step > end

    t.stop = False
    fit(t, [recorder], [hook])
    synchronize(t)
    return steps * t.order.batch / (time.perf_counter() - began[0])


def bare(t: Training) -> Callable[[], None]:
    """One bare step of the training's network on one batch of ready views."""
    (part,) = next(drawn(t))
    draw, views = part.draw, render_views(t, part.params, part.wait())
    parameters = list(t.method.online.parameters())
    target = getattr(t.method, "target", None)

    def clear() -> None:
        for p in parameters:
            p.grad = None

    def backward(z: Tensor) -> None:
        z.sum().backward()
        clear()

    def moco() -> None:
        with torch.no_grad():
            target(views["key"], draw)  # type: ignore[misc]
        backward(t.method.online(views["query"])["z"])

    both = torch.cat(list(views.values()))

    def simclr() -> None:
        backward(t.method.online(both)["z"])

    return moco if target is not None else simclr


def run_bare(step: Callable[[], None], t: Training, steps: int) -> float:
    """Images a second of so many bare steps."""
    step()
    synchronize(t)
    began = time.perf_counter()
    for _ in range(steps):
        step()
    synchronize(t)
    return steps * t.order.batch / (time.perf_counter() - began)


def synchronize(t: Training) -> None:
    """Wait for the device, so that a timer means something."""
    if t.mean.device.type == "cuda":
        torch.cuda.synchronize(t.mean.device)


def table(rows: list[tuple], arguments: argparse.Namespace, environment: dict) -> str:
    """The committed result."""
    lines = [
        "# End to end against the bare network",
        "",
        f"`python benchmarks/step.py --threads {environment['threads']}`, {date.today().isoformat()}. "
        f"{arguments.encoder}, 32 px, batch {arguments.batch}, feature transformation (both, renormalised) and "
        f"recording on; medians of {arguments.rounds} rounds of {arguments.steps} steps, bare and whole in turns.",
        "",
        "| recipe | end to end, images/s | bare, images/s | ratio | least to greatest |",
        "|---|---|---|---|---|",
        *(f"| {m} | {w:,.0f} | {b:,.0f} | **{r:.3f}** | {lo:.3f} to {hi:.3f} |" for m, w, b, r, lo, hi in rows),
        "",
        "Bare: forward and backward of the same network (MoCo: the key's forward too) on ready views, nothing else.",
        "",
        *in_lines(environment),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
