"""The live page with 200 runs of 20,000 steps: how long it takes to load, and how smooth it is.

    python benchmarks/watch.py [--runs 200] [--steps 20000] [--rounds 3] [--output benchmarks/watch.md]

The runs are random walks in the recorder's layout, in a temporary folder. Eight of them go on while it is measured,
and have score histograms of every step; the others are finished and have none, as the page reads one run's only.
Chromium is driven by Playwright, headless and without a GPU.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pairlens.environment import describe
from pairlens.place import find_place
from pairlens.record.disk import locked
from pairlens.record.ring import HOST, TIMES, columns, histogram_columns
from pairlens.record.table import Table
from pairlens.settings import Machine

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
ROW = np.dtype([*HOST, *[(name, "<f4") for name in columns(["z"])], *TIMES])
COUNTS = np.dtype([("step", "<i8"), *[(name, "<u4", (64,)) for name in histogram_columns(["z"])]])
GROWING = 8
RECIPES = ("moco_v2", "simclr", "byol", "looc", "swav")

# When everything that the page shows is drawn; what takes long; and how far frames are apart.
WATCHER = """
window.seen = { drawn: null, tasks: [], frames: [] };
new PerformanceObserver(list => seen.tasks.push(...list.getEntries().map(e => e.duration)))
  .observe({ type: "longtask", buffered: true });
const wait = () => document.documentElement?.dataset.ready === "true"
  ? requestAnimationFrame(() => requestAnimationFrame(() => {
      seen.drawn = performance.now();
      document.documentElement.dataset.drawn = "true";
    }))
  : requestAnimationFrame(wait);
