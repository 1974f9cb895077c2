"""Observing somebody else's loop: what is recorded is right, and the loop is what it was without.

B images, K negatives, D dimensions.
"""

import json
import math
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pairlens
from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.methods.crossed import batch_pairs
from pairlens.pairs import Pairs, score
from pairlens.record import observe as module
from pairlens.record import observed
from pairlens.record.observe import Observer
from pairlens.record.observers import ROWS
from pairlens.record.run import Run
from pairlens.report.page import write_report
from pairlens.transforms import extrapolate_positives, mix_negatives

B, K, D = 10, 24, 6


def vectors(rows: int, seed: int, scale: float = 3.0) -> Tensor:
    """Of any length, as foreign features may be."""
    return scale * torch.randn(rows, D, generator=torch.Generator().manual_seed(seed))


def silent(folder: Path, **given: Any) -> Observer:
    return Observer(folder, say=lambda text: None, **given)


def row_of(folder: Path, *given: Tensor, temperature: float | None = 0.2, **more: Any) -> np.ndarray:
    with silent(folder, temperature=temperature) as observer:
        observer(*given, **more)
    (row,) = np.load(folder / "statistics.npy")
    return row


def cosine(a: Tensor, b: Tensor) -> float:
    a, b = a.double(), b.double()
    return float((a @ b) / (a.norm() * b.norm()))


@pytest.fixture(autouse=True)
def _nothing_is_left_open() -> Iterator[None]:
    yield
    for observer in module._open.values():
        observer.close()
    module._open.clear()


