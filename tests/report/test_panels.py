import html
import json
import math
import re
import zlib
from dataclasses import replace
from pathlib import Path

import fake_run
import numpy as np
import pytest

from pairlens.clock import PHASES
from pairlens.health import Finding
from pairlens.record.run import Run, log_event
from pairlens.report.facts import Facts, facts_of
from pairlens.report.panels import (
    accuracy,
    configuration,
    confusion,
    curves,
    distributions,
    gallery,
    neighbours,
    probes,
    run_table,
    throughput,
    verdict,
)
from pairlens.report.plots import SCORES, TRAINING, Plot
from pairlens.report.read import Missing, Score, settled
from pairlens.report.theme import POSITIVE


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.open(fake_run.make(tmp_path_factory.mktemp("runs") / "plain"))


GOOD = Facts(
    name="r",
    state="finished",
    step=100,
    steps=100,
    epochs=3.0,
    seconds=60.0,
    updated="",
    scores={
        "knn": {"encoder": Score(0.8, None), "random": Score(0.1, None), "pixels": Score(0.5, None)},
        "linear": {"encoder": Score(0.9, None), "random": Score(0.2, None), "pixels": Score(0.4, None)},
    },
    test_images=1000,
    health=(Finding("complete_collapse", "ok", "feature standard deviation 0.9"), Finding("plateau", "ok", "falling")),
    accuracy=0.7,
    images_per_second=1000.0,
)


def with_knn(encoder: float) -> Facts:
    return replace(
        GOOD, scores=dict(GOOD.scores) | {"knn": dict(GOOD.scores["knn"]) | {"encoder": Score(encoder, None)}}
    )


def test_verdict_of_a_good_run() -> None:
    judged = verdict.verdict(GOOD)
    assert judged.tone == "good"
    assert judged.headline == "The encoder beats both baselines in kNN and linear accuracy."
    assert judged.sentences[0].replace("\u00a0", " ") == (
        "kNN: 80.0 %, against 10.0 % for the untrained encoder and 50.0 % for raw pixels."
    )
    assert judged.state == "Finished in 1 min 00 s"
    assert not judged.warnings


@pytest.mark.parametrize(("encoder", "tone"), [(0.56, "good"), (0.51, "mixed"), (0.3, "mixed")])
def test_a_lead_within_two_standard_errors_is_none(encoder: float, tone: str) -> None:
    assert verdict.verdict(with_knn(encoder)).tone == tone


def test_the_headline_says_where_it_failed() -> None:
    assert verdict.verdict(with_knn(0.3)).headline == (
        "The encoder beats both baselines in linear accuracy, but not in kNN accuracy."
    )
    retrieval = {"encoder": Score(0.9, None), "random": Score(0.1, None), "pixels": Score(0.1, None)}
    poor = dict(GOOD.scores) | {k: GOOD.scores["knn"] | {"encoder": Score(0.3, None)} for k in ("knn", "linear")}
    assert verdict.verdict(replace(GOOD, scores=poor | {"retrieval": retrieval})).tone == "bad"
    assert verdict.verdict(replace(GOOD, scores={"retrieval": retrieval})).tone == "good"


def test_verdict_of_a_bad_run() -> None:
    scores = {"knn": {"encoder": Score(0.2, None), "random": Score(0.2, None), "pixels": Score(0.5, None)}}
    assert verdict.verdict(replace(GOOD, scores=scores)).tone == "bad"
    assert verdict.verdict(replace(GOOD, scores={})).tone == "open"


COLLAPSED = Finding("complete_collapse", "ill", "mean cosine 0.97", "The rate.", "Lower `--lr`.")
NARROW = replace(COLLAPSED, verdict="watch")


