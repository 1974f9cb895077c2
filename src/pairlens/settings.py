"""Groups of arguments that recipes share. Every field is a flag of `pairlens train`; None is chosen from the data.

Those that act between embedding and loss stand in `reshape`, those that act on crops in `localisation`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from pairlens.idle import check_effect
from pairlens.localisation import ContrastiveCrop, Cropper
from pairlens.optim import OptimizerName
from pairlens.reshape import FeatureTransform, Selection
from pairlens.styling import Styling
from pairlens.views.crops import random_resized_crop
from pairlens.views.plans import Augmentation, Plan, multi_crop, sharing, two_views

__all__ = ["ContrastiveCrop", "FeatureTransform", "Machine", "Network", "Optimisation", "Selection", "Views"]


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
    last_stage: Literal["shared", "own"] = "shared"
    """shared by all spaces, or each space's own, and all are read out in a row (LooC++, MoCo++)."""
    zero_init_residual: bool = False
    """Let every residual branch start as zero."""
    splits: int = 1
    """Parts of a batch that are normalised apart, as on so many devices; with 2 or more MoCo shuffles its keys."""
    weights: str | None = None
    """Begin with these: "pretrained" (timm's or torchvision's own), a .safetensors or .pth file, or a run's folder."""

    @property
    def idle(self) -> Mapping[str, str]:
        """A linear head has no hidden layers."""
        if self.head == "mlp":
            return {}
        why = "shapes the hidden layers of an MLP head, and this one is linear; choose head mlp"
        return dict.fromkeys(("layers", "hidden", "head_norm"), why)


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
    rotation: float = 0.0
    """Probability of a view turned by 90, 180 or 270 degrees (LooC: 0.5)."""
    share: tuple[str, ...] = ()
    """Augmentations that both large views have alike: color, rotation, texture, crop, flip, blur, randaugment."""
    randaugment: int = 0
    """RandAugment: operations drawn for each view, each applied with probability 1/2 (InfoMin: 2); 0 is off."""
    randaugment_magnitude: float = 10.0
    """Mean level of RandAugment's operations, from 0 to 10."""
    texture: float = 0.0
    """Probability of a view from a copy of its image with another texture (LooC: 0.5)."""
    styles: int = 4
    """Such copies of each image, prepared before training."""
    styled_by: str = "spectrum"
    """spectrum or patches (not neural), a folder of copies (style-1/NAME, style-2/NAME ...), or AdaIN's weights."""
    styles_from: str | None = None
    """A folder of pictures to take styles from; by default each copy takes that of another image of the set."""
    locals: int = 0
    """Multi-crop: small views of each image beside the two large ones (SwAV: 6)."""
    local_crop: tuple[float, float] = (0.05, 0.14)
    """Least and greatest share of the image's area that a small view's crop takes."""
    local_size: int | None = None
    """Side of a small view, pixels; by default 3/7 of a large one's, as SwAV's 96 of 224."""

    @property
    def idle(self) -> Mapping[str, str]:
        """Small views, RandAugment, the jitter and copies are shaped only where there are any."""
        found: dict[str, str] = {}
        if not self.locals:
            why = "shapes the small views, and there are none; ask for some with locals (SwAV: 6)"
            found |= dict.fromkeys(("local_crop", "local_size"), why)
        if not self.randaugment:
            found["randaugment_magnitude"] = "shapes RandAugment, which is off; add randaugment (InfoMin: 2)"
        if not self.texture:
            why = "shapes stylised copies, which no view shows; add texture (LooC: 0.5)"
            found |= dict.fromkeys(("styles", "styled_by", "styles_from"), why)
        elif not Styling(self.styled_by).takes_pictures:
            found["styles_from"] = f"has no effect, since {self.styled_by} takes no style; choose spectrum or weights"
        if any(self.jitter) and not self.jitter_probability:
            found["jitter"] = "shapes the colour jitter, whose probability is 0; raise jitter_probability (usually 0.8)"
        if self.jitter_probability and not any(self.jitter):
            found["jitter_probability"] = "is the colour jitter's, whose strengths are all 0; raise jitter"
        return found

    @property
    def styling(self) -> Styling | None:
        """How the images get the copies that views show; None where they show none."""
        return Styling(self.styled_by, self.styles, self.styles_from) if self.texture else None

    def plan(self, crop: Cropper = random_resized_crop) -> Plan:
        """Two large views, and small ones where they are asked for; everything must be resolved.

        `crop` makes the samplers of their rectangles.

        Raises:
            InputError: an argument has no effect, or is out of range.
        """
        check_effect(self)
        view = self.augmentation(crop)
        plan = two_views(view)
        if self.locals:
            plan = multi_crop(view, replace(view, crop=crop(self.local_crop)), self.locals, self.local_size)
        return sharing(plan, self.share) if self.share else plan

    def augmentation(self, crop: Cropper = random_resized_crop) -> Augmentation:
        """A large view's distribution; `blur` must be resolved."""
        return Augmentation(
            crop=crop(self.crop),
            flip=self.flip,
            rotation=self.rotation,
            jitter=self.jitter,
            jitter_probability=self.jitter_probability,
            gray=self.gray,
            blur=self.blur or 0.0,
            randaugment=self.randaugment,
            randaugment_magnitude=self.randaugment_magnitude,
            texture=self.texture,
            styles=self.styles,
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

    @property
    def idle(self) -> Mapping[str, str]:
        """A floor is a cosine's."""
        why = f"is where a cosine ends, and the schedule is {self.schedule}; choose schedule cosine"
        return {} if self.schedule == "cosine" else {"floor": why}


@dataclass(frozen=True)
class Machine:
    """Where and how the training runs; nothing here belongs to the method."""

    device: str | None = None
    """cpu, cuda or cuda:1; a GPU where there is one."""
    precision: Literal["bf16", "fp32"] | None = None
    """bf16 where the machine has it in hardware; losses, queues and updates are float32 always."""
    threads: int | None = None
    """CPU threads; all cores."""
    workers: int | None = None
    """Threads that decode photographs where that is done in every epoch; as many as cores."""
    compile: bool = False
    """Compile views and networks with torch.compile: a minute's start, and some per cent of speed."""
