"""The page as a reader meets it, as text, and its numbers."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from reader import reading, undrawn
from rich.console import Console

from pairlens.errors import InputError
from pairlens.evaluate.alterations import alterations
from pairlens.evaluate.invariance import Estimate
from pairlens.opened import open_encoder
from pairlens.place import Place
from pairlens.probing.page import page, write_probe
from pairlens.probing.panels.traces import label, ordered
from pairlens.probing.record import record
from pairlens.probing.subject import open_subject
from pairlens.probing.summary import show
from pairlens.probing.whole import Probing, probe
from pairlens.probing.words import WORDS

NAMES = [a.name for a in alterations(8, copies=3)]
HOSTILE = "<img src=x onerror=hacked=1>"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_one_encoder(browser, probing: Probing, tmp_path: Path, width: int, scheme: str) -> None:
    with reading(browser, write_probe(probing, tmp_path / "page.html"), width, scheme) as read:
        sections = [s.get_attribute("id") for s in read.query_selector_all("section.panel")]
        assert sections == ["verdict", "alterations", "method"]
        assert undrawn(read) == 0
        assert read.locator(".alteration").count() == len(NAMES)
        assert read.locator(".meanings li").count() == len(NAMES)
        assert read.locator(".advice").count() == 1
        assert read.locator(".alteration:nth-of-type(1) .strip img").count() == 5
        assert read.evaluate("[...document.images].every(i => i.alt && i.src.startsWith('data:') && i.naturalWidth)")
        assert read.locator(".headline").inner_text().endswith(".")
        read.click(".meanings li:last-child a")
        assert read.evaluate("location.hash") == "#texture"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_several_encoders(browser, compared: Probing, tmp_path: Path, width: int, scheme: str) -> None:
    with reading(browser, write_probe(compared, tmp_path / "page.html"), width, scheme) as read:
        heads = [e.inner_text() for e in read.query_selector_all(".compared thead th")]
        assert heads == ["run", "run, space z", "run, space rotation", f"{HOSTILE}.safetensors"]
        assert read.locator(".compared tbody tr").count() == len(NAMES)
        assert read.locator(".compared .dots").count() == 2 * 4 * len(NAMES)
        assert read.locator(".verdicts .verdict").count() == 4
        assert read.locator(".advice").count() == 2
        assert undrawn(read) == 0
        assert read.evaluate("document.querySelectorAll('[onerror], img[src=x]').length") == 0
        assert read.evaluate("window.hacked") is None


def test_no_number_is_missing(probing: Probing, compared: Probing) -> None:
    for found in (probing, compared):
        words = re.sub(r"<script.*?</script>|base64,[^\"')]*", "", page(found), flags=re.DOTALL)
        assert not re.search(r"\b(nan|NaN|inf|None)\b", words)


def test_what_is_not_known_is_a_dash(probing: Probing) -> None:
    one = probing.probes[0]
    of = {name: replace(t, told=Estimate(math.nan, math.nan)) for name, t in one.traces["hue"].items()}
    blank = replace(probing, probes=(replace(one, traces={**one.traces, "hue": of}),))
    assert "\u2013" in page(blank)
    assert record(blank)["encoders"][0]["alterations"]["hue"]["encoder"]["predictability"]["value"] is None


def test_the_same_seed_gives_the_same_numbers(run: Path, place: Place, probing: Probing) -> None:
    again = probe(open_subject([str(run)], place, images=48))
    assert again.probes[0].traces == probing.probes[0].traces


def test_a_bare_file_is_probed_as_its_run_is(compared: Probing) -> None:
    run, bare = compared.probes[0], compared.probes[-1]
    for name in NAMES:
        assert bare.own(name) == run.own(name)
    assert run.training is not None
    assert bare.training is None


def test_all_numbers_are_recorded(compared: Probing) -> None:
    found = json.loads(json.dumps(record(compared), allow_nan=False))
    assert (found["images"], found["which"], found["seed"], found["folds"]) == (40, "training", 0, 4)
    assert [e["space"] for e in found["encoders"]] == [None, "z", "rotation", None]
    assert found["encoders"][1]["advice"] is None
    assert found["encoders"][0]["training"]["apart"] == ["rotation"]
    for encoder, made in zip(found["encoders"], compared.probes, strict=True):
        assert list(encoder["alterations"]) == NAMES
        for name, numbers in encoder["alterations"].items():
            own = made.own(name)
            assert numbers["encoder"]["invariance"]["value"] == pytest.approx(own.invariance.value, abs=1e-5)
            assert numbers["verdict"] == made.verdicts[name].kind
            assert {"encoder", "untrained", "pixels"} <= set(numbers)
            assert len(numbers["untrained"]["curve"]) == len(own.curve)


def test_the_terminal_tells_the_same(probing: Probing, capsys: pytest.CaptureFixture[str]) -> None:
    show(probing, Console(width=160))
    said = capsys.readouterr().out
    for name in NAMES:
        own = probing.probes[0].own(name)
        expected = rf"{WORDS[name].noun} .*{own.invariance.value:.2f} \u00b1"
        assert re.search(expected, said)
    assert "Is LooC worth trying?" in said


def test_strengths_stand_in_order_with_the_picture_as_it_is_among_them() -> None:
    by = {a.name: a for a in alterations(32, copies=2)}
    assert ordered(by["brightness"]) == [0.4, 0.7, None, 1.3, 1.6]
    assert ordered(by["rotation"]) == [None, 1.0, 2.0, 3.0]
    assert ordered(by["scale"]) == [0.15, 0.3, 0.5, 0.7, None]
    assert [label(by[n], s) for n, s in [("hue", 0.25), ("rotation", 3.0), ("gray", 1.0), ("texture", 2.0)]] == [
        "90\u00b0",
        "270\u00b0",
        "in gray",
        "texture 2",
    ]


def test_a_collapsed_encoder_is_refused(run: Path, place: Place) -> None:
    subject = open_subject([str(run)], place, images=40)
    opened = open_encoder(str(run), place)
    for parameter in opened.encoder.parameters():
        parameter.data.zero_()
    with pytest.raises(InputError, match="it has collapsed, and there is nothing to probe"):
        probe(replace(subject, encoders=(opened,)))
