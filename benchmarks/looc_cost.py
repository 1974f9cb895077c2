"""What LooC costs beside MoCo: time and memory of a training step with 1, 2 and 3 designated augmentations.

    python benchmarks/looc_cost.py [--encoders resnet8w resnet18] [--threads 1] [--output benchmarks/looc_cost.md]

A designated augmentation adds a key view with a forward of its own, a head and a queue. The question is what it costs
beside that forward: "expected" is MoCo's step and the forwards of the further keys through encoder and heads, measured
alone. All contenders draw the same augmentations; they take turns in one process, whose processor time is counted (on a
GPU: the clock's). Memory is the peak of a process that trains nothing else, beyond what it has before its first step.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from pairlens.assemble import assemble
from pairlens.data.scenes import make_scenes
from pairlens.environment import apply, describe, in_lines
from pairlens.methods.looc import LooCSettings
from pairlens.place import Place, find_place
from pairlens.recipes.general import looc
from pairlens.resolve import resolve
from pairlens.settings import Machine, Network, Optimisation, Views
from pairlens.train import Training, drawn, fit, render_views

DESIGNATED = ("color", "rotation", "flip")
"""In the order in which they are added; a flip costs nothing to render."""


@dataclass(frozen=True)
class Measured:
    """Of one encoder with one number of designated augmentations; seconds of a step, medians."""

    encoder: str
    designated: int
    step: float
    forward: float  # of one key view through encoder and heads
    memory: float  # peak, MiB


def main() -> None:
    """Measure and print, and write the table where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["resnet8w", "resnet18"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="steps of a round")
    parser.add_argument("--device", default=None)
    parser.add_argument("--peak", type=int, default=None, help="only tell the peak memory with so many designated")
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    given = parser.parse_args()
    place = find_place(Machine(device=given.device, threads=given.threads))
    apply(place)
    if given.peak is not None:
        print(peak(make(given.encoders[0], given.peak, given.batch, place)))
        return
    found: list[Measured] = []
    for encoder in given.encoders:
        trainings = {n: make(encoder, n, given.batch, place) for n in range(len(DESIGNATED) + 1)}
        steps, forwards = timed(trainings, given.rounds, given.steps)
        for n in trainings:
            said = (sys.executable, __file__, "--encoders", encoder, "--peak", str(n), "--batch", str(given.batch))
            where = ("--threads", str(given.threads), *(("--device", given.device) if given.device else ()))
            memory = float(subprocess.run([*said, *where], check=True, capture_output=True, text=True).stdout)
            found.append(Measured(encoder, n, steps[n], forwards[n], memory))
            print(row(found[-1], found[-1 - n]), flush=True)
    if given.output is not None:
        given.output.write_text(table(found, given, describe(place)), encoding="utf-8")


def make(encoder: str, designated: int, batch: int, place: Place) -> Training:
    """A training of LooC; with nothing designated it is MoCo bit for bit."""
    images = make_scenes(train=2048, test=16).train
    recipe = looc(
        method=LooCSettings(designated=DESIGNATED[:designated]),
        network=Network(encoder=encoder),
        views=Views(rotation=0.5),
        optimisation=Optimisation(epochs=10_000, batch=batch),
    )
    return assemble(resolve(recipe, images, place), images, place, seed=0)


def timed(trainings: dict[int, Training], rounds: int, steps: int) -> tuple[dict[int, float], dict[int, float]]:
    """Median seconds of a step and of a key view's forward, of each; all take turns."""
    whole: dict[int, list[float]] = {n: [] for n in trainings}
    alone: dict[int, list[float]] = {n: [] for n in trainings}
    forwards = {n: key_forward(t) for n, t in trainings.items()}
    for _ in range(rounds + 1):  # the first is a warm-up
        for n, t in trainings.items():
            whole[n].append(seconds(t, lambda t=t: train(t, steps)) / steps)  # type: ignore[misc]
            alone[n].append(seconds(t, lambda n=n: [forwards[n]() for _ in range(steps)]) / steps)  # type: ignore[misc]
    return tuple({n: statistics.median(one[1:]) for n, one in all_.items()} for all_ in (whole, alone))  # type: ignore[return-value]


def train(t: Training, steps: int) -> None:
    """So many steps more."""
    end, t.stop = t.step + steps, False

    def hook(t: Training) -> None:
        t.stop = t.step >= end

    fit(t, hooks=[hook])


def key_forward(t: Training) -> Callable[[], object]:
    """The forward of a key view that is ready, as the method makes it."""
    (part,) = next(drawn(t))
    views = render_views(t, part.params, part.wait())
    target = t.method.target  # type: ignore[attr-defined]
    return lambda: target(views["key"], part.draw)


def seconds(t: Training, work: Callable[[], object]) -> float:
    """Processor time that work takes, or on a GPU the clock's."""
    gpu = t.mean.device.type == "cuda"
    clock = time.perf_counter if gpu else time.process_time
    synchronise(t)
    began = clock()
    work()
    synchronise(t)
    return clock() - began


def synchronise(t: Training) -> None:
    """Wait for the device, so that a timer means something."""
    if t.mean.device.type == "cuda":
        torch.cuda.synchronize(t.mean.device)


def peak(t: Training) -> float:
    """The greatest memory that some steps take, MiB: of the GPU, or what they add to this process (Linux)."""
    if t.mean.device.type == "cuda":
        train(t, 4)
        return torch.cuda.max_memory_allocated(t.mean.device) / 2**20
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
    train(t, 4)
    return resident("VmHWM") - before


def resident(name: str) -> float:
    """What the system says of this process' memory, MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def row(one: Measured, moco: Measured) -> str:
    """A row of the table: LooC beside MoCo and the further keys' forwards."""
    n = one.designated
    expected = moco.step + n * one.forward
    name = f"LooC, n = {n}" if n else "MoCo"
    cells = [one.encoder, name, f"{1e3 * one.step:.1f}", f"{one.step / moco.step:.2f}"]
    cells += [
        f"{1e3 * one.forward:.1f}",
        f"{1e3 * expected:.1f}" if n else "",
        f"{one.step / expected:.2f}" if n else "",
    ]
    cells += [f"{one.memory:.0f}", f"{one.memory - moco.memory:+.0f}" if n else ""]
    return "| " + " | ".join(cells) + " |"


def table(found: list[Measured], given: argparse.Namespace, environment: dict) -> str:
    """The committed result."""
    first = {one.encoder: one for one in reversed(found) if one.designated == 0}
    heads = ["encoder", "", "step, ms", "times MoCo's", "a key's forward, ms", "expected, ms", "step over expected"]
    heads += ["memory of steps, MiB", "more than MoCo"]
    lines = [
        "# What LooC costs beside MoCo",
        "",
        f"`python benchmarks/looc_cost.py --threads {environment['threads']}`, {date.today().isoformat()}. 32 px, "
        f"batch {given.batch}; designated in turn: {', '.join(DESIGNATED)}, which all contenders draw. Medians of "
        f"{given.rounds} rounds of {given.steps} steps, in turns. Expected: MoCo's step and n forwards of a key view "
        "through the encoder and n + 1 heads; what is beyond it are the query's further heads, the further views' "
        "pixels, the queues and the losses.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---|" * len(heads),
        *(row(one, first[one.encoder]) for one in found),
        "",
        *in_lines(environment),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
