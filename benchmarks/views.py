"""Views per second on one core: pairlens against the augmentation libraries that are installed.

Every contender starts from uint8 images in memory, in the form it expects (tensors, PIL images, arrays), and ends
with one normalised float batch; drawing the parameters is included. The views are MoCo v2's without blur: crop .2-1,
flip, jitter (.4, .4, .4, .1) with p .8, gray .2. Rounds are interleaved, so that a busy machine slows all alike, and
times are processor time of the one thread. Under torch.compile (as on accelerators) nothing may depend on a value, so
every adjustment is computed for every view: one graph, but on a CPU slower than eager.
Run: `python benchmarks/views.py --sizes 32 224`.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pairlens.draw import Draw
from pairlens.environment import processor
from pairlens.views.plans import Augmentation
from pairlens.views.render import render

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BASE = "torchvision, PIL"
PACKAGES = ("torch", "torchvision", "pillow", "kornia", "albumentations", "opencv-python-headless", "lightly", "numpy")

Run = Callable[[], Tensor]


@dataclass(frozen=True)
class Result:
    """One contender at one size."""

    name: str
    size: int
    views_per_second: float  # median over the rounds
    times_base: float  # median over the rounds of the ratio to torchvision on PIL images; NaN without it


def pairlens_eager(images: Tensor, size: int) -> Run:
    return _pairlens(images, size, render)


def pairlens_compiled(images: Tensor, size: int) -> Run:
    return _pairlens(images, size, torch.compile(render, fullgraph=True))


def _pairlens(images: Tensor, size: int, draw_pixels: Callable[..., Tensor]) -> Run:
    augmentation, generator = Augmentation(), torch.Generator().manual_seed(0)
    sizes = torch.tensor([images.shape[2:]]).repeat(len(images), 1)
    draw = Draw(torch.arange(len(images)), sizes, 0, 0, views=generator, features=generator)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return lambda: draw_pixels(images, augmentation.draw(draw), size, mean, std)


def torchvision_pil(images: Tensor, size: int) -> Run:
    from torchvision import transforms as T

    transform = T.Compose(
        [
            T.RandomResizedCrop(size, scale=(0.2, 1.0)),
            T.RandomHorizontalFlip(),
            T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            T.RandomGrayscale(p=0.2),
            T.ToTensor(),
            T.Normalize(MEAN, STD),
        ]
    )
    pictures = [Image.fromarray(a) for a in _arrays(images)]
    return lambda: torch.stack([transform(p) for p in pictures])


def torchvision_tensors(images: Tensor, size: int) -> Run:
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.2, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(p=0.2),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    singles = list(images.unbind())
    return lambda: torch.stack([transform(image) for image in singles])


def lightly_pil(images: Tensor, size: int) -> Run:
    from lightly.transforms.simclr_transform import SimCLRViewTransform

    transform = SimCLRViewTransform(
        input_size=size,
        cj_bright=0.4,
        cj_contrast=0.4,
        cj_sat=0.4,
        cj_hue=0.1,
        min_scale=0.2,
        gaussian_blur=0.0,
        normalize={"mean": list(MEAN), "std": list(STD)},
    )
    pictures = [Image.fromarray(a) for a in _arrays(images)]
    return lambda: torch.stack([transform(p) for p in pictures])


def kornia_batch(images: Tensor, size: int) -> Run:
    from kornia import augmentation as K

    transform = K.AugmentationSequential(
        K.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )
    return lambda: transform(images.float().div_(255))


def albumentations_arrays(images: Tensor, size: int) -> Run:
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A
    from albumentations.pytorch import ToTensorV2

    import_module("cv2").setNumThreads(0)
    transform = A.Compose(
        [
            A.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
            A.HorizontalFlip(p=0.5),
            A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=0.8),
            A.ToGray(p=0.2),
            A.Normalize(MEAN, STD),
            ToTensorV2(),
        ]
    )
    arrays = list(_arrays(images))
    return lambda: torch.stack([transform(image=a)["image"] for a in arrays])


CONTENDERS = {
    "pairlens": pairlens_eager,
    "pairlens, torch.compile": pairlens_compiled,
    BASE: torchvision_pil,
    "torchvision v2, uint8 tensors": torchvision_tensors,
    "lightly, PIL": lightly_pil,
    "kornia, float batch": kornia_batch,
    "albumentations, arrays": albumentations_arrays,
}


def _arrays(images: Tensor) -> list[np.ndarray]:
    return [np.ascontiguousarray(image.permute(1, 2, 0).numpy()) for image in images]


def some_images(count: int, side: int) -> Tensor:
    """Smooth colour fields with a little noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    images = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    images = images + 0.05 * torch.randn(images.shape, generator=generator)
    return images.mul(255).clamp(0, 255).to(torch.uint8)