wait();
let before = null;
const frame = now => {
  if (before !== null) seen.frames.push(now - before);
  before = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
"""


def main() -> None:
    """Measure and print, and write the table where it is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        root = Path(made) / "runs"
        tables = [write_run(root, i, arguments) for i in range(arguments.runs)]
        with ExitStack() as stack:
            for i in range(arguments.runs - GROWING, arguments.runs):
                stack.enter_context(locked(folder_of(root, i)))
            stack.enter_context(growing(tables[-GROWING:], arguments.steps))
            rounds = [measure(root, arguments.chromium) for _ in range(arguments.rounds)]
    for one in rounds:
        print({k: round(v) for k, v in one.items()}, flush=True)
    if arguments.output is not None:
        arguments.output.write_text(page(rounds, arguments), encoding="utf-8")


def folder_of(root: Path, i: int) -> Path:
    return root / f"study-{i // 50}" / f"{RECIPES[i % 5]}-{i:03d}"


def write_run(root: Path, i: int, arguments: argparse.Namespace) -> Table:
    """One run; its table of statistics is left open."""
    rng, steps, live = np.random.default_rng(i), arguments.steps, i >= arguments.runs - GROWING
    folder = folder_of(root, i)
    folder.mkdir(parents=True)
    given = {"epochs": 200, "batch": 256, "lr": round(float(rng.uniform(0.01, 0.5)), 3), "temperature": 0.1, "seed": i}
    given |= {f"argument_{k}": k for k in range(60)}  # as many as a recipe has
    info = {
        "pairlens": "0.1.0",
        "created": f"2026-11-{1 + i // 24 % 28:02d}T{i % 24:02d}:00:00+00:00",
        "call": {"recipe": RECIPES[i % 5], "source": "scenes", "arguments": given},
        "spaces": {"z": {"negatives": 4096, "temperature": 0.1}},
        "steps": 2 * steps if live else steps,
        "steps_per_epoch": 100,
        "histogram": {"bins": 64, "low": -1.0, "high": 1.0},
    }
    (folder / "run.json").write_text(json.dumps(info))
    status = {"state": "running" if live else "finished", "step": steps, "steps": info["steps"]}
    (folder / "status.json").write_text(json.dumps(status))
    (folder / "events.jsonl").write_text(json.dumps({"time": info["created"], "kind": "begun", "text": "at step 0"}))
    table = Table(folder / "statistics.npy", ROW)
    table.append(walk(steps, 0, rng))
    if live:
        counts = np.zeros(steps, COUNTS)
        counts["step"] = np.arange(steps)
        for name in histogram_columns(["z"]):
            counts[name] = rng.poisson(4, 64)
        histograms = Table(folder / "histograms.npy", COUNTS)
        histograms.append(counts)
        histograms.close()
    probes = Table(folder / "probes.npy", np.dtype([("step", "<i8"), ("epoch", "<f4"), ("knn", "<f4")]))
    at = np.arange(1, 11) * steps // 10
    probes.append(np.array([(s, s / 100, 1 - 0.9 * np.exp(-s / steps)) for s in at], probes.dtype))
    probes.close()
    return table


def walk(steps: int, start: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of statistics: what falls or rises slowly, with noise."""
    rows = np.zeros(steps, ROW)
    rows["step"] = np.arange(start, start + steps)
    rows["epoch"], rows["seconds"], rows["images"] = rows["step"] / 100, rows["step"] * 0.07, 256
    for name in ROW.names or ():
        if name.startswith("time_"):
            rows[name] = 0.014
        elif name not in ("step", "epoch", "seconds", "images"):
            rows[name] = 1 + np.abs(np.cumsum(rng.normal(0, 0.01, steps))) + rng.normal(0, 0.05, steps)
    return rows


@contextmanager
def growing(tables: list[Table], start: int) -> Iterator[None]:
    """Let these runs go on, 50 steps a second."""
    done = threading.Event()

    def append() -> None:
        rng, at = np.random.default_rng(0), start
        while not done.wait(1):
            for table in tables:
                table.append(walk(50, at, rng))
            at += 50

    thread = threading.Thread(target=append, daemon=True)
    thread.start()
    yield
    done.set()
    thread.join()


def measure(root: Path, chromium: str) -> dict[str, float]:
    """One server from its start on: milliseconds until all is drawn, and what interactions take."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        began = time.perf_counter()
        command = [sys.executable, "-m", "pairlens", "watch", str(root), "--port", "0"]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        try:
            address = server.stdout.readline().rpartition(" ")[2].strip()
            found = {"said": 1000 * (time.perf_counter() - began)}
            cold = open_page(browser, address)
            found["cold"] = drawn(cold)
            found["begun"] = 1000 * (time.perf_counter() - began)
            cold.context.close()
            warm = open_page(browser, address)
            found["warm"] = drawn(warm)
            found["loading"] = max(warm.evaluate("seen.tasks"), default=0)
            found |= interact(warm)
            found["poll"] = statistics.median(warm.evaluate(POLL))
        finally:
            browser.close()
            server.terminate()
            server.wait()
    return found


POLL = (
    """performance.getEntriesByType("resource").filter(e => e.name.includes("/poll")).slice(2).map(e => e.duration)"""
)


def open_page(browser: Any, address: str) -> Any:
    opened = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    opened.set_default_timeout(20_000)
    opened.add_init_script(WATCHER)
    opened.goto(address)
    return opened


def drawn(opened: Any) -> float:
    """Milliseconds from navigation until everything stands on the page."""
    opened.wait_for_selector("html[data-drawn]")
    return float(opened.evaluate("seen.drawn"))


def interact(opened: Any) -> dict[str, float]:
    """The longest task in milliseconds, by what the reader does."""
    longest = {}
    for name, act in {"idle": idle, "hover": hover, "scroll": scroll, "filter": type_filter, "choose": choose}.items():
        opened.evaluate("seen.tasks.length = seen.frames.length = 0")
        act(opened)
        opened.wait_for_timeout(300)
        longest[name] = max(opened.evaluate("seen.tasks"), default=0)
        longest[f"{name} frame"] = opened.evaluate(
            "seen.frames.sort((a, b) => a - b)[Math.floor(seen.frames.length / 2)]"
        )
    return longest


def idle(opened: Any) -> None:
    opened.wait_for_timeout(3000)


def hover(opened: Any) -> None:
    opened.locator("#charts figure").first.scroll_into_view_if_needed()
    for statistic in ("loss", "accuracy", "feature_std"):
        box = opened.locator(f"figure[data-statistic={statistic}] .plot").bounding_box()
        for i in range(30):
            opened.mouse.move(box["x"] + 60 + i * 8, box["y"] + 40 + i * 3)


def scroll(opened: Any) -> None:
    opened.evaluate("scrollTo(0, 0)")
    box = opened.locator("#table").bounding_box()
    opened.mouse.move(box["x"] + 200, box["y"] + 120)
    for _ in range(30):
        opened.mouse.wheel(0, 240)
        opened.wait_for_timeout(16)


def type_filter(opened: Any) -> None:
    opened.locator("#filter").press_sequentially("simclr lr: 0.2", delay=40)
    opened.locator("#filter").fill("")
    opened.locator("th[data-column=loss] button").click()


def choose(opened: Any) -> None:
    opened.locator("#choose-shown").click()  # 32 runs at once
    opened.wait_for_selector("html[data-ready=true]")
    opened.evaluate("document.getElementById('smooth').value = 8")
    opened.locator("#smooth").dispatch_event("input")


def page(rounds: list[dict[str, float]], arguments: argparse.Namespace) -> str:
    """The committed result."""
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    spread = {name: f"{min(o[name] for o in rounds):,.0f} to {max(o[name] for o in rounds):,.0f}" for name in middle}

    def line(text: str, name: str) -> str:
        return f"| {text} | **{middle[name]:,.0f}** | {spread[name]} |"

    def task(text: str, name: str) -> str:
        longest = "under 50" if not max(one[name] for one in rounds) else spread[name]
        return f"| {text} | {longest} | {middle[f'{name} frame']:.1f} |"

    environment = describe(find_place(Machine(threads=1)))
    versions = {name: version(name) for name in ("starlette", "uvicorn", "playwright")}
    shown = {k: environment[k] for k in ("python", "numpy", "processor", "cores")} | versions
    shown["chromium"] = subprocess.check_output([arguments.chromium, "--version"], text=True).strip()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        "\n".join(
            [
                "# The live page",
                "",
                f"`python benchmarks/watch.py`, {date.today().isoformat()}: {arguments.runs} runs of "
                f"{arguments.steps:,} steps, {GROWING} of them going on; medians of {arguments.rounds} rounds, each "
                "with a server of its own. "
                f"Load averages of the machine at the end: {load}.",
                "",
                "| until every row, sparkline, curve and heat map is drawn | ms | least to greatest |",
                "|---|---|---|",
                line("from navigation, server just started (its cache cold)", "cold"),
                line("from navigation, cache warm", "warm"),
                line("from typing the command, its start included", "begun"),
                line("of which: until the command has told its address", "said"),
                line("a later question of the page, to the server and back", "poll"),
                "",
                "| doing | longest task, ms | median frame, ms |",
                "|---|---|---|",
                task("nothing, while runs go on", "idle"),
                task("pointing at three plots", "hover"),
                task("scrolling the table", "scroll"),
                task("typing a filter, sorting", "filter"),
                task("choosing 32 runs at once, smoothing", "choose"),
                "",
                f"The longest task while it loads takes {spread['loading']} ms.",
                "",
                *(f"- {name}: {value}" for name, value in shown.items() if value is not None),
            ]
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
