"""The whole evaluation: the encoder, beside raw pixels and beside an untrained encoder where those are asked for.

N images, S pixels of a view's side, D features.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from pairlens.data.images import Source
from pairlens.errors import InputError
from pairlens.evaluate.features import counted, encode, extract, pixels, pooled_pixels
from pairlens.evaluate.knn import knn
from pairlens.evaluate.linear import Readout, fresh_features, linear_sgd, linear_solver
from pairlens.evaluate.parts import Part, parted, whole
from pairlens.evaluate.retrieval import Encode, view_retrieval
from pairlens.evaluate.scored import labels_of
from pairlens.views.plans import Plan
from pairlens.words import timestamp

Solver = Literal["lbfgs", "sgd"]
Say = Callable[[str], None]
Progress = Callable[[int, int], None]
"""Told how many images of how many are encoded."""

NAMES = {"encoder": "trained encoder", "random": "untrained encoder", "pixels": "raw pixels"}

KNN = {"neighbours": 20, "temperature": 0.1}
SGD = {"batch": 512, "rate": 10.0, "momentum": 0.9, "weight_decay": 0.0}
VIEWS = dict.fromkeys(("encoder", "random"), "cropped and flipped anew each epoch") | {"pixels": "un-augmented"}
"""What the linear read-out by SGD is trained on: of raw pixels the images as they are."""

Contestants = dict[str, nn.Module | None]
"""The encoders to measure, by their keys in `NAMES`; None stands for raw pixels."""

EPOCHS = 100
RETRIEVAL = 2000
"""Images of the label-free retrieval, at most."""


@dataclass(frozen=True)
class Sight:
    """How images are looked at: what `extract` needs beside the encoder and the images."""

    size: int  # S
    mean: Float[Tensor, "3"] | None
    std: Float[Tensor, "3"] | None
    device: torch.device | str = "cpu"
    precision: torch.dtype = torch.float32
    progress: Callable[[int], None] = field(default=lambda images: None)

    def features(self, encoder: nn.Module | None, part: Part) -> Float[Tensor, "N D"]:
        """Features of un-augmented images; without an encoder, their pixels."""
        look: dict[str, Any] = {"size": self.size, "mean": self.mean, "std": self.std, "device": self.device}
        if encoder is None:
            return pixels(part.images, index=part.index, **look)
        look |= {"precision": self.precision, "progress": self.progress}
        return extract(encoder, part.images, index=part.index, **look)


def evaluate(
    encoder: nn.Module,
    random_encoder: nn.Module | None,
    source: Source,
    *,
    size: int,
    mean: Float[Tensor, "3"] | None,
    std: Float[Tensor, "3"] | None,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    seed: int,
    plan: Plan | None = None,
    solver: Solver = "lbfgs",
    epochs: int = EPOCHS,
    say: Say = lambda text: None,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Measure an encoder by kNN, by a linear read-out and by finding its own views again, beside two baselines.

    A labelled source without a test set is tested on a random tenth of its images. The result is JSON: `date`,
    `seed`, `seconds`, `data`, `classes`, `protocol`, `test` and `confusion` (None without labels; accuracies are
    fractions) and `retrieval` (None without a plan). `protocol` names the baselines that were measured.

    Args:
        encoder: [B, 3, S, S] -> [B, D], on `device`.
        random_encoder: the same network as it was before training; None leaves both baselines out, this one and raw
            pixels, whose kNN takes most of the time where there are many images.
        source: training images, and test images where there are any.
        size: S, pixels of a view's side.
        mean: of the pixels, in [0, 1] units, as in training.
        std: likewise.
        device: where to compute.
        precision: of the encoders.
        seed: of everything random here.
        plan: draws the two views of the retrieval.
        solver: how the linear read-out is made: "lbfgs" on features of the images as they are, in seconds; or "sgd",
            the papers' protocol, for which every image is encoded anew in each epoch (raw pixels are not).
        epochs: of "sgd"; the papers' 100 encode every training image 100 times.
        say: told in a sentence what is being done.
        progress: told how many images of how many are encoded.

    Raises:
        InputError: there are neither labels nor a plan, classes are missing or differ, features are not finite, or
            epochs are not positive or given to the other solver.
    """
    if epochs < 1 or (solver != "sgd" and epochs != EPOCHS):
        raise InputError(
            f"the {solver} solver of the linear read-out cannot make {epochs} epochs; "
            "give a positive number of them to the sgd solver, or leave them out"
        )
    started = time.perf_counter()
    labelled = source.train.labels is not None and (source.test is None or source.test.labels is not None)
    if not labelled and plan is None:
        labels_of(source.train, "training")
        raise InputError("the test images have no labels; use a labelled test set, or give a plan for the retrieval")
    test: Part | None = None
    if labelled:
        train, test = parted(source, seed)
    else:
        train, test = whole(source.train), None if source.test is None else whole(source.test)
    contestants: Contestants = {"encoder": encoder}
    if random_encoder is not None:
        contestants |= {"random": random_encoder, "pixels": None}
    fresh = epochs * len(train) if solver == "sgd" and labelled else 0
    total = sum(one is not None for one in contestants.values()) * (len(train) + len(test or ()) + fresh)
    sight = Sight(size, mean, std, device, precision, counted(progress, total))
    accuracy: dict[str, Any] = {"test": None, "confusion": None, "protocol": {"knn": KNN, "linear": {"solver": solver}}}
    if labelled and test is not None:
        accuracy = _accuracies(contestants, train, test, sight, seed, solver, epochs, say)
    accuracy["protocol"]["baselines"] = [name for name in contestants if name != "encoder"]
    retrieval = None
    if plan is not None:
        say("finding views of the same image")
        retrieval = _retrieval(contestants, test or train, plan, sight, seed)
    return {
        "date": timestamp(),
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 2),
        "data": {"train": len(train), "test": len(test or ())},
        "classes": list(train.images.classes) if labelled else [],
        **accuracy,
        "retrieval": retrieval,
    }


