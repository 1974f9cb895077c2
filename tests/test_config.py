"""A configuration gives what flags would give, and says in a sentence what is wrong with it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from pairlens.config import fill, read_config
from pairlens.errors import InputError
from pairlens.given import Given, first_positional, flag
from pairlens.recipes import RECIPES, defaults, find_recipe, flatten
from pairlens.settings import Machine, Network, Views
from pairlens.train_command import RunArguments


@dataclass(frozen=True)
class Group:
    whole: int = 1
    number: float = 1.0
    text: str = "a"
    held: bool = False
    chosen: Literal["one", "two"] | None = None
    maybe: int | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    place: Path | None = None


def written(folder: Path, text: str, name: str = "c.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def filled(folder: Path, text: str) -> Group:
    path = written(folder, text)
    return fill(path, read_config(path), {"group": Group()}, "moco_v2")["group"]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("whole: 3", "whole", 3),
        ("number: 3", "number", 3.0),
        ("number: 1e-4", "number", 1e-4),
        ("number: .inf", "number", float("inf")),
        ("text: b c", "text", "b c"),
        ("held: true", "held", True),
        ("held: no", "held", False),
        ("chosen: two", "chosen", "two"),
        ("chosen: null", "chosen", None),
        ("maybe: 2", "maybe", 2),
        ("maybe:", "maybe", None),
        ("pair: [1, 0.5]", "pair", (1.0, 0.5)),
        ("place: some/where", "place", Path("some/where")),
        ("--whole: 4", "whole", 4),
    ],
)
def test_a_value_becomes_what_its_flag_would_be(tmp_path: Path, line: str, field: str, value: Any) -> None:
    found = filled(tmp_path, line)
    assert found == replace(Group(), **{field: value})
    assert type(getattr(found, field)) is type(value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("whole: many", r'whole must be a whole number, not "many"; correct it, or leave it out'),
        ("whole: 1.5", r"whole must be a whole number, not 1\.5"),
        ("whole: true", "whole must be a whole number, not true"),
        ("whole: null", "whole must be a whole number, not null; leave it out$"),
        ("number: fast", 'number must be a number, not "fast"'),
        ("number: false", "number must be a number, not false"),
        ("text: 3", "text must be a text, not 3"),
        ("held: 1", "held must be true or false, not 1"),
        ("chosen: three", 'chosen must be one of one, two or null, not "three"'),
        ("maybe: [1]", r"maybe must be a whole number or null, not \[1\]"),
        ("pair: [1]", r"pair must be a list of 2 numbers, not \[1\]"),
        ("pair: [1, a]", r'pair must be a list of 2 numbers, not \[1, "a"\]'),
        ("pair: 1", "pair must be a list of 2 numbers, not 1"),
        ("place: 3", "place must be a path or null, not 3"),
        ("whoel: 3", "the recipe moco_v2 has no argument 'whoel'; did you mean whole"),
        ("xyz: 3", "the recipe moco_v2 has no argument 'xyz'; `pairlens recipes moco_v2` shows them all"),
        ("on: 3", "no argument 'True'"),
        ("group: {whole: 3}", "group holds a mapping; write its keys on lines of their own, such as whole"),
        ("group: {}", "group holds a mapping"),
        ("a-b: 1\na_b: 2", "a_b is given twice; leave one of them out"),
        ("whole: 1\nwhole: 2", "is not YAML .line 2: whole is given twice.; write one `flag: value` a line"),
        ("whole: [1", "is not YAML .line 1: expected"),
        ("whole: 1\n  number: 2", "is not YAML .line 2: "),
        ("whole: !!python/object:os.system 1", "is not YAML .line 1: could not determine a constructor"),
        ("", "holds no flags; write one `flag: value` a line"),
        ("# nothing", "holds no flags"),
        ("[1, 2]", "holds no flags"),
        ("3", "holds no flags"),
        ("\x00", "cannot be read .*; write YAML or JSON, in UTF-8"),
    ],
)
def test_what_cannot_be_meant_is_named_with_its_file_and_a_remedy(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        filled(tmp_path, line)
    assert str(tmp_path / "c.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml cannot be read \(No such file"):
        read_config(tmp_path / "nowhere.yaml")
    with pytest.raises(InputError, match=r"cannot be read .Is a directory"):
        read_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("text: \xe9".encode("latin-1"))
    with pytest.raises(InputError, match=r"latin\.yaml cannot be read .*in UTF-8"):
        read_config(tmp_path / "latin.yaml")
    with pytest.raises(InputError, match=r"c\.json cannot be read .Expecting"):
        read_config(written(tmp_path, '{"call": ', "c.json"))
    for text in ('{"call": {}}', '{"call": {"recipe": "x", "source": "y"}}'):
        with pytest.raises(InputError, match=r"is not a whole run\.json: its call lacks"):
            read_config(written(tmp_path, text, "c.json"))


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_can_be_written_down_and_read_again(tmp_path: Path, name: str) -> None:
    """As the call in a run's run.json: JSON is YAML, and its values are of the arguments' types."""
    plain = find_recipe(name)()
    path = written(tmp_path, json.dumps(flatten(plain)))
    groups = defaults(find_recipe(name))
    assert fill(path, read_config(path), groups, name) == groups


def test_a_run_gives_back_its_call(tmp_path: Path) -> None:
    recipe = find_recipe("cifar10.simclr")(network=Network(dim=9), views=Views(crop=(0.5, 0.9)))
    call = {"argv": ["x"], "recipe": recipe.name, "source": "/data", "labels": True, "test": None, "seed": 3}
    call |= {"record": True, "machine": {"threads": 2}, "arguments": flatten(recipe)}
    path = written(tmp_path, json.dumps({"call": call, "seed": 3, "spaces": {}}), "run.json")
    values = read_config(path)
    assert {name: values[name] for name in ("recipe", "source", "labels", "test", "seed")} == {
        name: call[name] for name in ("recipe", "source", "labels", "test", "seed")
    }
    assert values["threads"] == 2
    assert values["crop"] == [0.5, 0.9]
    assert "argv" not in values
    given = Given.of(["--config", str(path)], {"machine": Machine(), "run": RunArguments()})
    assert given.constructor() == recipe
    assert given.groups["run"] == RunArguments(labels=True, seed=3)


def test_the_command_line_goes_before_the_configuration(tmp_path: Path) -> None:
    path = written(tmp_path, "recipe: simclr\nsource: photos\ntemperature: 0.3\nthreads: 2")
    groups = {"machine": Machine()}
    given = Given.of(["--config", str(path)], groups)
    assert (given.recipe, given.source, given.config) == ("simclr", "photos", path)
    assert given.groups["machine"].threads == 2
    assert given.constructor().method.temperature == 0.3
    assert find_recipe("simclr")().method.temperature == 0.1
    assert Given.of([f"--config={path}", "--recipe", "moco_v1"], groups).recipe == "moco_v1"
    with pytest.raises(InputError, match="the recipe byol has no argument 'temperature'"):
        Given.of([f"--config={path}", "--recipe", "byol"], groups)


def test_a_recipe_that_a_configuration_names_wrongly_is_named_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "recipe: simclear")
    with pytest.raises(InputError, match=r"c\.yaml: there is no recipe 'simclear'; did you mean simclr"):
        Given.of(["--config", str(path)], {})
    with pytest.raises(InputError, match=r"^there is no recipe 'byo'"):
        Given.of(["--config", str(path), "--recipe", "byo"], {})
    for key in ("recipe", "source"):
        with pytest.raises(InputError, match=f"{key} must be a text, not 3"):
            Given.of(["--config", str(written(tmp_path, f"{key}: 3"))], {})


def test_without_a_configuration_the_source_decides_on_the_recipe(tmp_path: Path) -> None:
    assert Given.of(["photos"], {}).recipe == "moco_v2"
    assert Given.of(["scenes:shortcut", "--epochs", "1"], {}).recipe == "scenes.simclr"
    assert Given.of(["--config", str(written(tmp_path, "source: scenes"))], {}).recipe == "scenes.simclr"


@pytest.mark.parametrize(
    ("line", "source"),
    [
        ("photos --out scenes", "photos"),
        ("--out scenes photos", "photos"),
        ("--labels photos --test scenes", "photos"),
        ("--test=scenes photos", "photos"),
        ("--crop 0.2 1 --jitter 0.1 0.1 0.1 0.1 scenes", "scenes"),
        ("--seed -1 --no-record --local_size 8 scenes:shortcut", "scenes:shortcut"),
        ("--select skewed --no-fill --negatives 9 photos scenes", "photos"),
        ("--save-every 5 --config scenes", None),
        ("--help", None),
    ],
)
def test_the_source_is_the_first_word_that_belongs_to_no_flag(line: str, source: str | None) -> None:
    groups = {"run": RunArguments(), "machine": Machine()}
    assert first_positional(line.split(), groups) == source
    if "--config" not in line:
        usual = "scenes.simclr" if (source or "").startswith("scenes") else "moco_v2"
        assert Given.of(line.split(), groups).recipe == usual


def test_every_flags_number_of_values_is_the_same_in_all_recipes() -> None:
    hints: dict[str, set[Any]] = {}
    for name in RECIPES:
        for group in (*defaults(find_recipe(name)).values(), RunArguments(), Machine()):
            for field, hint in get_type_hints(type(group)).items():
                hints.setdefault(field, set()).add(len(get_args(hint)) if get_origin(hint) is tuple else hint is bool)
    assert {name: kinds for name, kinds in hints.items() if len(kinds) > 1} == {}


def test_the_last_of_a_flag_counts() -> None:
    assert flag(["a", "--recipe", "b", "--recipe=c"], "--recipe") == "c"
    assert flag(["a", "--recipe"], "--recipe") == ""
    assert flag(["a", "--recipes=c"], "--recipe") is None


def test_lists_of_any_length_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    own = defaults(find_recipe("looc"))
    filled = fill(path, {"share": [], "designated": ["texture", "crop+flip", "color"]}, own, "looc")
    assert (filled["views"].share, filled["method"].designated) == ((), ("texture", "crop+flip", "color"))
    with pytest.raises(InputError, match="share must be a list of texts, not 3; correct it"):
        fill(path, {"share": 3}, own, "looc")
