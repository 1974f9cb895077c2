"""Which statistics are drawn as curves, and what to look for in each: one sentence a plot."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plot:
    """One small plot of one statistic."""

    key: str
    title: str
    sentence: str
    per_space: bool = True
    form: str = "~g"  # of the axis
    kind: str | None = None  # "positive" or "negative": scores, which are recorded before the transform, too

    @property
    def raw(self) -> str | None:
        """The same statistic before the feature transform."""
        return f"raw_{self.key}" if self.kind else None


SCORES = (
    Plot(
        "positive_mean",
        "Mean of positive scores",
        "How alike the views of one image are to the encoder: should stay well above the negatives, below 1.",
        kind="positive",
    ),
    Plot(
        "negative_mean",
        "Mean of negative scores",
        "How alike different images are: should fall to about zero; a rise towards 1 is collapse.",
        kind="negative",
    ),
    Plot(
        "positive_variance",
        "Variance of positive scores",
        "How unequal the positives are: next to nothing where all are easy, large where some stay hard.",
        kind="positive",
    ),
    Plot(
        "negative_variance",
        "Variance of negative scores",
        "How unequal the negatives are: should rise, then level off; jumps mean that the keys change too fast.",
        kind="negative",
    ),
)
"""FT, Section 3.2 and Figures 3 and 5, and the variance of positive scores beside them."""

TRAINING = (
    Plot("loss", "Loss", "Near log(K+1), the grey line, it only guesses: normal at first, it should leave it soon."),
    Plot(
        "accuracy",
        "Contrastive accuracy",
        "How often the positive scores above every negative: should rise.",
        form=".0%",
    ),
    Plot(
        "negatives_above",
        "Negatives above the positive",
        "A guess has half of them there: should fall early.",
        form=".0%",
    ),
    Plot(
        "effective_negatives",
        "Effective negatives",
        "How many negatives carry a query's loss, of all K: few means that only the hardest teach.",
    ),
    Plot(
        "batch_negative_mean",
        "Mean of the batch's own negative scores",
        "Fresh negatives: far from the mean of all, a queue's keys are of another time and told apart by that.",
    ),
    Plot("alignment", "Alignment", "Mean squared distance of positives: lower is tighter."),
    Plot("uniformity", "Uniformity", "How evenly embeddings fill the sphere: should fall below zero, then level off."),
    Plot(
        "feature_std",
        "Feature spread",
        "Of the embeddings, 1 where they are evenly spread: falling towards 0 is collapse.",
    ),
    Plot(
        "effective_rank",
        "Effective rank",
        "Dimensions that the embeddings fill: falling towards 1 is dimensional collapse.",
    ),
    Plot(
        "gradient_norm",
        "Gradient norm",
        "Spikes mean unstable training; a lower rate or a longer warm-up helps.",
        per_space=False,
    ),
    Plot("learning_rate", "Learning rate", "The schedule as it was applied.", per_space=False),
)
