"""The live page itself: its frame, the statistics that can be drawn, and our script and style in it.

What it shows comes as JSON and is drawn by the script, as text and never as markup. A page that is saved is this very
document with what it shows embedded; it then asks nobody any more.
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

from pairlens.report import theme
from pairlens.report.document import icon, policy, script
from pairlens.report.html import Html, data_json, join, tag, user
from pairlens.report.panels.quality import MEASURES
from pairlens.report.plots import SCORES, TRAINING
from pairlens.report.text import clean, shorten

SCRIPTS = ("base", "store", "table", "chart", "curves", "heat", "compare", "main")
FIRST = ("loss", "accuracy", "positive_mean", "negative_mean", "feature_std", "knn")  # drawn unless others are chosen
STATES = {
    "running": "running",
    "starting": "starting",
    "finished": "finished",
    "interrupted": "interrupted",
    "failed": "failed",
    "died": "died",
    "silent": "stopped without a word",
    "unknown": "unknown",
}


def live_page(root: Path) -> str:
    """The whole page about the runs below a folder, without what it shows."""
    first, code = _asset("pairlens.report", "theme.js"), _code()
    name = shorten(clean(root.resolve().name or root.resolve()), 80)
    head = tag(
        "head",
        {},
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": policy([first, code], "'self'")}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", {"name": "color-scheme", "content": "light dark"}),
        tag("title", {}, f"{name} \u00b7 pairlens watch"),
        tag("link", {"rel": "icon", "href": icon()}),
        tag("style", {}, Html(theme.style_css() + _asset("pairlens.report", "page.css") + _css())),
        script(first),
    )
    parts = (_bar(name), _main(), data_json(_given(name), {"id": "given"}), script(code))
    return f'<!doctype html>\n<html lang="en">{head}{tag("body", {"class": "watch"}, *parts)}</html>\n'


def _given(name: str) -> dict[str, Any]:
    """What the script is told of statistics, colours and states."""
    plots = [
        {"key": p.key, "title": p.title, "sentence": p.sentence, "share": p.form.endswith("%")}
        for p in (*TRAINING, *SCORES)
    ]
    knn = {"key": "knn", "title": "kNN probe", "share": True}
    held_out = [
        {"key": f"quality/{m.key}", "title": f"{m.title}, held out", "sentence": m.sentence, "share": False}
        for m in MEASURES
    ]
    knn["sentence"] = "Accuracy on held-out training images, by their nearest neighbours: should rise."
    return {
        "folder": name,
        "statistics": [*plots, knn, *held_out],
        "first": FIRST,
        "dashes": [theme.run_style(i).dash for i in range(32)],
        "states": STATES,
        "saved": None,
    }


def _bar(name: str) -> Html:
    lens = tag("span", {"class": "lens", "aria-hidden": "true"})
    live = tag("p", {"id": "live", "role": "status"}, tag("span", {"class": "dot"}), tag("span", {"class": "said"}))
    return join(
        [
            tag("a", {"class": "skip", "href": "#main"}, "Skip to the runs"),
            tag(
                "header",
                {"class": "bar"},
                tag("span", {"class": "brand"}, lens, "pairlens"),
                tag("h1", {}, user(name)),
                live,
                _button("save", "Save this page"),
                tag("button", {"type": "button", "id": "theme", "aria-label": "Switch between light and dark"}, "Dark"),
            ),
        ]
    )


def _main() -> Html:
    footer = tag("footer", {}, tag("p", {"id": "about"}))
    return tag("main", {"id": "main"}, _runs(), _curves(), _pairs(), _compare(), footer)


def _panel(anchor: str, title: str, *content: Html | None) -> Html:
    head = tag("h2", {"id": f"{anchor}-title"}, title)
    return tag("section", {"id": anchor, "class": "panel", "aria-labelledby": f"{anchor}-title"}, head, *content)


def _runs() -> Html:
    search = tag(
        "input",
        {
            "type": "search",
            "id": "filter",
            "placeholder": "Filter by name or any setting",
            "aria-label": "Filter the runs by name, recipe or any setting",
            "aria-keyshortcuts": "/",
            "autocomplete": "off",
            "spellcheck": "false",
        },
    )
    states = tag("div", {"id": "states", "class": "switch", "role": "group", "aria-label": "States that are shown"})
    spark = tag("label", {"class": "field"}, "Small curve ", tag("select", {"id": "spark"}))
    sort = tag("label", {"class": "field sorting"}, "Sort by ", tag("select", {"id": "sort"}))
    choose = join([_button("choose-shown", "Choose those shown"), _button("choose-none", "Choose none")])
    tools = tag("div", {"class": "tools"}, search, states, sort, spark, choose)
    keys = (
        "Arrow keys move, Space chooses a run for the curves, Enter shows its pairs, / filters, Esc clears the filter."
    )
    table = tag("table", {"id": "table", "role": "grid", "aria-label": "runs", "aria-multiselectable": "true"})
    box = tag("div", {"class": "listing"}, table)
    return _panel("runs", "Runs", tools, box, tag("p", {"class": "aside"}, tag("span", {"id": "found"}), " ", keys))


def _curves() -> Html:
    smooth = tag("input", {"type": "range", "id": "smooth", "min": 0, "max": 20, "value": 0, "step": 1})
    tools = tag(
        "div",
        {"class": "tools"},
        tag("div", {"id": "axis", "class": "switch", "role": "group", "aria-label": "Horizontal axis"}),
        tag("div", {"id": "spaces", "class": "switch", "role": "group", "aria-label": "Embedding spaces"}),
        tag("label", {"class": "field"}, "Smooth ", smooth, tag("output", {"id": "smoothed", "for": "smooth"})),
        tag("label", {"class": "field"}, tag("input", {"type": "checkbox", "id": "log"}), " Logarithmic"),
        tag(
            "div",
            {"class": "switch zooming", "role": "group", "aria-label": "Zoom"},
            _button("zoom-in", "+", "Zoom in"),
            _button("zoom-out", "\u2212", "Zoom out"),
            _button("zoom-all", "Show all"),
        ),
    )
    statistics = tag("div", {"id": "statistics", "class": "switch", "role": "group", "aria-label": "Statistics"})
    about = tag("p", {"class": "aside", "id": "curves-about"})
    legend = tag("ul", {"id": "legend", "class": "legend", "aria-label": "Chosen runs"})
    return _panel("curves", "Curves", tools, statistics, legend, tag("div", {"id": "charts"}), about)


def _pairs() -> Html:
    tools = tag(
        "div",
        {"class": "tools"},
        tag("label", {"class": "field"}, "Run ", tag("select", {"id": "focus"})),
        tag("div", {"id": "heat-space", "class": "switch", "role": "group", "aria-label": "Embedding space"}),
        tag("div", {"id": "heat-stage", "class": "switch", "role": "group", "aria-label": "Feature transform"}),
    )
    ramps = (
        tag("li", {}, tag("b", {"class": kind}, f"{kind.capitalize()}s"), tag("span", {"class": f"ramp {kind}"}))
        for kind in ("positive", "negative")
    )
    lines = tag("li", {"class": "minor"}, "solid line: mean; dotted: one standard deviation")
    legend = tag("ul", {"class": "legend"}, *ramps, lines)
    words = tag("p", {"id": "heat-words", "class": "aside"})
    return _panel("pairs", "Positive and negative pairs", tools, legend, tag("div", {"id": "heat"}), words)


def _compare() -> Html:
    lead = tag("p", {"class": "lead"}, "Of the chosen runs' arguments, only those that differ.")
    box = tag(
        "div", {"class": "scroll", "id": "differences", "tabindex": 0, "role": "region", "aria-label": "differences"}
    )
    return _panel("compare", "What is different", lead, box)


def _button(name: str, text: str, label: str | None = None) -> Html:
    return tag("button", {"type": "button", "id": name, "aria-label": label}, text)


def _code() -> str:
    """All scripts in one scope of their own."""
    parts = "\n".join(_asset("pairlens.live", f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _css() -> str:
    return _asset("pairlens.live", "page.css")


def _asset(package: str, name: str) -> str:
    return files(package).joinpath(name).read_text(encoding="utf-8")