def test_what_is_ill_is_warned_of() -> None:
    judged = verdict.verdict(replace(GOOD, health=(COLLAPSED, *GOOD.health[1:])))
    assert judged.warnings == ("Complete collapse: mean cosine 0.97. Lower `--lr`.",)
    assert judged.tone == "mixed"
    drawn = verdict.draw([replace(GOOD, health=(COLLAPSED,))], ["r"])
    assert "Lower <code>--lr</code>." in drawn
    assert "looks sound" not in drawn
    assert verdict.verdict(replace(GOOD, health=(COLLAPSED,), scores={})).tone == "bad"


def test_what_is_to_be_watched_is_no_warning() -> None:
    facts = replace(GOOD, health=(NARROW, *GOOD.health[1:]))
    assert not verdict.verdict(facts).warnings
    assert "The training looks sound, but watch: complete collapse (see Health)." in verdict.draw([facts], ["r"])
    assert "The training itself looks sound by 2 rules of health." in verdict.draw([GOOD], ["r"])
    early = tuple(replace(finding, verdict="unknown") for finding in GOOD.health)
    assert "sound" not in verdict.draw([replace(GOOD, health=early)], ["r"])


def test_files_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    assert not any("Unreadable" in sentence for sentence in verdict.verdict(GOOD).sentences)
    folder = fake_run.make(tmp_path / "r", steps=60)  # with one that was skipped
    for name in ("a: b.jpg", "c.jpg", "d.jpg", "c.jpg"):
        log_event(folder, "unreadable", f"{name}: FileNotFoundError: gone; another image takes its place")
    judged = verdict.verdict(facts_of(Run.open(folder)))
    assert judged.sentences[-1] == (
        "Unreadable files: 1 was left out and 3 were replaced by other images; `events.jsonl` names each."
    )


def test_facts_come_from_the_run(run: Run) -> None:
    facts = facts_of(run)
    assert facts.state == "finished"
    assert {f.verdict for f in facts.health} == {"ok", "unknown"}
    assert facts.scores["knn"]["pixels"].top1 == pytest.approx(0.572)
    assert facts.accuracy == pytest.approx(run.statistics["z.accuracy"][-117:].mean(), rel=1e-4)
    parts = [run.statistics[f"time_{p}"] for p in PHASES]
    assert facts.images_per_second == pytest.approx(np.median(256 / np.sum(parts, 0)), rel=1e-4)


def test_a_loss_that_is_no_number_is_found(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "nan", steps=300)
    table = np.load(folder / "statistics.npy")
    table["loss"][[200, 250]] = np.nan, np.inf
    table["z.loss"][[200, 250]] = np.nan, np.inf
    np.save(folder / "statistics.npy", table)
    opened = Run.open(folder)
    said = [f.evidence for f in facts_of(opened).health if f.rule == "not_a_number"]
    assert said == ["loss or gradient was not a number at step 200, last at step 250"]
    found = curves.compute(opened)
    assert isinstance(found, curves.Curves)
    assert found.curves["loss"]["z"].broken.tolist() == [200, 250]
    assert "2 values were not numbers" in curves.draw([found], ["nan"], [0])


def test_settled_is_the_finite_end() -> None:
    assert settled(np.array([9.0] * 90 + [1, 1, 1, 1, np.nan, 3, 3, 3, 3, 3])) == pytest.approx(19 / 9)
    assert math.isnan(settled(np.array([np.nan])))
    assert math.isnan(settled(None))


def test_distributions_are_shares(run: Run) -> None:
    found = distributions.compute(run)
    assert isinstance(found, distributions.Distributions)
    (space,) = found.spaces
    assert list(space.stages) == ["before", "after"]
    for stage in space.stages.values():
        for kind, shares in stage.shares.items():
            np.testing.assert_allclose(shares.sum(0), 1)
            mean = (shares * found.bins[:, None]).sum(0)
            exact = np.interp(found.step, found.line_step, stage.moments[kind].mean)
            assert np.median(np.abs(mean - exact)) < 0.03  # two recordings of the same scores
    low, high = distributions.extent(space, found.bins)
    assert -1 <= low < -0.3
    assert 0.8 < high <= 1


