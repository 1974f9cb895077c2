"""What is looked at: a training as it would begin, and whose boxes are known.

N images of the set.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from subjects import SMALL, made

from pairlens.data.fingerprint import fingerprint
from pairlens.data.images import Source
from pairlens.errors import InputError
from pairlens.inspection.subject import Subject, boxes_of_run, check_same, open_subject, subject_of
from pairlens.recipes.general import moco_v2, simclr
from pairlens.record.run import Run
from pairlens.settings import ContrastiveCrop, Machine, Network, Views
from pairlens.views.boxes import CENTRAL


def a_run(folder: Path, source: Source, tables: dict[int, object], **data: object) -> Run:
    """A run that has found these boxes: a table, or the bytes of a damaged file, by step."""
    (folder / "boxes").mkdir(parents=True)
    train, tests = source.train, len(source.test) if source.test else 0
    known = {"side": train.pixels.shape[-1], "fingerprint": fingerprint(source), "train": len(train), "test": tests}
    known |= {"classes": list(train.classes)} | data
    (folder / "run.json").write_text(json.dumps({"call": {"source": source.name, "seed": 0}, "data": known}))
    for step, table in tables.items():
        path = folder / "boxes" / f"{step:06d}.npz"
        if isinstance(table, bytes):
            path.write_bytes(table)
        else:
            np.savez(path, boxes=np.asarray(table, np.float16), step=step, epoch=step // 10, k=0.1)
    return Run.open(folder)


def plain(source: Source) -> Source:
    """The same without the boxes that it knows."""
    return replace(source, train=replace(source.train, boxes=None))


def test_the_newest_boxes_of_a_run_that_can_be_read_are_taken(tmp_path: Path, source: Source) -> None:
    old, new = torch.rand(40, 4).sort(1).values, torch.rand(40, 4).sort(1).values
    run = a_run(tmp_path / "run", source, {5: old, 100: new, 200: b"PK\x03\x04"})
    known = boxes_of_run(run)
    assert torch.equal(known.boxes.table, new.half().float())
    assert known.whose == "the boxes that run run found after epoch 10"
    assert known.boxes.k == 0.1


@pytest.mark.parametrize("tables", [{}, {5: b""}])
def test_a_run_without_boxes_is_refused(tmp_path: Path, source: Source, tables: dict[int, object]) -> None:
    with pytest.raises(InputError, match="holds no boxes that can be read"):
        boxes_of_run(a_run(tmp_path / "run", source, tables))


@pytest.mark.parametrize(
    ("data", "count"),
    [
        ({"fingerprint": "another"}, 40),
        ({}, 39),
        ({"side": 99, "train": 41}, 40),
        ({"side": 99, "test": 0}, 40),
        ({"side": 99, "classes": ["a", "b"]}, 40),
    ],
)
def test_boxes_of_other_images_are_refused(tmp_path: Path, source: Source, data: dict[str, object], count: int) -> None:
    run = a_run(tmp_path / "run", source, {5: np.zeros((count, 4))}, **data)
    with pytest.raises(InputError, match=r"found boxes for other images \(4\d of some/images\) than these \(40 of"):
        check_same(run, boxes_of_run(run).boxes, source, 0)


def test_boxes_of_the_same_images_stored_at_another_side_are_taken(tmp_path: Path, source: Source) -> None:
    """What was opened, and how, is then compared instead of pixels."""
    run = a_run(tmp_path / "run", source, {5: np.zeros((40, 4))}, side=99, fingerprint="another")
    boxes = boxes_of_run(run).boxes
    check_same(run, boxes, source, 0)
    for other, seed in ((source, 1), (replace(source, name="some/others"), 0)):
        with pytest.raises(InputError, match="found boxes for other images"):
            check_same(run, boxes, other, seed)


@pytest.mark.parametrize("boxes", ["none", "found", "central", "whole", "known"])
@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_whose_boxes_crops_are_kept_in_and_whose_are_the_objects(
    tmp_path: Path, source: Source, boxes: str, own: bool, given: bool
) -> None:
    if boxes == "known" and not own:
        return
    used = source if own else plain(source)
    found = torch.rand(40, 4).sort(1).values.half().float()
    known = boxes_of_run(a_run(tmp_path / "run", used, {10: found})) if given else None
    recipe = simclr(**SMALL, views=Views(size=16), crops=ContrastiveCrop(boxes=boxes))  # type: ignore[arg-type]
    place = made(source).place
    subject = subject_of(used, recipe, place, 0, found=known)

    tables = {"own": source.train.boxes, "run": found, "central": torch.tensor(CENTRAL).repeat(40, 1)}
    tables["whole"] = torch.tensor([0.0, 0.0, 1.0, 1.0]).repeat(40, 1)
    best = "own" if own else "run" if given else None
    latest = "run" if given else "own" if own else None
    about = {"none": None, "found": "run" if given else None, "known": "own"}.get(boxes, boxes)
    kept = {"none": latest, "found": latest, "known": "own"}.get(boxes, boxes)

    def same(table: torch.Tensor | None, name: str | None) -> bool:
        return table is None if name is None else table is not None and torch.equal(table, tables[name])

    assert same(subject.about and subject.about.table, about)
    assert same(subject.kept and subject.kept.boxes.table, kept)
    assert same(subject.objects and subject.objects.boxes.table, best)


def test_views_are_drawn_about_the_boxes_of_a_run_where_boxes_are_to_be_found(tmp_path: Path, source: Source) -> None:
    points = torch.tensor([0.2, 0.7, 0.2, 0.7]).repeat(40, 1)
    run = a_run(tmp_path / "run", source, {10: points})
    views = Views(size=16, crop=(0.05, 0.1))
    recipe = simclr(**SMALL, views=views, crops=ContrastiveCrop(boxes="found"))
    subject = subject_of(plain(source), recipe, made(source).place, 0, found=boxes_of_run(run))
    crop = subject.drawn(torch.arange(40), subject.generator())["query"].crop
    centres = crop[:, :2] + crop[:, 2:] / 2
    inside = (crop[:, 2:] / 2 < 0.2).all(1)  # others are clamped by the border
    assert inside.sum() > 10
    assert (centres[inside] - torch.tensor([0.2, 0.7])).abs().max() < 0.04  # a pixel of 20


def test_some_images_are_taken_equally_often(subject: Subject) -> None:
    some = subject.some(100, subject.generator())
    assert some.bincount().tolist().count(2) == 20
    assert some.bincount().tolist().count(3) == 20
    assert not torch.equal(some[:40], torch.arange(40))


def test_what_training_would_refuse_is_refused(source: Source, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than the set"):
        made(source, moco_v2(optimisation=replace(SMALL["optimisation"], batch=64), network=Network(splits=1)))
    with pytest.raises(InputError, match="single position"):
        made(source, simclr(**SMALL, views=Views(size=8), crops=ContrastiveCrop(boxes="found")))
    with pytest.raises(InputError, match="there is no folder"):
        open_subject(str(tmp_path / "none"), simclr())
    with pytest.raises(InputError, match="seed must lie between"):
        open_subject("scenes", simclr(), seed=-1, machine=Machine(threads=1))
    with pytest.raises(InputError, match="there is no run folder"):
        open_subject("scenes", simclr(), boxes_of=tmp_path / "none", machine=Machine(threads=1))
