"""Random against contrastive crops (CCrop): accuracy, what boxes find and pairs miss, and what it costs.

    pairlens data cifar10 data
    python benchmarks/crops.py data/cifar-10-batches-bin --jobs 2 --threads 1 --output benchmarks/crops.md

Three parts, of which `--parts` chooses some: `table` trains the study ccrop.table1 on SOURCE; `scenes` trains on
scenes:small, whose true boxes are known, and draws `crops.svg` beside the page; `overhead` times finding boxes and
drawing crops about them against training steps. Called again, the command resumes what was interrupted, skips what is
finished, and writes the page of all that there is; what was timed before is kept unless `overhead` is named again.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from functools import partial
from pathlib import Path

import crops_cost
import located
from crops_page import draw, overhead_section, scenes_section

from pairlens.console import Console
from pairlens.environment import apply, describe
from pairlens.errors import InputError
from pairlens.place import Place, find_place
from pairlens.record.run import Run, write_json
from pairlens.settings import Machine
from pairlens.studies import find_study
from pairlens.studies.arms import Job, Setting, Study, job
from pairlens.studies.engine import run_studies
from pairlens.studies.page import page
from pairlens.studies.stages import stage_of

TITLE = "Random against contrastive crops"
PARTS = ("table", "scenes", "overhead")
Failures = Mapping[Job, str]


def main() -> int:
    given = parse()
    console, failures = Console(), dict[Job, str]()
    place = find_place(Machine(device=given.device, threads=given.threads))
    apply(place)
    settings = {name: setting(given, name) for name in ("table", "scenes")}
    studies = {"table": find_study("ccrop.table1"), "scenes": located.STUDY}
    try:
        for name, study in studies.items():
            if name in given.parts:
                outcome = run_studies([study], settings[name], say=console.say, progress=console.advance)
                failures |= outcome.failures
        if "overhead" in given.parts:
            time_it(given.runs / "overhead.json", place, given.rounds, console)
        shown = ["SOURCE" if word == given.source else word for word in sys.argv[1:]]
        command = shlex.join(["python", "benchmarks/crops.py", *shown])
        text = written(given, studies, settings, failures, command, console)
    except InputError as error:
        console.close()
        print(f"pairlens: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    console.close()
    if given.output is None:
        console.say(text)
    else:
        given.output.write_text(text, encoding="utf-8")
        console.say(f"page: {given.output}")
    return 2 if failures else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", help="images with labels, for the table")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10, help="of the table's trainings")
    parser.add_argument("--scene-epochs", type=int, default=10, help="of those on scenes:small")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--encoder", default="resnet8w")
    parser.add_argument("--rounds", type=int, default=5, help="of timing the overhead")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--threads", type=int, default=1, help="threads of a run")
    parser.add_argument("--device", default=None, help="where the overhead is timed")
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmark-crops"), help="the folder of the runs")
    parser.add_argument("--output", type=Path, default=None, help="a Markdown file; the figure goes beside it")
    given = parser.parse_args()
    if "table" in given.parts and given.source is None:
        parser.error("the part `table` needs a source of images; give one, or name other --parts")
    return given


def setting(given: argparse.Namespace, name: str) -> Setting:
    """How a part's study is run."""
    scenes = name == "scenes"
    return Setting(
        source=located.SOURCE if scenes else given.source or "",
        folder=given.runs / name,
        seeds=tuple(range(given.seeds)),
        budget={
            "epochs": given.scene_epochs if scenes else given.epochs,
            "batch": given.batch,
            "encoder": given.encoder,
        },
        jobs=given.jobs,
        threads=given.threads,
    )


def finished(study: Study, setting: Setting) -> dict[str, list[Run]]:
    """The runs of each arm that have a result, seed by seed."""
    jobs = {arm.label: [job(arm, setting, seed) for seed in setting.seeds] for arm in study.arms}
    return {label: [Run.open(one.folder) for one in some if stage_of(one) == "done"] for label, some in jobs.items()}


def time_it(path: Path, place: Place, rounds: int, console: Console) -> None:
    """Measure the overhead, case by case, print it, and keep it with the date and the machine."""
    costs = []
    for case in crops_cost.CASES:
        cost = crops_cost.measure(case, place, rounds, partial(console.advance, case.name))
        costs.append(cost)
        console.say(f"{case.name}: {cost.schedule}, ContrastiveCrop adds {cost.share:.2%} of the training's time")
    found = {"date": date.today().isoformat(), "rounds": rounds, "environment": describe(place)}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**found, "costs": [asdict(cost) for cost in costs]})


def written(
    given: argparse.Namespace,
    studies: Mapping[str, Study],
    settings: Mapping[str, Setting],
    failures: Failures,
    command: str,
    console: Console,
) -> str:
    """The page of all that there is."""
    today = date.today().isoformat()
    parts = [f"# {TITLE}\n\n`{command}`, {today}.\n"]
    if given.source is not None and any(finished(studies["table"], settings["table"]).values()):
        parts = [page(TITLE, [studies["table"]], settings["table"], failures, command)]
    runs = finished(studies["scenes"], settings["scenes"])
    if any(runs.values()):
        found = located.traces(runs, lambda done, total: console.advance("traces", done, total))
        picture = None
        if given.output is not None:
            picture = given.output.with_suffix(".svg")
            picture.write_text(draw(found), encoding="utf-8")
        parts.append(scenes_section(settings["scenes"], runs, found, picture))
    timed = given.runs / "overhead.json"
    if timed.exists():
        parts.append(overhead_section(json.loads(timed.read_text(encoding="utf-8"))))
    return "\n".join(parts)


if __name__ == "__main__":
    sys.exit(main())
