"""Recipes for the built-in `scenes`: their numbers were chosen by kNN on a held-out part of its training images.

All have strong jitter, much gray and no mirrored digits; the embeddings of the untrained head are alike, and batch
normalisation within the head lets short trainings begin apart.
"""

from dataclasses import replace

from pairlens.localisation import ContrastiveCrop
from pairlens.methods.looc import LooCSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import BYOLSettings, SimSiamSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.recipes.recipe import Recipe, recipe
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views

VIEWS = Views(crop=(0.4, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), gray=0.5, flip=0.0)
TURNED = replace(VIEWS, rotation=0.5)
SLOW = Optimisation(batch=128, optimizer="adamw", lr=8e-3)  # absolute: 4e-3
FAST = Optimisation(batch=128, optimizer="adamw", lr=16e-3)


@recipe
def simclr(
    *,
    method: SimCLRSettings = SimCLRSettings(),
    network: Network = Network(),
    views: Views = VIEWS,
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = SLOW,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """SimCLR (Chen, Kornblith et al. 2020) for the built-in scenes: strong jitter, much gray, no mirrored digits."""
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def moco_v2(
    *,
    method: MoCoSettings = MoCoSettings(negatives=512, momentum=0.9),
    network: Network = Network(head_norm="hidden"),
    views: Views = VIEWS,
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = SLOW,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v2 (Chen, Fan et al. 2020) for the built-in scenes: short queue and low momentum, for short trainings."""
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def looc(
    *,
    method: LooCSettings = LooCSettings(negatives=512, momentum=0.9),
    network: Network = Network(head_norm="hidden"),
    views: Views = TURNED,
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = SLOW,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """LooC (Xiao et al. 2021) for the built-in scenes: colour and rotation designated, all else as in `moco_v2`."""
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def byol(
    *,
    method: BYOLSettings = BYOLSettings(momentum=0.9),
    network: Network = Network(head_norm="all"),
    views: Views = VIEWS,
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = FAST,
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """BYOL (Grill et al. 2020) for the built-in scenes: a low momentum at the start, for short trainings."""
    return Recipe(method, network, views, crops, optimisation, transform)


@recipe
def simsiam(
    *,
    method: SimSiamSettings = SimSiamSettings(),
    network: Network = Network(head_norm="all"),
    views: Views = VIEWS,
    crops: ContrastiveCrop = ContrastiveCrop(),
    optimisation: Optimisation = FAST,
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """SimSiam (Chen & He 2021) for the built-in scenes: a fast rate, for short trainings."""
    return Recipe(method, network, views, crops, optimisation, transform)
