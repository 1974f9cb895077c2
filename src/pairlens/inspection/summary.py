"""The same facts at the terminal, in a few lines."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pairlens.inspection.panels.found import sentence
from pairlens.inspection.panels.recipe import views_in_words
from pairlens.inspection.speed import Speed
from pairlens.inspection.whole import Inspection
from pairlens.inspection.wording import roughly
from pairlens.report.text import clean, count, number, percent


def show(inspection: Inspection, console: Console) -> None:
    """Print the warnings, then a line for each section; what files are called is never read as markup."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    for warning in inspection.warnings:
        grid.add_row(Text("!", "bold yellow"), _plain(warning))
    if inspection.warnings:
        grid.add_row()
    for label, text in lines(inspection):
        grid.add_row(label, _plain(text))
    console.print(grid)


def _plain(sentence: str) -> Text:
    """A sentence without the backticks that stand around its flags."""
    return Text(clean(sentence.replace("`", "")))


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
            f"{count(t.order.batch)}, {count(subject.negatives) if subject.negatives else 'no'} negatives a query.",
        ),
        ("views", f"{views_in_words(subject)}; crops of {percent(low, 0)} to {percent(high, 0)} of the image."),
        ("overlap", _overlap(i)),
    ]
    if i.styled is not None:
        share = percent(i.styled.probability, 0)
        said.append(("textures", f"{share} of the views show one of {i.styled.count} copies, made {i.styled.way}."))
    if i.copies is not None and i.copies.summary not in i.warnings:
        said.append(("duplicates", i.copies.summary))
    if i.speed is not None:
        said.append(("speed", _speed(i.speed)))
    if i.advice is not None and i.advice.sentence not in i.warnings:
        said.append(("advice", i.advice.sentence))
    if i.seconds is not None:
        said.append(("time", f"About {roughly(i.seconds)} of training at that speed."))
    return said


def _overlap(i: Inspection) -> str:
    own = i.overlap.own
    text = (
        f"{percent(float(own.overlap.mean()), 0)} on average; {percent(own.apart)} of the pairs have nothing in common"
    )
    text += f", {percent(own.nearly_same)} show nearly the same"
    missed = [f"{way.name} {percent(way.missed[0.0])}" for way in i.overlap.ways if way.missed]
    return f"{text}. Pairs that miss the object: {', '.join(missed)}." if missed else f"{text}."


def _speed(speed: Speed) -> str:
    delivered = _rates(speed.files, "worker") if speed.files else _rates(speed.views, "thread")
    text = f"Images a second: the loader delivers {delivered}"
    return f"{text}; the encoder takes {_rates(speed.encoder, 'thread')}." if speed.encoder else f"{text}."


def _rates(measured: Mapping[int, float], unit: str) -> str:
    """Rates by the number of workers or threads: "900 with 1 thread, 1 700 with 2 threads"."""
    return ", ".join(f"{number(rate, 2)} with {n} {unit}{'s' * (n != 1)}" for n, rate in measured.items())
