"""The probe's page: the verdict first, then a row for each alteration, in the look of the report."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pairlens
from pairlens.evaluate.invariance import FOLDS, PIXELS
from pairlens.probing import verdict
from pairlens.probing.panels import compared, traces, verdicts
from pairlens.probing.whole import Probing
from pairlens.report.document import Section, document, write_page
from pairlens.report.html import Html, join, prose, tag, user
from pairlens.report.text import clean, count, listed, moment, percent
from pairlens.words import duration


def write_probe(probing: Probing, output: Path) -> Path:
    """Write the page; its folder is made, an older page is replaced. Returns its absolute path.

    Raises:
        InputError: it cannot be written there.
    """
    return write_page(page(probing), output, "page")


def page(probing: Probing) -> str:
    """The whole page as text."""
    subject = probing.subject
    names = [probe.name for probe in probing.probes]
    title = clean(names[0]) if len(names) == 1 else f"{len(names)} encoders"
    asked = (
        "What is it blind to, and what does it keep?"
        if len(names) == 1
        else "What are they blind to, and what do they keep?"
    )
    shown = f"{asked} Looked at with {count(len(subject.part))} {subject.which} images of "
    about = tag("p", {"class": "aside"}, shown, user(subject.source))
    header = tag("header", {}, tag("h1", {}, user(title)), about)
    text = f"Made by pairlens {pairlens.__version__} with seed {subject.seed}, {moment(probing.date)}, in "
    text += f"{duration(probing.seconds)}."
    footer = tag(
        "footer", {}, f"{text} All numbers are in the JSON file beside. This page asks nothing of the network."
    )
    css = files("pairlens.probing").joinpath("page.css").read_text(encoding="utf-8")
    return document(f"{title}, probed", "probe", header, _sections(probing), footer, css)


def _sections(p: Probing) -> Sequence[Section]:
    several = len(p.probes) > 1
    rows = [traces.draw(p.probes, name, strip) for name, strip in p.strips.items()]
    side = Section(
        "compared",
        "Side by side",
        "Dots to the right: round, it does not see the alteration; square, it does.",
        compared.draw(p.probes),
    )
    return [
        Section("verdict", "The verdict", "", verdicts.draw(p.probes)),
        *([side] if several else []),
        Section(
            "alterations",
            "Alteration by alteration",
            "One picture at every strength; how near images stay to themselves; and what a linear layer reads off.",
            join([traces.legend(p.probes), *rows]),
        ),
        Section("method", "How it was measured", "", _method(p)),
    ]


def _method(p: Probing) -> Html:
    subject = p.subject
    sizes = listed([f"{size} px" for size in sorted({one.size for one in subject.encoders})])
    number, limits = count(len(subject.part)), (percent(verdict.LOST, 0), percent(verdict.KEPT, 0))
    said = [
        f"Images are seen as evaluation sees them, in views of {sizes}, altered in one way at a time. Features are "
        f"centred on the mean of the un-altered images; cosines are of {count(p.curve)} images: **own** of an image "
        "and its altered self, **other** of an altered image and different, un-altered ones. Invariance is "
        "(own \u2212 other) / (1 \u2212 other): 1 where the alteration does nothing to features, 0 where it takes an "
        "image as far as another one. The number given is the mean over the strengths.",
        f"To read off, each of all {number} images is altered once, by a parameter drawn at random, and a linear layer "
        "is asked for it from the altered image's features alone: logistic regression for classes, ridge regression "
        "for numbers, each as strong as is best for some of the images that it is fitted with, which are held out. "
        f"There are {FOLDS} of them, and each is asked about the images that it was not fitted with.",
        f"Beside it stand the same network untrained, and pixels averaged to at most {PIXELS} px a side. They say what "
        "there is to be kept; the better of them is the reference.",
        f"**Blind**: invariance from {verdict.NEAR:g} on, and less than {limits[0]} of what the reference reads off. "
        f"**Keeps**: invariance up to {verdict.FAR:g}, and more than {limits[1]}. **In part**: everything else. The "
        f"reference counts as {percent(verdict.READABLE, 0)} at least. **Probably**: at an end of the intervals the "
        "verdict would be another. Bands, whiskers and \u00b1 are two standard errors over images.",
        "A linear layer can find what neighbours ignore: features may hold an alteration in a direction so short that "
        "distances do not show it. Such an encoder keeps it for a classifier that is trained on its features, and is "
        "blind to it in a search by similarity.",
    ]
    return join(tag("p", {}, _bold(text)) for text in said)


def _bold(text: str) -> Html:
    """A sentence in which what stands between double asterisks is strong."""
    parts = text.split("**")
    return join(tag("b", {}, part) if place % 2 else prose(part) for place, part in enumerate(parts))
