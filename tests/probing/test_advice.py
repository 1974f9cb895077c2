"""Whether LooC is worth trying, and whether what is printed can be typed."""

import math
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pairlens.given import Given
from pairlens.probing.advice import Advice, Training, advise, command_for, training_of
from pairlens.probing.verdict import Kind, Verdict
from pairlens.recipes import find_recipe
from pairlens.record.run import Run

MOCO = Training("moco_v2", True, frozenset({"color", "crop", "rotation"}), ())


def verdicts(**kinds: Kind) -> dict[str, Verdict]:
    usual: dict[str, Kind] = {"hue": "keeps", "gray": "keeps", "saturation": "keeps", "rotation": "keeps"}
    return {name: Verdict(kind, True, math.nan, ("",)) for name, kind in {**usual, **kinds}.items()}


def advice(training: Training | None, level: float = 0.95, **kinds: Kind) -> Advice:
    found = verdicts(**kinds)
    return advise(found, dict.fromkeys(found, level), training, "my photos")


def test_nothing_lost_is_no() -> None:
    found = advice(MOCO)
    assert not found.worth
    assert found.command is None
    assert found.sentence == "No: nothing that LooC could give back is lost; it keeps colour and rotation."


def test_what_training_took_is_named_with_the_command() -> None:
    found = advice(MOCO, hue="blind", rotation="blind")
    assert found.worth
    assert "is blind to colour and rotation, because its training draws colour and rotation anew" in found.sentence
    assert found.sentence.startswith("Yes, if your task needs colour (telling birds, flowers, signals")
    assert found.command == "pairlens train 'my photos' --recipe looc --designated color rotation"


def test_of_an_unknown_training_only_what_is_measured_counts() -> None:
    found = advice(None, gray="blind")
    assert found.worth
    assert "whatever it was trained with" in found.sentence
    assert found.command == "pairlens train 'my photos' --recipe looc --designated color --rotation 0"


def test_what_is_dulled_counts_only_where_features_stay_near() -> None:
    assert advice(MOCO, 0.85, hue="partly").worth
    assert "has lost some or all of colour" in advice(MOCO, 0.85, hue="partly").sentence
    assert not advice(MOCO, 0.6, hue="partly").worth
    assert not advice(MOCO, 0.95, saturation="blind").worth


def test_looc_that_failed_is_told_so() -> None:
    tried = replace(MOCO, recipe="looc", apart=("color", "rotation"))
    found = advice(tried, rotation="blind")
    assert not found.worth
    assert "there is a space for rotation, and yet" in found.sentence
    assert "--last-stage own" in found.sentence
    assert "--last-stage own" not in advice(replace(tried, fanned=True), rotation="blind").sentence
    assert "It was trained by LooC, with a space for colour and rotation." in advice(tried).sentence
    half = replace(tried, apart=("rotation",))
    assert advice(half, hue="blind", rotation="blind").command == (
        "pairlens train 'my photos' --recipe looc --designated color"
    )


def test_an_untrained_encoder_is_not_advised() -> None:
    assert advice(replace(MOCO, trained=False), hue="blind").sentence.startswith("This encoder is untrained")


@pytest.mark.parametrize("groups", [["color"], ["rotation"], ["texture"], ["color", "rotation", "texture"]])
@pytest.mark.parametrize("family", ["moco_v2", "scenes.moco_v2", "cifar10.simclr"])
def test_the_command_can_be_typed(groups: list[str], family: str) -> None:
    """As `pairlens train` reads it; its views draw what is designated, and turn nothing else."""
    import tyro

    words = shlex.split(command_for(groups, replace(MOCO, recipe=family, varied=frozenset()), "my photos"))
    assert words[:3] == ["pairlens", "train", "my photos"]
    given = Given.of(words[2:], {})
    made = tyro.cli(given.constructor, args=words[words.index("--recipe") + 2 :], config=(tyro.conf.OmitArgPrefixes,))
    assert find_recipe(given.recipe)().name == given.recipe
    assert made.method.designated == tuple(groups)
    assert (made.views.rotation > 0) == ("rotation" in groups)
    sized = replace(made, views=replace(made.views, size=32, blur=0.0))
    assert {f"key_{g}" for g in groups} <= set(sized.plan()(_draw()))


def _draw() -> object:
    import torch

    from pairlens.draw import Draw

    numbers = torch.Generator().manual_seed(0)
    return Draw(torch.arange(4), torch.full((4, 2), 32), 0, 0, numbers, numbers)


def test_how_a_run_was_trained_is_read_off_its_views(run: Path) -> None:
    known = training_of(Run.open(run))
    assert known == Training("looc", True, frozenset({"crop", "color", "rotation"}), ("rotation",))
    assert training_of(None) is None
