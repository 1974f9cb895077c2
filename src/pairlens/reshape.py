"""What reshapes pairs between embedding and loss, as groups of arguments: feature transformation and selection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pairlens.errors import InputError
from pairlens.idle import check_effect
from pairlens.negatives import hardest, semi_hard, skewed, uniform
from pairlens.pairs import Mining, Select, Transform, identity
from pairlens.transforms import (
    Gradient,
    NegativesSee,
    Per,
    chain,
    negative_extrapolation,
    negative_interpolation,
    positive_extrapolation,
    positive_interpolation,
    starting_at,
)


@dataclass(frozen=True)
class FeatureTransform:
    """Feature transformation (FT, Section 4): reshape the pairs between embedding and loss. Off by default."""

    extrapolate: float | None = None
    """Extrapolate positives: alpha of Beta(alpha, alpha) + 1 (the paper: 2.0)."""
    interpolate: float | None = None
    """Interpolate negatives: alpha of Beta(alpha, alpha) (the paper: 1.6)."""
    interpolate_positives: float | None = None
    """Interpolate positives instead (the paper's ablation, which hurts): alpha."""
    extrapolate_negatives: float | None = None
    """Extrapolate negatives instead: alpha."""
    per: Per = "step"
    """One lambda for each step, pair, dimension (Eq. 6) or element."""
    renormalise: bool | None = None
    """Bring transformed features back to unit length; by default only where the loss has no negatives."""
    union: bool = False
    """Keep the original negatives beside the mixed ones (Table 5)."""
    ft_start: int = 0
    """Epoch from which the transformation is applied (Table 6)."""
    gradient: Gradient = "query"
    """What the transformed positives' gradient reaches: query, one_sided or both."""
    negatives_see: NegativesSee = "transformed"
    """Negatives are scored with the transformed query, or with the raw one."""

    def transform(self) -> Transform:
        """The chained transform; the identity where nothing is asked for.

        Raises:
            InputError: an argument has no effect, contradicts another, or is out of range.
        """
        for one, other in (("extrapolate", "interpolate_positives"), ("interpolate", "extrapolate_negatives")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise InputError(f"{one} and {other} exclude each other; give one of them")
        positive = {
            "per": self.per,
            "gradient": self.gradient,
            "negatives_see": self.negatives_see,
            "renormalise": bool(self.renormalise),
        }
        negative = {"per": self.per, "union": self.union, "renormalise": bool(self.renormalise)}
        parts = [
            make(alpha, **arguments)
            for make, alpha, arguments in (
                (positive_extrapolation, self.extrapolate, positive),
                (positive_interpolation, self.interpolate_positives, positive),
                (negative_interpolation, self.interpolate, negative),
                (negative_extrapolation, self.extrapolate_negatives, negative),
            )
            if alpha is not None
        ]
        check_effect(self)
        if not parts:
            return identity
        return starting_at(self.ft_start, chain(*parts)) if self.ft_start else chain(*parts)

    @property
    def mixes_positives(self) -> bool:
        """Whether positives are transformed."""
        return self.extrapolate is not None or self.interpolate_positives is not None

    @property
    def mixes_negatives(self) -> bool:
        """Whether negatives are transformed."""
        return self.interpolate is not None or self.extrapolate_negatives is not None

    @property
    def idle(self) -> Mapping[str, str]:
        """What shapes a transformation that is not asked for."""
        either = self.mixes_positives or self.mixes_negatives
        shapes = {
            "per": either,
            "renormalise": either,
            "ft_start": either,
            "gradient": self.mixes_positives,
            "negatives_see": self.mixes_positives,
            "union": self.mixes_negatives,
        }
        why = (
            "shapes a feature transformation that is not asked for; add extrapolate (positives; the paper: 2.0) or "
            "interpolate (negatives; 1.6)"
        )
        return {name: why for name, asked in shapes.items() if not asked}


@dataclass(frozen=True)
class Selection:
    """Which of a query's negatives its loss sees (GP, Section 5). All of them by default."""

    select: Literal["all", "hardest", "semi_hard", "uniform", "skewed"] = "all"
    """All, the hardest, those below the positive, some at random, or ranks from a skew-normal (GP, Figure 5)."""
    selected: int | None = None
    """How many; by default as many as there are (skewed), or half of them."""
    skew: float = 4.0
    """Shape of the skew-normal over ranks; 0 is a normal."""
    skew_scale: float = 1 / 3
    """Its scale, a share of the number of negatives."""
    mine_on: Mining = "transformed"
    """Rank negatives by their scores after the feature transformation, or before it (raw)."""

    def of(self, count: int) -> int:
        """How many of `count` negatives are left."""
        if self.select == "all":
            return count
        return self.selected or (count if self.select == "skewed" else max(1, count // 2))

    def function(self) -> Select | None:
        """The selection; None where nothing is selected.

        Raises:
            InputError: an argument has no effect, or nothing can be selected with it.
        """
        check_effect(self)
        half = self.selected
        return {
            "all": lambda: None,
            "hardest": lambda: hardest(half),
            "semi_hard": lambda: semi_hard(half),
            "uniform": lambda: uniform(half),
            "skewed": lambda: skewed(half, shape=self.skew, scale=self.skew_scale),
        }[self.select]()

    @property
    def idle(self) -> Mapping[str, str]:
        """What shapes another selection than the one asked for."""
        ranked = ("hardest", "semi_hard", "skewed")
        shapes = {"selected": (*ranked, "uniform"), "skew": ("skewed",), "skew_scale": ("skewed",), "mine_on": ranked}
        return {
            name: f"has no effect where select is {self.select}; choose {' or '.join(selections)}"
            for name, selections in shapes.items()
            if self.select not in selections
        }

    def check_count(self, count: int) -> None:
        """Whether each query has as many negatives as are selected of its `count`; ranks are drawn with repetition.

        Raises:
            InputError: it has fewer.
        """
        if self.select != "skewed" and self.selected is not None and self.selected > count:
            raise InputError(
                f"{self.selected} negatives cannot be selected of the {count} that each query has; ask for fewer, or "
                "give more negatives (a larger batch or queue)"
            )
