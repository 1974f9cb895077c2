"""MoCo v2 and SimCLR on real CIFAR-10: kNN and linear accuracy beside raw pixels and the random encoder.

    pairlens data cifar10 data
    python benchmarks/cifar10.py data/cifar-10-batches-bin [--jobs 2] [--output benchmarks/cifar10.md]

Every run is `pairlens train` and `pairlens evaluate`; called again, the command resumes what was interrupted and skips
what is finished. With `--jobs 2` two runs share a two-core machine, one thread each.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
from scipy.stats import t as student

from pairlens.clock import PHASES
from pairlens.record.run import Run

RUNS = Path("runs/benchmark-cifar10")
RECIPES: dict[str, list[str]] = {"simclr": [], "moco_v2": ["--splits", "1"]}  # recipe: further flags


def main() -> None:
    """Run what is missing, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=None, help="threads of a run")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    arguments = parser.parse_args()
    jobs = [(recipe, seed) for seed in range(arguments.seeds) for recipe in RECIPES]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(lambda job: run(job[0], job[1], arguments), jobs))
    text = table(arguments)
    print(text)
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")


def run(recipe: str, seed: int, arguments: argparse.Namespace) -> None:
    """Train and evaluate one run, or what is left of it."""
    folder = arguments.runs / f"{recipe}-{seed}"
    threads = [] if arguments.threads is None else ["--threads", str(arguments.threads)]
    if not (folder / "run.json").exists():
        flags = ["--recipe", recipe, "--seed", str(seed), "--epochs", str(arguments.epochs), *threads, *RECIPES[recipe]]
        call("train", str(arguments.source), *flags, "--out", str(folder))
    elif Run.open(folder).status.get("state") != "finished":
        call("resume", str(folder))
    if not (folder / "evaluation.json").exists():
        call("evaluate", str(folder))


def call(*arguments: str) -> None:
    """Run a pairlens command; its failure ends the benchmark."""
    subprocess.run([sys.executable, "-m", "pairlens", *arguments], check=True)


def table(arguments: argparse.Namespace) -> str:
    """Mean and 95 % interval (Student's t over the seeds) of every accuracy."""
    lines = [
        "# CIFAR-10 from scratch on a small machine",
        "",
        f"`python benchmarks/cifar10.py SOURCE --epochs {arguments.epochs} --jobs {arguments.jobs}"
        f"{f' --threads {arguments.threads}' if arguments.threads else ''}`, {date.today().isoformat()}. "
        f"Seeds 0 to {arguments.seeds - 1}; mean and 95 % interval over the seeds. Top-1, per cent "
        "of the 10 000 test images, by the last checkpoint; no choice was made on them. "
        "Minutes: steps times the median step.",
        "",
        "| method | kNN: encoder | random | pixels | linear: encoder | random | pixels | minutes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES:
        runs = [Run.open(arguments.runs / f"{recipe}-{seed}") for seed in range(arguments.seeds)]
        results = [json.loads((run.folder / "evaluation.json").read_text())["test"] for run in runs]
        cells = [
            interval([result[who][protocol]["top1"] for result in results])
            for protocol in ("knn", "linear")
            for who in ("encoder", "random", "pixels")
        ]
        minutes = statistics.mean(training_minutes(run) for run in runs)
        lines.append(f"| {recipe} | {' | '.join(cells)} | {minutes:.1f} |")
    first = Run.open(arguments.runs / f"{next(iter(RECIPES))}-0")
    shown = ("encoder", "stem", "batch", "epochs", "lr", "weight_decay", "temperature", "dim", "jitter", "crop", "blur")
    lines += [
        "",
        "MoCo v2 is trained with " + " ".join(RECIPES["moco_v2"]) + ": its whole batch is normalised together.",
    ]
    lines += ["", "Arguments: " + ", ".join(f"{name} {first.call['arguments'][name]}" for name in shown) + ".", ""]
    environment = first.info["environment"]
    lines += [
        f"- {name}: {value}"
        for name, value in environment.items()
        if name not in ("git", "platform", "native_bf16") and value is not None
    ]
    return "\n".join(lines) + "\n"


def training_minutes(run: Run) -> float:
    """Steps times the median step: what the machine did beside a run, or a pause, does not count."""
    rows = run.statistics
    step = sum(rows[f"time_{phase}"] for phase in PHASES)
    return len(rows) * float(np.median(step)) / 60


def interval(values: list[float]) -> str:
    """Mean and half-width of the 95 % interval, in per cent."""
    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:.1%}"
    half = student.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{100 * mean:.1f} ± {100 * half:.1f}"


if __name__ == "__main__":
    main()
