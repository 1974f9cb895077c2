"""What the papers' trainings on ImageNet and its 100 classes share: ResNet-50 on views of 224 px.

Views are the methods' own. MoCo's numbers are its paper's, which FT ([C], the authors' code), GP (official code) and
CCrop ("exactly their original works") keep; batch normalisation in 8 parts stands for their 8 GPUs.
"""

from pairlens.localisation import ContrastiveCrop
from pairlens.methods.siamese import SimSiamSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.settings import Network, Optimisation, Views

MOCO_V1_VIEWS = Views(
    size=224, crop=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.4), jitter_probability=1.0, gray=0.2, blur=0.0
)  # He et al. 2020, Section 3.3; InstDisc's, too. Gray follows the jitter; MoCo v1's own code has it before
MOCO_V2_VIEWS = Views(
    size=224, crop=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), jitter_probability=0.8, gray=0.2, blur=0.5
)  # Chen, Fan et al. 2020, Section 3; SimSiam's, too
SIMCLR_VIEWS = Views(
    size=224, crop=(0.08, 1.0), jitter=(0.8, 0.8, 0.8, 0.2), jitter_probability=0.8, gray=0.2, blur=0.5
)  # Chen, Kornblith et al. 2020, Appendix A

CROPS = ContrastiveCrop(alpha=0.6, box_start=20, box_every=10)  # CCrop, Section 4.2, with `--boxes found`

LINEAR_NETWORK = Network(encoder="resnet50", stem="imagenet", head="linear", dim=128, splits=8)
MLP_NETWORK = Network(encoder="resnet50", stem="imagenet", hidden=2048, dim=128, splits=8)
SIMCLR_NETWORK = Network(encoder="resnet50", stem="imagenet", hidden=2048, dim=128)
SIMSIAM_NETWORK = Network(
    encoder="resnet50",
    stem="imagenet",
    layers=3,
    hidden=2048,
    dim=2048,
    head_norm="all",
    zero_init_residual=True,
)  # Chen & He 2021, Section 3

MOCO_V1_OPTIMISATION = Optimisation(
    epochs=200, batch=256, optimizer="sgd", lr=0.03, weight_decay=1e-4, schedule="steps"
)  # He et al. 2020, Section 4: a tenth at epochs 120 and 160
MOCO_V2_OPTIMISATION = Optimisation(
    epochs=200, batch=256, optimizer="sgd", lr=0.03, weight_decay=1e-4, schedule="cosine"
)

SIMCLR = SimCLRSettings(temperature=0.1)  # Chen, Kornblith et al. 2020, Table 5
SIMSIAM = SimSiamSettings(predictor_hidden=512)  # Chen & He 2021, Section 3
