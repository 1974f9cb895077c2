"""`pairlens map`: a page and all numbers, what survives an interruption, and sentences for what cannot be used."""

import json
from pathlib import Path

import numpy as np
import pytest
from reader import reading

from pairlens.cli import USAGE
from pairlens.cli import run as cli
from pairlens.mapping import whole

pytest.importorskip("sklearn.manifold")


def arguments(run: Path, output: Path) -> list[str]:
    return ["map", str(run), "--neighbours", "4", "--threads", "1", "-o", str(output)]


@pytest.fixture(scope="module")
def made(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "deep" / "map.html"
    assert cli(arguments(run, output)) == 0
    return output


def test_page_numbers_and_features_lie_beside_each_other(made: Path) -> None:
    assert sorted(path.name for path in made.parent.iterdir()) == ["map.html", "map.json", "map.npz"]
    found = json.loads(made.with_suffix(".json").read_text())
    assert found["kind"] == "embedding map"
    assert found["images"] == found["searched"] == 49
    (encoder,) = found["encoders"]
    steps = [moment["step"] for moment in encoder["moments"]]
    assert steps[0] == 0
    assert steps[-1] == 3
    with np.load(made.with_suffix(".npz")) as stored:
        for moment in encoder["moments"]:
            features = stored[moment["features"]]
            assert features.shape[0] == 49
            np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
        count = len(steps)
        assert stored["map-1.axes"].shape == stored["map-1.t_sne"].shape == (count, 49, 2)
        assert stored["map-1.neighbours"].shape == stored["map-1.cosine"].shape == (count, 49, 4)
        assert len(set(stored["map-1.names"].tolist())) == len(stored["map-1.clusters"]) == 49
        outlier = int(stored["map-1.index_searched"][stored["map-1.outlier_score_searched"].argmax()])
        assert sorted(stored["map-1.index_searched"].tolist()) == list(range(49))
        assert encoder["outliers"][0] == stored["map-1.names"][outlier]
    pairs = [set(one["names"]) for one in encoder["near_duplicates"] if one["kind"] == "identical pixels"]
    assert any({Path(name).name for name in pair} == {"image 47.png", "image 47 again.png"} for pair in pairs)


def test_a_further_call_takes_what_is_there(
    run: Path, made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads(made.with_suffix(".json").read_text())

    def never(*args: object, **given: object) -> None:
        raise AssertionError("it is made anew")

    monkeypatch.setattr(whole, "extract", never)
    monkeypatch.setattr(whole, "t_sne", never)
    assert cli(arguments(run, made)) == 0
    assert "parts of an earlier call" in capsys.readouterr().out
    again = json.loads(made.with_suffix(".json").read_text())
    assert again["encoders"] == before["encoders"]
    with pytest.raises(AssertionError, match="made anew"):
        cli([*arguments(run, made), "--images", "40"])


def test_what_is_finished_survives_an_interruption(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, usual, calls = tmp_path / "map.html", whole.t_sne, []

    def interrupted(*args: object) -> np.ndarray:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return usual(*args)

    monkeypatch.setattr(whole, "t_sne", interrupted)
    assert cli(arguments(run, output)) == 130
    assert "goes on from there" in capsys.readouterr().out
    assert not output.exists()
    monkeypatch.setattr(whole, "extract", None)
    calls.append("third")  # interrupts no more
    assert cli(arguments(run, output)) == 0
    moments = len(json.loads(output.with_suffix(".json").read_text())["encoders"][0]["moments"])
    assert len(calls) == moments + 2  # the first was kept


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        ([], "there is no encoder to map"),
        (["nowhere", "--on", "scenes"], "there is no encoder nowhere"),
        (["RUN", "--images", "1"], "a map has 3 to 5,000 images"),
        (["RUN", "--seed", "-3"], "the seed must lie between"),
        (["RUN", "-o", "RUN/map.npz"], "would be named like a file beside it"),
        (["RUN", "-o", "OTHER"], "is no embedding map of ours"),
        (["RUN", "-o", "FOREIGN"], "holds no features of a map"),
    ],
)
def test_mistakes_end_in_one_sentence(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], wanted: str
) -> None:
    (tmp_path / "other.json").write_text('{"kind": "label shift"}')
    (tmp_path / "foreign.npz").write_bytes(b"no")
    places = {"RUN": str(run), "OTHER": str(tmp_path / "other.html"), "FOREIGN": str(tmp_path / "foreign.html")}
    given = [word.replace("RUN", str(run)) if "RUN/" in word else places.get(word, word) for word in argv]
    if "-o" not in given:
        given += ["-o", str(tmp_path / "page.html")]
    assert cli(["map", *given, "--threads", "1"]) == 2
    told = capsys.readouterr().err
    assert wanted in told
    assert told.count("\n") == 1
    assert "pairlens map WHAT..." in USAGE


def near(made: Path, moment: int, image: int) -> list[int]:
    """An image's nearest, from the stored features."""
    found = json.loads(made.with_suffix(".json").read_text())["encoders"][0]["moments"][moment]
    with np.load(made.with_suffix(".npz")) as stored:
        features = stored[found["features"]].astype(np.float64)
    similar = features @ features[image]
    similar[image] = -2
    return np.argsort(-similar, kind="stable")[:4].tolist()


