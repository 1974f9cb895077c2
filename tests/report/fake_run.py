"""A synthetic run folder in the recorder's layout, with values as a real run has them; no training, under a second."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from pairlens.data.images import ImageSet
from pairlens.record.localised import examples, write_boxes
from pairlens.record.table import Table
from pairlens.views.boxes import Boxes, boxes_of, heat_map

BINS = 64
DIGITS = tuple(str(i) for i in range(10))
HOSTILE = (
    "</script><img src=x onerror='window.hacked=1'>",
    '"><svg onload=window.hacked=2>',
    "<b>bold</b><a href='javascript:window.hacked=3'>x</a>",
    "&lt;script&gt; %{x} {y} $\\alpha$",
    "\u202egnp.exe\u202c",
    "שלום עולם",
    "قطة",
    "line\nbreak\ttab\x00nul",
    "lone \udcff surrogate",
    "'`${window.hacked=4}`" + "very_long_" * 20,
)


def make(
    folder: Path,
    *,
    steps: int = 1170,
    spaces: Sequence[str] = ("z",),
    transformed: bool = True,
    labelled: bool = True,
    state: str = "finished",
    classes: Sequence[str] = DIGITS,
    recipe: str = "moco_v2",
    arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    skill: float = 0.872,
    size: int = 32,
    every: int = 10,
    batch: int = 256,
    local: int = 0,
) -> Path:
    """Write a whole run; delete files from it to test what is missing."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    (folder / "samples").mkdir()
    given = {"epochs": 30, "batch": batch, "learning_rate": 0.06, "temperature": 0.1, "momentum": 0.99, "seed": seed}
    given |= {"extrapolate": 2.0 if transformed else None, "interpolate": 1.6 if transformed else None}
    given |= {"union": False, "ft_start": 0, "accumulate": 1} | dict(arguments or {})
    _json(folder / "run.json", _info(given, recipe, spaces, labelled, classes, size, steps, local))
    done = steps if state == "finished" else steps * 3 // 5
    status = {"state": state, "step": done, "steps": steps, "epoch": done * batch / 1e4, "epochs": steps * batch / 1e4}
    _json(folder / "status.json", status | {"seconds": done * 0.071, "updated": "2026-11-20T08:14:09+00:00"})
    events = [
        {"time": "2026-11-20T08:12:40+00:00", "kind": "start", "text": f"{recipe} on scenes, 1170 steps"},
        {"time": "2026-11-20T08:12:41+00:00", "kind": "skipped", "text": "holiday/broken.jpg: truncated file"},
    ]
    lines = "".join(json.dumps(e) + "\n" for e in events)
    (folder / "events.jsonl").write_text(lines + '{"time": "2026', encoding="utf-8")
    curves = {s: _scores(done, transformed, rng) for s in spaces}
    _statistics(folder, done, batch, curves, rng)
    _histograms(folder, done, every, batch, curves, rng)
    _probes(folder, done, batch, skill, rng)
    _quality(folder, done, batch, spaces)
    for step in {0, done // 4, done // 2, done - 1}:
        _sample(folder, step, size, classes, rng, local)
    _json(folder / "evaluation.json", _evaluation(labelled, classes, skill, done, rng))
    _neighbours(folder, size, classes, labelled, rng)
    return folder


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _info(
    given: Mapping[str, Any],
    recipe: str,
    spaces: Sequence[str],
    labelled: bool,
    classes: Sequence[str],
    size: int,
    steps: int,
    local: int,
) -> dict[str, Any]:
    argv = ["scenes", "--recipe", recipe, "--epochs", str(given["epochs"])]
    return {
        "pairlens": "0.1.0",
        "created": "2026-11-20T08:12:40+00:00",
        "call": {"argv": argv, "recipe": recipe, "source": "scenes", "arguments": dict(given)},
        "spaces": {s: {"negatives": 4096, "temperature": 0.1} for s in spaces},
        "views": ["query", "key", *(f"local_{i + 1}" for i in range(local))],
        "size": size,
        "seed": given["seed"],
        "batch": given["batch"],
        "steps": steps,
        "steps_per_epoch": 10_000 // given["batch"],
        "data": {
            "train": 10000,
            "test": 2000,
            "labelled": labelled,
            "classes": list(classes) if labelled else [],
            "skipped": 1,
            "mean": [0.48, 0.47, 0.43],
            "std": [0.24, 0.23, 0.25],
        },
        "histogram": {"bins": BINS, "low": -1.0, "high": 1.0},
        "parameters": {"encoder": 306432, "head.z": 49408},
        "environment": {
            "python": "3.11.9",
            "torch": "2.13.0+cpu",
            "numpy": "2.3.1",
            "platform": "Linux-6.1-x86_64",
            "processor": "AMD EPYC 9R45",
            "cores": 2,
            "threads": 1,
            "device": "cpu",
            "precision": "bf16",
            "git": {"commit": "2e84ec7", "dirty": False},
        },
    }


def _scores(steps: int, transformed: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Means and variances over the steps: everything alike at first, then negatives spread and positives stay."""
    t = np.linspace(0, 1, steps)
    noise = lambda s: rng.normal(0, s, steps)  # noqa: E731
    rise = 1 - np.exp(-t * 14)
    negative = 0.93 * np.exp(-t * 45) + 0.02 + noise(0.004)
    positive = 0.955 - 0.42 * np.exp(-(((t - 0.045) / 0.05) ** 2)) - 0.16 * rise + noise(0.008)
    deviation = 0.03 + 0.19 * rise
    spread = 0.02 + 0.15 * rise + 0.1 * np.exp(-(((t - 0.05) / 0.05) ** 2))
    raw = {
        "raw_positive_mean": positive,
        "raw_positive_variance": (spread * 0.8) ** 2,
        "raw_negative_mean": negative,
        "raw_negative_variance": deviation**2,
    }
    shift = 0.24 * (1 - positive) * 3 if transformed else 0.0
    after = {
        "positive_mean": positive - shift,
        "positive_variance": (spread * (1.25 if transformed else 0.8)) ** 2,
        "negative_mean": negative,
        "negative_variance": (deviation * (0.76 if transformed else 1.0)) ** 2,
    }
    return raw | after


def _statistics(folder: Path, steps: int, batch: int, curves: Mapping[str, Mapping[str, np.ndarray]], rng: Any) -> None:
    t = np.linspace(0, 1, steps)
    columns: dict[str, Any] = {
        "step": np.arange(steps),
        "epoch": np.arange(steps) / (10_000 // batch),
        "seconds": np.arange(steps) * 0.071,
        "learning_rate": 0.06 * np.minimum(1, t * 12) * (0.5 + 0.5 * np.cos(np.pi * t)),
        "gradient_norm": 1.2 * np.exp(-t * 6) + 0.35 + rng.gamma(2, 0.04, steps),
        "images": np.full(steps, batch),
        "time_data": 0.0015 + rng.gamma(2, 0.0003, steps),
        "time_views": 0.0062 + rng.gamma(2, 0.0004, steps),
        "time_forward": 0.0235 + rng.gamma(2, 0.0007, steps),
        "time_backward": 0.0301 + rng.gamma(2, 0.0009, steps),
        "time_record": 0.0004 + rng.gamma(2, 0.00005, steps),
        "time_rest": 0.0021 + rng.gamma(2, 0.0003, steps),
    }
    loss = 8.4 * np.exp(-t * 5) + 2.9 - 0.9 * t + rng.normal(0, 0.09, steps)
    loss = np.minimum(loss, 8.35 + rng.normal(0, 0.03, steps))
    columns["loss"] = loss
    for space, scores in curves.items():
        own: dict[str, Any] = dict(scores)
        own["loss"] = loss + rng.normal(0, 0.01, steps)
        own["accuracy"] = np.clip(0.72 * (1 - np.exp(-t * 5)) + rng.normal(0, 0.025, steps), 0, 1)
        own["positive_exp"] = np.exp(scores["positive_mean"] / 0.1)
        own["negative_exp"] = np.exp(scores["negative_mean"] / 0.1)
        own["alignment"] = 2 - 2 * scores["raw_positive_mean"]
        own["uniformity"] = -3.4 * (1 - np.exp(-t * 12)) + rng.normal(0, 0.03, steps) - 0.1
        own["effective_rank"] = 1.5 + 60 * (1 - np.exp(-t * 9)) + rng.normal(0, 0.5, steps)
        own["effective_negatives"] = 4000 * np.exp(-t * 3) + 300 + rng.normal(0, 9, steps)
        own["negatives_above"] = 0.5 * np.exp(-t * 20) + 0.01
        own["batch_negative_mean"] = scores["raw_negative_mean"] + 0.004
        own["feature_std"] = 0.22 + 0.74 * (1 - np.exp(-t * 14)) + rng.normal(0, 0.007, steps)
        columns |= {f"{space}.{k}": v for k, v in own.items()}
    kinds = {"step": "<i8", "seconds": "<f8", "images": "<i4"}
    _table(folder / "statistics.npy", columns, {k: kinds.get(k, "<f4") for k in columns})


def _histograms(
    folder: Path, steps: int, every: int, batch: int, curves: Mapping[str, Mapping[str, np.ndarray]], rng: Any
) -> None:
    at = np.arange(0, steps, every)
    columns: dict[str, Any] = {"step": at}
    for space, scores in curves.items():
        for name, count in (("positive", batch), ("negative", 4096), ("raw_positive", batch), ("raw_negative", 4096)):
            mean, std = scores[f"{name}_mean"][at], np.sqrt(scores[f"{name}_variance"][at])
            draws = mean[:, None] + std[:, None] * rng.standard_normal((len(at), count))
            if name.endswith("positive"):  # skewed, as cosines near one are
                draws = mean[:, None] + std[:, None] * (1.2 - rng.gamma(1.44, 1 / 1.2, (len(at), count)))
            bins = np.clip(((draws + 1) / 2 * BINS).astype(int), 0, BINS - 1)
            counts = np.stack([np.bincount(row, minlength=BINS) for row in bins])
            columns[f"{space}.{name}"] = counts
        if np.array_equal(scores["positive_mean"], scores["raw_positive_mean"]):  # not transformed: the same pairs
            columns |= {f"{space}.{k}": columns[f"{space}.raw_{k}"] for k in ("positive", "negative")}
    _table(folder / "histograms.npy", columns, {k: "<i8" if k == "step" else "<u4" for k in columns})


def _probes(folder: Path, steps: int, batch: int, skill: float, rng: Any) -> None:
    at = np.unique(np.linspace(0, steps - 1, 12).astype(int))
    knn = 0.13 + (skill - 0.13) * (1 - np.exp(-at / steps * 6)) + rng.normal(0, 0.006, len(at))
    columns = {"step": at, "epoch": at / (10_000 // batch), "knn": knn}
    _table(folder / "probes.npy", columns, {"step": "<i8", "epoch": "<f4", "knn": "<f4"})


def _quality(folder: Path, steps: int, batch: int, spaces: Sequence[str]) -> None:
    """Five looks; the fourth is the best by the stable rank."""
    t = np.linspace(0.2, 1, 5)
    columns: dict[str, Any] = {"step": np.linspace(steps / 5, steps, 5).astype(int)}
    columns |= {"epoch": columns["step"] / (10_000 // batch), "seconds": np.full(5, 0.22)}
    for group in ("h", *spaces):
        columns[f"{group}.rankme"] = 90 * (1 - np.exp(-t * 3))
        columns[f"{group}.alpha"] = 2.2 - t
        columns[f"{group}.stable_rank"] = np.array([2, 4, 6, 8, 7]) * (1.0 if group == "h" else 0.5)
        columns[f"{group}.lidar"] = 60 - 9 * t
        columns[f"{group}.alignment"] = 0.9 - 0.4 * t
        columns[f"{group}.uniformity"] = -1.8 - 1.2 * t
    _table(folder / "quality.npy", columns, {k: "<i8" if k == "step" else "<f4" for k in columns})


def _table(path: Path, columns: Mapping[str, np.ndarray], kinds: Mapping[str, str]) -> None:
    shapes = [(k, kinds[k], v.shape[1:]) if v.ndim > 1 else (k, kinds[k]) for k, v in columns.items()]
    rows = np.zeros(len(columns["step"]), np.dtype(shapes))
    for name, value in columns.items():
        rows[name] = value
    table = Table(path, rows.dtype)
    table.append(rows)
    table.close()


def picture(label: int, size: int, rng: np.random.Generator) -> Image.Image:
    """A digit on a two-colour gradient: an image whose crops and colours can be told apart by eye."""
    a, b = rng.integers(30, 226, (2, 3))
    ramp = np.linspace(0, 1, size)[:, None, None] * np.ones((1, size, 1))
    image = Image.fromarray((a + (b - a) * ramp).astype(np.uint8))
    ink = tuple(int(v) for v in (255 - (a + b) // 2))
    corner = tuple(int(v) for v in rng.integers(0, size // 3, 2))
    draw = ImageDraw.Draw(image)
    draw.text(corner, str(label % 10), fill=ink, font=ImageFont.load_default(size=size * 3 // 4))
    return image


def _chw(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.uint8).transpose(2, 0, 1)


def _sample(
    folder: Path, step: int, size: int, classes: Sequence[str], rng: np.random.Generator, local: int = 0
) -> None:
    n = 6
    images = [picture(int(rng.integers(10)), size, rng) for _ in range(n)]
    record: dict[str, Any] = {
        "step": np.int64(step),
        "index": rng.integers(0, 10000, n),
        "images": np.stack([_chw(i) for i in images]),
        "sizes": np.full((n, 2), size),
    }
    for name in ("query", "key", *(f"local_{i + 1}" for i in range(local))):
        small = name.startswith("local")
        scale = np.sqrt(rng.uniform(*((0.05, 0.14) if small else (0.2, 1)), (n, 1)))
        corner = rng.uniform(0, 1, (n, 2)) * (1 - scale)
        params = {
            "crop": np.hstack([corner, scale, scale]).astype("f4"),
            "flip": rng.random(n) < 0.5,
            "factors": np.hstack([rng.uniform(0.6, 1.4, (n, 3)), rng.uniform(-0.1, 0.1, (n, 1))]).astype("f4"),
            "order": np.stack([rng.permutation(4) for _ in range(n)]),
            "jittered": rng.random(n) < 0.8,
            "gray": rng.random(n) < 0.2,
            "blur": np.where(rng.random(n) < 0.5, rng.uniform(0.1, 1, n), 0).astype("f4"),
            "rotation": rng.integers(0, 4, n) * (rng.random(n) < 0.3),
            "texture": np.zeros(n, int),
        }
        views = [_view(im, params, i, size * 3 // 7 if small else size) for i, im in enumerate(images)]
        record[f"view.{name}"] = np.stack(views)
        record |= {f"params.{name}.{k}": v for k, v in params.items()}
    np.savez(folder / "samples" / f"{step:06d}.npz", **record)


def _view(image: Image.Image, params: Mapping[str, np.ndarray], i: int, size: int) -> np.ndarray:
    left, top, width, height = (float(v) * image.width for v in params["crop"][i])
    view = image.resize((size, size), Image.Resampling.BILINEAR, (left, top, left + width, top + height))
    view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if params["flip"][i] else view
    view = view.rotate(90 * int(params["rotation"][i]))
    if params["jittered"][i]:
        view = Image.fromarray(np.clip(np.asarray(view) * params["factors"][i, 0], 0, 255).astype(np.uint8))
    view = view.convert("L").convert("RGB") if params["gray"][i] else view
    return _chw(view.filter(ImageFilter.GaussianBlur(float(params["blur"][i]))))


def _evaluation(labelled: bool, classes: Sequence[str], skill: float, step: int, rng: Any) -> dict[str, Any]:
    def pair(top1: float) -> dict[str, float]:
        return {"top1": top1, "top5": 1 - (1 - top1) * 0.2}

    n, k = 2000, len(classes)
    confusion = rng.multinomial(n // k, [1 / k] * k, k) * (1 - skill) + np.eye(k) * n // k * skill
    confusion = confusion.astype(int)
    return {
        "date": "2026-11-20T08:15:00+00:00",
        "seed": 0,
        "seconds": 9.1,
        "data": {"train": 10000, "test": n},
        "classes": list(classes) if labelled else [],
        "protocol": {"knn": {"neighbours": 20, "temperature": 0.07}, "linear": {"epochs": 100}},
        "test": {
            "encoder": {"knn": pair(skill), "linear": pair(skill + 0.035)},
            "random": {"knn": pair(0.121), "linear": pair(0.238)},
            "pixels": {"knn": pair(0.572), "linear": pair(0.341)},
        }
        if labelled
        else None,
        "confusion": {"knn": confusion.tolist(), "linear": (confusion // 2).tolist()} if labelled else None,
        "retrieval": None
        if labelled
        else {"encoder": pair(0.94), "random": pair(0.35), "pixels": pair(0.18), "images": 1000},
        "step": step,
    }


def _neighbours(folder: Path, size: int, classes: Sequence[str], labelled: bool, rng: np.random.Generator) -> None:
    rows, k = 8, 8
    query = np.arange(rows) % len(classes)
    label = np.where(rng.random((rows, k)) < 0.85, query[:, None], rng.integers(0, len(classes), (rows, k)))
    np.savez(
        folder / "neighbours.npz",
        queries=np.stack([_chw(picture(int(q), size, rng)) for q in query]),
        neighbours=np.stack([np.stack([_chw(picture(int(v), size, rng)) for v in row]) for row in label]),
        similarity=np.sort(rng.uniform(0.7, 0.99, (rows, k)).astype("f4"), 1)[:, ::-1],
        query_label=query if labelled else np.full(rows, -1),
        neighbour_label=label if labelled else np.full((rows, k), -1),
    )


def localise(
    folder: Path,
    kind: str = "found",
    *,
    refreshes: int = 4,
    every: int = 100,
    count: int = 60,
    sizes: tuple[int, int] = (32, 32),
    k: float = 0.3,
    alpha: float = 0.1,
    crop: tuple[float, float] = (0.2, 1.0),
) -> Path:
    """Let a run have boxes; those that are found close in on their objects, refresh by refresh."""
    path = folder / "run.json"
    info = json.loads(path.read_text())
    given = {"boxes": kind, "alpha": alpha, "crop": crop, "box_threshold": k, "box_start": 2, "box_every": 2}
    info["call"]["arguments"] |= given
    _json(path, info)
    if kind != "found":
        return folder
    rng = np.random.default_rng(1)
    images = torch.from_numpy(np.stack([_chw(picture(i, 32, rng)) for i in range(count)]))
    stored = ImageSet(images, torch.tensor(sizes).repeat(count, 1), [f"image/{i}" for i in range(count)])
    centre = torch.from_numpy(rng.uniform(0.3, 0.7, (count, 2, 1, 1))).float()
    grid = torch.stack(torch.meshgrid(*[torch.linspace(0.06, 0.94, 8)] * 2, indexing="ij"))
    distance = (grid - centre).square().sum(1)
    boxes = Boxes.unknown(count)
    for place in range(1, refreshes + 1):
        heat = heat_map(torch.exp(-distance * 12 * place)[:, None])
        found = boxes_of(heat, 32, k)
        refresh = boxes.refresh(found, place * every, 2 * place, k)
        write_boxes(folder, stored, found, heat[examples(count)], refresh, 0.5)
    return folder
