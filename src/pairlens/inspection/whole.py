"""Everything that an inspection finds out, computed in one go."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pairlens.inspection import copies, found, overlap, parameters, speed, styles, views
from pairlens.inspection.advice import Advice, advise
from pairlens.inspection.copies import Copies
from pairlens.inspection.found import Found
from pairlens.inspection.overlap import Overlap
from pairlens.inspection.parameters import Kind
from pairlens.inspection.speed import Speed
from pairlens.inspection.styles import Styled
from pairlens.inspection.subject import Subject
from pairlens.inspection.views import Drawn
from pairlens.inspection.warn import warnings
from pairlens.report.panels.crops import Crops

Advance = Callable[[str, int, int], None]  # what is done, how much, of how much


@dataclass(frozen=True)
class Inspection:
    """What is said of a subject."""

    subject: Subject
    found: Found
    drawn: tuple[Drawn, ...]
    parameters: tuple[Kind, ...]
    overlap: Overlap
    fallen: Crops | None
    styled: Styled | None  # None if no view shows a texture
    copies: Copies | None  # None if nobody looked for them
    speed: Speed | None  # None if it was not measured
    advice: Advice | None
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float | None:
        """That a training is expected to take, evaluation and search for boxes aside; None if nobody knows."""
        t = self.subject.training
        return None if self.advice is None else t.steps * t.order.batch / self.advice.images


def inspect(
    subject: Subject,
    *,
    duplicates: bool = True,
    seconds: float | None = speed.SECONDS,
    advance: Advance = lambda what, done, total: None,
) -> Inspection:
    """Look at a subject; the same seed gives the same result, but for the speed.

    Args:
        subject: what is looked at; measuring its speed uses up its training.
        duplicates: look at all images for those that are there twice.
        seconds: that are spent on measuring; None measures nothing.
        advance: told how far what takes long is.
    """
    what = found.compute(subject)
    shown, kinds, shared = views.compute(subject), parameters.compute(subject), overlap.compute(subject)
    fallen, styled = overlap.fallen(subject, shared.alpha), styles.compute(subject)
    twice = None
    if duplicates:
        twice = copies.compute(subject, lambda done, total: advance("looking for duplicates", done, total))
    pace = None
    if seconds is not None:
        pace = speed.measure(subject, seconds, lambda done, total: advance("measuring speed", done, total))
    lost = [*(twice.unreadable if twice else ()), *copies.unreadable(subject.images)]
    what = replace(what, skipped=tuple(dict.fromkeys([*what.skipped, *lost])))
    advice = None if pace is None else advise(pace)
    said = warnings(subject, what, shared, twice, pace, advice)
    return Inspection(subject, what, shown, kinds, shared, fallen, styled, twice, pace, advice, said)