def check_scores(row: np.ndarray, positive: list[float], negative: list[list[float]], t: float) -> None:
    """The row holds the statistics of these scores, computed one by one."""
    together = [s for scores in negative for s in scores]
    losses = [
        math.log(1 + sum(math.exp((n - p) / t) for n in scores)) for p, scores in zip(positive, negative, strict=True)
    ]
    expected = {
        "loss": np.mean(losses),
        "z.loss": np.mean(losses),
        "z.positive_mean": np.mean(positive),
        "z.positive_variance": np.var(positive),
        "z.negative_mean": np.mean(together),
        "z.negative_variance": np.var(together),
        "z.raw_negative_mean": np.mean(together),
        "z.accuracy": np.mean([p > max(scores) for p, scores in zip(positive, negative, strict=True)]),
        "z.alignment": np.mean([2 - 2 * p for p in positive]),
    }
    assert {name: row[name].item() for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_shared_negatives_are_scored_as_cosines(tmp_path: Path) -> None:
    q, k, n = vectors(B, 0), vectors(B, 1) + vectors(B, 0), vectors(K, 2)
    row = row_of(tmp_path, q, k, n)
    check_scores(row, [cosine(a, b) for a, b in zip(q, k, strict=True)], [[cosine(a, b) for b in n] for a in q], 0.2)
    assert (row["step"], row["images"]) == (0, B)
    assert Run.open(tmp_path).info["spaces"] == {"z": {"temperature": 0.2, "negatives": K}}


def test_in_batch_negatives_are_the_other_images_keys(tmp_path: Path) -> None:
    q, k = vectors(B, 0), vectors(B, 1) + vectors(B, 0)
    row = row_of(tmp_path, q, k)
    negative = [[cosine(q[i], k[j]) for j in range(B) if j != i] for i in range(B)]
    check_scores(row, [cosine(a, b) for a, b in zip(q, k, strict=True)], negative, 0.2)
    assert Run.open(tmp_path).info["spaces"]["z"]["negatives"] == B - 1


def test_symmetric_in_batch_is_nt_xent(tmp_path: Path) -> None:
    q, k = vectors(B, 0), vectors(B, 1) + vectors(B, 0)
    row = row_of(tmp_path, q, k, symmetric=True)
    positive = [cosine(a, b) for a, b in zip(q, k, strict=True)] * 2
    others = [[v[j] for v in (q, k) for j in range(B) if j != i] for i in range(B)]
    negative = [[cosine(view[i], other) for other in others[i]] for view in (q, k) for i in range(B)]
    check_scores(row, positive, negative, 0.2)
    assert Run.open(tmp_path).info["spaces"]["z"]["negatives"] == 2 * B - 2


def test_symmetric_with_shared_negatives_compares_both_ways(tmp_path: Path) -> None:
    q, k, n = vectors(B, 0), vectors(B, 1), vectors(K, 2)
    row = row_of(tmp_path, q, k, n, symmetric=True)
    positive = [cosine(a, b) for a, b in zip(q, k, strict=True)] * 2
    check_scores(row, positive, [[cosine(a, b) for b in n] for a in [*q, *k]], 0.2)


def test_of_a_large_batch_the_first_queries_are_looked_at(tmp_path: Path) -> None:
    q, k = vectors(2 * ROWS, 0), vectors(2 * ROWS, 1)
    row = row_of(tmp_path, q, k, symmetric=True)
    positive = [cosine(a, b) for a, b in zip(q[:ROWS], k, strict=False)]
    negative = [[cosine(q[i], v[j]) for v in (q, k) for j in range(2 * ROWS) if j != i] for i in range(ROWS)]
    check_scores(row, positive, negative, 0.2)
    counts = np.load(tmp_path / "histograms.npy")[0]
    assert counts["z.positive"].sum() == ROWS
    assert row["images"] == 2 * ROWS


def test_before_and_after_a_transform_of_the_loop(tmp_path: Path) -> None:
    raw = Pairs(*(F.normalize(vectors(rows, seed), dim=1) for rows, seed in ((B, 0), (B, 1), (K, 2))))
    lam, order = torch.tensor([[1.6]]), torch.randperm(K, generator=torch.Generator().manual_seed(3))
    seen = mix_negatives(extrapolate_positives(raw, lam), lam - 1, order, union=True)
    row = row_of(tmp_path, raw.query, raw.key, raw.negatives, transformed=seen, temperature=0.5)
    assert row["z.positive_mean"] == pytest.approx(score(seen).positive.mean().item(), rel=1e-4)
    assert row["z.negative_mean"] == pytest.approx(score(seen).negative.mean().item(), rel=1e-4, abs=1e-6)
    assert row["z.raw_positive_mean"] == pytest.approx(score(raw).positive.mean().item(), rel=1e-4)
    assert row["z.raw_negative_mean"] == pytest.approx(score(raw).negative.mean().item(), rel=1e-4, abs=1e-6)
    assert row["loss"] == pytest.approx(info_nce(score(seen), 0.5).item(), rel=1e-4)
    assert Run.open(tmp_path).info["spaces"]["z"]["negatives"] == 2 * K
    assert row["z.positive_mean"] < row["z.raw_positive_mean"]  # the sign that FT states


def test_transformed_pairs_are_taken_as_they_are(tmp_path: Path) -> None:
    q, k = (F.normalize(vectors(2 * ROWS, seed), dim=1) for seed in (0, 1))
    raw = batch_pairs({"query": q, "key": k}, {"query": q, "key": k})
    order = torch.randperm(4 * ROWS, generator=torch.Generator().manual_seed(3))
    lam = torch.tensor([[1.3]], dtype=torch.bfloat16)
    low = Pairs(raw.query.bfloat16(), raw.key.bfloat16(), raw.negatives.bfloat16(), raw.excluded)
    seen = mix_negatives(extrapolate_positives(low, lam, negatives_see="raw"), lam - 0.5, order)
    row = row_of(tmp_path, q, k, symmetric=True, transformed=seen)
    scores = score(
        Pairs(seen.query.float(), seen.key.float(), seen.negatives.float(), seen.excluded, anchor=seen.anchor.float())
    )
    mean = scores.negative[:ROWS][~scores.excluded[:ROWS]].mean().item()
    assert row["z.negative_mean"] == pytest.approx(mean, rel=1e-4, abs=1e-5)
    assert row["z.positive_mean"] == pytest.approx(scores.positive[:ROWS].mean().item(), rel=1e-4)
    assert row["z.raw_positive_mean"] == pytest.approx((q * k).sum(1)[:ROWS].mean().item(), rel=1e-4)


def test_a_transform_in_the_batch_is_scored_within_the_batch(tmp_path: Path) -> None:
    q, k = F.normalize(vectors(B, 0), dim=1), F.normalize(vectors(B, 1), dim=1)
    row = row_of(tmp_path, q, k, transformed=(k, q), symmetric=True)  # exchanging the views changes nothing
    assert row["z.negative_mean"] == pytest.approx(row["z.raw_negative_mean"].item(), rel=1e-5)
    row = row_of(tmp_path / "other", q, k, transformed=(q, q), symmetric=True)
    assert (row["z.positive_mean"], row["z.raw_positive_mean"] < 0.99) == (pytest.approx(1), True)


def test_the_loops_own_loss_is_recorded(tmp_path: Path) -> None:
    q = vectors(B, 0).requires_grad_()
    loss = (q * vectors(B, 1)).sum()
    row = row_of(tmp_path, q, vectors(B, 1), loss=loss, temperature=None)
    assert row["loss"] == row["z.loss"] == pytest.approx(loss.item())
    loss.backward()
    assert q.grad is not None


def test_what_is_not_known_has_no_column(tmp_path: Path) -> None:
    names = row_of(tmp_path, vectors(B, 0), vectors(B, 1), temperature=None).dtype.names
    unknown = {"loss", "z.loss", "z.positive_exp", "epoch", "learning_rate", "gradient_norm", "time_forward"}
    assert not unknown & set(names)
    assert {"step", "seconds", "images", "z.accuracy", "z.raw_positive_variance", "z.uniformity"} <= set(names)
    assert "temperature" not in Run.open(tmp_path).info["spaces"]["z"]


def train(observer: Observer | None, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """A small loop with everything that observing could disturb; returns all that it computed."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(D, D), nn.Dropout(0.2), nn.Linear(D, D))
    queue, made = torch.randn(K, D), []
    for _ in range(6):
        x = torch.randn(B, D)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            q, k = net(x), net(x + 0.1).detach()
            loss = F.cross_entropy(
                torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T.to(q.dtype)], 1).float() / 5, q.new_zeros(B).long()
            )
            if observer is not None:
                given = [(t, t.dtype, t.requires_grad, t._version, t.clone()) for t in (q, k, queue, loss)]
                assert observer(q, k, queue, loss=loss) is None
                for t, kind, needs, version, values in given:
                    assert (t.dtype, t.requires_grad, t._version) == (kind, needs, version)
                    assert torch.equal(t, values)
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        torch._foreach_sub_([p.data for p in net.parameters()], gradients, alpha=0.1)
        queue = torch.cat([k.float(), queue])[:K]
        made += [loss.detach(), *(p.detach().clone() for p in net.parameters())]
    return [*made, torch.get_rng_state()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_loop_is_bitwise_the_same_when_observed(tmp_path: Path, dtype: torch.dtype) -> None:
    alone = train(None, dtype)
    with silent(tmp_path, temperature=0.1) as observer:
        beside = train(observer, dtype)
    assert all(torch.equal(a, b) for a, b in zip(alone, beside, strict=True))
    table = np.load(tmp_path / "statistics.npy")
    assert np.isfinite([table[name] for name in table.dtype.names]).all()
    assert len(table) == 6


def test_no_graph_is_kept(tmp_path: Path) -> None:
    observer = silent(tmp_path)
    q = vectors(B, 0).requires_grad_()
    observer(q * 2, q * 3, loss=(q * q).sum())
    assert observer.run is not None
    ring = observer.run.ring
    assert not any(t.requires_grad for t in (ring.device, *(counts for _, counts in ring.counts)))
    observer.close()


def test_low_precision_is_computed_in_float32(tmp_path: Path) -> None:
    q, k, n = (vectors(rows, seed).bfloat16() for rows, seed in ((B, 0), (B, 1), (K, 2)))
    with torch.autocast("cpu", torch.bfloat16):
        row = row_of(tmp_path / "autocast", q, k, n)
    exact = row_of(tmp_path / "exact", q.float(), k.float(), n.float())
    assert row["z.uniformity"] == pytest.approx(exact["z.uniformity"].item(), rel=1e-6)
    check_scores(row, [cosine(a, b) for a, b in zip(q, k, strict=True)], [[cosine(a, b) for b in n] for a in q], 0.2)


def test_a_loop_in_inference_mode_is_observed_and_one_after_it(tmp_path: Path) -> None:
    with silent(tmp_path) as observer:
        with torch.inference_mode():
            observer(vectors(B, 0), vectors(B, 1))
        observer(vectors(B, 0), vectors(B, 1))
    assert len(np.load(tmp_path / "statistics.npy")) == 2


def test_no_negatives_and_a_batch_of_one_are_no_errors(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        row = row_of(tmp_path / "none", vectors(B, 0), vectors(B, 0), vectors(0, 1))
        assert np.isnan([row["z.accuracy"], row["z.negative_mean"], row["z.negative_exp"]]).all()
        assert (row["z.positive_mean"], row["loss"]) == (pytest.approx(1), 0)
        for symmetric in (False, True):
            folder = tmp_path / f"one-{symmetric}"
            row = row_of(folder, vectors(1, 0), vectors(1, 0), symmetric=symmetric)
            assert np.isnan([row["z.accuracy"], row["z.negative_variance"]]).all()
            assert row["z.positive_mean"] == pytest.approx(1)
            assert Run.open(folder).info["spaces"]["z"]["negatives"] == 0
        row_of(tmp_path / "no direction", torch.zeros(B, D), vectors(B, 0))
        for folder in tmp_path.iterdir():
            page = write_report([Run.open(folder)], folder / "report.html").read_text(encoding="utf-8")
            assert "Mean of positive scores" in page
            assert ("Mean of negative scores" in page) == (folder.name == "no direction")
            assert "crosses mark them" not in page
            assert "a cross marks it" not in page


def test_batches_and_queues_may_change_their_length(tmp_path: Path) -> None:
    with silent(tmp_path) as observer:
        for rows in (8, 16, 12):
            observer(vectors(B if rows < 16 else 3, 0), vectors(B if rows < 16 else 3, 1), vectors(rows, 2))
    assert np.load(tmp_path / "statistics.npy")["images"].tolist() == [B, 3, B]
    assert Run.open(tmp_path).info["spaces"]["z"]["negatives"] == 16


def test_rows_are_there_after_the_first_call_and_then_in_blocks(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(observed, "BLOCK", 4)
    clock = [1000.0]
    monkeypatch.setattr(observed.time, "monotonic", lambda: clock[0])
    observer, written = silent(tmp_path, steps_per_epoch=2), []
    for _ in range(8):
        observer(vectors(B, 0), vectors(B, 1))
        written.append(len(Run.open(tmp_path).statistics))
    assert written == [1, 1, 1, 1, 5, 5, 5, 5]
    clock[0] += observed.PATIENCE
    observer(vectors(B, 0), vectors(B, 1))
    run = Run.open(tmp_path)
    assert len(run.statistics) == len(run.histograms) == run.status["step"] == 9
    assert run.statistics["epoch"].tolist() == [step / 2 for step in range(9)]
    assert run.status["state"] == "running"
    page = write_report([run], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "where its time goes was not observed" in page
    assert "Running, at step 9, last heard of" in page
    observer.close()
    assert Run.open(tmp_path).status["state"] == "finished"
    observer(vectors(B, 0), vectors(B, 1))  # after the end: nothing
    assert len(Run.open(tmp_path).statistics) == 9


def test_how_a_loop_ended_is_told(tmp_path: Path) -> None:
    def fail() -> None:
        with silent(tmp_path) as observer:
            observer(vectors(B, 0), vectors(B, 1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    run = Run.open(tmp_path)
    assert run.status["state"] == "interrupted"
    assert [event["kind"] for event in run.events] == ["begun", "interrupted"]
    page = write_report([run], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Interrupted at step 1<" in page
    assert "Observed from outside" in page
    assert "pairlens evaluate" not in page.partition("<script>")[2].partition("</nav>")[2]


def test_the_function_begins_one_run_for_each_name(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    q, k, n = vectors(B, 0), vectors(B, 1), vectors(K, 2)
    for _ in range(3):
        assert pairlens.observe(q, k, negatives=n) is None
    pairlens.observe(q, k, run="mine", temperature=0.1)
    assert capsys.readouterr().out == (
        "observing this loop; to see it: pairlens report runs/observed-1\n"
        "observing this loop; to see it: pairlens report mine\n"
    )
    module._open.pop(None).close()
    monkeypatch.chdir(tmp_path.parent)  # a loop may change its folder
    pairlens.observe(q, k, run="mine", temperature=0.1)
    module._open.pop(Path("mine")).close()
    monkeypatch.chdir(tmp_path)
    pairlens.observe(q, k)
    module._open.pop(None).close()
    found = {name: len(Run.open(name).statistics) for name in ("runs/observed-1", "runs/observed-2", "mine")}
    assert found == {"runs/observed-1": 3, "runs/observed-2": 1, "mine": 2}


def test_one_process_of_several_records(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module.distributed, "is_initialized", lambda: True)
    for rank in (1, 0):
        monkeypatch.setattr(module.distributed, "get_rank", lambda rank=rank: rank)
        observer = silent(tmp_path)
        observer(vectors(B, 0), vectors(B, 1))
        observer.close()
        assert (tmp_path / "run.json").exists() == (rank == 0)


def test_a_full_disk_ends_the_observation_and_not_the_loop(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(observed, "PATIENCE", 0.0)
    observer = silent(tmp_path)
    observer(vectors(B, 0), vectors(B, 1))

    def full(path: Path, value: object) -> None:
        raise InputError(f"{path} cannot be written (no space left on device)")

    monkeypatch.setattr(observed, "write_json", full)
    with pytest.warns(UserWarning, match="no longer observed: .*no space left"):
        observer(vectors(B, 0), vectors(B, 1))
    observer(vectors(B, 0), vectors(B, 1))
    observer.close()


SCRIPT = """
import os, signal, sys, torch, pairlens
for step in range(150):
    pairlens.observe(torch.randn(8, 4), torch.randn(8, 4), run=sys.argv[1])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_can_be_read_after_a_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    run = Run.open(tmp_path / "run")
    assert run.status["state"] == "running"
    assert 101 <= len(run.statistics) <= 150
    write_report([run], tmp_path / "report.html")


@pytest.mark.parametrize("error", [None, ZeroDivisionError()])
def test_a_process_that_ends_closes_its_runs_and_tells_an_error(tmp_path: Path, monkeypatch, error) -> None:
    at_exit: list[Any] = []
    monkeypatch.setattr(module.atexit, "register", at_exit.append)
    monkeypatch.setattr(module.atexit, "unregister", at_exit.remove)
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    observer = silent(tmp_path)
    observer(vectors(B, 0), vectors(B, 1))
    (close,) = at_exit
    close()
    assert Run.open(tmp_path).status["state"] == ("finished" if error is None else "interrupted")
    assert not at_exit


def test_the_package_is_imported_without_torch() -> None:
    code = "import pairlens, pairlens.cli, sys; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False False\n"
    with pytest.raises(AttributeError, match="no attribute 'obverse'"):
        pairlens.obverse  # noqa: B018


z = torch.zeros
BAD = [
    ((z(4, 3), z(5, 3)), {}, r"the query is float32 \[4, 3\] and the key is float32 \[5, 3\]; both must"),
    ((z(0, 3), z(0, 3)), {}, "one row for each image"),
    ((z(4, 3), z(4, 3), z(3, 9)), {}, r"query is float32 \[4, 3\] and the negatives are float32 \[3, 9\].*transposed"),
    ((z(4, 3, 8), z(4, 3, 8)), {}, r"the query must be a floating point tensor .*, not float32 \[4, 3, 8\]"),
    ((z(4, 3), z(4, 3).long()), {}, r"the key must be a floating point tensor .*, not int64 \[4, 3\]"),
    ((z(4, 3), [1.0]), {}, "the key must be a floating point tensor .*, not a list"),
    ((z(4, 3), z(4, 3, device="meta")), {}, "the query lies on cpu and the key on meta"),
    ((z(4, 3), z(4, 3)), {"loss": z(4)}, r"one number, not float32 \[4\]"),
    ((z(4, 3), z(4, 3)), {"loss": 1.0}, "one number, not a float"),
    (
        (z(4, 3), z(4, 3), z(9, 3)),
        {"transformed": (z(4, 3), z(4, 3))},
        r"hand over transformed pairs: Pairs\(query, key",
    ),
    (
        (z(4, 3), z(4, 3)),
        {"transformed": (z(5, 3), z(5, 3))},
        r"query is .*\[4, 3\] and the transformed query is .*\[5,",
    ),
    ((z(4, 3), z(4, 3)), {"transformed": Pairs(z(5, 3), z(5, 3), z(4, 3))}, r"transformed query is .*\[5, 3\] beside"),
    (
        (z(4, 3), z(4, 3)),
        {"transformed": Pairs(z(4, 3), z(4, 3), z(4, 3)), "symmetric": True},
        "one row for each query, and each key, as the loop is symmetric",
    ),
]

FIELDS: list[tuple[dict[str, Any], str]] = [  # of pairs with 4 queries, 5 negatives and 3 dimensions
    ({"excluded": z(4, 4).bool()}, r"excluded must be a boolean tensor \[4, 5\] .*, not bool \[4, 4\]"),
    ({"excluded": z(5).bool()}, r"excluded must be a boolean tensor \[4, 5\] .*, not bool \[5\]"),
    ({"excluded": z(4, 5)}, r"excluded must be a boolean tensor .*, not float32 \[4, 5\]"),
    ({"excluded": [True]}, "excluded must be a boolean tensor .*, not a list"),
    ({"excluded": z(4, 5, device="meta").bool()}, "query lies on cpu and the transformed pairs' excluded on meta"),
    ({"own": z(4, 3)}, r"own must be a floating point tensor \[4, any, 3\] .*, not float32 \[4, 3\]"),
    ({"own": z(5, 2, 3)}, r"own must be .* \[4, any, 3\]"),
    ({"own": z(4, 2, 6)}, r"own must be .* \[4, any, 3\]"),
    ({"own": z(4, 2, 3).long()}, "own must be a floating point tensor"),
    ({"own": z(4, 2, 3, device="meta")}, "query lies on cpu and the transformed pairs' own on meta"),
    ({"own": z(4, 2, 3), "own_excluded": z(4, 2)}, r"own_excluded must be a boolean tensor \[4, 2\]"),
    ({"own": z(4, 2, 3), "own_excluded": z(4, 3) > 0}, r"own_excluded must be .* \[4, 2\] .*, not bool \[4, 3\]"),
    ({"anchor": z(5, 3)}, r"anchor must be a floating point tensor \[4, 3\] .*, not float32 \[5, 3\]"),
    ({"anchor": z(4, 6)}, r"anchor must be .* \[4, 3\]"),
    ({"anchor": z(4, 3, device="meta")}, "query lies on cpu and the transformed pairs' anchor on meta"),
]
ELSEWHERE = [z(4, 3, device="meta") for _ in range(3)]
BAD += [
    ((z(4, 3), z(4, 3)), {"transformed": seen}, "the query lies on cpu and the transformed query on meta; use one")
    for seen in (Pairs(*ELSEWHERE), tuple(ELSEWHERE[:2]))
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("given", "more", "message"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_compared_is_said_in_a_sentence(tmp_path: Path, given, more, message: str) -> None:
    with pytest.raises(InputError, match=message):
        silent(tmp_path / "run")(*given, **more)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("fields", "message"), FIELDS, ids=range(len(FIELDS)))
def test_fields_of_transformed_pairs_that_do_not_fit_are_said_in_a_sentence(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    seen = Pairs(z(4, 3), z(4, 3), z(5, 3), **fields)
    with pytest.raises(InputError, match=message) as caught:
        silent(tmp_path / "run")(z(4, 3), z(4, 3), transformed=seen)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_fields_of_transformed_pairs_that_fit_are_taken(tmp_path: Path) -> None:
    fitting = {"excluded": torch.zeros(4, 5, dtype=torch.bool), "own": torch.rand(4, 2, 3), "anchor": torch.rand(4, 3)}
    fitting["own_excluded"] = torch.tensor([[True, False]] * 4)
    row_of(tmp_path, z(4, 3), z(4, 3), transformed=Pairs(z(4, 3), z(4, 3), z(5, 3), **fitting))


@pytest.mark.usefixtures("unchecked")
def test_what_changes_between_steps_is_said(tmp_path: Path, capsys) -> None:
    q, k = vectors(B, 0), vectors(B, 1)
    run = tmp_path / "run"
    pairlens.observe(q, k, run=run, temperature=0.1, loss=q.sum())
    with pytest.raises(InputError, match=r"temperature was 0\.1 in the run's first step and is 0\.2 now"):
        pairlens.observe(q, k, run=run, temperature=0.2, loss=q.sum())
    with pytest.raises(InputError, match="a loss is handed over at some steps only"):
        pairlens.observe(q, k, run=run, temperature=0.1)
    with pytest.raises(InputError, match=r"run is not an empty folder; give each observed run a new one"):
        Observer(run)
    for name in ("temperature", "steps_per_epoch"):
        with pytest.raises(InputError, match="must be positive, not 0"):
            Observer(tmp_path / "other", **{name: 0})
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="file is not an empty folder"):
        Observer(tmp_path / "file")


def test_the_run_says_what_it_is(tmp_path: Path) -> None:
    with silent(tmp_path, temperature=0.2, steps_per_epoch=4) as observer:
        observer(vectors(B, 0).bfloat16(), vectors(B, 1))
    info = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert info["call"]["recipe"] == "observed"
    assert (info["observed"], info["batch"], info["dimensions"], info["steps_per_epoch"]) == (True, B, D, 4)
    assert (info["environment"]["device"], info["environment"]["precision"]) == ("cpu", "bfloat16")
    page = write_report([Run.open(tmp_path)], tmp_path / "report.html").read_text(encoding="utf-8")
    for said in ("there is no encoder here", "No views have been recorded", "speed is not known"):
        assert said in page
