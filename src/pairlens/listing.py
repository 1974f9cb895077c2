"""The recipes on the terminal: all of them by data, or one with every argument."""

import inspect
import re

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pairlens.recipes import MODULES, RECIPES, find_recipe
from pairlens.recipes.describe import arguments, first_line


def list_recipes(console: Console) -> None:
    """Print every recipe with one line about it, by data."""
    width = max(map(len, RECIPES))
    for module in MODULES:
        heading = (module.__doc__ or "").partition("\n")[0]
        console.print(Text(heading, style="bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=width + 2, no_wrap=True)
        table.add_column()
        for name, function in RECIPES.items():
            if inspect.unwrap(function).__module__ == module.__name__:
                table.add_row(Text("  " + name, style="cyan"), Text(first_line(function)))
        console.print(table)
        console.print()
    console.print("pairlens recipes NAME shows one with its arguments; pairlens train SOURCE --recipe NAME trains it")


def show_recipe(console: Console, name: str) -> None:
    """Print a recipe's description and every argument with its value.

    Raises:
        InputError: there is no recipe of that name.
    """
    function = find_recipe(name)
    console.print(Text(name, style="bold cyan"))
    console.print(_unwrapped(inspect.getdoc(function) or ""))
    console.print()
    console.print(_arguments(name))
    console.print()
    console.print(f"pairlens train SOURCE --recipe {name}")


def _arguments(name: str) -> RenderableType:
    tables: list[RenderableType] = []
    for group, rows in arguments(find_recipe(name)).items():
        if not rows:
            continue
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, title=group, title_justify="left")
        table.add_column("flag", no_wrap=True, style="cyan", min_width=23)
        table.add_column("value", no_wrap=True, min_width=15)
        table.add_column("meaning")
        for row in rows:
            table.add_row(Text(row.flag), Text(row.value), Text(row.help))
        tables += [table, Text()]
    return Group(*tables[:-1])


def _unwrapped(text: str) -> Text:
    """Paragraphs without the source's line ends, for the terminal to break."""
    return Text(re.sub(r"(?<!\n)\n(?!\n)", " ", text))
