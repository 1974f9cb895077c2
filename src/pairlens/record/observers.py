"""What is read off one comparison: plain functions from a `Comparison` to tensors on its device.

B queries, N negatives of each, D dimensions. No function here draws randomness, waits for the device or keeps a graph.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pairlens.evaluate.spectrum import uniformity
from pairlens.pairs import Comparison, Pairs, Scores, score

ROWS = 64
"""Queries whose negatives are looked at: B x K scores cost up to a tenth of a step, 64 x K next to nothing."""

COUNTED = 16
"""Queries whose negatives are counted in histograms, which cost ten times what a mean does."""

BINS, LOW, HIGH = 64, -1.0, 1.0  # histograms of scores; what lies outside counts in the outermost bins


def scalars(comparison: Comparison) -> dict[str, Float[Tensor, ""]]:
    """All statistics of one space in one step, in a fixed order.

    Score statistics after transform and selection carry plain names, those before them `raw_`; they are the same
    numbers where neither changed anything. Statistics of negatives are over the batch's first `ROWS` queries; where
    there are none they are NaN.
    FT, Section 3.2: mean of positive scores, mean and variance of negative scores.
    """
    after, few = comparison.scores, first_rows(comparison.scores)
    t, transformed = comparison.temperature, moments(after.positive, few)
    before = moments(*raw_scores(comparison)) if comparison.is_transformed else transformed
    return {
        "loss": comparison.loss,
        "accuracy": contrastive_accuracy(after),
        **transformed,
        "positive_exp": (after.positive / t).exp().mean(),
        "negative_exp": mean((few.negative / t).exp(), few.excluded),
        **{f"raw_{name}": value for name, value in before.items()},
        "alignment": alignment(comparison.raw),
        "uniformity": uniformity(comparison.raw.query[:256]),
        "feature_std": feature_std(comparison.raw.query),
        "effective_rank": effective_rank(comparison.raw.query[:256]),
        "effective_negatives": effective_negatives(first_rows(few, COUNTED), t),
        "negatives_above": negatives_above(first_rows(few, COUNTED)),
        "batch_negative_mean": batch_negative_mean(comparison.raw),
    }


def histograms(comparison: Comparison) -> dict[str, Float[Tensor, "bins"]]:
    """Counts of positive and negative scores in `BINS` equal bins, after and before (`raw_`) transform and selection.

    Those of negatives are over the batch's first `COUNTED` queries.
    """
    after = counts(comparison.scores.positive, comparison.scores)
    before = counts(*raw_scores(comparison, COUNTED)) if comparison.is_transformed else after
    return {**after, **{f"raw_{name}": value for name, value in before.items()}}


def counts(positive: Float[Tensor, "B"], few: Scores) -> dict[str, Float[Tensor, "bins"]]:
    """Histograms of all positive scores, and of the negative scores of the first `COUNTED` of some queries."""
    few = first_rows(few, COUNTED)
    return {"positive": histogram(positive), "negative": histogram(few.negative, few.excluded)}


def first_rows(scores: Scores, rows: int = ROWS) -> Scores:
    """The scores of the first queries."""
    excluded = None if scores.excluded is None else scores.excluded[:rows]
    return Scores(scores.positive[:rows], scores.negative[:rows], excluded)


def raw_scores(comparison: Comparison, rows: int = ROWS) -> tuple[Float[Tensor, "B"], Scores]:
    """Before transform and selection: the positive scores of all queries, and all scores of the first `rows`."""
    if not comparison.is_transformed:
        return comparison.scores.positive, first_rows(comparison.scores, rows)
    pairs = comparison.raw
    return (pairs.query * pairs.key).sum(1), score(first_queries(pairs, rows))


def first_queries(pairs: Pairs, rows: int = ROWS) -> Pairs:
    """The first queries with all that is theirs, and all shared negatives."""
    return Pairs(
        query=pairs.query[:rows],
        key=pairs.key[:rows],
        negatives=pairs.negatives,
        excluded=None if pairs.excluded is None else pairs.excluded[:rows],
        own=None if pairs.own is None else pairs.own[:rows],
        own_excluded=None if pairs.own_excluded is None else pairs.own_excluded[:rows],
        anchor=None if pairs.anchor is None else pairs.anchor[:rows],
    )


def mean(values: Float[Tensor, "*shape"], excluded: Bool[Tensor, "*shape"] | None) -> Float[Tensor, ""]:
    """The mean over what is not excluded; NaN where everything is."""
    if excluded is None:
        return values.mean()
    weight = 1.0 - excluded.to(values.dtype)
    return (values * weight).sum() / weight.sum()


def moments(positive: Float[Tensor, "B"], few: Scores) -> dict[str, Float[Tensor, ""]]:
    """Mean and (population) variance of all positive scores, and of the negative scores of a few queries."""
    negative = mean(few.negative, few.excluded)
    return {
        "positive_mean": positive.mean(),
        "positive_variance": positive.var(correction=0),
        "negative_mean": negative,
        "negative_variance": mean((few.negative - negative).square(), few.excluded),
    }


def contrastive_accuracy(scores: Scores) -> Float[Tensor, ""]:
    """Share of queries whose positive scores above each of its negatives, among those that have any; NaN without."""
    negative = scores.negative
    if not negative.shape[1]:
        return scores.positive.new_full((), torch.nan)
    if scores.excluded is not None:
        negative = negative.masked_fill(scores.excluded, -torch.inf)
    hardest = negative.amax(1)
    return mean((scores.positive > hardest).float(), hardest == -torch.inf)


def alignment(pairs: Pairs) -> Float[Tensor, ""]:
    """Mean squared distance of query and key (Wang & Isola 2020, Eq. for alpha = 2); 0 is perfectly aligned."""
    return (pairs.query - pairs.key).square().sum(1).mean()


def feature_std(z: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
    """Mean over dimensions of the standard deviation over the batch, times sqrt(D).

    1 is spread evenly over the sphere, 0 is complete collapse (SimSiam's Figure 2 without the factor).
    """
    return z.std(0, correction=0).mean() * math.sqrt(z.shape[1])


def effective_rank(z: Float[Tensor, "rows D"]) -> Float[Tensor, ""]:
    """Dimensions that the centred rows really fill: (tr C)^2 / tr(C^2) of their covariance C.

    From 1 to min(rows - 1, D). It is the participation ratio of C's eigenvalues, and needs none of them. One dimension
    left is the end of dimensional collapse; rows that are all alike fill none, and of a single row nothing is known.
    """
    if len(z) < 2:
        return z.new_full((), torch.nan)
    centred = z - z.mean(0)
    gram = centred @ centred.T
    return gram.diagonal().sum().square() / gram.square().sum().clamp(min=torch.finfo(z.dtype).tiny)


def effective_negatives(few: Scores, temperature: float) -> Float[Tensor, ""]:
    """How many negatives carry a query's softmax: (sum w)^2 / sum w^2 of w = exp(n/t), in the mean over the queries.

    Between 1 (the hardest alone, at a low temperature) and all of them (at a high one). Queries without any count as 0.
    """
    if not few.negative.shape[1]:
        return few.positive.new_full((), torch.nan)
    logits = few.negative / temperature
    if few.excluded is not None:
        logits = logits.masked_fill(few.excluded, -torch.inf)
    weight = (logits - logits.amax(1, keepdim=True).clamp(min=-1e30)).exp()  # the clamp: minus infinities all are none
    return (weight.sum(1).square() / weight.square().sum(1).clamp(min=1e-30)).mean()


def negatives_above(few: Scores) -> Float[Tensor, ""]:
    """Share of a query's negatives that score above its positive, in the mean over the queries; a guess has 1/2."""
    if not few.negative.shape[1]:
        return few.positive.new_full((), torch.nan)
    return mean((few.negative > few.positive[:, None]).float(), few.excluded)


def batch_negative_mean(pairs: Pairs, rows: int = ROWS) -> Float[Tensor, ""]:
    """Mean score of the first queries with the other rows' keys: negatives that are fresh from this very step.

    Beside the mean of all negatives it tells whether those of a queue are of another time: the encoder then knows old
    keys from new ones. Among B rows one or two may be of the same image, as where both views are queries. A single row
    has no others: NaN.
    """
    query, key = pairs.query[:rows], pairs.key
    scores = query @ key.T
    return (scores.sum() - scores.diagonal().sum()) / (len(query) * (len(key) - 1))


def histogram(values: Tensor, excluded: Tensor | None = None) -> Float[Tensor, "bins"]:
    """Counts in equal bins over [`LOW`, `HIGH`]; values outside count in the outermost bins, excluded ones nowhere."""
    values = values.clamp(LOW, HIGH)
    if excluded is not None:
        values = values + excluded.to(values.dtype) * 10 * HIGH  # histc drops what lies outside
    return torch.histc(values, BINS, LOW, HIGH)
