"""Recording somebody else's contrastive loop, which goes on as if nobody looked.

An observer reads copies in float32, keeps no graph, draws no randomness, and waits for the device only when rows are
written: at the first call, and then every five seconds or hundred calls.

B images of a step, K negatives, D dimensions.
"""

import atexit
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, distributed

from pairlens.errors import InputError
from pairlens.losses import info_nce
from pairlens.pairs import Comparison, Pairs, score
from pairlens.record.comparable import Transformed, check_given
from pairlens.record.observed import ObservedRun, check_free
from pairlens.record.observers import ROWS, first_queries


class Observer:
    """Record each call as a step of one run; `pairlens report FOLDER` shows the run at any moment.

    Use it as a context, or leave it open: it closes when the process ends, and calls after that do nothing. Of several
    processes that train together only the first records. Should the folder no longer take what is written, a warning
    says so and the loop goes on unobserved.

    Args:
        folder: the run's folder, new or empty; by default the next free runs/observed-NUMBER.
        temperature: what the loop divides scores by; where no loss is handed over, InfoNCE is recorded with it.
        steps_per_epoch: calls that make an epoch, so that curves can be drawn over epochs.
        say: told in a sentence where the run is.

    Raises:
        InputError: the folder is not empty, or a number is not positive.
    """

    def __init__(
        self,
        folder: str | Path | None = None,
        *,
        temperature: float | None = None,
        steps_per_epoch: int | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        for name, value in (("temperature", temperature), ("number of steps in an epoch", steps_per_epoch)):
            if value is not None and not value > 0:
                raise InputError(f"the {name} must be positive, not {value}; leave it out where it is not known")
        self.folder = None if folder is None else Path(folder)
        check_free(self.folder)
        self.temperature, self.steps_per_epoch, self.say = temperature, steps_per_epoch, say
        self.run: ObservedRun | None = None
        self.closed = False

    @torch.compiler.disable
    def __call__(
        self,
        query: Float[Tensor, "B D"],
        key: Float[Tensor, "B D"],
        negatives: Float[Tensor, "K D"] | None = None,
        *,
        transformed: Transformed | None = None,
        symmetric: bool = False,
        loss: Float[Tensor, ""] | None = None,
    ) -> None:
        """Record one step. Of more than `ROWS` queries the first are looked at, at a cost that no batch raises.

        Args:
            query: embeddings of any length; what is recorded are cosines.
            key: the positive of each query.
            negatives: those that all queries share, a row each; by default the other images' keys.
            transformed: what the loss saw instead, where the loop transforms features. `Pairs` are taken as they are;
                a tuple of query and key is compared within the batch, as the originals are.
            symmetric: keys are queries, too; without `negatives` all other images' queries and keys are negatives
                then, as in NT-Xent.
            loss: the loop's own; by default InfoNCE at the observer's temperature, and none without one.

        Raises:
            InputError: shapes or devices disagree, or a loss is handed over at some steps only.
        """
        if self.closed or _is_follower():
            return
        given = [query, key] if negatives is None else [query, key, negatives]
        check_given(given, transformed, symmetric, loss)
        with torch.inference_mode(False), torch.no_grad(), torch.autocast(query.device.type, enabled=False):
            raw = _pairs([F.normalize(t.detach().float(), dim=1) for t in given], symmetric)
            seen = raw if transformed is None else _seen(transformed, symmetric)
            scores, temperature = score(seen), self.temperature or 1.0
            own = info_nce(scores, temperature) if loss is None else loss.detach().to(query.device).float().reshape(())
            comparison = Comparison(raw, seen, scores, own, temperature)
            excluded = 0 if negatives is not None else 1 + symmetric  # an image's own views
            if self.run is None:
                self.run = self._begin(query, loss is not None)
            if self.run.has_loss != (loss is not None):
                raise InputError("a loss is handed over at some steps only; give it at every step or at none")
            with self._going_on():
                self.run.add(comparison, len(query), scores.negative.shape[1] - excluded)

    def _begin(self, query: Tensor, has_loss: bool) -> ObservedRun:
        run = ObservedRun(
            self.folder,
            query,
            temperature=self.temperature,
            steps_per_epoch=self.steps_per_epoch,
            has_loss=has_loss,
        )
        atexit.register(self._close_at_exit)
        self.say(f"observing this loop; to see it: pairlens report {run.name}")
        return run

    def close(self, state: str = "finished") -> None:
        """Write everything; `state` says how the loop ended, "finished" or "interrupted"."""
        if self.run is not None and not self.closed:
            atexit.unregister(self._close_at_exit)
            with self._going_on():
                self.run.close(state)
        self.closed = True

    def _close_at_exit(self) -> None:
        self.close("interrupted" if getattr(sys, "last_value", None) is not None else "finished")

    def __enter__(self) -> "Observer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close("finished" if kind is None else "interrupted")

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Let the loop outlive a full disk."""
        try:
            yield
        except InputError as error:
            self.closed = True
            warnings.warn(f"this loop is no longer observed: {error}", stacklevel=4)


_open: dict[Path | None, Observer] = {}  # of `observe`, by the folder that was asked for


@torch.compiler.disable
def observe(
    query: Float[Tensor, "B D"],
    key: Float[Tensor, "B D"],
    negatives: Float[Tensor, "K D"] | None = None,
    *,
    run: str | Path | None = None,
    temperature: float | None = None,
    steps_per_epoch: int | None = None,
    transformed: Transformed | None = None,
    symmetric: bool = False,
    loss: Float[Tensor, ""] | None = None,
) -> None:
    """Record one step of a loop, whoever wrote it, without changing it: `pairlens.observe(q, k, negatives=queue)`.

    The first call begins a run and says where; it ends with the process. `Observer` explains all arguments; `run` is
    its folder. Calls with the same `run` are steps of the same run.

    Raises:
        InputError: shapes or devices disagree, or a call asks for something else than the run's first one did.
    """
    folder = None if run is None else Path(run)
    if folder not in _open:
        _open[folder] = Observer(folder, temperature=temperature, steps_per_epoch=steps_per_epoch)
    observer = _open[folder]
    for name, now, before in (
        ("temperature", temperature, observer.temperature),
        ("steps_per_epoch", steps_per_epoch, observer.steps_per_epoch),
    ):
        if now != before:
            raise InputError(f"{name} was {before} in the run's first step and is {now} now; give each run its own")
    observer(query, key, negatives, transformed=transformed, symmetric=symmetric, loss=loss)


def _pairs(vectors: Sequence[Float[Tensor, "_ D"]], symmetric: bool) -> Pairs:
    """The pairs of the first `ROWS` queries; where no negatives are given, the other images' keys are."""
    query, key, *negatives = vectors
    image = torch.arange(len(query), device=query.device)
    if symmetric:
        query, key, image = torch.cat([query, key]), torch.cat([key, query]), image.repeat(2)
    if negatives:
        return Pairs(query[:ROWS], key[:ROWS], negatives[0])
    return Pairs(query[:ROWS], key[:ROWS], key, image[:ROWS, None] == image[None, :])


def _is_follower() -> bool:
    """Whether this is not the first of several processes that train together."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0


def _seen(transformed: Transformed, symmetric: bool) -> Pairs:
    """The first `ROWS` queries of what the loss saw, in float32; no length is changed."""
    if not isinstance(transformed, Pairs):
        return _pairs([t.float() for t in transformed], symmetric)
    few = first_queries(transformed)
    own, anchor = (None if t is None else t.float() for t in (few.own, few.anchor))
    return replace(
        few, query=few.query.float(), key=few.key.float(), negatives=few.negatives.float(), own=own, anchor=anchor
    )
