"""What an evaluation says at the terminal, and how it is kept."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pairlens import commands, train_command
from pairlens.assess import assess, table
from pairlens.errors import InputError
from pairlens.pretrain import pretrain
from pairlens.recipes import RECIPES, find_recipe
from pairlens.record.disk import write_arrays
from pairlens.record.run import Run
from pairlens.settings import Machine
from pairlens.start import start_run


def test_arrays_are_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "neighbours.npz"
    write_arrays(path, {"queries": np.arange(3)})

    def killed(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez_compressed", killed)
        with pytest.raises(KeyboardInterrupt):
            write_arrays(path, {"queries": np.arange(5)})
    assert np.load(path)["queries"].tolist() == [0, 1, 2]
    write_arrays(path, {"queries": np.arange(4)})
    assert np.load(path)["queries"].tolist() == [0, 1, 2, 3]
    assert [file.name for file in tmp_path.iterdir()] == ["neighbours.npz"]


def test_the_command_hands_its_flags_on(tmp_path, monkeypatch):
    given = {}

    def assess(run, **flags):
        given.update(flags)
        raise InputError("enough")

    monkeypatch.setattr("pairlens.assess.assess", assess)
    (tmp_path / "run.json").write_text('{"call": {}}')
    with pytest.raises(InputError, match="enough"):
        commands.evaluate([str(tmp_path), "--solver", "sgd", "--linear-epochs", "7", "--seed", "5"])
    assert (given["solver"], given["epochs"], given["seed"]) == ("sgd", 7, 5)


def test_the_help_says_that_labels_hold_a_fifth_out(capsys):
    with pytest.raises(SystemExit):
        train_command.train(["--help"])
    assert "a fifth is held out to test on" in " ".join(re.sub("[│╭╰─╮╯]", " ", capsys.readouterr().out).split())


def test_the_table_names_what_was_compared():
    def both(share):
        return {"top1": share, "top5": share + 0.25}

    rows = {"encoder": 0.5, "random": 0.25, "pixels": 0.125}
    result = {
        "seed": 3,
        "training_seed": 4,
        "data": {"test": 1200},
        "test": {name: {"knn": both(share), "linear": both(share / 2)} for name, share in rows.items()},
        "retrieval": {**{name: both(share) for name, share in rows.items()}, "images": 1200},
    }
    lines = table(result).splitlines()
    assert lines[0] == "top-1 accuracy on 1,200 test images (top-5)"
    assert lines[5] == "  seeds: 4 of the training, 3 of the read-out"
    assert [line[:19].strip() for line in lines[2:5]] == ["trained encoder", "untrained encoder", "raw pixels"]
    assert lines[3].split()[2:] == ["25.0%", "(50.0%)", "12.5%", "(37.5%)"]
    assert len({line.index("(") for line in lines[2:5]}) == 1
    assert lines[-2].split()[:3] == ["untrained", "encoder", "25.0%"]


def test_the_table_shows_only_what_was_measured():
    share = {"top1": 0.5, "top5": 0.75}
    result = {
        "seed": 0,
        "training_seed": 0,
        "data": {"test": 10},
        "test": {"encoder": {"knn": share, "linear": share}},
        "retrieval": {"encoder": share, "images": 10},
    }
    text = table(result)
    assert text.count("trained encoder") == 2
    assert "untrained" not in text
    assert "pixels" not in text


@pytest.mark.parametrize("name", [name for name in RECIPES if "." not in name])
def test_a_run_of_every_method_can_be_evaluated(tmp_path, name):
    """InstDisc draws one view of an image, and InfoMin a jigsaw: the retrieval has two views all the same."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(60) % 3)
    recipe = find_recipe(name)()
    if recipe.method.trains:
        recipe = replace(recipe, optimisation=replace(recipe.optimisation, epochs=2, batch=16))
    recipe = replace(recipe, network=replace(recipe.network, splits=1))
    folder, training, source, _ = start_run(
        str(tmp_path / "images.npz"), recipe, folder=tmp_path / "run", machine=Machine("cpu", threads=1), say=quiet
    )
    assert pretrain(folder, training, source, say=quiet) == "finished"
    result = assess(Run.open(folder), baselines=False, say=quiet)
    assert 0 <= result["test"]["encoder"]["knn"]["top1"] <= 1
    assert 0 <= result["retrieval"]["encoder"]["top1"] <= result["retrieval"]["encoder"]["top5"] <= 1


def quiet(text: str) -> None:
    """Say nothing."""
