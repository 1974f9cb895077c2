"""The table of what encoders keep, in Markdown: turns and known factors, told from frozen features."""

from collections.abc import Callable, Sequence

from pairlens.intervals import Estimate
from pairlens.studies.arms import Arm, Study
from pairlens.studies.cells import decimal, labelled, percent, points
from pairlens.studies.summary import Asked, Measured, Row


def kept_table(study: Study, rows: Sequence[Row]) -> str | None:
    """What a linear layer tells from the features, a column a quantity; None where nothing of it was measured.

    Accuracies in per cent, R2 as it is; below a mean stands the difference to the reference.
    """
    asked = dict.fromkeys(one for row in rows for run in row.runs.values() for one in run.kept)
    if not asked:
        return None
    under = f"<br>({study.difference})" if any(arm.reference for arm in study.arms) else ""
    heads = [""]
    for one in asked:
        heads.append(f"{one.name}, {one.unit}{under}")
        if _in_paper(study, one):
            heads.append(f"paper: {one.name}, %{under}")
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = [labelled(row)]
        for one in asked:
            cells.append(_kept(one, row.estimate(_of_kept(one)), row.kept_differences.get(one)))
            if _in_paper(study, one):
                cells.append(_paper_kept(study, row.arm, one))
        lines.append("| " + " | ".join(cells) + " |")
    pixels = [row for row in rows if any(run.pixels_kept for run in row.runs.values())]
    for row in pixels[:1]:
        cells = ["raw pixels"]
        for one in asked:
            cells += [_kept(one, row.estimate(_of_kept(one, pixels=True)), None)] + [""] * _in_paper(study, one)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _of_kept(one: Asked, pixels: bool = False) -> Callable[[Measured], float]:
    return lambda run: (run.pixels_kept if pixels else run.kept).get(one, float("nan"))


def _kept(one: Asked, estimate: Estimate | None, difference: Estimate | None) -> str:
    """A quantity's mean and, below it, its difference to the reference."""
    if one.unit == "%":
        return percent(estimate) + (f"<br>({points(difference)})" if difference else "")
    return decimal(estimate) + (f"<br>({decimal(difference, '+')})" if difference else "")


def _in_paper(study: Study, one: Asked) -> bool:
    return any(one.name in arm.paper_kept for arm in study.arms)


def _paper_kept(study: Study, arm: Arm, one: Asked) -> str:
    """The paper's figure and, below it, its difference to that of the reference."""
    value = arm.paper_kept.get(one.name)
    other = study.arm(arm.reference).paper_kept.get(one.name) if arm.reference else None
    if value is None:
        return ""
    return f"{value:.1f}" + ("" if other is None else f"<br>({value - other:+.1f})")
