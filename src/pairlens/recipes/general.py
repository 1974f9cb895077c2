"""Recipes for any images on one machine: what is left open is chosen from the images and the machine.

The defaults suit small sets and short trainings, and name their source; the papers' own settings for their own data
are the recipes named after those data.
"""

from pairlens.methods.moco import MoCoSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.recipes.recipe import Recipe, recipe
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views


@recipe
def moco_v1(
    *,
    method: MoCoSettings = MoCoSettings(temperature=0.07),
    network: Network = Network(head="linear", splits=8),
    views: Views = Views(jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0, blur=0.0),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v1 (He et al. 2020): linear head, jitter always on, temperature .07, no blur.

    Queue, momentum and optimiser are those of lightly's CIFAR-10 benchmark.
    """
    return Recipe(method, network, views, optimisation, transform, selection)


@recipe
def moco_v2(
    *,
    method: MoCoSettings = MoCoSettings(),
    network: Network = Network(splits=8),
    views: Views = Views(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v2 (Chen, Fan et al. 2020): MLP head, jitter .8, blur above 64 px, cosine schedule.

    Temperature .1 (the paper: .2 on ImageNet), momentum, optimiser and queue are those of lightly's CIFAR-10 benchmark.
    """
    return Recipe(method, network, views, optimisation, transform, selection)


@recipe
def simclr(
    *,
    method: SimCLRSettings = SimCLRSettings(),
    network: Network = Network(),
    views: Views = Views(),
    optimisation: Optimisation = Optimisation(),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """SimCLR (Chen, Kornblith et al. 2020): every other view of the batch is a negative; MLP head.

    Its authors' jitter on CIFAR-10 (strength .5) is the default here: (.4, .4, .4, .1); so is their temperature on
    ImageNet, .1 (their .5 on CIFAR-10 is for batches and trainings many times as long).
    """
    return Recipe(method, network, views, optimisation, transform, selection)