def measure(size: int, batch: int, rounds: int, compiled: bool) -> list[Result]:
    """Time every contender that imports, one batch a round each."""
    images = some_images(batch, size if size < 64 else round(size * 8 / 7))
    runs: dict[str, Run] = {}
    for name, make in CONTENDERS.items():
        if make is pairlens_compiled and not compiled:
            continue
        try:
            run = make(images, size)
            views = run()
        except ImportError as error:
            print(f"left out: {name} ({error})")
            continue
        if views.shape != (batch, 3, size, size) or views.dtype != torch.float32:
            raise RuntimeError(f"{name} made views of shape {tuple(views.shape)} and type {views.dtype}")
        run()
        runs[name] = run
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    base = seconds.get(BASE, [float("nan")] * rounds)
    return [
        Result(
            name,
            size,
            batch / statistics.median(spent),
            statistics.median(b / s for b, s in zip(base, spent, strict=True)),
        )
        for name, spent in seconds.items()
    ]


def table(results: list[Result]) -> str:
    """The results as Markdown, one table a size."""
    blocks = []
    for size in dict.fromkeys(r.size for r in results):
        lines = [
            f"### {size} x {size} pixels",
            "",
            "| | views/s a core | times torchvision on PIL |",
            "|---|---:|---:|",
        ]
        for r in sorted((r for r in results if r.size == size), key=lambda r: -r.views_per_second):
            lines.append(f"| {r.name} | {r.views_per_second:,.0f} | {r.times_base:.2f} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def environment() -> dict[str, str]:
    """What was measured, and on what."""
    found = {"date": datetime.now(UTC).date().isoformat(), "python": platform.python_version()}
    found["processor"] = f"{processor()}, {torch.backends.cpu.get_cpu_capability()}, one thread of {os.cpu_count()}"
    found["load"] = " ".join(f"{load:.1f}" for load in os.getloadavg()) + " (averages over 1, 5 and 15 minutes)"
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32], help="sides of the views, pixels")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch", type=int, default=256, help="views a batch below 64 pixels; an eighth above")
    parser.add_argument("--compiled", action="store_true", help="also time pairlens under torch.compile")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--output", type=Path, help="also write the tables, with the environment, to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: list[Result] = []
    for size in options.sizes:
        batch = options.batch if size < 64 else max(1, options.batch // 8)
        results += measure(size, batch, options.rounds, options.compiled)
    about = environment() | {"batch": f"{options.batch}; an eighth from 64 pixels on", "rounds": str(options.rounds)}
    if options.json:
        print(json.dumps({"environment": about, "results": [asdict(r) for r in results]}))
    else:
        print(table(results))
    if options.output:
        listed = "\n".join(f"- {key}: {value}" for key, value in about.items())
        text = f"# Views per second\n\n{__doc__.split(chr(10), 2)[2].strip()}\n\n{table(results)}\n\n{listed}\n"
        options.output.write_text(text)


if __name__ == "__main__":
    main()
