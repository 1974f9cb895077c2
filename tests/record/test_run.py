"""Opening a run's folder, and saying what is wrong with one."""

import json
from pathlib import Path

import pytest

from pairlens.errors import InputError
from pairlens.record.run import Run, log_event, make_folder, write_json


def folder_with(tmp_path: Path, text: str) -> Path:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_run_that_has_just_begun_reads_as_empty(tmp_path: Path) -> None:
    run = Run.open(folder_with(tmp_path, '{"call": {"method": "simclr"}, "spaces": {"z": {}}}'))
    assert run.call == {"method": "simclr"}
    assert run.spaces == ("z",)
    assert run.status == {}
    assert run.evaluation is None
    assert run.events == []
    assert [len(table) for table in (run.statistics, run.histograms, run.probes)] == [0, 0, 0]
    assert run.sample_files() == []
    assert run.name == tmp_path.name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"call": {"method"', "run.json is damaged"),
        ("[1, 2]", "holds no JSON object"),
        ('{"version": 3}', "does not say what was called"),
        ('{"call": "train"}', "does not say what was called"),
        ("", "run.json is damaged"),
    ],
)
def test_a_broken_run_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Run.open(folder_with(tmp_path, text))


def test_a_missing_folder_and_a_folder_of_something_else_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no run folder"):
        Run.open(tmp_path / "none")
    with pytest.raises(InputError, match="is not a run folder"):
        Run.open(tmp_path)
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="damaged"):
        Run.open(tmp_path)


def test_files_of_steps_stand_in_the_order_of_the_steps(tmp_path: Path) -> None:
    """Also from a million on, when they have more digits."""
    run = Run.open(folder_with(tmp_path, '{"call": {}}'))
    for kind, files in (("boxes", run.box_files), ("samples", run.sample_files)):
        (tmp_path / kind).mkdir()
        for name in ("1000000.npz", "999999.npz", "000040.npz", "10000000.npz", "000007.npz.partial", "0x.npz"):
            (tmp_path / kind / name).touch()
        assert [path.stem for path in files()] == ["000040", "999999", "1000000", "10000000"]


def test_an_unfinished_last_event_is_passed_over(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, '{"call": {}}')
    (folder / "events.jsonl").write_text('{"kind": "begun"}\n{"kind": "sav', encoding="utf-8")
    assert Run.open(folder).events == [{"kind": "begun"}]


def test_an_event_after_a_half_line_stands_on_a_line_of_its_own(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, '{"call": {}}')
    log_event(folder, "begun", "at step 0")
    whole = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(whole + whole[: len(whole) // 2])
    log_event(folder, "resumed", "at step 3")
    log_event(folder, "finished", "at step 9")
    assert [event["kind"] for event in Run.open(folder).events] == ["begun", "resumed", "finished"]


@pytest.mark.parametrize("line", ['{"kind": "a"}{"kind": "b"}', '{"kind": }', "3", "{}}"])
def test_lines_that_are_no_event_are_passed_over(tmp_path: Path, line: str) -> None:
    folder = folder_with(tmp_path, '{"call": {}}')
    (folder / "events.jsonl").write_text(f'{line}\n{{"kind": "begun"}}\n', encoding="utf-8")
    assert Run.open(folder).events == [{"kind": "begun"}]


@pytest.mark.parametrize("text", ["", '{"state": "run', "[]", None])
def test_a_damaged_or_missing_status_is_none(tmp_path: Path, text: str | None) -> None:
    folder = folder_with(tmp_path, '{"call": {}}')
    if text is not None:
        (folder / "status.json").write_text(text, encoding="utf-8")
    assert Run.open(folder).status == {}


def test_samples_come_oldest_first_and_partial_ones_not_at_all(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, '{"call": {}}')
    (folder / "samples").mkdir()
    for name in ("000100.npz", "000007.npz", "000008.partial"):
        (folder / "samples" / name).touch()
    assert [path.name for path in Run.open(folder).sample_files()] == ["000007.npz", "000100.npz"]


def test_the_next_free_folder_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        assert make_folder(None, "cats-simclr") == Path(f"runs/cats-simclr-{number}")
        assert Path(f"runs/cats-simclr-{number}").is_dir()
    (tmp_path / "runs" / "loop-1").touch()
    assert make_folder(None, "loop") == Path("runs/loop-2")
    assert make_folder(Path("a/b"), "unused") == Path("a/b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    with pytest.raises(InputError, match=r"runs/loop-1/x cannot be made \(Not a directory\); give another"):
        make_folder(Path("runs/loop-1/x"), "unused")


@pytest.mark.parametrize(("text", "observed"), [("true", True), ("false", False), ("1", False)])
def test_an_observed_run_says_so(tmp_path: Path, text: str, observed: bool) -> None:
    assert Run.open(folder_with(tmp_path, f'{{"call": {{}}, "observed": {text}}}')).observed is observed


def test_json_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    write_json(path, {"step": 1})
    with pytest.raises(TypeError):
        write_json(path, {"step": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"step": 1}
    write_json(path, {"step": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"step": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["status.json"]
