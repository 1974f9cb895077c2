"""The report: one self-contained HTML page, made from run folders and from nothing else."""

from collections.abc import Sequence
from pathlib import Path

from pairlens.errors import InputError
from pairlens.record.run import Run
from pairlens.report.compose import each, together, without_places
from pairlens.report.document import Section, document, write_page
from pairlens.report.html import Html, join, tag, user
from pairlens.report.measured_sections import (
    kept_sections,
    landscape_sections,
    localisation_sections,
    probe_sections,
    quality_sections,
    space_sections,
)
from pairlens.report.panels import (
    accuracy,
    configuration,
    confusion,
    distributions,
    gallery,
    health,
    neighbours,
    probes,
    run_table,
    throughput,
)
from pairlens.report.plots import SCORES, TRAINING
from pairlens.report.score_sections import (
    compared_sections,
    curves_of,
    false_negatives_sections,
    one_of_each,
    sweep_sections,
    sweeps_of,
    verdicts,
)
from pairlens.report.text import clean, listed, unique_names


def write_report(runs: Sequence[Run], output: Path) -> Path:
    """Write the report of one or several runs as one HTML page that needs no network.

    A panel whose data is missing or damaged says so in a sentence; what the run folders and their names hold is text
    to the page and never markup. The runs' order decides their colours.

    Args:
        runs: opened run folders, in the order in which they are to be shown.
        output: the file to write; its folder is made, an older page is replaced.

    Returns:
        `output`, as an absolute path.

    Raises:
        InputError: there is no run, or the page cannot be written there.
    """
    if not runs:
        raise InputError("a report needs at least one run; give the folders that `pairlens train` printed")
    return write_page(page(runs), output, "report")


def page(runs: Sequence[Run]) -> str:
    """The whole page as text."""
    names = names_of(runs)
    title = names[0] if len(names) == 1 else f"{len(names)} runs compared"
    sections = sections_of(runs, names)
    return document(title, "report", _header(runs, names), sections, _footer(runs))


def names_of(runs: Sequence[Run]) -> list[str]:
    """What the report calls the runs."""
    return [clean(name) for name in unique_names([run.folder for run in runs])]


def sections_of(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """The report's sections, without those that no run has anything for: a long list, in the order of the page."""
    several = len(opened) > 1
    whose = "Choose a run; " if several else ""
    swept, many = sweeps_of(opened)
    some, some_names = one_of_each(opened, names, many)
    found = [
        Section("verdict", "Verdict", "", verdicts(opened, names, many)),
        Section(
            "accuracy",
            "Accuracy against baselines",
            "The trained encoder should stand clearly above raw pixels and above the untrained encoder.",
            _accuracy(opened, names) if many is None else _confused(some, some_names),
        ),
        *sweep_sections(opened, names, swept),
        *kept_sections(opened, names),
        *probe_sections(some, some_names),
        *space_sections(some, some_names),
        Section(
            "health",
            "Health",
            "Is it converging, has it collapsed, what to change? What pairlens doctor says, by documented rules.",
            each(some, some_names, health.compute, lambda d, _: health.draw(d)),
        ),
        Section(
            "pairs",
            "Positive and negative pairs",
            "Each step's pairs by their cosine. Look for two bands that part: positives high, negatives around zero, "
            "with little overlap.",
            each(some, some_names, distributions.compute, lambda d, i: distributions.draw(d, f"space-{i}")),
        ),
        *compared_sections(opened, names, many),
        *false_negatives_sections(some, some_names),
        Section(
            "scores",
            "Score statistics",
            "Mean and variance of the same scores"
            + (", all runs in one plot. " if several else ". ")
            + "The two means should part early, and the curves be smooth.",
            curves_of(opened, names, many, SCORES),
        ),
        Section(
            "curves",
            "Training curves",
            "A healthy run leaves the guessing line early and then improves ever more slowly, without jumps.",
            curves_of(opened, names, many, TRAINING),
        ),
        *landscape_sections(opened, names),
        *quality_sections(opened, names),
        Section(
            "views",
            "Views",
            whose
            + "two views of one image make a positive pair. Ask yourself: could you still tell that both show the "
            "same thing?",
            each(some, some_names, gallery.compute, lambda d, i: gallery.draw(d, f"sample-{i}")),
        ),
        *localisation_sections(some, some_names),
        Section(
            "neighbours",
            "Nearest neighbours",
            "What the encoder finds most alike, nearest first. It should match what the images show, not their "
            "colour or background.",
            each(some, some_names, neighbours.compute, lambda d, _: neighbours.draw(d)),
        ),
        Section(
            "speed",
            "Speed",
            "Most of a step should be forward and backward; much data or views time means that the network waits.",
            _speed(some, some_names),
        ),
        Section(
            "configuration",
            "Configuration and environment",
            "All that was asked for and all that it ran on, as recorded by the run itself.",
            each(some, some_names, configuration.compute, lambda d, _: configuration.draw(d)),
        ),
    ]
    if several:
        text = "The runs side by side; of their arguments only those that differ. The colours are the runs' everywhere."
        table = together(opened, names, run_table.compute, without_places(run_table.draw))
        found.insert(1, Section("runs", "Runs", text, table))
    return [Section(s.anchor, s.title, s.lead[:1].upper() + s.lead[1:], s.content) for s in found]


def _accuracy(opened: Sequence[Run], names: Sequence[str]) -> Html:
    bars = together(opened, names, accuracy.compute, without_places(accuracy.draw))
    curve = together(opened, names, probes.compute, probes.draw)
    matrix = _confused(opened, names)
    return join([bars, tag("div", {"class": "columns"}, tag("div", {}, curve), tag("div", {}, matrix))])


def _confused(opened: Sequence[Run], names: Sequence[str]) -> Html:
    return each(opened, names, confusion.compute, lambda d, i: confusion.draw(d, f"confusion-{i}"))


def _speed(opened: Sequence[Run], names: Sequence[str]) -> Html:
    split = each(opened, names, throughput.compute, lambda d, _: throughput.draw(d))
    rates = together(opened, names, throughput.compute, throughput.draw_rate, silent=True)
    return tag("div", {"class": "columns"}, tag("div", {}, split), tag("div", {}, rates))


def _header(opened: Sequence[Run], names: Sequence[str]) -> Html:
    heading = tag("h1", {}, f"{len(opened)} runs compared" if len(opened) > 1 else user(names[0]))
    called = list(dict.fromkeys((str(run.call.get("recipe", "?")), str(run.call.get("source", "?"))) for run in opened))
    said = [part for method, source in called[:4] for part in (" · ", user(method), " on ", user(source))][1:]
    rest = f" and {len(called) - 4} more" if len(called) > 4 else None
    return tag("header", {}, heading, tag("p", {"class": "aside"}, *said, rest))


def _footer(opened: Sequence[Run]) -> Html:
    versions = sorted({str(run.info.get("pairlens", "?")) for run in opened})
    text = f"Made by pairlens from {len(opened)} run folder{'s' * (len(opened) > 1)} recorded with version "
    return tag(
        "footer", {}, text, user(listed(versions)), ". This page is complete in itself and asks nothing of the network."
    )
