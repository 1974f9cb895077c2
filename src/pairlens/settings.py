"""Groups of arguments that recipes share. Every field is a flag of `pairlens train`; None is chosen from the data."""

from dataclasses import dataclass, replace
from typing import Literal

from pairlens.errors import InputError
from pairlens.negatives import hardest, semi_hard, skewed, uniform
from pairlens.optim import OptimizerName
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
from pairlens.views.crops import random_resized_crop
from pairlens.views.plans import Augmentation, Plan, multi_crop, two_views


@dataclass(frozen=True)
class Network:
    """The encoder and its projection head."""

    encoder: str | None = None
    """resnet8w, resnet10w, resnet18, resnet34 or resnet50; timm/NAME or torchvision/NAME where that is installed."""
    stem: Literal["small", "imagenet"] | None = None
    """First layers: small (3x3, up to 64 px) or imagenet (7x7 and pooling)."""
    head: Literal["linear", "mlp"] = "mlp"
    """Projection head: one linear layer, or hidden layers with ReLU."""
    layers: int = 2
    """Linear layers of the MLP head."""
    hidden: int = 512
    """Width of the MLP head's hidden layers."""
    dim: int = 128
    """Dimensions of the embedding."""
    head_norm: Literal["none", "hidden", "all"] = "none"
    """Batch normalisation in the MLP head: none, of its hidden layers, or of its output as well."""
    fixed_head: bool = False
    """Leave the head's weights as drawn: no gradient, no decay (GP, Table 1 b); a head_norm's statistics still move."""
    zero_init_residual: bool = False
    """Let every residual branch start as zero."""
    splits: int = 1
    """Parts of a batch that are normalised apart, as on so many devices; with 2 or more MoCo shuffles its keys."""
    weights: str | None = None
    """Begin with these: "pretrained" (timm's or torchvision's own), a .safetensors or .pth file, or a run's folder."""


@dataclass(frozen=True)
class Views:
    """The distribution of the augmented views."""

    size: int | None = None
    """Side of a view, pixels."""
    crop: tuple[float, float] = (0.2, 1.0)
    """Least and greatest share of the image's area that a crop takes."""
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    """Strengths of brightness, contrast, saturation and hue (turns)."""
    jitter_probability: float = 0.8
    """Probability of the colour jitter."""
    gray: float = 0.2
    """Probability of a gray view."""
    blur: float | None = None
    """Probability of a blur; by default 0.5 for views above 64 px, and 0 below."""
    flip: float = 0.5
    """Probability of a mirrored view."""
    randaugment: int = 0
    """RandAugment: operations drawn for each view, each applied with probability 1/2 (InfoMin: 2); 0 is off."""
    randaugment_magnitude: float = 10.0
    """Mean level of RandAugment's operations, from 0 to 10."""
    locals: int = 0
    """Multi-crop: small views of each image beside the two large ones (SwAV: 6)."""
    local_crop: tuple[float, float] = (0.05, 0.14)
    """Least and greatest share of the image's area that a small view's crop takes."""
    local_size: int | None = None
    """Side of a small view, pixels; by default 3/7 of a large one's, as SwAV's 96 of 224."""

    def plan(self) -> Plan:
        """Two large views, and small ones where they are asked for; everything must be resolved."""
        view = self.augmentation()
        if not self.locals:
            return two_views(view)
        return multi_crop(view, replace(view, crop=random_resized_crop(self.local_crop)), self.locals, self.local_size)

    def augmentation(self) -> Augmentation:
        """A large view's distribution; `blur` must be resolved."""
        return Augmentation(
            crop=random_resized_crop(self.crop),
            flip=self.flip,
            jitter=self.jitter,
            jitter_probability=self.jitter_probability,
            gray=self.gray,
            blur=self.blur or 0.0,
            randaugment=self.randaugment,
            randaugment_magnitude=self.randaugment_magnitude,
        )


@dataclass(frozen=True)
class Optimisation:
    """The budget, the optimiser and its schedule."""

    epochs: int | None = None
    """Passes over the training set; by default as many as take a few minutes on this machine."""
    batch: int | None = None
    """Images of a step; 128 on a CPU, 256 on a GPU, less for a small set."""
    accumulate: int = 1
    """Parts in which a batch is compared one after the other, to save memory."""
    optimizer: OptimizerName = "sgd"
    """sgd, adamw or lars."""
    lr: float | None = None
    """Learning rate for a batch of 256, scaled in proportion to the batch; by default the optimiser's own."""
    weight_decay: float | None = None
    """Weight decay; by default the optimiser's own."""
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    """cosine, constant, or steps: a tenth at 60 % and again at 80 % of the training."""
    floor: float = 0.0
    """Share of the learning rate that the cosine ends at."""
    warmup: float = 0.0
    """Epochs over which the learning rate rises from 0."""


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
        """The chained transform; the identity where nothing is asked for."""
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
        self._check_effect()
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

    def _check_effect(self) -> None:
        """An argument that shapes a transformation which is not asked for is a mistake."""
        either = self.mixes_positives or self.mixes_negatives
        shapes = {
            "gradient": self.mixes_positives,
            "negatives_see": self.mixes_positives,
            "union": self.mixes_negatives,
        }
        for name in ("per", "renormalise", "ft_start", *shapes):
            if getattr(self, name) != getattr(FeatureTransform, name) and not shapes.get(name, either):
                raise InputError(
                    f"{name} shapes a feature transformation that is not asked for; add extrapolate (positives; the "
                    "paper: 2.0) or interpolate (negatives; 1.6), or leave it out"
                )


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
        self._check_effect()
        half = self.selected
        return {
            "all": lambda: None,
            "hardest": lambda: hardest(half),
            "semi_hard": lambda: semi_hard(half),
            "uniform": lambda: uniform(half),
            "skewed": lambda: skewed(half, shape=self.skew, scale=self.skew_scale),
        }[self.select]()

    def _check_effect(self) -> None:
        """An argument that shapes another selection than the one asked for is a mistake."""
        ranked = ("hardest", "semi_hard", "skewed")
        shapes = {"selected": (*ranked, "uniform"), "skew": ("skewed",), "skew_scale": ("skewed",), "mine_on": ranked}
        for name, selections in shapes.items():
            if getattr(self, name) != getattr(Selection, name) and self.select not in selections:
                raise InputError(
                    f"{name} has no effect where select is {self.select}; choose {' or '.join(selections)}, or leave "
                    "it out"
                )


@dataclass(frozen=True)
class Machine:
    """Where and how the training runs; nothing here belongs to the method."""

    device: str | None = None
    """cpu, cuda or cuda:1; a GPU where there is one."""
    precision: Literal["bf16", "fp32"] | None = None
    """bf16 where the machine has it in hardware; losses, queues and updates are float32 always."""
    threads: int | None = None
    """CPU threads; all cores."""
    compile: bool = False
    """Compile views and networks with torch.compile: a minute's start, and some per cent of speed."""
