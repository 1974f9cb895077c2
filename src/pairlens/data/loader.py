"""From a set in memory to batches on the training device: one permutation an epoch, resumable in its middle.

B images of the batch, H x W pixels.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from pairlens.data.images import ImageSet
from pairlens.errors import InputError

Batch = tuple[Int64[Tensor, "B"], UInt8[Tensor, "B 3 H W"]]


class Batches:
    """Draws batches of a set without replacement; the last, partial batch of an epoch is dropped.

    The pixels live on the training device where they fit, and are gathered there. Otherwise each batch is gathered
    on the CPU, one ahead of its use, and moved.
    """

    def __init__(self, images: ImageSet, batch: int, device: torch.device | str, generator: torch.Generator) -> None:
        """Prepare a set for training; `generator`, on the CPU, must be drawn from by nothing else.

        Raises:
            InputError: the batch is not positive, or larger than the set.
        """
        if batch < 1:
            raise InputError(f"the batch must hold at least one image, not {batch}; choose a positive number")
        if batch > len(images):
            raise InputError(f"a batch of {batch} is larger than the set of {len(images)} images; choose a smaller one")
        self.batch, self.device, self.count = batch, torch.device(device), len(images)
        self.resident = _fits(images.pixels, self.device)
        self._pixels = images.pixels.to(self.device) if self.resident else images.pixels
        self._generator = generator
        self._at_start = self._at_end = generator.get_state()  # the generator around the running epoch's permutation
        self._position = 0  # batches of the running epoch handed out
        self._resume_at = 0

    def __len__(self) -> int:
        """Batches of one epoch."""
        return self.count // self.batch

    def epoch(self, start: int | None = None) -> Iterator[Batch]:
        """The batches of one epoch, from the `start`-th on: index [B] on the CPU, pixels [B, 3, H, W] on the device.

        The permutation is drawn now, whatever the start. Without a start the epoch begins where a loaded state
        stopped, or at its beginning.
        """
        self._position = self._resume_at if start is None else start
        self._resume_at = 0
        if not 0 <= self._position <= len(self):
            raise ValueError(f"an epoch of {len(self)} batches cannot start at batch {self._position}")
        self._at_start = self._generator.get_state()
        order = torch.randperm(self.count, generator=self._generator)
        self._at_end = self._generator.get_state()
        rows = order[: len(self) * self.batch].view(-1, self.batch)[self._position :]
        return self._counted(self._gather_here(rows) if self.resident else self._gather_ahead(rows))

    def state(self) -> dict[str, Tensor]:
        """What `load` needs to go on after the batch that was handed out last."""
        if self._position == len(self):
            return {"generator": self._at_end.clone(), "position": torch.tensor(0)}
        return {"generator": self._at_start.clone(), "position": torch.tensor(self._position)}

    def load(self, state: dict[str, Tensor]) -> None:
        """Go on as the run that gave this state would have: the next epoch yields exactly its remaining batches."""
        position = int(state["position"])
        if not 0 <= position < len(self):
            raise InputError(
                f"the stored position, batch {position}, lies outside an epoch of {len(self)} batches; "
                "resume with the images and the batch size that the run began with"
            )
        self._generator.set_state(state["generator"].cpu())
        self._at_start = self._at_end = self._generator.get_state()
        self._position = self._resume_at = position

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for index, pixels in batches:
            self._position += 1
            yield index, pixels

    def _gather_here(self, rows: Int64[Tensor, "steps B"]) -> Iterator[Batch]:
        moved = rows.to(self.device)
        for index, there in zip(rows, moved, strict=True):
            yield index, self._pixels.index_select(0, there)

    def _gather_ahead(self, rows: Int64[Tensor, "steps B"]) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as pool:
            ahead = None
            for i, index in enumerate(rows):
                ready = ahead or pool.submit(self._gather, index)
                ahead = pool.submit(self._gather, rows[i + 1]) if i + 1 < len(rows) else None
                yield index, ready.result().to(self.device, non_blocking=True)

    def _gather(self, index: Int64[Tensor, "B"]) -> UInt8[Tensor, "B 3 H W"]:
        shape = (len(index), *self._pixels.shape[1:])
        out = torch.empty(shape, dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        return torch.index_select(self._pixels, 0, index, out=out)


def _fits(pixels: Tensor, device: torch.device) -> bool:
    """Whether the whole set goes to the device: always to the CPU, and to up to half of a GPU's free memory."""
    if device.type == "cpu":
        return True
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return pixels.nbytes <= free // 2
    return pixels.nbytes <= 2**31