def test_an_untransformed_run_shows_one_distribution(tmp_path: Path) -> None:
    found = distributions.compute(Run.open(fake_run.make(tmp_path / "r", transformed=False, steps=120)))
    assert isinstance(found, distributions.Distributions)
    assert list(found.spaces[0].stages) == ["after"]


def test_what_is_counted_is_said(tmp_path: Path, run: Run) -> None:
    other = Run.open(fake_run.make(tmp_path / "r", steps=3000, every=5, arguments={"accumulate": 2}, batch=60))
    found = [d for r in (run, other) if isinstance(d := distributions.compute(r), distributions.Distributions)]
    assert distributions.counting(found[0].counted) == (
        "Counted every 10 steps: the 256 positives of the whole batch, and the negatives of its first 16 "
        "queries. A column of a heat map holds up to 2 such histograms. "
        "The lines of mean and deviation are recorded at every step."
    )
    assert distributions.counting(found[1].counted).startswith(
        "Counted every 5 steps: the 60 positives of the last of the batch's 2 parts, and the negatives of "
        "its first 16 queries. A column of a heat map holds up to 5 such histograms."
    )
    assert "first 16 queries" in distributions.draw(found[0], "z")


@pytest.mark.parametrize(
    ("arguments", "transformed", "said"),
    [
        ({"ft_start": 3}, True, "begins with epoch 3 (step 117)"),
        ({"ft_start": 3, "union": True}, True, "half as many negatives"),
        ({"ft_start": 0, "union": True}, True, None),
        ({"ft_start": 3}, False, None),
    ],
)
def test_a_late_start_of_the_transform_is_said(
    tmp_path: Path, arguments: dict[str, object], transformed: bool, said: str | None
) -> None:
    late = Run.open(fake_run.make(tmp_path / "r", steps=300, transformed=transformed, arguments=arguments))
    pairs, curve = distributions.compute(late), curves.compute(late)
    assert isinstance(pairs, distributions.Distributions)
    assert isinstance(curve, curves.Curves)
    assert curve.chance == {"z": pytest.approx(math.log(4097))}  # K as run.json has it, whatever the arguments
    drawn = distributions.draw(pairs, "z"), curves.draw([curve], ["r"], [0])
    for text in drawn:
        assert ("the feature transform begins" in text.lower()) is (said is not None)
    assert said is None or said in drawn[0]
    assert ("log(K+1), is smaller" in drawn[1]) is (said == "half as many negatives")
    scores = curves.compute_scores(late)
    assert isinstance(scores, curves.Curves)
    assert "log(K+1)" not in curves.draw([scores], ["r"], [0])  # that is of the loss


def test_loss_has_its_reference(run: Run) -> None:
    found = curves.compute(run)
    assert isinstance(found, curves.Curves)
    assert found.chance == {"z": pytest.approx(math.log(4097))}
    figure = curves.plot([found], ["r"], [0], TRAINING[0])
    assert any(t.y[0] == pytest.approx(math.log(4097), abs=1e-5) for t in figure.data)
    assert all(len(c) <= 1000 for spaces in found.curves.values() for c in spaces.values())


@pytest.mark.parametrize("of", SCORES, ids=lambda of: of.key)
def test_score_statistics_of_all_runs_lie_in_one_plot(tmp_path: Path, run: Run, of: Plot) -> None:
    """FT, Figures 3 and 5: the recorded numbers, after the transform, and before it where that changed them."""
    runs = [run, Run.open(fake_run.make(tmp_path / "r", transformed=False, steps=90))]
    found = [c for r in runs if isinstance(c := curves.compute_scores(r), curves.Curves)]
    lines = {t.name: t for t in curves.plot(found, ["ft", "plain"], [0, 1], of).data if t.name}
    raw = {"\u2068ft\u2069 before the transform"} if of.key != "negative_mean" else set()  # mixing keeps that mean
    assert lines.keys() == {"\u2068ft\u2069", "\u2068plain\u2069"} | raw
    np.testing.assert_allclose(lines["\u2068plain\u2069"].y, runs[1].statistics[f"z.{of.key}"])
    for name in raw:
        assert lines[name].line.color == lines["\u2068ft\u2069"].line.color
        before = runs[0].statistics[f"z.raw_{of.key}"]
        assert lines[name].y[[0, -1]] == pytest.approx([before[:2].mean(), before[-3:].mean()], rel=1e-3)
    assert of.title in curves.draw(found, ["ft", "plain"], [0, 1])


