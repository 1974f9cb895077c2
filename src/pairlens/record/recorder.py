"""The recorder: it reads each step of a training, and a ring brings what it read to the run's folder.

It draws no randomness, changes no tensor of the training, and waits for the device only when a block is written.
"""

from pathlib import Path

import torch

from pairlens.optim import l2_norm
from pairlens.record.ring import Ring, counts_of, statistics_of
from pairlens.record.samples import SAMPLED, write_sample
from pairlens.train import Outcome, Training


class Recorder:
    """Write `statistics.npy`, `histograms.npy` and `samples/` of one run (layout: `record/run.py`).

    Args:
        folder: the run's folder.
        spaces: names of the embedding spaces, as in `Step.comparisons`.
        device: where the training runs.
        steps: steps of the whole run; views are sampled about eight times in its course.
        start: steps already done when a run is resumed; later rows of an earlier attempt are cut off.
        spent: seconds already spent when a run is resumed.
        every: steps between histograms.
        block: steps between writes to the disk.
    """

    def __init__(
        self,
        folder: Path,
        spaces: tuple[str, ...],
        *,
        device: torch.device,
        steps: int,
        start: int = 0,
        spent: float = 0.0,
        every: int = 1,
        block: int = 100,
    ) -> None:
        self.folder, self.every = folder, every
        self.sampled = {round(i * max(0, steps - 1) / 8) for i in range(9)}
        self.ring = Ring(folder, spaces, device=device, start=start, spent=spent, block=block)

    @torch.no_grad()
    def __call__(self, t: Training, outcome: Outcome) -> None:
        """Record one optimiser step. Comparisons are read off the batch's last part, the loss off all parts."""
        comparisons = outcome.parts[-1].comparisons
        loss = torch.stack([part.loss for part in outcome.parts]).mean()
        gradients = [p.grad for group in t.optimizer.param_groups for p in group["params"] if p.grad is not None]
        norm = l2_norm(gradients) if gradients else torch.zeros_like(loss)  # FT, Figure 4
        host = {"step": t.step, "epoch": t.step / len(t.order), "images": t.order.batch}
        self.ring.add(
            host | {"learning_rate": t.optimizer.param_groups[0]["lr"]},
            {"loss": loss, "gradient_norm": norm, **statistics_of(comparisons)},
            counts_of(comparisons) if t.step % self.every == 0 else {},
            outcome.laps,
        )
        if t.step in self.sampled:
            path = self.folder / "samples" / f"{t.step:06d}.npz"
            images = t.loader.whole(outcome.draw.index[:SAMPLED])
            write_sample(path, outcome.draw, images, outcome.views, outcome.params, t.mean, t.std)

    def sync(self) -> None:
        """Write everything, and wait for the disk: before a checkpoint, so that none is ahead of its rows."""
        self.ring.sync()

    def close(self) -> None:
        """Write everything and close the files."""
        self.ring.close()

    @property
    def seconds(self) -> float:
        """Seconds spent on the run, earlier attempts included."""
        return self.ring.seconds
