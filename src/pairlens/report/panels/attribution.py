"""Which spaces a classifier's right answers come from: over a data set, by class and for some images (LooC, Fig. 4).

n spaces, E examples.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from pairlens.record.run import Run
from pairlens.report.by_space import Attributed, read_attributed
from pairlens.report.html import Html, chart, choice, join, picture, switch, tag, user
from pairlens.report.read import Missing
from pairlens.report.text import count, number, percent, plot_text
from pairlens.report.theme import SPACES, figure

CLASSES = 24
"""Classes that are shown at most: those whose distribution over the spaces is the least and the most even."""


@dataclass(frozen=True)
class Example:
    """One rightly classified image and the part of each space in that."""

    picture: UInt8[np.ndarray, "3 H W"]
    label: int
    share: Float[np.ndarray, "n"]


@dataclass(frozen=True)
class Found:
    """The attributions of a run, the class first, and examples of the class."""

    tasks: tuple[Attributed, ...]
    examples: tuple[Example, ...]


def compute(run: Run) -> Found | Missing:
    """What `pairlens evaluate --probes spaces` has found."""
    if run.told_by_space is None:
        return Missing("It was not measured where right answers come from: `pairlens evaluate RUN --probes spaces`.")
    tasks = read_attributed(run)
    if not tasks:
        return Missing("There is one space, from which all answers come.")
    return Found(tasks, _read_examples(run, len(tasks[0].spaces)))


def _read_examples(run: Run, spaces: int) -> tuple[Example, ...]:
    """The images whose attribution was kept; none where their file is missing, damaged, or of other spaces."""
    try:
        with np.load(run.folder / "spaces.npz", allow_pickle=False) as file:
            pictures, labels, share = file["pictures"], file["label"], file["example_share"].astype(np.float64)
            found = tuple(
                Example(pictures[row], int(labels[row]), one) for row, one in zip(file["example"], share, strict=True)
            )
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile):
        return ()
    return found if share.shape[1:] == (spaces,) else ()


def draw(found: Found, place: int) -> Html:
    """A choice of the task; bars for all images and each class, how one-sided single answers are, and examples."""
    group = f"attribution-{place}"
    shown = [choice(group, str(i), i == 0, _task(one)) for i, one in enumerate(found.tasks)]
    options = [(str(i), one.task) for i, one in enumerate(found.tasks)]
    examples = choice(group, "0", True, _examples(found)) if found.examples and found.tasks[0].task == "class" else None
    return join(
        [
            switch("Task", group, options, "0") if len(options) > 1 else None,
            _legend(found.tasks[0].spaces),
            *shown,
            examples,
            tag("p", {"class": "aside"}, NOTE),
        ]
    )


NOTE = (
    "A space\u2019s part in a right answer is its part of the positive evidence: the sum of activation \u00d7 weight "
    "over its features, in a linear classifier on all spaces. Activations count from their mean over the training "
    "images, weights from theirs over the classes. Entropy is that of the mean distribution: 0 bits where one space "
    "does all, log\u2082 n where n spaces do alike."
)


def _legend(spaces: Sequence[str]) -> Html:
    return tag("ul", {"class": "legend"}, *(tag("li", {}, _key(i), user(space)) for i, space in enumerate(spaces)))


def _key(place: int) -> Html:
    return tag("span", {"class": "key", "style": f"--c:var(--space-{place % len(SPACES)})", "aria-hidden": "true"})


def _task(one: Attributed) -> Html:
    leading = int(one.share.argmax())
    most = percent(float(one.most[leading]), 0)
    of = f" of {number(np.log2(len(one.spaces)))} possible"
    said = tag(
        "p",
        {},
        f"Of {count(one.tested)} test images {count(one.right)} are named rightly, most of all by ",
        tag("b", {}, user(one.spaces[leading])),
        f": {percent(float(one.share[leading]), 0)} on average, and the largest part in {most} of them. ",
        tag("b", {}, f"{one.entropy:.2f} bits"),
        f"{of}.",
    )
    whole = _bar(one.spaces, one.share, "all", one.right)
    chosen = _chosen(one)
    rows = [_bar(one.spaces, share, one.names[c], one.count[c]) for c, share in chosen.items()]
    less = (
        f"{len(chosen)} of {len(one.names)} classes: the most one-sided and the most even."
        if len(chosen) < len(one.names)
        else None
    )
    bars = tag("div", {}, tag("h3", {}, "By class"), tag("ul", {"class": "parts"}, whole, *rows))
    alt = "how many right answers a space has how much part in: " + ", ".join(
        f"{space} {percent(float(share), 0)} on average" for space, share in zip(one.spaces, one.share, strict=True)
    )
    spread = tag(
        "div", {}, tag("h3", {}, "Single answers"), tag("p", {"class": "aside"}, SPREAD), chart(plot(one), alt, 300)
    )
    return join(
        [said, tag("div", {"class": "columns"}, bars, spread), tag("p", {"class": "aside"}, less) if less else None]
    )


SPREAD = "How large a part each space has: mass at the right means that this space alone decides."


def _chosen(one: Attributed) -> dict[int, Float[np.ndarray, "n"]]:
    """The spaces' parts in the classes that are shown, in the classes' order."""
    known = {c: row for c, row in enumerate(one.by_class) if row is not None}
    if len(known) <= CLASSES:
        return known
    ranked = sorted(known, key=lambda c: float(np.max(known[c])))
    return {c: known[c] for c in sorted(ranked[: CLASSES // 2] + ranked[-CLASSES // 2 :])}


def _bar(spaces: Sequence[str], share: Float[np.ndarray, "n"], name: str, images: int) -> Html:
    said = ", ".join(f"{space} {percent(float(part), 0)}" for space, part in zip(spaces, share, strict=True))
    label = tag("span", {"class": "label"}, name if name == "all" else user(name))
    return tag("li", {"title": f"{said}; {count(images)} images"}, label, _split(share, said))


def _split(share: Float[np.ndarray, "n"], said: str) -> Html:
    """A bar divided among the spaces; parts that are wide enough bear their number."""
    parts = [
        tag(
            "i",
            {"style": f"--c:var(--space-{i % len(SPACES)});width:{100 * float(part):.2f}%"},
            f"{100 * part:.0f}" if part >= 0.12 else None,
        )
        for i, part in enumerate(share)
    ]
    return tag("div", {"class": "split", "role": "img", "aria-label": said}, *parts)


def plot(one: Attributed) -> go.Figure:
    """How many right answers a space has how much part in."""
    edges = np.linspace(0, 1, one.histogram.shape[1] + 1)
    traces = [
        go.Scatter(
            x=edges.astype(np.float32),
            y=np.append(counts, counts[-1:]).astype(np.float32) / max(1, one.right),
            name=plot_text(space),
            mode="lines",
            line={"shape": "hv", "color": SPACES[i % len(SPACES)], "width": 2},
            hovertemplate="from %{x:.0%} on: %{y:.1%} of the answers<extra>%{fullData.name}</extra>",
        )
        for i, (space, counts) in enumerate(zip(one.spaces, one.histogram, strict=True))
    ]
    drawn = figure(traces, "part of a space in an answer", "right answers")
    return drawn.update_xaxes(tickformat=".0%").update_yaxes(tickformat=".0%", rangemode="tozero")


def _examples(found: Found) -> Html:
    one = found.tasks[0]
    cards = []
    for example in found.examples:
        name = one.names[example.label] if 0 <= example.label < len(one.names) else "?"
        said = ", ".join(f"{s} {percent(float(p), 0)}" for s, p in zip(one.spaces, example.share, strict=True))
        caption = tag("figcaption", {}, user(name))
        cards.append(
            tag("figure", {}, picture(example.picture, f"{name}: {said}"), _split(example.share, said), caption)
        )
    text = "Test images that are named rightly, of different classes, chosen at random."
    return join(
        [tag("h3", {}, "Some images"), tag("p", {"class": "aside"}, text), tag("div", {"class": "attributed"}, *cards)]
    )
