"""The page of an inspection: the same look as the report, one section for each question."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pairlens
from pairlens.inspection.panels import copies, found, overlap, parameters, recipe, speed, styles, views
from pairlens.inspection.whole import Inspection
from pairlens.inspection.wording import roughly
from pairlens.report.document import Section, document, write_page
from pairlens.report.html import Html, join, notice, prose, tag, user
from pairlens.report.text import clean, count


def write_inspection(inspection: Inspection, output: Path) -> Path:
    """Write the page; its folder is made, an older page is replaced. Returns its absolute path.

    Raises:
        InputError: it cannot be written there.
    """
    return write_page(page(inspection), output, "page")


def page(inspection: Inspection) -> str:
    """The whole page as text."""
    subject = inspection.subject
    name = clean(Path(subject.source.name).name or subject.source.name)
    about = tag(
        "p", {"class": "aside"}, "What ", user(subject.recipe.name), " would be trained on; nothing is trained yet"
    )
    header = tag("header", {}, tag("h1", {}, user(name)), about)
    text = (
        f"Made by pairlens {pairlens.__version__} with seed {subject.seed}. This page is complete in itself and asks "
    )
    footer = tag("footer", {}, text + "nothing of the network.")
    css = files("pairlens.inspection").joinpath("page.css").read_text(encoding="utf-8")
    return document(f"{name}, before training", "page", header, _sections(inspection), footer, css)


def _sections(i: Inspection) -> Sequence[Section]:
    subject, objects = i.subject, i.subject.objects
    return [
        Section("glance", "At a glance", "", _glance(i)),
        Section(
            "found",
            "What was found",
            "The images as they are, and how they are kept for training.",
            found.draw(i.found, subject.said, subject.size),
        ),
        Section(
            "recipe",
            "What would be trained",
            "The recipe's numbers, with everything chosen that was left open.",
            recipe.draw(subject),
        ),
        Section(
            "views",
            "Views",
            "Each image drawn for several times. Could you still tell that the views of a pair show the same thing?",
            views.draw(i.drawn, objects.whose if objects else None),
        ),
        *_textures(i),
        Section(
            "parameters",
            "What is drawn",
            "How much views are changed, over thousands of draws. What is left unchanged the encoder may rely on.",
            parameters.draw(i.parameters),
        ),
        Section(
            "overlap",
            "Overlap of crops",
            "The two crops of a pair should share the object, and not much more.",
            overlap.draw(i.overlap, i.fallen),
        ),
        Section(
            "duplicates",
            "Duplicates",
            "A copy of an image is a negative of its own picture; a test image that is trained on flatters the result.",
            copies.draw(i.copies) if i.copies else notice("Not looked for, as `--no-duplicates` asks."),
        ),
        Section(
            "speed",
            "Speed",
            "Images should come faster than the encoder takes them.",
            speed.draw(i.speed, i.advice) if i.speed else notice("Not measured, as `--no-speed` asks."),
        ),
    ]


def _textures(i: Inspection) -> list[Section]:
    """The stylised copies, where views show any."""
    if i.styled is None:
        return []
    about = "Images, and the copies of them that views with another texture are cut from. Is their layout still there?"
    return [Section("textures", "Textures", about, styles.draw(i.styled))]


def _glance(i: Inspection) -> Html:
    """The most important numbers, and all warnings."""
    items = [
        tag("div", {}, tag("dt", {}, label), tag("dd", {}, tag("strong", {}, value), tag("span", {}, note)))
        for label, value, note in tiles(i)
    ]
    if i.warnings:
        said = tag("ul", {"class": "warnings"}, *(tag("li", {}, _warning(text)) for text in i.warnings))
    else:
        said = tag("p", {"class": "fine"}, "Nothing here speaks against training.")
    return join([tag("dl", {"class": "tiles"}, *items), said])


def _warning(text: str) -> Html:
    return prose(clean(text))


def tiles(i: Inspection) -> list[tuple[str, str, str]]:
    """Label, value and note of each."""
    subject, t = i.subject, i.subject.training
    tests = "no test set" if i.found.test is None else f"and {count(i.found.test)} to test on"
    shown = [
        ("training images", count(i.found.train), tests),
        ("views of an image", recipe.views_in_words(subject), f"crops of {_range(subject.recipe.views.crop)}"),
        ("steps", count(t.steps), f"{count(t.epochs)} epochs, batches of {count(t.order.batch)}"),
    ]
    if subject.negatives:
        note = f"temperature {subject.recipe.method.temperature:g}"
        shown.append(("negatives of a query", count(subject.negatives), note))
    if i.advice is not None and i.seconds is not None:
        limit = {"files": "decoding", "views": "rendering", "encoder": "the encoder"}[i.advice.limit]
        note = f"at {count(i.advice.rounded)} images a second, limited by {limit}"
        shown.append(("expected time", roughly(i.seconds), note))
    return shown


def _range(crop: tuple[float, float]) -> str:
    return f"{100 * crop[0]:.0f} to {100 * crop[1]:.0f}\u00a0% of its area"
