"""What stands in the cells of a study's tables."""

from pairlens.intervals import Estimate
from pairlens.studies.summary import Row

NONE = "\u2013"
"""In a cell without a value."""


def labelled(row: Row) -> str:
    """The arm's label and, where seeds have no result, how many have."""
    if not row.failed:
        return row.arm.label
    return f"{row.arm.label} ({len(row.runs)} of {len(row.runs) + len(row.failed)} seeds)"


def percent(estimate: Estimate | None, none: str = NONE) -> str:
    """A share in per cent with its interval."""
    if estimate is None:
        return none
    return f"{100 * estimate.mean:.1f}" + ("" if estimate.half is None else f" ± {100 * estimate.half:.1f}")


def points(estimate: Estimate | None) -> str:
    """A difference of accuracies in percentage points with its interval."""
    if estimate is None:
        return ""
    return f"{100 * estimate.mean:+.1f}" + ("" if estimate.half is None else f" ± {100 * estimate.half:.1f}")


def decimal(estimate: Estimate | None, sign: str = "") -> str:
    """A number with its interval; with "+" as `sign` a difference."""
    if estimate is None:
        return NONE
    return format(estimate.mean, f"{sign}.2f") + ("" if estimate.half is None else f" ± {estimate.half:.2f}")
