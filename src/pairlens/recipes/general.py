"""Recipes for any images on one machine: what is left open is chosen from the images and the machine.

The defaults suit small sets and short trainings, and name their source; the papers' own settings for their own data
are the recipes named after those data.
"""

from pairlens.localisation import ContrastiveCrop
from pairlens.methods.infomin import InfoMinSettings
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.looc import LooCSettings
from pairlens.methods.mochi import MoCHiSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import BYOLSettings, SimSiamSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.methods.supervised import SupervisedSettings
from pairlens.methods.swav import SwAVSettings
from pairlens.methods.unmix import UnMixSettings
from pairlens.methods.untrained import UntrainedSettings
from pairlens.recipes.recipe import Recipe, recipe
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views


@recipe
def instdisc(
    *,
    method: InstDiscSettings = InstDiscSettings(fill=True),
    network: Network = Network(head="linear"),
    views: Views = Views(jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0, blur=0.0),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """InstDisc (Wu et al. 2018): one view of each image against a memory bank of all images; linear head.

    Temperature .07, bank momentum .5 and views are its authors'; optimiser and rate those of `moco_v2`. That the first
    epoch only fills the bank is ours: from their random bank short trainings diverged (`--no-fill` is the paper's).
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def moco_v1(
    *,
    method: MoCoSettings = MoCoSettings(temperature=0.07),
    network: Network = Network(head="linear", splits=8),
    views: Views = Views(jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0, blur=0.0),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v1 (He et al. 2020): linear head, jitter always on, temperature .07, no blur.

    Queue, momentum and optimiser are those of lightly's CIFAR-10 benchmark. Gray follows the jitter, as in all later
    methods; MoCo v1's own code has it before.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def moco_v2(
    *,
    method: MoCoSettings = MoCoSettings(),
    network: Network = Network(splits=8),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v2 (Chen, Fan et al. 2020): MLP head, jitter .8, blur above 64 px, cosine schedule.

    Temperature .1 (the paper: .2 on ImageNet), momentum, optimiser and queue are those of lightly's CIFAR-10 benchmark.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def mochi(
    *,
    method: MoCHiSettings = MoCHiSettings(hardest=256, mixed=256, query_mixed=32),
    network: Network = Network(splits=8),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCHi (Kalantidis et al. 2020): MoCo v2 with further negatives, mixed from each query's hardest ones.

    How many are mixed (256, 256, 32) is in proportion to a queue of 4096 what the paper's 1024, 1024 and 128 are to its
    16 384; everything else is as in `moco_v2`.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def unmix(
    *,
    method: UnMixSettings = UnMixSettings(),
    network: Network = Network(splits=8),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """Un-Mix (Shen et al. 2022): MoCo v2 with a further query from mixtures of the batch's images.

    Both mixtures, of whole images and of rectangles, are equally likely, as in the paper; the rest is as in `moco_v2`.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def looc(
    *,
    method: LooCSettings = LooCSettings(),
    network: Network = Network(splits=8),
    views: Views = Views(rotation=0.5),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """LooC (Xiao et al. 2021): MoCo v2 with a further space for each designated augmentation, colour and rotation.

    Rotation with probability .5 is the paper's (Appendix A); `--last-stage own` makes it LooC++, and with
    `--strategy invariant` MoCo++. Everything else is as in `moco_v2`.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def simclr(
    *,
    method: SimCLRSettings = SimCLRSettings(),
    network: Network = Network(),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """SimCLR (Chen, Kornblith et al. 2020): every other view of the batch is a negative; MLP head.

    Its authors' jitter on CIFAR-10 (Appendix B.9: strength .5, and no blur) is the default here: (.4, .4, .4, .1); so
    is their temperature on ImageNet, .1 (their .5 on CIFAR-10 is for batches and trainings many times as long).
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def infomin(
    *,
    method: InfoMinSettings = InfoMinSettings(),
    network: Network = Network(splits=8),
    views: Views = Views(jitter=(0.8, 0.8, 0.8, 0.2), randaugment=2),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """InfoMin (Tian et al. 2020): MoCo with stronger views (jitter, RandAugment) and a jigsaw branch.

    Temperature .15, the jigsaw branch's weight .5 and the views are its authors' for ImageNet; their code, PyContrast,
    names the crop's range (.2-1) and RandAugment's two operations of level 10. Queue, momentum and optimiser are those
    of `moco_v2`.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def byol(
    *,
    method: BYOLSettings = BYOLSettings(),
    network: Network = Network(head_norm="hidden"),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """BYOL (Grill et al. 2020): predict the view that a momentum branch sees; no negatives.

    Momentum from .996 up to 1 is the paper's; the narrower head and predictor (512) are CCrop's for small images, views
    and optimiser those of `moco_v2`.
    """
    return Recipe(method, network, views, crops, optimisation, transform)


@recipe
def simsiam(
    *,
    method: SimSiamSettings = SimSiamSettings(),
    network: Network = Network(hidden=512, dim=512, head_norm="all"),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """SimSiam (Chen & He 2021): predict the other view's embedding, detached; no negatives.

    A head of two normalised layers is the paper's for CIFAR-10 (Appendix D); its width and the predictor's are CCrop's
    for small images (512 and 128), views and optimiser those of `moco_v2`.
    """
    return Recipe(method, network, views, crops, optimisation, transform)


@recipe
def swav(
    *,
    method: SwAVSettings = SwAVSettings(),
    network: Network = Network(head_norm="hidden"),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(optimizer="adamw"),
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """SwAV (Caron et al. 2020): predict the other view's assignment to prototypes; no negatives.

    Temperature .1 and three Sinkhorn steps at epsilon .05 are the paper's; 512 prototypes and an Adam optimiser are
    those of lightly's CIFAR-10 benchmark. Multi-crop is a flag: `--locals 6`.
    """
    return Recipe(method, network, views, crops, optimisation, transform)


@recipe
def supervised(
    *,
    method: SupervisedSettings = SupervisedSettings(),
    network: Network = Network(),
    views: Views = Views(),
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = Optimisation(),
) -> Recipe:
    """Supervised training on the views of contrastive methods, as a mark to compare with (GP, Table 2).

    Views and optimiser are those of `moco_v2`. Labels are needed; the head takes no part.
    """
    return Recipe(method, network, views, crops, optimisation)


@recipe
def random(*, network: Network = Network(), views: Views = Views()) -> Recipe:
    """Random initialisation: nothing is trained, so that every method has a mark to beat (FT, Table 1: 15.9 %).

    The batch of 2 and the rate are never used: there are 0 epochs.
    """
    return Recipe(
        UntrainedSettings(),
        network,
        views,
        ContrastiveCrop(),
        Optimisation(epochs=0, batch=2, lr=1.0, weight_decay=0.0),
    )
