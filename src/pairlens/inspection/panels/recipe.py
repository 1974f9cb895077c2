"""What would be trained: the resolved recipe's important numbers, and those of the machine."""

from collections.abc import Mapping, Sequence

from pairlens.inspection.subject import Subject
from pairlens.recipes.describe import written
from pairlens.report.html import Html, join, prose, table, tag, user
from pairlens.report.panels.gallery import FACTORS
from pairlens.report.text import count
from pairlens.views.plans import view_sizes


def draw(subject: Subject) -> Html:
    """The numbers by what they belong to, and how to see or change all others."""
    groups = [
        tag("div", {}, tag("h3", {}, name), table((label, user(value)) for label, value in rows))
        for name, rows in numbers(subject).items()
    ]
    name = subject.recipe.name
    more = (
        f"Every argument: `pairlens recipes {name}`. Any of them is a flag of `pairlens inspect` and `pairlens train`."
    )
    return join([tag("div", {"class": "facts-grid"}, *groups), tag("p", {"class": "aside"}, prose(more))])


def numbers(subject: Subject) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Labels and values by group, all text."""
    recipe, t = subject.recipe, subject.training
    o, n = recipe.optimisation, recipe.network
    online = t.method.online
    size = sum(p.numel() for p in online.encoder.parameters())
    head = f"{n.head}, {n.dim} dimensions"
    place = subject.place
    return {
        "Training": [
            ("recipe", recipe.name),
            ("epochs", f"{count(t.epochs)}, each of {count(len(t.order))} steps; {count(t.steps)} steps in all"),
            ("batch", count(t.order.batch) + (f", in {t.accumulate} parts" if t.accumulate > 1 else "")),
            ("negatives of a query", count(subject.negatives) if subject.negatives else "none"),
            ("temperature", f"{recipe.method.temperature:g}"),
            ("optimiser", f"{o.optimizer}, rate {written(o.lr)} for 256 images, decay {written(o.weight_decay)}"),
        ],
        "Views": [*_views(subject)],
        "Network and machine": [
            ("encoder", f"{n.encoder}, {count(size)} parameters"),
            ("head", head),
            ("device", f"{place.device}, {str(place.precision).removeprefix('torch.')}"),
            ("threads", count(place.threads)),
        ],
    }


def views_in_words(subject: Subject) -> str:
    """How many views of an image of which sides: "2 of 64 px, 6 of 24 px"."""
    sides = list(view_sizes(subject.plan, subject.size).values())
    return ", ".join(f"{sides.count(side)} of {side} px" for side in sorted(set(sides), reverse=True))


def _views(subject: Subject) -> Sequence[tuple[str, str]]:
    recipe = subject.recipe
    v, crops = recipe.views, recipe.crops
    rows = [
        ("views of an image", views_in_words(subject)),
        ("crop", f"{v.crop[0]:g} to {v.crop[1]:g} of the image's area"),
        ("jitter", f"{_jitter(v.jitter)}; probability {v.jitter_probability:g}"),
        ("mirrored, gray, blurred", f"probability {v.flip:g}, {v.gray:g}, {v.blur or 0:g}"),
    ]
    if v.randaugment:
        rows.append(("RandAugment", f"{v.randaugment} operations of magnitude {v.randaugment_magnitude:g}"))
    if v.styling is not None:
        rows.append(("texture", f"probability {v.texture:g}; {v.styles} copies {v.styling.words}"))
    if crops.boxes == "none":
        return [*rows, ("centres of crops", "anywhere")]
    found = ""
    if crops.boxes == "found":
        found = f", after epoch {crops.box_start} and every {crops.box_every} epochs"
    return [*rows, ("centres of crops", f"in boxes ({crops.boxes}{found}), \u03b1 = {crops.alpha:g}")]


def _jitter(strengths: Sequence[float]) -> str:
    return ", ".join(f"{name} {strength:g}" for name, strength in zip(FACTORS, strengths, strict=True))
