"""The report's sections on what only some runs have: measured afterwards, or by a recipe of its own."""

from collections.abc import Callable, Sequence

from pairlens.record.run import Run
from pairlens.report.compose import each, together
from pairlens.report.document import Section
from pairlens.report.html import Html, join
from pairlens.report.localised import kind
from pairlens.report.panels import (
    attribution,
    boxes,
    crops,
    few_shot,
    kept,
    landscape,
    probe,
    quality,
    retrieval,
    semantics,
    spaces,
)


def kept_sections(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """What the encoders keep, where that was measured of one."""
    lead = "Training teaches to ignore what views differ in. What a task needs, the features should still tell."
    drawn = _where("kept.json", opened, lambda: together(opened, names, kept.compute, kept.draw))
    return _filled(Section("kept", "What is kept", lead, drawn))


def probe_sections(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """What the encoders are blind to, where one was asked."""
    lead = (
        "What of a picture can change without the encoder noticing? Where a task depends on it, the encoder is no use."
    )
    drawn = _where("probe.json", opened, lambda: each(opened, names, probe.compute, lambda d, _: probe.draw(d)))
    return _filled(Section("probe", "Blind spots", lead, drawn))


def landscape_sections(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """The loss along its gradient, where that was measured of one."""
    lead = (
        "How far does the slope tell what comes? Narrow, even bands are a smooth landscape, in which a step lands "
        "where its gradient led; wide and jagged ones are a rugged one."
    )
    drawn = _where("landscape.npy", opened, lambda: together(opened, names, landscape.compute, landscape.draw))
    return _filled(Section("landscape", "Gradient landscape", lead, drawn))


def quality_sections(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """What features are worth without labels, where that was measured of a run."""
    lead = "Measured on views that are not trained on, without labels: do the features still get better?"
    drawn = _where("quality.npy", opened, lambda: together(opened, names, quality.compute, quality.draw))
    return _filled(Section("quality", "Quality without labels", lead, drawn))


def space_sections(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """What the embedding spaces tell, and accuracy with few labels, where that was measured of a run."""
    told = [run for run in opened if (run.folder / "spaces.json").exists()]
    few = any((run.folder / "few_shot.json").exists() for run in opened)
    tables = [
        each(opened, names, spaces.compute, spaces.draw) if told else None,
        together(opened, names, few_shot.compute, few_shot.draw) if few else None,
    ]
    found = [
        Section(
            "spaces",
            "Embedding spaces" if told else "Few labels",
            "A space should tell best what it alone was not taught to ignore, and all together what any task asks."
            if told
            else "How far a few labelled images of each class go.",
            join(tables),
        ),
        Section(
            "retrieval",
            "Neighbours in each space",
            "The same queries in every space: the neighbours should share what the space has kept.",
            together(opened, names, retrieval.compute, retrieval.draw) if told else Html(""),
        ),
        Section(
            "attribution",
            "Where right answers come from",
            "A linear classifier on all spaces at once: which of them do its right answers rest on?",
            each(opened, names, attribution.compute, attribution.draw) if any(map(_several_spaces, told)) else Html(""),
        ),
    ]
    return _filled(*found)


def _several_spaces(run: Run) -> bool:
    return len(run.spaces) > 1


def localisation_sections(opened: Sequence[Run], names: Sequence[str]) -> list[Section]:
    """ContrastiveCrop's sections, where a run has boxes."""
    kinds = {kind(run) for run in opened}
    found = Section(
        "boxes",
        "Boxes",
        "Where the encoder found the objects of the same images. The boxes should close in on them as it learns.",
        each(opened, names, boxes.compute, lambda d, _: boxes.draw(d)) if "found" in kinds else Html(""),
    )
    fallen = Section(
        "crops",
        "Where crops fall",
        "Bright is where centres of crops are dense. Fewer pairs should miss the object, without becoming all alike.",
        each(opened, names, crops.compute, lambda d, _: crops.draw(d)) if kinds != {None} else Html(""),
    )
    judged = Section(
        "semantics",
        "Semantics against variance",
        "Crops should show what the image is of, and the two of a pair should differ: higher curves are better.",
        each(opened, names, semantics.compute, lambda d, _: semantics.draw(d)) if kinds != {None} else Html(""),
    )
    return _filled(found, fallen, judged)


def _where(file: str, opened: Sequence[Run], draw: Callable[[], Html]) -> Html:
    """What is drawn, if a run has the file; else nothing."""
    return draw() if any((run.folder / file).exists() for run in opened) else Html("")


def _filled(*sections: Section) -> list[Section]:
    return [section for section in sections if section.content]
