"""What ContrastiveCrop's trainings on small images share: CIFAR-10, CIFAR-100, Tiny ImageNet and STL-10.

CCrop's Section 4.2 gives the encoder, 500 epochs, batches of 512, the rate .5 with a cosine, and SGD with momentum .9
and weight decay 1e-4, the same for all methods. Everything else stands in the authors' code only ([C]): the cosine's
end at a tenth, heads, temperatures, queue, momenta and views. There MoCo's batch normalisation sees the images of one
GPU, which are 64 for the paper's 8 GPUs, and that of the other methods the whole batch.
"""

from pairlens.localisation import ContrastiveCrop
from pairlens.methods.moco import MoCoSettings
from pairlens.methods.siamese import BYOLSettings, SimSiamSettings
from pairlens.methods.simclr import SimCLRSettings
from pairlens.settings import Network, Optimisation, Views

VIEWS = Views(crop=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), jitter_probability=0.8, gray=0.2, blur=0.0, flip=0.5)  # [C]
CROPS = ContrastiveCrop(alpha=0.1, box_start=100, box_every=100)  # Section 4.2, with `--boxes found`
OPTIMISATION = Optimisation(
    epochs=500, batch=512, optimizer="sgd", lr=0.25, weight_decay=1e-4, schedule="cosine", floor=0.1
)  # .25 for 256 images is .5 for 512; the floor is [C]'s

MOCO = MoCoSettings(temperature=0.2, negatives=65536, momentum=0.999)  # [C]
MOCO_NETWORK = Network(encoder="resnet18", stem="small", hidden=512, dim=128, splits=8)  # [C]

SIMCLR = SimCLRSettings(temperature=0.5)  # [C], where the loss is also multiplied by .5 / .07
SIMCLR_NETWORK = Network(encoder="resnet18", stem="small", hidden=512, dim=128)  # [C]

BYOL = BYOLSettings(momentum=0.996, rising=False, predictor_hidden=512)  # [C]
BYOL_NETWORK = Network(encoder="resnet18", stem="small", hidden=512, dim=128, head_norm="hidden")  # [C]

SIMSIAM = SimSiamSettings(predictor_hidden=128)  # [C]
SIMSIAM_NETWORK = Network(
    encoder="resnet18", stem="small", layers=3, hidden=512, dim=512, head_norm="all", zero_init_residual=True
)  # [C]
