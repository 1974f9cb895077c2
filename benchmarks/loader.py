"""Images per second on one core, from JPEG files to the two views of MoCo v2: pairlens against others' pipelines.

Every contender reads the same files (which the system has in memory), decodes each once for both its views, and ends
with two normalised float batches; drawing is included. The views are MoCo v2's: crop .2-1, flip, jitter (.4, .4, .4,
.1) with p .8, gray .2, without blur and with it (p .5). pairlens cuts in one worker thread and renders in the main
one; the others run their transforms one image after the other, as a worker process would. "Cutting alone" is what is
left to the CPU where a GPU renders. Rounds are interleaved, so that a busy machine slows all alike, and times are
processor time of the whole process. That torch takes large pages for large tensors, which pairlens asks of it, serves
all alike. OpenCV resizes without antialiasing, all others with it; torchvision's own decoder is used for tensors where
it loads, else Pillow.
Run: `python benchmarks/loader.py FOLDER --sizes 224 64`.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from contest import (
    MEAN,
    STD,
    Run,
    Transform,
    albumentations_array,
    available,
    environment,
    interleaved,
    lightly_pil,
    torchvision_pil,
    torchvision_tensor,
)
from PIL import Image
from torch import Tensor

from pairlens.data import decode
from pairlens.data.files import list_files
from pairlens.data.photographs import Photographs
from pairlens.draw import Draw
from pairlens.views.plans import Augmentation
from pairlens.views.render import render

BASE = "torchvision, PIL"
CUTTING = "pairlens, cutting alone"


@dataclass(frozen=True)
class Result:
    """One contender at one size."""

    name: str
    size: int
    blur: float  # probability
    images_per_second: float  # median over the rounds
    times_base: float  # median over the rounds of the ratio to torchvision on PIL images; NaN without it


def pairlens(files: list[str], size: int, blur: float, fast: bool, cut_alone: bool = False) -> Run:
    """Both views cut by a worker, then rendered, unless they are to be cut alone; `fast` decodes by simplejpeg."""
    if fast:
        import_module("simplejpeg")
    photographs = Photographs("", files, size, workers=1)
    sizes = torch.tensor([found for file in files if isinstance(found := decode.read_size(file), tuple)])
    augmentation, generator = Augmentation(blur=blur), torch.Generator().manual_seed(0)
    index, mean, std = torch.arange(len(files)), torch.tensor(MEAN), torch.tensor(STD)

    def run() -> list[Tensor]:
        decode._FAST_JPEG = fast
        draw = Draw(index, sizes, 0, 0, views=generator, features=generator)
        params = {name: augmentation.draw(draw) for name in ("query", "key")}
        cut = photographs.cut(index, {name: (p.crop, size) for name, p in params.items()}).result()
        return (
            list(cut.values())
            if cut_alone
            else [render(cut[n], p, size, mean, std, cut=True) for n, p in params.items()]
        )

    return run


def one_by_one(files: list[str], read: Callable[[str], Any], transform: Transform) -> Run:
    """Both views of each image, one image after the other."""

    def run() -> list[Tensor]:
        pairs = [(transform(image), transform(image)) for image in map(read, files)]
        return [torch.stack(views) for views in zip(*pairs, strict=True)]

    return run


def read_pil(file: str) -> Image.Image:
    with Image.open(file) as image:
        return image.convert("RGB")


def read_tensor() -> Callable[[str], Tensor]:
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.functional import pil_to_tensor

    def by_torchvision(file: str) -> Tensor:
        return decode_jpeg(read_file(file), ImageReadMode.RGB)

    try:
        decode_jpeg(torch.zeros(1, dtype=torch.uint8))
    except RuntimeError as error:
        if "load the image extension" in str(error):
            return lambda file: pil_to_tensor(read_pil(file))
    return by_torchvision


def read_cv2(file: str) -> Any:
    cv2 = import_module("cv2")
    return cv2.imread(file, cv2.IMREAD_COLOR_RGB)


def contenders(files: list[str], size: int, blur: float) -> dict[str, Callable[[], Run]]:
    return {
        "pairlens": partial(pairlens, files, size, blur, True),
        "pairlens, without simplejpeg": partial(pairlens, files, size, blur, False),
        BASE: lambda: one_by_one(files, read_pil, torchvision_pil(size, blur)),
        "torchvision v2, uint8 tensors": lambda: one_by_one(files, read_tensor(), torchvision_tensor(size, blur)),
        "lightly, PIL": lambda: one_by_one(files, read_pil, lightly_pil(size, blur)),
        "albumentations, cv2": lambda: one_by_one(files, read_cv2, albumentations_array(size, blur)),
    }


def measure(files: list[str], size: int, blur: float, rounds: int) -> list[Result]:
    """Time every contender that imports, one batch a round each."""
    runs = available(contenders(files, size, blur), (len(files), 3, size, size))
    if "pairlens" in runs:
        runs[CUTTING] = pairlens(files, size, blur, fast=True, cut_alone=True)
        runs[CUTTING]()
    seconds = interleaved(runs, rounds)
    base = seconds.get(BASE, [float("nan")] * rounds)
    return [
        Result(
            name,
            size,
            blur,
            len(files) / statistics.median(spent),
            statistics.median(b / s for b, s in zip(base, spent, strict=True)),
        )
        for name, spent in seconds.items()
    ]


def table(results: list[Result]) -> str:
    """The results as Markdown, one table a size and kind of view."""
    blocks = []
    for size, blur in dict.fromkeys((r.size, r.blur) for r in results):
        lines = [
            f"### Two views of {size} x {size} pixels, {f'blur {blur:g}' if blur else 'no blur'}",
            "",
            "| | images/s a core | times torchvision on PIL |",
            "|---|---:|---:|",
        ]
        for r in sorted((r for r in results if (r.size, r.blur) == (size, blur)), key=lambda r: -r.images_per_second):
            lines.append(f"| {r.name} | {r.images_per_second:,.0f} | {r.times_base:.2f} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def some_files(folder: Path, count: int) -> list[str]:
    """Evenly spaced JPEG files of a folder, by their full names."""
    found = [name for name in list_files(folder, print).names if name.lower().endswith((".jpg", ".jpeg"))]
    if len(found) < count:
        raise SystemExit(f"{folder} holds {len(found)} JPEG files, and {count} are asked for; give a larger folder")
    return [str(folder / found[i * len(found) // count]) for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="photographs: JPEG files, in folders or not")
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 64], help="sides of the views, pixels")
    parser.add_argument("--blur", type=float, nargs="+", default=[0.0, 0.5], help="probabilities of blur")
    parser.add_argument("--images", type=int, default=64, help="images a batch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--output", type=Path, help="also write the tables, with the environment, to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = some_files(options.folder.resolve(), options.images)
    results = [
        result
        for size in options.sizes
        for blur in options.blur
        for result in measure(files, size, blur, options.rounds)
    ]
    shapes = sorted(Image.open(file).size for file in files)
    typical = " x ".join(str(side) for side in shapes[len(shapes) // 2])
    weight = sum(Path(file).stat().st_size for file in files) / len(files)
    about = environment() | {
        "images": f"{len(files)} JPEG files of {weight / 1e3:.0f} kB, most of them about {typical} pixels",
        "rounds": str(options.rounds),
    }
    if options.json:
        print(json.dumps({"environment": about, "results": [asdict(r) for r in results]}))
    else:
        print(table(results))
    if options.output:
        listed = "\n".join(f"- {key}: {value}" for key, value in about.items())
        text = f"{__doc__.split(chr(10), 2)[2].strip()}\n\n{table(results)}\n\n{listed}\n"
        options.output.write_text(f"# Images per second from files\n\n{text}")


if __name__ == "__main__":
    main()