def test_thin_lines_are_explained_where_there_are_any(tmp_path: Path, run: Run) -> None:
    plain = Run.open(fake_run.make(tmp_path / "r", transformed=False, steps=90))
    for one, transformed in ((run, True), (plain, False)):
        found = curves.compute_scores(one)
        assert isinstance(found, curves.Curves)
        assert ("before the feature transform" in curves.draw([found], ["r"], [0])) is transformed
    figure = curves.plot([found], ["r"], [0], SCORES[0])
    assert {t.line.color for t in figure.data if t.line.width == 2} == {POSITIVE}  # one curve: the colour of its kind


def test_epochs_are_offered_where_every_run_counts_them(tmp_path: Path, run: Run) -> None:
    folder = fake_run.make(tmp_path / "r", steps=60)
    info = json.loads((folder / "run.json").read_text())
    del info["steps_per_epoch"]
    (folder / "run.json").write_text(json.dumps(info))
    found = [c for r in (run, Run.open(folder)) if isinstance(c := curves.compute(r), curves.Curves)]
    assert "Over epochs" in curves.draw(found[:1], ["a"], [0])
    assert "Over epochs" not in curves.draw(found, ["a", "b"], [0, 1])
    assert {t.meta["epoch"] for t in curves.plot(found[:1], ["a"], [0], TRAINING[0]).data} == {39}
    assert any(t.meta is None for t in curves.plot(found, ["a", "b"], [0, 1], TRAINING[0]).data)


def test_a_space_has_one_dash_in_every_run(tmp_path: Path, run: Run) -> None:
    other = Run.open(fake_run.make(tmp_path / "r", spaces=("color", "z"), steps=60))
    found = [c for r in (run, other) if isinstance(c := curves.compute(r), curves.Curves)]
    figure = curves.plot(found, ["a", "b"], [0, 1], TRAINING[1])
    dashes = {t.name.strip("\u2068\u2069"): t.line.dash for t in figure.data if t.name}
    assert dashes == {"a \u00b7 z": "solid", "b \u00b7 z": "solid", "b \u00b7 color": "dash"}
    colors = {t.name[1]: t.line.color for t in figure.data if t.name}
    assert colors["a"] != colors["b"]


def test_baselines_on_which_all_runs_agree_stand_once(run: Run) -> None:
    found = accuracy.compute(run)
    assert isinstance(found, accuracy.Accuracy)
    kinds = [b.kind for b in accuracy.bars([found, found], ["a", "b"], "knn")]
    assert kinds == ["encoder", "encoder", "random", "pixels"]
    other = replace(found, scores={"knn": {"encoder": Score(0.5, None), "random": Score(0.2, None)}})
    rows = accuracy.bars([found, other], ["a", "b"], "knn")
    assert [(b.kind, b.label) for b in rows if b.kind == "random"] == [
        ("random", "untrained encoder, a"),
        ("random", "untrained encoder, b"),
    ]


def test_mistakes_are_shares_of_the_true_class() -> None:
    counts = np.array([[8, 2, 0], [0, 10, 0], [3, 1, 6]])
    assert confusion.mistakes(counts) == [(2, 0, 0.3), (0, 1, 0.2), (2, 1, 0.1)]


