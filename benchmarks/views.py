"""Views per second on one core: pairlens against the augmentation libraries that are installed.

Every contender starts from uint8 images in memory, in the form it expects (tensors, PIL images, arrays), and ends
with one normalised float batch; drawing the parameters is included. The views are MoCo v2's, without blur and with it:
crop .2-1, flip, jitter (.4, .4, .4, .1) with p .8, gray .2, blur with p .5, sigma .1-2 and a kernel of a tenth of the
view. From cut views, pairlens leaves out crop and resize: its loader's workers have done them. Rounds are interleaved,
so that a busy machine slows all alike, and times are processor time of the one thread. That torch takes large pages
for large tensors, which pairlens asks of it, serves all alike. Under torch.compile (as on accelerators) nothing may
depend on a value, so every adjustment is computed for every view: one graph, but on a CPU slower than eager.
Run: `python benchmarks/views.py --sizes 32 224 --blur 0 0.5`.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import contest
import numpy as np
import torch
from contest import MEAN, SIGMA, STD, Run
from PIL import Image
from torch import Tensor

from pairlens.draw import Draw
from pairlens.views.plans import Augmentation
from pairlens.views.render import blur_kernel, render

BASE = "torchvision, PIL"


@dataclass(frozen=True)
class Result:
    """One contender at one size, with or without blur."""

    name: str
    size: int
    blur: float  # probability
    views_per_second: float  # median over the rounds
    times_base: float  # median over the rounds of the ratio to torchvision on PIL images; NaN without it


def pairlens_eager(images: Tensor, size: int, blur: float) -> Run:
    return _pairlens(images, size, blur, render)


def pairlens_cut(images: Tensor, size: int, blur: float) -> Run:
    cut = images[:, :, :size, :size].contiguous()
    return _pairlens(cut, size, blur, partial(render, cut=True))


def pairlens_compiled(images: Tensor, size: int, blur: float) -> Run:
    return _pairlens(images, size, blur, torch.compile(render, fullgraph=True))


def _pairlens(images: Tensor, size: int, blur: float, draw_pixels: Callable[..., Tensor]) -> Run:
    augmentation, generator = Augmentation(blur=blur, blur_sigma=SIGMA), torch.Generator().manual_seed(0)
    sizes = torch.tensor([images.shape[2:]]).repeat(len(images), 1)
    draw = Draw(torch.arange(len(images)), sizes, 0, 0, views=generator, features=generator)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    return lambda: draw_pixels(images, augmentation.draw(draw), size, mean, std)


def one_by_one(images: list[Any], transform: contest.Transform) -> Run:
    return lambda: torch.stack([transform(image) for image in images])


def torchvision_pil(images: Tensor, size: int, blur: float) -> Run:
    return one_by_one([Image.fromarray(a) for a in _arrays(images)], contest.torchvision_pil(size, blur))


def torchvision_tensors(images: Tensor, size: int, blur: float) -> Run:
    return one_by_one(list(images.unbind()), contest.torchvision_tensor(size, blur))


def lightly_pil(images: Tensor, size: int, blur: float) -> Run:
    return one_by_one([Image.fromarray(a) for a in _arrays(images)], contest.lightly_pil(size, blur))


def kornia_batch(images: Tensor, size: int, blur: float) -> Run:
    from kornia import augmentation as K

    kernel = blur_kernel(size)
    transform = K.AugmentationSequential(
        K.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
        K.RandomHorizontalFlip(),
        K.ColorJitter(0.4, 0.4, 0.4, 0.1, p=0.8),
        K.RandomGrayscale(p=0.2),
        *([K.RandomGaussianBlur((kernel, kernel), SIGMA, p=blur)] if blur else []),
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )
    return lambda: transform(images.float().div_(255))


def albumentations_arrays(images: Tensor, size: int, blur: float) -> Run:
    return one_by_one(_arrays(images), contest.albumentations_array(size, blur))


CONTENDERS: dict[str, Callable[[Tensor, int, float], Run]] = {
    "pairlens": pairlens_eager,
    "pairlens, from cut views": pairlens_cut,
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


def measure(size: int, blur: float, batch: int, rounds: int, compiled: bool) -> list[Result]:
    """Time every contender that imports, one batch a round each."""
    images = some_images(batch, size if size < 64 else round(size * 8 / 7))
    makers = {
        name: partial(make, images, size, blur)
        for name, make in CONTENDERS.items()
        if compiled or make is not pairlens_compiled
    }
    seconds = contest.interleaved(contest.available(makers, (batch, 3, size, size)), rounds)
    base = seconds.get(BASE, [float("nan")] * rounds)
    return [
        Result(
            name,
            size,
            blur,
            batch / statistics.median(spent),
            statistics.median(b / s for b, s in zip(base, spent, strict=True)),
        )
        for name, spent in seconds.items()
    ]


def table(results: list[Result]) -> str:
    """The results as Markdown, a table for each size and probability of blur."""
    blocks = []
    for size, blur in dict.fromkeys((r.size, r.blur) for r in results):
        lines = [
            f"### {size} x {size} pixels, {f'blur {blur:g}' if blur else 'no blur'}",
            "",
            "| | views/s a core | times torchvision on PIL |",
            "|---|---:|---:|",
        ]
        for r in sorted((r for r in results if (r.size, r.blur) == (size, blur)), key=lambda r: -r.views_per_second):
            lines.append(f"| {r.name} | {r.views_per_second:,.0f} | {r.times_base:.2f} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32], help="sides of the views, pixels")
    parser.add_argument("--blur", type=float, nargs="+", default=[0.0], help="probabilities of blur")
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
        for blur in options.blur:
            results += measure(size, blur, batch, options.rounds, options.compiled)
    about = contest.environment() | {
        "batch": f"{options.batch}; an eighth from 64 pixels on",
        "rounds": str(options.rounds),
    }
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
