"""What is new is sent, each row once and in order, however reads, writes, resumptions and failures interleave."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from growing import STATISTICS, Growing, Taker, rows_of, steps_of
from hypothesis import given
from hypothesis import strategies as st

from pairlens.errors import InputError
from pairlens.loggers import stream as module
from pairlens.loggers.logger import Target
from pairlens.loggers.stream import open_stream
from pairlens.record.run import log_event

HERE = Target("tensorboard")
OPERATIONS = st.one_of(
    st.tuples(st.just("grow"), st.integers(1, 7)),
    st.tuples(st.just("resume"), st.floats(0, 1)),  # at a share of the steps done
    st.tuples(st.just("event"), st.just(0)),
    st.tuples(st.just("read"), st.just(0)),
    st.tuples(st.just("fail"), st.integers(0, 9)),  # a read that fails after some rows
)


@given(operations=st.lists(OPERATIONS, max_size=14), chunk=st.integers(1, 5))
def test_each_row_is_sent_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, operations: list[tuple[str, float]], chunk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "opener", lambda name: Taker)
        patch.setattr(module, "check", lambda target: None)
        patch.setattr(module, "ROWS", chunk)
        Taker.taken, Taker.fail_at = [], None
        run, most, events = Growing(tmp_path_factory.mktemp("run")), 0, 1
        for what, number in [*operations, ("end", 0)]:
            if what == "grow":
                run.grow(int(number))
            elif what == "resume":
                run.begin(int(number * run.step))
            elif what == "event":
                log_event(run.folder, "boxes", f"number {events}")
                events += 1
            elif what == "end":
                run.grow(most - run.step)
            most = max(most, run.step)
            if what in ("read", "fail", "end"):
                Taker.fail_at = len(Taker.taken) + int(number) if what == "fail" else None
                try:
                    with open_stream(run.folder, HERE, everything=True) as stream:
                        stream.advance()
                except ConnectionError:
                    assert what == "fail"
    assert steps_of("scalars") == list(range(most))
    assert steps_of("histograms") == list(range(most))
    assert steps_of("probe") == list(range(5, most + 1, 5))
    assert steps_of("event") == list(range(events))


def test_what_is_sent_is_what_the_table_holds_bit_by_bit(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path, steps=20)
    run.grow(20)
    with open_stream(tmp_path, HERE) as stream:
        assert stream.advance() == 20 + 4 + 2  # rows, probes, and a histogram every twentieth step and at last
    rows = rows_of(STATISTICS, np.arange(20))
    for step, values in [(step, values) for kind, step, values in taker.taken if kind == "scalars"]:
        assert values["z/positive_mean"] == rows["z.positive_mean"][step]
        assert values["time/forward"] == rows["time_forward"][step]
        assert values["train/seconds"] == rows["seconds"][step]
        assert values["train/loss"] == rows["loss"][step]
        assert len(values) == len(STATISTICS.names or ()) - 1
        assert all(type(value) is float for value in values.values())
    assert taker.closed == 1


def test_a_stream_that_stays_open_sends_what_comes(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path, steps=100)
    with open_stream(tmp_path, HERE) as stream:
        assert stream.advance() == 0
        run.grow(3)
        assert stream.advance() == 4  # and a histogram
        assert stream.advance() == 0
        run.grow(2)
        assert stream.advance() == 3  # and a probe
    assert steps_of("scalars") == [0, 1, 2, 3, 4]


def test_only_events_that_are_written_whole_are_sent(tmp_path: Path, taker: type[Taker]) -> None:
    Growing(tmp_path)
    with open(tmp_path / "events.jsonl", "ab") as file:
        file.write(b'{"time": "2026-11-20T08:12:41+00:00", "kind": "box')  # killed here
    with open_stream(tmp_path, HERE) as stream:
        stream.advance()
        assert steps_of("event") == [0]
        log_event(tmp_path, "resumed", "at step 3")
        stream.advance()
    assert [what["kind"] for kind, _, what in taker.taken if kind == "event"] == ["begun", "resumed"]


def test_a_second_process_is_refused_while_the_first_is_at_it(tmp_path: Path, taker: type[Taker]) -> None:
    Growing(tmp_path)
    with (
        open_stream(tmp_path, HERE),
        pytest.raises(InputError, match=r"another process is logging .* to tensorboard already"),
        open_stream(tmp_path, HERE),
    ):
        pass
    with open_stream(tmp_path, HERE), open_stream(tmp_path, Target("wandb")):
        pass


def test_anew_begins_once_more_and_forgets_the_state(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path)
    run.grow(4)
    for anew in (False, True, False):
        with open_stream(tmp_path, HERE, everything=True, anew=anew) as stream:
            assert (stream.cursor.state == {}) is (anew or not taker.taken)
            stream.advance()
    assert steps_of("scalars") == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_run_goes_on_where_it_was_logged_to(tmp_path: Path, taker: type[Taker]) -> None:
    Growing(tmp_path)
    there = Target("wandb", Path("/elsewhere"), "birds")
    with open_stream(tmp_path, there) as stream:
        stream.advance()
    with open_stream(tmp_path, Target("wandb")) as stream:
        assert stream.cursor.target == there
    for other, said in (
        (Target("wandb", project="bees"), "project birds"),
        (Target("wandb", Path("/x")), "folder /else"),
    ):
        with pytest.raises(InputError, match=f"goes to the {said}.* leave --"), open_stream(tmp_path, other):
            pass
    with open_stream(tmp_path, Target("wandb", project="bees"), anew=True) as stream:
        assert stream.cursor.target.project == "bees"


@pytest.mark.parametrize("text", ["", "[]", '{"target": {}}', '{"next": {"statistics": 1}}'])
def test_a_damaged_cursor_is_told(tmp_path: Path, taker: type[Taker], text: str) -> None:
    Growing(tmp_path)
    (tmp_path / "logged").mkdir()
    (tmp_path / "logged" / "tensorboard.json").write_text(text)
    with pytest.raises(InputError, match=r"tensorboard.json is damaged; .* --anew"), open_stream(tmp_path, HERE):
        pass


def test_a_run_without_statistics_sends_its_probes(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path, steps=50)
    run.tables["probes"].append(rows_of(run.tables["probes"].dtype, np.array([10, 20])))
    with open_stream(tmp_path, HERE) as stream:
        assert stream.advance() == 2
    assert steps_of("probe") == [10, 20]


def test_what_cannot_be_known_of_a_space_without_negatives_is_left_out(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path, steps=50, spaces={"z": {"negatives": 0}})
    run.grow(1)
    with open_stream(tmp_path, HERE) as stream:
        stream.advance()
    (scalars,) = [set(what) for kind, _, what in taker.taken if kind == "scalars"]
    (counts,) = [set(what) for kind, _, what in taker.taken if kind == "histograms"]
    assert {"z/positive_mean", "z/alignment"} <= scalars
    assert not [tag for tag in scalars | counts if "negative" in tag or "accuracy" in tag]


def test_the_cursor_is_plain_json(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path)
    run.grow(10)
    with open_stream(tmp_path, HERE) as stream:
        stream.advance()
    found = json.loads((tmp_path / "logged" / "tensorboard.json").read_text())
    assert found["next"] == {"statistics": 10, "histograms": 10, "probes": 11}
    assert found["events"] == [(tmp_path / "events.jsonl").stat().st_size, 1]
    assert found["state"] == {"taken": len(taker.taken)}


def test_a_step_that_is_no_number_is_sent_as_such(tmp_path: Path, taker: type[Taker]) -> None:
    run = Growing(tmp_path)
    row = rows_of(STATISTICS, np.array([0]))
    row["loss"] = math.nan
    run.tables["statistics"].append(row)
    with open_stream(tmp_path, HERE) as stream:
        stream.advance()
    assert math.isnan(taker.taken[0][2]["train/loss"])
