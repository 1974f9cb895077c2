"""Compute tests/views/references.npz with torchvision, once: `python tests/views/make_references.py`.

Needs torchvision (0.28.0 made the stored file); run it only to change the cases. The file holds, for each case,
images, parameters and the views that torchvision's float transforms make of them (as 16-bit integers of [0, 1]),
and its provenance.
"""

import json
import platform
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor
from torchvision.transforms import functional as TF

from pairlens.draw import Draw
from pairlens.views.crops import full_image
from pairlens.views.params import ViewParams
from pairlens.views.plans import Augmentation
from pairlens.views.render import blur_kernel

FILE = Path(__file__).with_name("references.npz")
PLAIN = {"flip": 0.0, "jitter_probability": 0.0, "gray": 0.0}
STRONG = (0.8, 0.8, 0.8, 0.5)
CASES = {  # name: (views, height, width, size of the view, augmentation)
    "all": (16, 40, 28, 32, Augmentation(jitter=STRONG, blur=0.5, rotation=0.5)),
    "crop": (8, 61, 40, 16, Augmentation(**PLAIN)),
    "enlarge": (4, 12, 20, 32, Augmentation(**PLAIN)),
    "jitter": (8, 16, 16, 16, Augmentation(full_image(), 0.0, STRONG, 1.0, 0.0)),
    "blur": (2, 48, 48, 96, Augmentation(blur=1.0, jitter_probability=0.0, gray=0.0)),
}
ADJUSTMENTS = (TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue)


def torchvision_view(image: Tensor, params: ViewParams, row: int, size: int) -> Tensor:
    """One view as torchvision's float transforms make it; [3, size, size] in [0, 1]."""
    height, width = image.shape[1:]
    left, top, wide, high = params.crop[row].double().tolist()
    left, wide, top, high = (round(v) for v in (left * width, wide * width, top * height, high * height))
    view = TF.resized_crop(image.float() / 255, top, left, high, wide, [size, size], antialias=True)
    if params.flip[row]:
        view = TF.hflip(view)
    view = torch.rot90(view, int(params.rotation[row]), (1, 2))
    for column in params.order[row].tolist() if params.jittered[row] else []:
        view = ADJUSTMENTS[column](view, float(params.factors[row, column]))
    if params.gray[row]:
        view = TF.rgb_to_grayscale(view, 3)
    if params.blur[row] > 0:
        view = TF.gaussian_blur(view, [blur_kernel(size)] * 2, [float(params.blur[row])] * 2)
    return view


def make_images(count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """Smooth colour fields with noise of very different strength; also flat, gray and saturated ones."""
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    field = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    noise = torch.randn(count, 3, height, width, generator=generator)
    images = field + noise * torch.linspace(0, 0.5, count)[:, None, None, None]
    images[0] = images[0, :, :1, :1]
    images[1] = images[1, :1]
    images[-1] = images[-1].round()
    return images.mul(255).round().clamp(0, 255).to(torch.uint8)


def main() -> None:
    """Write the file."""
    generator = torch.Generator().manual_seed(20261120)
    arrays = {}
    for name, (count, height, width, size, augmentation) in CASES.items():
        images = make_images(count, height, width, generator)
        sizes = torch.tensor([[height, width]]).repeat(count, 1)
        params = augmentation.draw(Draw(torch.arange(count), sizes, 0, 0, generator, generator))
        views = torch.stack([torchvision_view(image, params, row, size) for row, image in enumerate(images)])
        arrays[f"{name}/images"] = images.numpy()
        arrays[f"{name}/views"] = (views * 65535).round().numpy().astype(np.uint16)
        arrays |= {f"{name}/params/{key}": value.numpy() for key, value in params.tensors().items()}
    provenance = {
        "torchvision": torchvision.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "date": datetime.now(UTC).date().isoformat(),
    }
    np.savez_compressed(FILE, provenance=json.dumps(provenance), **arrays)
    print(provenance, FILE.stat().st_size)


if __name__ == "__main__":
    main()