def test_only_differing_arguments_are_listed(tmp_path: Path, run: Run) -> None:
    other = Run.open(fake_run.make(tmp_path / "b", arguments={"epochs": 90, "extra": [1, 2]}, steps=60))
    rows = [run_table.compute(run), run_table.compute(other)]
    assert run_table.differing(rows) == ["epochs", "extra"]
    assert "1, 2" in run_table.draw(rows, ["a", "b"])


def test_the_median_split_is_said_in_words(run: Run) -> None:
    found = throughput.compute(run)
    assert isinstance(found, throughput.Throughput)
    assert throughput.words(found).replace("\u00a0", " ").endswith("rest 4 %, data 3 % and record 1 %.")
    assert throughput.words(found).index("backward") < throughput.words(found).index("forward")


def test_view_parameters_are_said_in_their_order() -> None:
    params = {
        "crop": [0.1, 0.2, 0.5, 0.5],
        "flip": True,
        "factors": [1.25, 0.8, 1.1, -0.05],
        "order": [3, 0, 2, 1],
        "jittered": True,
        "gray": False,
        "blur": 0.5,
        "rotation": 3,
        "texture": 0,
    }
    assert [p.replace("\u00a0", " ") for p in gallery.describe(params)] == [
        "crop 25 % at 10, 20",
        "flipped",
        "rotated 270°",
        "hue \u22120.05 turn",
        "brightness \u00d71.25",
        "saturation \u00d71.10",
        "contrast \u00d70.80",
        "blur \u03c3 0.50 px",
    ]
    assert gallery.describe({**params, "jittered": False})[3] == "blur \u03c3 0.50 px"
    assert gallery.describe({**params, "texture": 2})[-1] == "texture 2"


def test_samples_are_spread_over_the_run(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "r", steps=60)
    rng = np.random.default_rng(0)
    for step in range(100, 120):
        fake_run._sample(folder, step, 32, fake_run.DIGITS, rng)
    (folder / "samples" / "000119.npz").write_bytes(b"PK\x03\x04 cut off")
    found = gallery.compute(Run.open(folder))
    assert isinstance(found, tuple)
    assert found[0].step == 0
    assert len(found) == gallery.STEPS - 1  # the damaged one is passed over
    assert [v.name for v in found[0].examples[0].views] == ["query", "key"]  # as run.json has them


def test_a_sample_whose_bytes_were_changed_is_passed_over(tmp_path: Path) -> None:
    folder = fake_run.make(tmp_path / "r", steps=60)
    path = folder / "samples" / "000000.npz"
    np.savez_compressed(path, images=np.random.default_rng(0).integers(0, 256, 9999).astype(np.uint8))
    data = bytearray(path.read_bytes())
    data[300:400] = b"\xff" * 100
    path.write_bytes(data)
    with path.open("rb") as opened, np.load(opened) as kept, pytest.raises(zlib.error):
        kept["images"]
    found = gallery.compute(Run.open(folder))
    assert isinstance(found, tuple)
    assert [sample.step for sample in found] == [15, 30, 59]


def test_small_views_stand_in_a_row_of_their_own_and_all_are_told_apart(tmp_path: Path) -> None:
    found = gallery.compute(Run.open(fake_run.make(tmp_path / "r", steps=60, local=6)))
    assert isinstance(found, tuple)
    names = ["query", "key", *(f"local_{i}" for i in range(1, 7))]
    assert [v.name for v in found[0].examples[0].views] == names
    assert [v.pixels.shape[-1] for v in found[0].examples[0].views] == [32, 32] + [13] * 6
    drawn = gallery.draw(found[:1], "group")
    rows = drawn.split('<div class="small-views">')[1:]
    assert len(rows) == len(found[0].examples)
    for row, example in zip(rows, found[0].examples, strict=True):
        figures = re.findall(r'<figure class="view (s\d)" style="(--c:#\w+)" title="(.*?)">(.*?)</figure>', row)[:6]
        for (*_, title, content), view in zip(figures, example.views[2:], strict=True):
            said = [html.escape(phrase) for phrase in gallery.describe(view.params)]
            assert title == "; ".join(said)
            assert content.endswith(f"<ul><li>13 px</li><li>{said[0]}</li></ul></figcaption>")
    marks = re.findall(r'<figure class="view (s\d)" style="(--c:#\w+)"', drawn)[:8]
    assert len(set(marks)) == 8
    assert re.findall(r'class="crop (s\d)" style="[^"]*;(--c:#\w+)"', drawn)[:8] == marks
    assert re.findall(r'class="stroke (s\d)" style="(--c:#\w+)"', drawn) == marks
    assert gallery.SMALL in drawn


