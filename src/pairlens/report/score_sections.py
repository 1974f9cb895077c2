"""The report's sections over several runs: what a swept argument does, and scores side by side."""

from collections.abc import Sequence
from functools import partial

from pairlens.record.run import Run
from pairlens.report.compose import each, together, without_places
from pairlens.report.document import Section
from pairlens.report.facts import facts_of
from pairlens.report.html import Html, tag
from pairlens.report.panels import compared, curves, false_negatives, sweep, verdict
from pairlens.report.plots import SCORES, Plot
from pairlens.report.read import undamaged
from pairlens.report.sweep import Sweep, find_sweep
from pairlens.report.text import clean

MANY = 8
"""Runs of a sweep up to which each is shown for itself; of more, one of each value is."""


def sweeps_of(opened: Sequence[Run]) -> tuple[Sweep | None, Sweep | None]:
    """The sweep that the runs make, where it is worth drawing; and again where a run each would be too many."""
    swept = find_sweep([run.call for run in opened])
    swept = swept if swept is not None and swept.worth_drawing else None
    return swept, swept if len(opened) > MANY else None


def one_of_each(opened: Sequence[Run], names: Sequence[str], many: Sweep | None) -> tuple[Sequence[Run], Sequence[str]]:
    """The runs that are shown one at a time, and what they are called: of many only one of each value."""
    if many is None:
        return opened, names
    return [opened[place] for place in many.first], [clean(f"{many.name} {value:g}") for value in many.values]


def verdicts(opened: Sequence[Run], names: Sequence[str], many: Sweep | None) -> Html:
    """What is to be thought of each run; of very many runs only where it is asked for."""
    drawn = together(opened, names, facts_of, without_places(verdict.draw))
    if many is None:
        return drawn
    return tag("details", {}, tag("summary", {}, f"What is to be thought of each of the {len(opened)} runs"), drawn)


def sweep_sections(opened: Sequence[Run], names: Sequence[str], swept: Sweep | None) -> list[Section]:
    """What one argument does, where the runs differ in it alone."""
    if swept is None:
        return []
    lead = "The runs differ in one number. Look for where the scores stay smooth and the accuracy is best."
    content = together(opened, names, sweep.compute, lambda found, _, places: sweep.draw(found, places, swept))
    return [Section("sweep", "Over the sweep", lead, content)]


def compared_sections(opened: Sequence[Run], names: Sequence[str], many: Sweep | None) -> list[Section]:
    """Distributions of several runs in one plot, and before and after a transform."""
    if len(opened) == 1 and not undamaged(lambda: compared.transformed(opened[0]), False):
        return []
    lead = (
        "The runs\u2019 scores in one plot. Lower positives are harder pairs: where they still stand clear of the "
        "negatives they teach more."
        if len(opened) > 1
        else "What the transform does to the scores, and what its equations predict."
    )

    def draw(found: Sequence[compared.Compared], shown: Sequence[str], places: Sequence[int]) -> Html:
        return compared.draw(found, shown, places, many)

    content = together(opened, names, compared.compute, draw)
    title = "Score distributions compared" if len(opened) > 1 else "Before and after the transform"
    return [Section("compared", title, lead, content)]


def false_negatives_sections(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """Negatives of their query's own class, where they were counted."""
    if not any((run.folder / "false_negatives.json").exists() for run in opened):
        return []
    lead = "Images of one class are pushed apart as if they were different. How many, and are they the hardest?"
    content = each(opened, names, false_negatives.compute, false_negatives.draw)
    return [Section("false-negatives", "False negatives", lead, content)]


def curves_of(opened: Sequence[Run], names: Sequence[str], many: Sweep | None, plots: Sequence[Plot]) -> Html:
    """A curve a run, or of many runs a curve a value of their sweep."""
    if many is None:
        compute = curves.compute_scores if plots is SCORES else curves.compute
        return together(opened, names, compute, curves.draw)
    read = partial(sweep.compute, plots=plots)
    return together(opened, names, read, lambda found, _, places: sweep.draw_plots(found, places, many, plots))
