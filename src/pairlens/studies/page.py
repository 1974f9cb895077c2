"""The page of some studies, in Markdown: what was run, a table each with the paper's figures beside, and on what."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from pairlens.environment import UNSAID
from pairlens.intervals import Estimate
from pairlens.record.run import Run
from pairlens.report.panels.configuration import plain
from pairlens.studies.arms import Arm, Job, Setting, Study, all_jobs, flag_words, job
from pairlens.studies.cells import NONE, labelled, percent, points
from pairlens.studies.kept import kept_table
from pairlens.studies.stages import stage_of
from pairlens.studies.summary import Measured, Row, summarise
from pairlens.words import duration

Column = tuple[str, Callable[[Row], str]]


def page(
    title: str, studies: Sequence[Study], setting: Setting, failures: Mapping[Job, str], command: str, lead: str = ""
) -> str:
    """The whole page.

    Args:
        title: its heading.
        studies: in their order.
        setting: they were run with.
        failures: why runs have no result.
        command: that makes the page, as one types it.
        lead: a paragraph before the tables.
    """
    runs = [Run.open(one.folder) for one in all_jobs(studies, setting) if stage_of(one) == "done"]
    parts = [f"# {title}", f"`{command}`, {date.today().isoformat()}.", _setting(runs, setting)]
    parts += [lead] if lead else []
    for study in studies:
        parts += _section(study, setting, failures)
    parts += ["## What all runs share", _shared(runs), *_environment(runs)] if runs else []
    return "\n\n".join(parts) + "\n"


def table(study: Study, rows: Sequence[Row]) -> str:
    """The study's table: accuracies in per cent, mean and 95 % interval."""
    columns = _columns(study, rows)
    lines = ["| " + " | ".join(head for head, _ in columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row) for _, cell in columns) + " |" for row in rows]
    pixels = [Row(Arm("raw pixels", ""), row.runs, (), {}) for row in rows if any(m.pixels for m in row.runs.values())]
    for row in pixels[:1]:
        cells = [row.arm.label, *(percent(row.estimate(_of_pixels(kind))) for kind in ("knn", "linear"))]
        lines.append("| " + " | ".join(cells + [""] * (len(columns) - len(cells))) + " |")
    return "\n".join(lines)


def _columns(study: Study, rows: Sequence[Row]) -> list[Column]:
    """The table's columns; those that the study has nothing to say in are left out."""
    compared = any(arm.reference for arm in study.arms)
    columns: list[Column] = [
        ("", labelled),
        ("kNN, %", lambda row: percent(row.estimate(lambda one: one.knn))),
        ("linear, %", lambda row: percent(row.estimate(lambda one: one.linear))),
    ]
    if compared:
        columns += [
            (f"kNN, {study.difference}", lambda row: points(row.differences.get("knn"))),
            (f"linear, {study.difference}", lambda row: points(row.differences.get("linear"))),
        ]
    if study.paper is not None:
        columns.append(("paper, %", lambda row: _number(row.arm.paper, ".1f")))
        if compared:
            columns.append(
                (f"paper, {study.difference}", lambda row: _number(_paper_difference(study, row.arm), "+.1f"))
            )
    if any(row.found_boxes for row in rows):
        columns += [
            ("boxes: k", lambda row: _mean(row.estimate(lambda one: one.threshold), ".2f", "")),
            ("median cover, %", lambda row: percent(row.estimate(lambda one: one.covered), "")),
            ("nearly whole, %", lambda row: percent(row.estimate(lambda one: one.nearly_whole), "")),
        ]
    return [
        *columns,
        ("positive score", lambda row: _mean(row.estimate(lambda one: one.positive), ".3f")),
        ("negative score", lambda row: _mean(row.estimate(lambda one: one.negative), ".3f")),
        ("its variance", lambda row: _mean(row.estimate(lambda one: one.variance), ".4f")),
        ("minutes", lambda row: _mean(row.estimate(lambda one: one.minutes), ".1f")),
        ("recipe and flags", lambda row: f"`{row.arm.recipe}`{_flags(row.arm)}"),
    ]


def _of_pixels(kind: str) -> Callable[[Measured], float]:
    return lambda one: one.pixels.get(kind, float("nan"))


def _flags(arm: Arm) -> str:
    words = [word for name, value in arm.flags.items() for word in flag_words(name, value)]
    return f" `{' '.join(words)}`" if words else ""


def _paper_difference(study: Study, arm: Arm) -> float | None:
    other = None if arm.reference is None else study.arm(arm.reference).paper
    return None if other is None or arm.paper is None else arm.paper - other


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _mean(estimate: Estimate | None, form: str, none: str = NONE) -> str:
    return none if estimate is None else format(estimate.mean, form)


def _section(study: Study, setting: Setting, failures: Mapping[Job, str]) -> list[str]:
    rows = summarise(study, setting)
    parts = [f"## {study.title}"]
    if study.paper is not None:
        parts.append(
            f"Paper: {study.paper}. Its figures are of other data and another scale; compare signs, not sizes."
        )
    parts.append(table(study, rows))
    if (kept := kept_table(study, rows)) is not None:
        parts += ["What a linear layer tells from the frozen features:", kept]
    failed = [
        f"- {row.arm.label}, seed {seed}: failed, {failures.get(job(row.arm, setting, seed), 'not run')}"
        for row in rows
        for seed in setting.seeds
        if seed in row.failed or job(row.arm, setting, seed) in failures
    ]
    parts += ["\n".join(failed)] if failed else []
    parts += ["\n".join(f"- {note}" for note in study.notes)] if study.notes else []
    return parts


def _setting(runs: Sequence[Run], setting: Setting) -> str:
    """Source, seeds, and how to read the numbers."""
    budget = ", ".join(f"{name} {plain(value)}" for name, value in setting.budget.items())
    seeds = ", ".join(map(str, setting.seeds)) + (f"; budget: {budget}" if budget else "")
    if not runs:
        return f"Seeds {seeds}. No run has a result."
    data = (runs[0].evaluation or {})["data"]
    minutes = sum(float(run.status.get("seconds", 0)) for run in runs)
    return (
        f"SOURCE is {Path(setting.source).name}: {data['train']:,} training and {data['test']:,} test images of "
        f"{runs[0].info['size']} px. Seeds {seeds}. Mean and 95 % interval (Student's t over the seeds), differences "
        "paired by seed. Top-1 accuracy on the test images, of the last step's encoder; nothing was chosen on them. "
        "Scores are cosines before any feature transformation, means over the last epoch. "
        f"Minutes: steps times the median step; {len(runs)} trainings took {duration(minutes)} in all."
    )


def _shared(runs: Sequence[Run]) -> str:
    """The arguments that have one value in all runs."""
    given = [run.call["arguments"] for run in runs]
    same = [
        f"{name} {plain(value)}"
        for name, value in (given[0].items() if given else ())
        if all(other.get(name, value) == value for other in given)
    ]
    return ", ".join(same) + "." if same else "Nothing."


def _environment(runs: Sequence[Run]) -> list[str]:
    """Versions and hardware; where runs differ, all values."""
    found = [{"pairlens": run.info.get("pairlens"), **run.info["environment"]} for run in runs]
    lines = []
    for name in found[0] if found else ():
        values = dict.fromkeys(plain(one.get(name)) for one in found)
        if name not in UNSAID and list(values) != ["none"]:
            lines.append(f"- {name}: {'; '.join(values)}")
    return ["\n".join(lines)] if lines else []
