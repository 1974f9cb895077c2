from pathlib import Path

import plotly.graph_objects as go
import pytest
from fake_run import HOSTILE

from pairlens.report.html import chart, data_json, tag
from pairlens.report.text import (
    clean,
    count,
    listed,
    moment,
    number,
    percent,
    plot_text,
    shorten,
    unique_names,
)


def test_numbers_are_readable() -> None:
    assert number(0.07123) == "0.0712"
    assert number(3742.6) == "3,743".replace(",", "\u202f")
    assert number(-0.5, 2) == "\u22120.50"
    assert number(float("nan")) == "\u2013"
    assert number(0) == "0"
    assert count(12000) == "12\u202f000"
    assert percent(0.5714) == "57.1\u00a0%"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert moment("2026-11-20T08:14:09+00:00") == "2026-11-20 08:14 UTC"
    assert moment("yesterday") == "yesterday"


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str) -> None:
    clean(text).encode("utf-8")
    assert not set(clean(text)) & set("\u202e\u202c\x00\n\t")
    assert "<" not in plot_text(text, 1000)
    element = tag("p", {"title": text}, text)
    assert element.count("<") == 2  # the element's own two tags
    assert element.count('"') == 2  # its attribute's own two quotes


def test_embedded_json_cannot_be_closed() -> None:
    for embedded in (
        data_json([*HOSTILE[:8]], {"id": "x"}),
        chart(go.Figure(layout={"title": {"text": HOSTILE[0]}}), HOSTILE[1], 100),
    ):
        assert embedded.count("</script") == 1
        assert embedded.count("<img") == 0


def test_shorten_keeps_both_ends() -> None:
    assert shorten("abcdefghij", 5) == "ab…ij"
    assert all(len(shorten("x" * n, 8)) == min(n, 8) for n in range(20))


def test_names_are_told_apart() -> None:
    assert unique_names([Path("/r/a/run"), Path("/r/b/run"), Path("/r/c/other")]) == ["a/run", "b/run", "other"]
    assert unique_names([Path("/r/a"), Path("/r/a"), Path("/r/a")]) == ["a (1)", "a (2)", "a (3)"]
    assert unique_names([Path("/r/a"), Path("/r/a"), Path("/s/a")]) == ["r/a (1)", "r/a (2)", "s/a"]
