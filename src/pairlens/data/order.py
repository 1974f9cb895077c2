"""Which images each step takes: one permutation an epoch, resumable in its middle.

B images of a batch.
"""

from collections.abc import Iterator, Mapping

import torch
from jaxtyping import Int64
from torch import Tensor

from pairlens.errors import InputError

State = Mapping[str, Tensor]
"""Where an order stands: the generator before its epoch's permutation, and how many batches of it are done."""


class Order:
    """Batches of a set without replacement; the last, partial batch of an epoch is dropped.

    An order stands still: `walk` looks ahead from where it stands, and `load` puts it where a step has brought it. So
    steps can be drawn before their time, and a checkpoint knows nothing of them.
    """

    def __init__(self, count: int, batch: int, generator: torch.Generator) -> None:
        """Prepare for a set of `count` images; `generator`, on the CPU, must be drawn from by nothing else.

        Raises:
            InputError: the batch is not positive, or larger than the set.
        """
        if batch < 1:
            raise InputError(f"the batch must hold at least one image, not {batch}; choose a positive number")
        if batch > count:
            raise InputError(f"a batch of {batch} is larger than the set of {count} images; choose a smaller one")
        self.count, self.batch = count, batch
        self._state: State = {"generator": generator.get_state(), "position": torch.tensor(0)}

    def __len__(self) -> int:
        """Batches of one epoch."""
        return self.count // self.batch

    def walk(self) -> Iterator[tuple[Int64[Tensor, "B"], State]]:
        """From here on, epoch after epoch: each batch's images, on the CPU, and where the order stands behind it."""
        generator = torch.Generator()
        generator.set_state(self._state["generator"])
        position = int(self._state["position"])
        while True:
            before = generator.get_state()
            order = torch.randperm(self.count, generator=generator)
            after = generator.get_state()
            batches = order[: len(self) * self.batch].view(-1, self.batch)
            for done in range(position + 1, len(self)):
                yield batches[done - 1], {"generator": before, "position": torch.tensor(done)}
            yield batches[-1], {"generator": after, "position": torch.tensor(0)}
            position = 0

    def state(self) -> dict[str, Tensor]:
        """What `load` needs to stand here again."""
        return dict(self._state)

    def load(self, state: State) -> None:
        """Stand where `state` was taken.

        Raises:
            InputError: it is of another number of images, or another batch.
        """
        position = int(state["position"])
        if not 0 <= position < len(self):
            raise InputError(
                f"the stored position, batch {position}, lies outside an epoch of {len(self)} batches; "
                "resume with the images and the batch size that the run began with"
            )
        self._state = {"generator": state["generator"].cpu(), "position": state["position"]}
