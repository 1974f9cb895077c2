"""What the benchmarks of views and of the loader share: the peers' transforms, interleaved timing, the environment."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch import Tensor

from pairlens.environment import processor
from pairlens.views.render import blur_kernel

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PACKAGES = (
    *("torch", "torchvision", "pillow", "simplejpeg", "kornia", "albumentations", "opencv-python-headless"),
    *("lightly", "numpy"),
)
SIGMA = (0.1, 2.0)  # of MoCo v2's blur, pixels

Transform = Callable[[Any], Any]
Run = Callable[[], Tensor | list[Tensor]]


def torchvision_pil(size: int, blur: float) -> Transform:
    """MoCo v2's view of a PIL image, blurred by Pillow, as in its own code, with a probability."""
    from PIL import ImageFilter
    from torchvision import transforms as T

    def blurred(image: Any) -> Any:
        return image.filter(ImageFilter.GaussianBlur(float(torch.empty(()).uniform_(*SIGMA))))

    return T.Compose(
        [
            T.RandomResizedCrop(size, scale=(0.2, 1.0)),
            T.RandomApply([T.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            T.RandomGrayscale(p=0.2),
            *([T.RandomApply([T.Lambda(blurred)], p=blur)] if blur else []),
            T.RandomHorizontalFlip(),
            T.ToTensor(),
            T.Normalize(MEAN, STD),
        ]
    )


def torchvision_tensor(size: int, blur: float) -> Transform:
    """MoCo v2's view of a uint8 tensor."""
    from torchvision.transforms import v2

    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.2, 1.0), antialias=True),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            v2.RandomGrayscale(p=0.2),
            *([v2.RandomApply([v2.GaussianBlur(blur_kernel(size), SIGMA)], p=blur)] if blur else []),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )


def lightly_pil(size: int, blur: float) -> Transform:
    """MoCo v2's view of a PIL image."""
    from lightly.transforms.simclr_transform import SimCLRViewTransform

    return SimCLRViewTransform(
        input_size=size,
        cj_bright=0.4,
        cj_contrast=0.4,
        cj_sat=0.4,
        cj_hue=0.1,
        min_scale=0.2,
        gaussian_blur=blur,
        sigmas=SIGMA,
        normalize={"mean": list(MEAN), "std": list(STD)},
    )


def albumentations_array(size: int, blur: float) -> Transform:
    """MoCo v2's view of an array [H, W, 3]."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations as A
    from albumentations.pytorch import ToTensorV2

    import_module("cv2").setNumThreads(0)
    kernel = blur_kernel(size)
    transform = A.Compose(
        [
            A.RandomResizedCrop((size, size), scale=(0.2, 1.0)),
            A.ColorJitter((0.6, 1.4), (0.6, 1.4), (0.6, 1.4), (-0.1, 0.1), p=0.8),
            A.ToGray(p=0.2),
            *([A.GaussianBlur((kernel, kernel), SIGMA, p=blur)] if blur else []),
            A.HorizontalFlip(p=0.5),
            A.Normalize(MEAN, STD),
            ToTensorV2(),
        ]
    )
    return lambda array: transform(image=array)["image"]


def available(makers: Mapping[str, Callable[[], Run]], shape: tuple[int, ...]) -> dict[str, Run]:
    """The contenders that can be imported here, each run twice to warm up; the others are named.

    Raises:
        RuntimeError: one makes views of another shape, or not in float32.
    """
    runs = {}
    for name, make in makers.items():
        try:
            run = make()
            made = run()
        except ImportError as error:
            print(f"left out: {name} ({error})")
            continue
        for views in [made] if isinstance(made, Tensor) else made:
            if views.shape != shape or views.dtype != torch.float32:
                raise RuntimeError(f"{name} made {views.dtype} of shape {tuple(views.shape)}, not float32 of {shape}")
        run()
        runs[name] = run
    return runs


def interleaved(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Processor time of every contender in every round, seconds; a busy machine slows all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return seconds


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
