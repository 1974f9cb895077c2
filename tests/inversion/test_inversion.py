"""Which features are inverted, what is kept when it is interrupted, and what the page says."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from reader import reading, undrawn
from torch import nn

from pairlens.cli import run as cli
from pairlens.data.sources import open_source
from pairlens.errors import InputError
from pairlens.evaluate.features import encode, plain_views
from pairlens.evaluate.inversion import Inverting, Prior
from pairlens.inversion import store as stores
from pairlens.inversion.contestants import Contestant, contestants
from pairlens.inversion.page import page
from pairlens.inversion.store import Store
from pairlens.inversion.summary import compared, sentences, warnings
from pairlens.inversion.whole import PIXELS, Asked, Found, invert_all, parts
from pairlens.nets.fan import Part
from pairlens.nets.heads import hidden_layers, linear_head, mlp_head
from pairlens.opened import Opened, open_encoder
from pairlens.place import Place

CPU = Place(torch.device("cpu"), torch.float32, 1, False)


@pytest.fixture
def opened(run: Path) -> Opened:
    return open_encoder(str(run), CPU)


@pytest.fixture
def asked(opened: Opened, images: Path) -> Asked:
    found = contestants([opened], ["mlp"])
    return Asked(open_source(str(images), say=lambda _: None), found, Prior(iterations=3), images=2, draws=2)


def test_depths_are_those_of_the_run(opened: Opened, asked: Asked) -> None:
    found = {one.depth: one for one in asked.contestants}
    assert list(found) == ["h", "hidden", "z", "untrained", "pixels"]
    views = torch.cat(list(plain_views(asked.set, 16, index=torch.arange(3))))
    normalised = (views - opened.mean.view(3, 1, 1)) / opened.std.view(3, 1, 1)
    h = encode(opened.encoder, normalised)
    head = opened.heads["z"]
    torch.testing.assert_close(found["h"].features(views), h)
    torch.testing.assert_close(found["z"].features(views), head(h))
    torch.testing.assert_close(found["hidden"].features(views), torch.relu(head[0](h)))
    assert not torch.allclose(found["untrained"].features(views), h)
    assert torch.equal(found["pixels"].features(views), views.flatten(1))
    assert len({one.digest for one in asked.contestants}) == 5


def test_the_hidden_output_is_what_the_last_linear_layer_takes() -> None:
    generator = torch.Generator().manual_seed(0)
    deep = mlp_head(6, 5, 3, layers=3, batch_norm=True, output_norm=True, generator=generator).eval()
    x = torch.randn(4, 6, generator=generator)
    hidden = hidden_layers(deep)
    assert hidden is not None
    torch.testing.assert_close(deep[-1](deep[-2](hidden(x))), deep(x))
    assert hidden_layers(linear_head(6, 3, generator)) is None
    assert hidden_layers(nn.Sequential(Part(0, 6), linear_head(6, 3, generator))) is None
    inner = hidden_layers(nn.Sequential(Part(1, 6), mlp_head(6, 5, 3, generator=generator)))
    assert inner is not None
    assert inner(torch.randn(2, 12)).shape == (2, 5)


def test_what_an_encoder_lacks_is_told(linear_run: Path, opened: Opened, run: Path, tmp_path: Path) -> None:
    linear = open_encoder(str(linear_run), CPU)
    bare = replace(opened, heads={})
    assert [one.depth for one in contestants([linear], ["l"], references=False)] == ["h", "z"]
    assert [one.depth for one in contestants([bare], ["b"], references=False)] == ["h"]
    with pytest.raises(InputError, match="one linear layer and has no hidden output"):
        contestants([linear], ["l"], targets=("h", "hidden"))
    with pytest.raises(InputError, match="b has no projection head, so only h can be inverted"):
        contestants([bare], ["b"], targets=("z",))
    with pytest.raises(InputError, match="o has no space 'color'; use one of z"):
        contestants([opened], ["o"], space="color")


def test_equal_untrained_encoders_are_inverted_once(opened: Opened, linear_run: Path) -> None:
    linear = open_encoder(str(linear_run), CPU)
    labels = [one.label for one in contestants([opened, linear], ["a", "b"])]
    assert labels == ["h a", "hidden a", "z a", "h b", "z b", "untrained a", "raw pixels"]


def test_interrupted_it_goes_on_and_ends_as_if_it_had_not_been(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = invert_all(asked, Store(tmp_path / "whole.html"))
    monkeypatch.setattr(stores, "EVERY", 0.0)  # what is under way is written after every step
    steps = 0

    def stop(what: str, done: int, total: int, detail: str) -> None:
        nonlocal steps
        steps = done
        assert total == 30
        if done >= 14:  # in the fifth part
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        invert_all(asked, Store(tmp_path / "cut.html"), stop)
    again = Store(tmp_path / "cut.html")
    finished = [part.key in again for part in parts(asked)]
    assert finished == [True] * 4 + [False] * 6
    left = again.left_off(parts(asked)[4].key)
    assert left is not None
    assert int(left["done"]) in (1, 2, 3)
    told: list[int] = []
    made: list[int] = []
    step = Inverting.step
    monkeypatch.setattr(Inverting, "step", lambda self: (made.append(self.done), step(self))[1])
    resumed = invert_all(asked, again, lambda what, done, total, detail: told.append(total))
    assert set(told) == {6 * 3}
    assert len(made) == 6 * 3 - int(left["done"])
    assert not (tmp_path / "cut.safetensors").exists()
    for mine, other in zip(whole, resumed, strict=True):
        assert np.array_equal(mine.images, other.images)
        assert np.array_equal(mine.curve, other.curve)
        assert all(np.array_equal(mine.scores[name], other.scores[name]) for name in mine.scores)


def test_what_other_arguments_need_is_inverted_anew_and_the_rest_is_kept(asked: Asked, tmp_path: Path) -> None:
    invert_all(asked, Store(tmp_path / "page.html"))
    store = Store(tmp_path / "page.html")
    fewer = replace(asked, contestants=asked.contestants[:2])
    assert all(part.key in store for part in parts(fewer))
    for other in (
        replace(asked, seed=1),
        replace(asked, prior=Prior(iterations=4)),
        replace(asked, images=3),
    ):
        assert not any(part.key in store for part in parts(other))


def test_chunks_bound_how_many_are_inverted_at_once(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [(part.first, part.last) for part in parts(asked)][:2] == [(0, 2), (0, 2)]
    monkeypatch.setitem(PIXELS, "cpu", 256)
    assert [(part.first, part.last) for part in parts(asked)][:2] == [(0, 1), (1, 2)]
    monkeypatch.setitem(PIXELS, "cpu", 1)
    assert len(parts(asked)) == 2 * 5 * 2


def test_foreign_files_are_not_replaced(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", photographs=np.zeros(3))
    with pytest.raises(InputError, match=r"mine.npz is there and holds no inversions"):
        Store(tmp_path / "mine.html")
    (tmp_path / "cut.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(InputError, match=r"cut.npz is there and holds no inversions"):
        Store(tmp_path / "cut.html")
    (tmp_path / "other.safetensors").write_bytes(b"weights")
    with pytest.raises(InputError, match=r"other.safetensors is there"):
        Store(tmp_path / "other.html")


def test_too_few_images_are_told(asked: Asked) -> None:
    with pytest.raises(InputError, match="ask for fewer with --images"):
        invert_all(replace(asked, images=10_000), Store(Path("nowhere.html")))


def found(depth: str, layout: list[float], error: float, encoder: str = "a") -> Found:
    """A contestant with these layout scores."""
    one = Contestant(encoder, depth, lambda views: views.flatten(1), 16, depth + encoder)
    rows = {name: np.array([layout]) for name in ("psnr", "ssim", "layout", "recognised")}
    empty = np.zeros((len(layout), 3, 16, 16), np.uint8)
    scores = rows | {"error": np.full((1, len(layout)), error)}
    return Found(one, empty, scores, np.ones((1, len(layout), 2)), np.array([0, 1]))


def test_only_differences_beyond_the_interval_are_claimed() -> None:
    h, z = found("h", [20, 21, 22], 0.001), found("z", [15, 16.5, 16.5], 0.001)
    unsure, other = found("hidden", [25, 12, 23], 0.5), found("h", [10, 11, 12.5], 0.001, "b")
    lead, *said = sentences([h, unsure, z, other], {16: {"layout": np.array([9.0, 11.0])}})
    assert lead == "a keeps of layout and colours, in dB: h 21.0, hidden 20.0, z 16.0; a mean image has 10.0."
    assert said.pop(0).startswith("b keeps")
    assert len(compared([h, unsure, z, other])) == 3
    assert said[0].startswith("h of a reconstructs images better than h of b")
    assert "the encoder a keeps more" in said[0]
    assert "h of a and hidden of a reconstruct images equally well" in said[1]
    assert said[2].startswith("h of a reconstructs images better than z of a")
    (warned,) = warnings([h, unsure, z], [])
    assert "not converged for hidden a: up to 50 %" in warned
    assert warnings([h, z], ["z c"]) == ["Not finished: z c; the same command goes on with it."]


def test_the_command_writes_page_record_and_arrays(
    browser, run: Path, linear_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out" / "seen.html"
    argv = ["invert", str(run), str(linear_run), "--images", "2", "--iterations", "2", "--threads", "1"]
    assert cli([*argv, "-o", str(output)]) == 0
    said = capsys.readouterr().out
    assert "inverting: 14 of 14" in said
    assert str(output) in said
    record = json.loads(output.with_suffix(".json").read_text())
    assert record["missing"] == []
    assert [row["depth"] for row in record["scores"]] == ["h", "hidden", "z", "h", "z", "untrained", "pixels"]
    assert all(row["psnr"]["half"] is not None for row in record["scores"])
    assert cli([*argv, "-o", str(output)]) == 0
    assert "inverting:" not in capsys.readouterr().out
    for width, scheme in ((1280, "light"), (390, "dark")):
        with reading(browser, output, width, scheme) as read:
            assert undrawn(read) == 0
            assert read.locator("#pictures tbody tr").count() == 2
            assert read.locator("#pictures tbody tr:first-child img").count() == 8
            assert read.locator("#scores tbody tr").count() == 8
            assert read.evaluate("[...document.images].every(i => i.alt && i.naturalWidth)")


def test_mistakes_end_in_one_sentence(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare.safetensors"
    shutil.copy(run / "encoder.safetensors", bare)
    mine = tmp_path / "mine.json"
    mine.write_text("[1]")
    for argv, wanted in (
        (["invert"], "there is no encoder to invert"),
        (["invert", str(tmp_path / "none")], "there is no encoder"),
        (["invert", str(bare), "--targets", "z"], "bare.safetensors has no projection head"),
        (["invert", str(bare)], "name some with --on"),
        (["invert", str(run), "-o", str(tmp_path / "mine.html")], "mine.json is there and is no inversion of ours"),
        (["invert", str(run), "-o", str(tmp_path / "page.npz")], "ends in .html"),
        (["invert", str(run), "--seed", "-1"], "the seed must lie between"),
        (["invert", str(run), "--images", "0", "-o", str(tmp_path / "p.html")], "nothing to invert"),
    ):
        assert cli([*argv, "--threads", "1"]) == 2
        told = capsys.readouterr().err
        assert wanted in told
        assert told.count("\n") == 1
    assert mine.read_text() == "[1]"


def test_hostile_names_are_text(asked: Asked, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=hacked=1>"
    renamed = [replace(one, encoder=hostile) if one.encoder else one for one in asked.contestants]
    results = invert_all(replace(asked, contestants=renamed, draws=1), Store(tmp_path / "page.html"))
    text = page(replace(asked, contestants=renamed), results, [hostile])
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text
