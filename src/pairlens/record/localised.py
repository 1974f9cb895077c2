"""What a run keeps of its boxes: a file a refresh, `boxes/000100.npz` after 100 steps.

N images of the set, E of them as examples, h x w positions of a heat map.

step, epoch     finished before the refresh
k               the threshold of heat
seconds         that it took
boxes           [N, 4] float16: left, top, right, bottom, fractions of the image
index           [E]: the examples, the same in every file of a run
images          [E, 3, H, W] uint8, as they are stored
sizes           [E, 2]: height and width of the originals, pixels
heat            [E, h, w] float16 in [0, 1]
"""

import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError
from pairlens.record.disk import write_arrays, writing
from pairlens.record.run import Run
from pairlens.views.boxes import Boxes, Refresh

EXAMPLES = 12

UNREADABLE = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, EOFError, MemoryError),
    *(NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error, InputError),
)  # what a damaged .npz makes its reader raise


def examples(count: int) -> Int64[Tensor, "E"]:
    """Which images of a set of `count` stand for it: evenly spaced."""
    return torch.linspace(0, count - 1, min(EXAMPLES, count)).long()


def write_boxes(
    folder: Path,
    images: ImageSet,
    boxes: Float[Tensor, "N 4"],
    heat: Float[Tensor, "E h w"],
    refresh: Refresh,
    seconds: float,
) -> None:
    """Write the file of one refresh; `heat` is that of `examples`.

    Raises:
        InputError: the disk is full, or the folder may not be written.
    """
    path = folder / "boxes" / f"{refresh.step:06d}.npz"
    index = examples(len(images))
    arrays = {
        "step": np.asarray(refresh.step),
        "epoch": np.asarray(refresh.epoch),
        "k": np.asarray(refresh.k),
        "seconds": np.asarray(seconds),
        "boxes": boxes.numpy().astype(np.float16),
        "index": index.numpy(),
        "images": images.pixels[index].cpu().numpy(),
        "sizes": images.sizes[index].numpy(),
        "heat": heat.numpy().astype(np.float16),
    }
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        write_arrays(path, arrays)


def last_boxes(run: Run) -> Boxes | None:
    """The boxes of the last refresh that can be read, its only one in their history; None without any."""
    for path in reversed(run.box_files()):
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                table = torch.from_numpy(file["boxes"].astype(np.float32))
                boxes = Boxes.unknown(len(table))
                boxes.refresh(table, int(file["step"]), int(file["epoch"]), float(file["k"]))
        except UNREADABLE:
            continue
        return boxes
    return None
