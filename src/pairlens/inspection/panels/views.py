"""The views: some images, each drawn for several times, its rectangles and what came of them; numbers on demand."""

from collections.abc import Sequence

from pairlens.inspection.views import DRAWS, Drawn
from pairlens.report.html import Html, join, tag, user
from pairlens.report.overlay import box
from pairlens.report.panels import gallery
from pairlens.report.text import shorten


def draw(drawn: Sequence[Drawn], whose: str | None) -> Html:
    """A row for each image; `whose` are the boxes that are drawn, in words."""
    examples = [example for image in drawn for example in image.draws]
    key = tag("li", {}, tag("span", {"class": "box key", "aria-hidden": "true"}), "object's box")
    legend = gallery.legend(examples, *([key] if whose else []))
    summary = tag("summary", {}, "Tell what was drawn for each view")
    numbers = tag("details", {"class": "numbers"}, summary, gallery.caption(examples))
    return join([legend, numbers, *map(_image, drawn)])


def _image(image: Drawn) -> Html:
    label = [" \u00b7 ", user(shorten(image.label, 40))] if image.label else []
    shape = tag("span", {"class": "minor"}, f" {image.width} \u00d7 {image.height} px", *label)
    head = tag("h3", {"class": "named"}, user(shorten(image.name, 70)), shape)
    over = None if image.box is None else box(image.box)
    return tag(
        "article",
        {"class": f"drawn of{DRAWS}"},
        head,
        tag("div", {"class": "draws"}, *(gallery.figure(example, over) for example in image.draws)),
    )
