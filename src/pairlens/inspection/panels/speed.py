"""Speed: what the loader delivers beside what the encoder takes, as bars, and what to run."""

from pairlens.inspection.advice import Advice
from pairlens.inspection.speed import Speed
from pairlens.report.html import Html, join, prose, tag
from pairlens.report.text import number


def draw(speed: Speed, advice: Advice | None) -> Html:
    """The sentence, then a bar for each measured rate, all on one scale."""
    first = advice.sentence if advice else "This recipe trains nothing, so nothing waits for its views."
    return join([tag("p", {}, prose(first)), bars(speed), tag("p", {"class": "aside"}, _caption(speed))])


def bars(speed: Speed) -> Html:
    """The rates, by what was measured."""
    what = "Views rendered" if speed.files else "Views drawn and rendered"
    groups = [
        ("Files decoded, cut and rendered", speed.files, "worker", "data"),
        (what, speed.views, "thread", "views"),
        ("Encoder: forward, backward, update", speed.encoder, "thread", "forward"),
    ]
    most = max(rate for _, rates, _, _ in groups for rate in rates.values())
    rows = [
        _bar(f"{title}, {_several(n, unit)}" if speed.device == "cpu" or unit == "worker" else title, rate, most, part)
        for title, rates, unit, part in groups
        for n, rate in rates.items()
    ]
    return tag("ul", {"class": "bars rates"}, *rows)


def _bar(label: str, rate: float, most: float, part: str) -> Html:
    head = tag(
        "div", {"class": "row"}, tag("span", {"class": "label"}, label), tag("b", {}, f"{number(rate)} images/s")
    )
    fill = tag("i", {"class": "top1", "style": f"width:{100 * rate / most:.2f}%"})
    track = tag("div", {"class": "track", "aria-hidden": "true"}, fill)
    return tag("li", {"style": f"--c:var(--part-{part})"}, head, track)


def _several(number: int, unit: str) -> str:
    return f"{number} {unit}{'s' * (number != 1)}"


def _caption(speed: Speed) -> str:
    cores = f"{_several(speed.cores, 'core')}, {speed.device}"
    said = f"Measured for some seconds on this machine ({cores}); an image has {_several(speed.views_each, 'view')}. "
    if speed.files:
        return (
            said + "Workers decode ahead while the training renders and trains; files that were just read may come "
            "from memory, where the first epoch reads them from the disk."
        )
    return said + "The images are in memory, so nothing is decoded while training: rendering and encoder take turns."
