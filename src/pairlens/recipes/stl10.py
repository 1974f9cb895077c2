"""Recipes for STL-10 (105 000 photographs of 96 px, 5 000 of them labelled): ContrastiveCrop's, with random crops.

Shared numbers and their sources stand in `small`; [C] is the authors' code. Pretraining takes all 105 000 images,
labels unused ([C]: the training and the unlabelled split).
"""

from dataclasses import replace

from pairlens.localisation import ContrastiveCrop
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import BYOLSettings, SimSiamSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.recipes import small
from pairlens.recipes.recipe import Recipe, recipe
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views

VIEWS = replace(small.VIEWS, size=96)


@recipe
def moco_v2(
    *,
    method: MoCoSettings = small.MOCO,
    network: Network = small.MOCO_NETWORK,
    views: Views = VIEWS,
    crops: ContrastiveCrop = small.CROPS,
    optimisation: Optimisation = small.OPTIMISATION,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v2 on STL-10 (CCrop, Table 1: 89.17 %).

    CCrop, Section 4.2: ResNet-18, 500 epochs, batch 512, SGD with a cosine from .5 (.25 for 256), weight decay 1e-4.
    [C]: 96 px, crop .2-1, jitter (.4, .4, .4, .1) with .8, gray .2, no blur; small stem; head 512-512-128 without
    normalisation; 65 536 keys, momentum .999, temperature .2; cosine to a tenth. Open: the share of the batch that is
    normalised at a time; 8 parts stand for the paper's 8 GPUs.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def simclr(
    *,
    method: SimCLRSettings = small.SIMCLR,
    network: Network = small.SIMCLR_NETWORK,
    views: Views = VIEWS,
    crops: ContrastiveCrop = small.CROPS,
    optimisation: Optimisation = small.OPTIMISATION,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """SimCLR on STL-10 (CCrop, Table 1: 88.95 %).

    CCrop, Section 4.2: ResNet-18, 500 epochs, batch 512, SGD with a cosine from .5 (.25 for 256), weight decay 1e-4.
    [C]: 96 px, crop .2-1, jitter (.4, .4, .4, .1) with .8, gray .2, no blur; small stem; head 512-512-128 without
    normalisation; temperature .5; cosine to a tenth. The paper has the plain loss, and so has this recipe; [C]
    multiplies it by .5 / .07, which for SGD is the same as `--lr 1.786 --weight-decay 1.4e-5`.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def byol(
    *,
    method: BYOLSettings = small.BYOL,
    network: Network = small.BYOL_NETWORK,
    views: Views = VIEWS,
    crops: ContrastiveCrop = small.CROPS,
    optimisation: Optimisation = small.OPTIMISATION,
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """BYOL on STL-10 (CCrop, Table 1: 91.84 %).

    CCrop, Section 4.2: ResNet-18, 500 epochs, batch 512, SGD with a cosine from .5 (.25 for 256), weight decay 1e-4.
    [C]: 96 px, crop .2-1, jitter (.4, .4, .4, .1) with .8, gray .2, no blur; small stem; head 512-512-128 and predictor
    128-512-128, hidden layers normalised; momentum .996 throughout, where BYOL's paper lets it rise (`--rising`); loss
    -2 (cos + cos); cosine to a tenth.
    """
    return Recipe(method, network, views, crops, optimisation, transform)


@recipe
def simsiam(
    *,
    method: SimSiamSettings = small.SIMSIAM,
    network: Network = small.SIMSIAM_NETWORK,
    views: Views = VIEWS,
    crops: ContrastiveCrop = small.CROPS,
    optimisation: Optimisation = small.OPTIMISATION,
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """SimSiam on STL-10 (CCrop, Table 1: 89.39 %).

    CCrop, Section 4.2: ResNet-18, 500 epochs, batch 512, SGD with a cosine from .5 (.25 for 256), weight decay 1e-4.
    [C]: 96 px, crop .2-1, jitter (.4, .4, .4, .1) with .8, gray .2, no blur; small stem; head 512-512-512-512, every
    layer normalised; predictor 512-128-512 at a constant rate; residual branches begin as zero; cosine to a tenth.
    """
    return Recipe(method, network, views, crops, optimisation, transform)
