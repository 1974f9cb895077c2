"""The same at the terminal: a table for each encoder, the verdict and the advice."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pairlens.evaluate.invariance import Estimate
from pairlens.probing.panels.verdicts import MARKS
from pairlens.probing.verdict import SURE, headline
from pairlens.probing.whole import Probe, Probing
from pairlens.probing.words import WORDS
from pairlens.report.text import clean

COLOURS = {"blind": "red", "partly": "yellow", "keeps": "green", "faint": "dim"}


def show(probing: Probing, console: Console) -> None:
    """Print the table, the verdict and the advice of each encoder; names are never read as markup."""
    for probe in probing.probes:
        if len(probing.probes) > 1:
            console.print(Text(clean(probe.name), "bold"))
        console.print(_table(probe))
        console.print(Text(headline(probe.verdicts), "bold"), soft_wrap=True)
        if probe.advice is not None:
            said = clean(probe.advice.sentence).replace("`", "")
            console.print(Text(f"Is LooC worth trying? {said}"), soft_wrap=True)
            if probe.advice.command:
                console.print(Text(f"  {clean(probe.advice.command)}"), soft_wrap=True)
        console.print()


def _table(probe: Probe) -> Table:
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "verdict", "invariance", "read off", "untrained", "pixels"):
        grid.add_column(name, justify="left" if name in ("", "verdict") else "right", no_wrap=True)
    for name, judged in probe.verdicts.items():
        own, of = probe.own(name), probe.traces[name]
        sign, word = MARKS[judged.kind]
        said = Text(f"{sign} {word if judged.sure else f'probably {word}'}", COLOURS[judged.kind])
        numbers = [_number(own.invariance), _number(own.told)]
        grid.add_row(WORDS[name].noun, said, *numbers, *(_short(of[r].told) for r in ("untrained", "pixels")))
    return grid


def _number(estimate: Estimate) -> str:
    if not math.isfinite(estimate.value):
        return "-"
    return f"{estimate.value:.2f} \u00b1 {SURE * estimate.error:.2f}"


def _short(estimate: Estimate) -> str:
    return f"{estimate.value:.2f}" if math.isfinite(estimate.value) else "-"