def test_the_map_is_read_with_mouse_and_keys(browser, made: Path) -> None:
    with np.load(made.with_suffix(".npz")) as stored:
        names = stored["map-1.names"].tolist()
    with reading(browser, made, 1280) as read:
        field = read.locator("#field")
        read.wait_for_selector("#field[data-pictures]")
        read.wait_for_selector("#field[data-drawn='49']")
        # by keyboard
        field.focus()
        field.press("ArrowRight")
        field.press("ArrowDown")
        read.wait_for_selector("#tip:not([hidden]) canvas")
        image = int(field.get_attribute("data-pointed"))
        painted = "c => c.getContext('2d').getImageData(8, 8, 1, 1).data[3]"
        assert read.eval_on_selector("#tip canvas", painted) == 255
        assert read.locator("#told").text_content().strip() != ""
        field.press("Enter")
        last = int(field.get_attribute("data-moment"))
        shown = read.locator("[data-near]").evaluate_all("all => all.map((e) => Number(e.dataset.near))")
        assert shown == near(made, last, image)
        # by mouse: the point that the keys had found
        read.wait_for_selector(f"#tip[data-image='{image}']")
        read.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        at = read.eval_on_selector("#tip", "e => [Number(e.dataset.x), Number(e.dataset.y)]")
        field.press("Escape")
        assert read.locator("#chosen").is_hidden()
        box = field.bounding_box()
        read.mouse.move(box["x"] + 1 + at[0], box["y"] + 1 + at[1])
        read.wait_for_selector(f"#field[data-pointed='{image}']")
        assert read.locator("#tip").is_visible()
        read.mouse.down()
        read.mouse.up()
        read.wait_for_selector(f"#field[data-chosen='{image}']")
        # another moment: other neighbours of the same image
        read.locator("#moment").fill("0")
        assert "untrained" in read.locator("#when").text_content()
        shown = read.locator("[data-near]").evaluate_all("all => all.map((e) => Number(e.dataset.near))")
        assert shown == near(made, 0, image)
        # colours, kinds, search, and the other map
        assert read.locator("#legend button").count() == 3
        read.locator("#legend button").nth(1).click()
        assert read.locator("#legend button").nth(1).get_attribute("aria-pressed") == "true"
        read.locator("#colour").select_option(label="brightness")
        assert read.locator("#legend canvas.ramp-scale").is_visible()
        read.get_by_role("button", name="principal axes").click()
        assert "axes of greatest variance" in read.locator("#caption").text_content()
        read.locator("#search").fill("image 47 again")
        read.locator("#hits button").first.click()
        wanted = next(i for i, name in enumerate(names) if "image 47 again" in name)
        assert field.get_attribute("data-chosen") == str(wanted)
        read.locator("#play").click()
        read.wait_for_selector(f"#field[data-moment='{last}']")
        # pictures on the page choose, too
        shot = read.locator("#outliers [data-image]").first
        image = shot.get_attribute("data-image")
        shot.click()
        assert field.get_attribute("data-chosen") == image
        assert read.evaluate("window.hacked") is None


def test_it_is_read_on_a_phone_in_the_dark(browser, made: Path) -> None:
    with reading(browser, made, 390, "dark") as read:
        read.wait_for_selector("#field[data-drawn='49']")
        pixel = "e => [...e.getContext('2d').getImageData(0, 0, e.width, e.height).data].some((v) => v > 0)"
        assert read.eval_on_selector("#field", pixel)
        read.locator("#theme").click()
        assert read.evaluate("document.documentElement.dataset.theme") == "light"
        assert read.locator(".curves svg").count() == 4
        assert read.evaluate("window.hacked") is None


def test_two_encoders_stand_on_one_page(browser, run: Path, tmp_path: Path) -> None:
    output, file = tmp_path / "map.html", run / "encoder.safetensors"
    source = json.loads((run / "run.json").read_text())["call"]["source"]
    assert cli(["map", str(run), str(file), *arguments(run, output)[2:], "--images", "12", "--on", source]) == 0
    first, second = json.loads(output.with_suffix(".json").read_text())["encoders"]
    assert [first["name"], second["name"]] == ["run", "encoder.safetensors"]
    assert first["moments"][-1]["mean_cosine"] == pytest.approx(second["moments"][0]["mean_cosine"])
    with np.load(output.with_suffix(".npz")) as stored:
        np.testing.assert_allclose(stored["map-1.axes"][-1], stored["map-2.axes"][0], atol=1e-5)  # turned alike
    with reading(browser, output, 1280) as read:
        read.wait_for_selector("#field[data-drawn='12']")
        assert read.locator("#time").is_visible()
        assert read.locator("#outliers .choice:visible h3").text_content() == "run"
        read.get_by_role("button", name="encoder.safetensors").click()
        assert not read.locator("#time").is_visible()
        assert read.locator("#outliers .choice:visible h3").text_content() == "encoder.safetensors"
        assert read.locator("#field").get_attribute("data-moment") == "0"
