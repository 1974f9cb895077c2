"""The same facts at the terminal, in a few lines."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pairlens.inspection.panels.found import sentence
from pairlens.inspection.panels.recipe import views_in_words
from pairlens.inspection.whole import Inspection
from pairlens.report.text import clean, count, number, percent


def show(inspection: Inspection, console: Console) -> None:
    """Print a line for each section, then the warnings; what files are called is never read as markup."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for label, text in lines(inspection):
        grid.add_row(label, Text(clean(text)))
    console.print(grid)
    for warning in inspection.warnings:
        console.print(Text.assemble(("! ", "bold yellow"), clean(warning)))


def lines(i: Inspection) -> list[tuple[str, str]]:
    """What is said of each section."""
    subject, t = i.subject, i.subject.training
    sizes = (
        f"all {i.found.smallest.shape}" if i.found.one_size else f"{i.found.smallest.shape} to {i.found.largest.shape}"
    )
    low, high = subject.recipe.views.crop
    said = [
        ("images", f"{sentence(i.found)} Sizes: {sizes} px."),
        (
            "training",
            f"{subject.recipe.name}: {count(t.epochs)} epochs of {count(len(t.order))} steps, batch "
            f"{count(t.order.batch)}, {count(subject.negatives)} negatives a query.",
        ),
        ("views", f"{views_in_words(subject)}; crops of {percent(low, 0)} to {percent(high, 0)} of the image."),
        ("overlap", _overlap(i)),
    ]
    if i.copies is not None and i.copies.summary not in i.warnings:
        said.append(("duplicates", i.copies.summary))
    if i.speed is not None:
        said.append(("speed", _speed(i)))
    return said


def _overlap(i: Inspection) -> str:
    own = i.overlap.own
    text = (
        f"{percent(float(own.overlap.mean()), 0)} on average; {percent(own.apart)} of the pairs have nothing in common"
    )
    text += f", {percent(own.nearly_same)} show nearly the same"
    missed = [f"{way.name} {percent(way.missed[0.0])}" for way in i.overlap.ways if way.missed]
    return f"{text}. Pairs that miss the object: {', '.join(missed)}." if missed else f"{text}."


def _speed(i: Inspection) -> str:
    assert i.speed is not None
    from_loader = i.speed.files or i.speed.views
    unit = "worker" if i.speed.files else "thread"
    rates = ", ".join(f"{number(rate, 2)} ({n} {unit}{'s' * (n != 1)})" for n, rate in from_loader.items())
    text = f"the loader delivers {rates} images/s"
    if i.advice is None:
        return f"{text}."
    taken = ", ".join(f"{number(rate, 2)}" for rate in i.speed.encoder.values())
    return f"{text}, the encoder takes {taken}. {i.advice.sentence.replace('`', '')}"