def _accuracies(
    contestants: Contestants,
    train: Part,
    test: Part,
    sight: Sight,
    seed: int,
    solver: Solver,
    epochs: int,
    say: Say,
) -> dict[str, Any]:
    """kNN and the linear read-out of each contestant; the first one's confusions."""
    known, asked = train.labels("training"), test.labels("test")
    classes = len(train.images.classes)
    accuracies: dict[str, Any] = {}
    confusion: dict[str, Any] = {}
    strengths: dict[str, float | None] = {}
    for name, encoder in contestants.items():
        say(f"evaluating: {NAMES[name]}")
        fitted, tested = (sight.features(encoder, part) for part in (train, test))
        near = knn(fitted, known, tested, asked, classes=classes, **KNN)  # type: ignore[arg-type]
        generator = torch.Generator().manual_seed(seed)
        if solver == "lbfgs":
            readout = linear_solver(fitted, known, classes=classes, generator=generator)
        else:
            if encoder is not None:
                say(f"training the linear read-out on fresh crops and flips, {epochs} epochs: {NAMES[name]}")
            readout = _sgd(fitted, known, classes, encoder, train, sight, generator, epochs)
        linear = readout.score(tested, asked)
        accuracies[name] = {"knn": near.accuracies(), "linear": linear.accuracies()}
        strengths[name] = readout.strength
        if not confusion:
            confusion = {"knn": near.confusion.tolist(), "linear": linear.confusion.tolist()}
    views = {name: VIEWS[name] for name in contestants}
    settings = {"strength": strengths} if solver == "lbfgs" else {**SGD, "epochs": epochs, "views": views}
    protocol = {"knn": KNN, "linear": {"solver": solver, **settings}}
    return {"protocol": protocol, "test": accuracies, "confusion": confusion}


def _sgd(
    features: Float[Tensor, "N D"],
    labels: Int64[Tensor, "N"],
    classes: int,
    encoder: nn.Module | None,
    train: Part,
    sight: Sight,
    generator: torch.Generator,
    epochs: int,
) -> Readout:
    """The papers' read-out on newly cropped and flipped views, or without an encoder on the given features."""
    settings: dict[str, Any] = {**SGD, "classes": classes, "generator": generator, "epochs": epochs}
    if encoder is None:
        return linear_sgd(features, labels, **settings)
    fresh = fresh_features(
        encoder,
        train.images,
        sight.size,
        sight.mean,
        sight.std,
        generator=generator,
        index=train.index,
        device=sight.device,
        precision=sight.precision,
    )
    return linear_sgd(features, labels, fresh=fresh, progress=sight.progress, **settings)


def _retrieval(contestants: Contestants, part: Part, plan: Plan, sight: Sight, seed: int) -> dict[str, Any]:
    """The same views of the same images, searched with each contestant."""
    functions: dict[str, Encode] = {
        name: pooled_pixels if encoder is None else partial(encode, encoder, precision=sight.precision)
        for name, encoder in contestants.items()
    }
    look: dict[str, Any] = {"size": sight.size, "mean": sight.mean, "std": sight.std, "device": sight.device}
    found = {
        name: view_retrieval(function, part.images, plan, index=part.index, seed=seed, limit=RETRIEVAL, **look)
        for name, function in functions.items()
    }
    return {**found, "images": min(RETRIEVAL, len(part))}
