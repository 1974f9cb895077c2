"""Recipes for ImageNet (1 281 167 photographs, 1000 classes): the baselines of FT, GP and CCrop, all with ResNet-50.

Shared numbers and their sources stand in `large`; [C] is the authors' code.
"""

from pairlens.localisation import ContrastiveCrop
from pairlens.methods.instdisc import InstDiscSettings
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import SimSiamSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.methods.supervised import SupervisedSettings
from pairlens.recipes import large
from pairlens.recipes.recipe import Recipe, recipe
from pairlens.settings import FeatureTransform, Network, Optimisation, Selection, Views


@recipe
def instdisc(
    *,
    method: InstDiscSettings = InstDiscSettings(temperature=0.07, negatives=4096, objective="nce", bank_momentum=0.5),
    network: Network = Network(encoder="resnet50", stem="imagenet", head="linear", dim=128),
    views: Views = large.MOCO_V1_VIEWS,
    crops: ContrastiveCrop = large.CROPS,
    optimisation: Optimisation = large.MOCO_V1_OPTIMISATION,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """InstDisc on ImageNet, as GP's Figure 4 varies its number of negatives.

    GP, Section 5: 200 epochs, the official code's settings. Those are (Wu et al. 2018, Section 4): SGD at .03, batch
    256, a tenth at epochs 120 and 160, temperature .07, 4096 negatives by noise-contrastive estimation, bank momentum
    .5, 128 dimensions; weight decay 1e-4 and the views (crop .2-1, jitter (.4 x 4), gray .2) are the code's. Open: the
    share of the batch that is normalised at a time; here all of it.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def moco_v1(
    *,
    method: MoCoSettings = MoCoSettings(temperature=0.07, negatives=65536, momentum=0.999),
    network: Network = large.LINEAR_NETWORK,
    views: Views = large.MOCO_V1_VIEWS,
    crops: ContrastiveCrop = large.CROPS,
    optimisation: Optimisation = large.MOCO_V1_OPTIMISATION,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v1 on ImageNet (FT, Table 8: 60.6 %; with FT 61.9 %).

    He et al. 2020, Sections 3.3 and 4, which FT ([C]), GP and CCrop keep: SGD at .03, batch 256, 200 epochs with a
    tenth at 120 and 160, weight decay 1e-4, 65 536 keys, momentum .999, temperature .07, linear head of 128, crop .2-1,
    jitter (.4 x 4) always, gray .2, shuffled keys. FT: `--extrapolate 2.0 --interpolate 1.6` (its authors' command also
    asks for `--schedule cosine`). CCrop, Table 2: `--epochs 100`, 57.25 %.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def moco_v2(
    *,
    method: MoCoSettings = MoCoSettings(temperature=0.2, negatives=65536, momentum=0.999),
    network: Network = large.MLP_NETWORK,
    views: Views = large.MOCO_V2_VIEWS,
    crops: ContrastiveCrop = large.CROPS,
    optimisation: Optimisation = large.MOCO_V2_OPTIMISATION,
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """MoCo v2 on ImageNet, the common baseline of FT, GP and CCrop (GP, Table 3: 67.5 %).

    Chen, Fan et al. 2020, which FT ([C]), GP and CCrop keep: SGD with a cosine from .03, batch 256, 200 epochs, weight
    decay 1e-4, 65 536 keys, momentum .999, temperature .2, head 2048-2048-128, crop .2-1, jitter (.4, .4, .4, .1) with
    .8, gray .2, blur .5, shuffled keys. `--epochs 100` for GP's Tables 1 and 2 and CCrop's Table 2 (64.4 %). FT:
    `--extrapolate 2.0 --interpolate 1.6`. GP, Table 1: `--head linear`, `--fixed-head`, `--layers 3`, `--hidden 128`;
    Table 3: `--negatives 512`, `--blur 0`, `--schedule steps`, `--momentum 0.5`.
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def simclr(
    *,
    method: SimCLRSettings = large.SIMCLR,
    network: Network = large.SIMCLR_NETWORK,
    views: Views = large.SIMCLR_VIEWS,
    crops: ContrastiveCrop = large.CROPS,
    optimisation: Optimisation = Optimisation(
        epochs=200, batch=4096, optimizer="lars", lr=0.3, weight_decay=1e-6, schedule="cosine", warmup=10.0
    ),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """SimCLR on ImageNet with its own large batch, as GP's Figure 4 varies its number of negatives.

    GP, Section 5: 200 epochs, the official code's settings, batch 4096. Those are (Chen, Kornblith et al. 2020, Section
    2.3, Appendix A): LARS at 4.8 (.3 for 256), weight decay 1e-6, 10 epochs of warm-up, a cosine, temperature .1, head
    2048-2048-128, crop .08-1, jitter (.8, .8, .8, .2) with .8, gray .2, blur .5. The head is the paper's formula; the
    official code also normalises it (`--head-norm all`).
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def simclr_512(
    *,
    method: SimCLRSettings = large.SIMCLR,
    network: Network = large.SIMCLR_NETWORK,
    views: Views = large.SIMCLR_VIEWS,
    crops: ContrastiveCrop = large.CROPS,
    optimisation: Optimisation = Optimisation(
        epochs=100, batch=512, optimizer="sgd", lr=0.025, weight_decay=1e-4, schedule="cosine"
    ),
    transform: FeatureTransform = FeatureTransform(),
    selection: Selection = Selection(),
) -> Recipe:
    """SimCLR on ImageNet with batches of 512 (CCrop, Table 2: 61.60 %).

    CCrop, Section 4.2: batch 512, SGD with a cosine from .05 (.025 for 256), weight decay 1e-4, 100 epochs (Table 4:
    200). Open: temperature, head and views; SimCLR's own are taken (.1; 2048-2048-128; full strength).
    """
    return Recipe(method, network, views, crops, optimisation, transform, selection)


@recipe
def simsiam(
    *,
    method: SimSiamSettings = large.SIMSIAM,
    network: Network = large.SIMSIAM_NETWORK,
    views: Views = large.MOCO_V2_VIEWS,
    crops: ContrastiveCrop = large.CROPS,
    optimisation: Optimisation = Optimisation(
        epochs=100, batch=512, optimizer="sgd", lr=0.05, weight_decay=1e-4, schedule="cosine"
    ),
    transform: FeatureTransform = FeatureTransform(),
) -> Recipe:
    """SimSiam on ImageNet (CCrop, Table 2: 65.62 %).

    CCrop, Section 4.2: exactly the original's settings. Those are (Chen & He 2021, Sections 3 and 4; Appendix A): SGD
    with a cosine from .1 (.05 for 256), batch 512, 100 epochs, weight decay 1e-4, a head of three normalised layers of
    2048, predictor 2048-512-2048 at a constant rate, residual branches that begin as zero, MoCo v2's views.
    """
    return Recipe(method, network, views, crops, optimisation, transform)


@recipe
def supervised(
    *,
    method: SupervisedSettings = SupervisedSettings(),
    network: Network = Network(encoder="resnet50", stem="imagenet"),
    views: Views = large.MOCO_V2_VIEWS,
    crops: ContrastiveCrop = large.CROPS,
    optimisation: Optimisation = Optimisation(
        epochs=100, batch=256, optimizer="sgd", lr=0.1, weight_decay=1e-4, schedule="cosine"
    ),
) -> Recipe:
    """Supervised training on ImageNet with MoCo v2's views (GP, Table 2: 75.5 %).

    GP gives the views only (Section 4; crop ranges and jitter strengths are varied). Open: the training; SGD at .1 for
    256 images and weight decay 1e-4 are those usual for ResNet-50 (He et al. 2016), with 100 epochs and a cosine as the
    contrastive trainings have.
    """
    return Recipe(method, network, views, crops, optimisation)
