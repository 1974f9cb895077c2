"""Few-shot classification on frozen features (LooC, Table 2 and Appendix D).

N and M images, D features, C classes, T trials, S shots of all classes together, B of a batch.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional as F

from pairlens.errors import InputError
from pairlens.evaluate.features import finite
from pairlens.evaluate.scored import check_labels

SHOTS = (5, 10)
TRIALS = 10
RATE, ITERATIONS, BATCH = 0.03, 250, 256
"""Of Adam (Appendix D), and how many shots it sees at a time (Section 4)."""


def few_shot(
    features: Float[Tensor, "N D"],
    labels: Int64[Tensor, "N"],
    tested: Float[Tensor, "M D"],
    asked: Int64[Tensor, "M"],
    *,
    classes: int,
    shots: int,
    seed: int,
    trials: int = TRIALS,
) -> list[float]:
    """Accuracy on the test images of each trial: a linear layer is trained on a few training images of every class.

    The paper takes all classes, Adam with rate .03 and 250 iterations, batches of 256, and reports 10 trials. Which
    images a trial is given depends on the labels and the seed alone, so that all encoders are given the same. The paper
    does not say how features are scaled or how the layer begins; here the layer begins at zero, and each trial's
    features are centred and divided by one number, their root mean square, both of its own few images, so that one rate
    serves every encoder. The order of the trials' batches is drawn by the seed, too.

    Raises:
        InputError: a class has fewer images than shots, there is no trial, or features are not finite.
    """
    if shots < 1 or trials < 1:
        raise InputError(f"{trials} trials of {shots} images of each class cannot be made; give 1 or more of both")
    check_labels(labels, asked, classes)
    generator = torch.Generator().manual_seed(seed)
    rows = draw_shots(labels, classes, shots, trials, generator)
    given = finite(features)[rows.to(features.device)]
    known = labels[rows].to(features.device)
    centre = given.mean(1, keepdim=True)
    scale = (given - centre).square().mean((1, 2), keepdim=True).sqrt().clamp(min=1e-12)
    weight, bias = _train((given - centre) / scale, known, classes, generator)
    asked, tested = asked.to(features.device), finite(tested)
    hits = []
    for one, offset, middle, by in zip(weight, bias, centre, scale, strict=True):
        named = torch.addmm(offset, (tested - middle) / by, one).argmax(1)
        hits.append((named == asked).double().mean())
    return torch.stack(hits).tolist()


def draw_shots(
    labels: Int64[Tensor, "N"], classes: int, shots: int, trials: int, generator: torch.Generator
) -> Int64[Tensor, "T S"]:
    """So many images of every class for each trial, by their places; class after class.

    Raises:
        InputError: a class has fewer images than shots.
    """
    of_class = [(labels == label).nonzero()[:, 0] for label in range(classes)]
    fewest = min(len(rows) for rows in of_class)
    if fewest < shots:
        raise InputError(
            f"the smallest class has {fewest} training images, so {shots} of each cannot be drawn; give fewer shots"
        )
    drawn = [
        torch.cat([rows[torch.randperm(len(rows), generator=generator)[:shots]] for rows in of_class])
        for _ in range(trials)
    ]
    return torch.stack(drawn)


def _train(
    given: Float[Tensor, "T S D"], known: Int64[Tensor, "T S"], classes: int, generator: torch.Generator
) -> tuple[Float[Tensor, "T D C"], Float[Tensor, "T C"]]:
    """All trials' layers at once: they share nothing, for Adam's steps are each parameter's own."""
    trials, shots, width = given.shape
    weight = given.new_zeros(trials, width, classes).requires_grad_()
    bias = given.new_zeros(trials, 1, classes).requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr=RATE)
    left: list[Tensor] = []
    for _ in range(ITERATIONS):
        if shots <= BATCH:
            seen, named = given, known
        else:
            left = left or list(torch.randperm(shots, generator=generator).to(given.device).split(BATCH))
            some = left.pop(0)
            seen, named = given[:, some], known[:, some]
        logits = torch.baddbmm(bias, seen, weight)
        loss = F.cross_entropy(logits.flatten(0, 1), named.flatten()) * trials
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return weight.detach(), bias.detach()[:, 0]