def test_views_of_one_size_need_no_second_row(run: Run) -> None:
    found = gallery.compute(run)
    assert isinstance(found, tuple)
    drawn = gallery.draw(found, "group")
    assert "small-views" not in drawn
    assert gallery.SMALL not in drawn
    assert drawn.count('<figure class="view') == sum(2 * len(sample.examples) for sample in found)


def test_textures_are_explained_where_there_are_any() -> None:
    pixels = np.zeros((3, 8, 8), np.uint8)
    plain, textured = (gallery.View("query", pixels, {"texture": texture}) for texture in (0, 3))
    examples = [gallery.Example(0, pixels, 8, 8, (view,)) for view in (plain, textured)]
    assert "Texture" not in gallery.caption(examples[:1])
    assert html.escape(gallery.TEXTURE) in gallery.caption(examples)
    assert "<li>texture 3</li>" in gallery.figure(examples[1])
    assert "texture" not in gallery.figure(examples[0])


def test_neighbours_are_marked_by_more_than_colour(run: Run) -> None:
    found = neighbours.compute(run)
    assert isinstance(found, neighbours.Neighbours)
    same, known = neighbours.agreement(found)
    drawn = neighbours.draw(found)
    assert (drawn.count("✓"), drawn.count("✗")) == (same, known - same)
    assert drawn.count(", another class") == 2 * (known - same)  # alternative text and tooltip


def test_unlabelled_neighbours_are_not_judged(tmp_path: Path) -> None:
    found = neighbours.compute(Run.open(fake_run.make(tmp_path / "r", labelled=False, steps=60)))
    assert isinstance(found, neighbours.Neighbours)
    assert neighbours.agreement(found) == (0, 0)
    assert "✓" not in neighbours.draw(found)


def test_configuration_holds_everything_asked_for(run: Run) -> None:
    found = configuration.compute(run)
    assert found.command == "pairlens train scenes --recipe moco_v2 --epochs 30"
    assert dict(found.groups["Arguments"])["momentum"] == "0.99"
    assert dict(found.groups["Environment"])["torch"] == "2.13.0+cpu"
    assert found.events[1] == ("2026-11-20 08:12 UTC", "skipped", "holiday/broken.jpg: truncated file")


def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    info = {"call": {"recipe": "m", "source": "s", "arguments": {}}, "spaces": {"z": {}}}
    (folder / "run.json").write_text(json.dumps(info))
    bare = Run.open(folder)
    for panel in (accuracy, probes, confusion, distributions, curves, throughput, gallery, neighbours):
        missing = panel.compute(bare)
        assert isinstance(missing, Missing), panel
        assert missing.reason.count(".") == 1 + missing.reason.count(".npz")
        assert missing.reason.endswith(".")
    assert verdict.verdict(facts_of(bare)).tone == "open"


def test_a_loss_without_negatives_is_told_from_one_with(tmp_path: Path) -> None:
    run = fake_run.make(tmp_path / "run")
    info = json.loads((run / "run.json").read_text())
    info["spaces"]["z"]["negatives"] = 0
    (run / "run.json").write_text(json.dumps(info))
    found = distributions.compute(Run.open(run))
    assert not isinstance(found, Missing)
    assert "its loss compares with no others" in str(distributions.draw(found, "g"))
