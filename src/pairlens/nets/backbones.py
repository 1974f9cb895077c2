"""Encoders that other libraries make, where those are installed: timm/NAME and torchvision/NAME.

B images, H x W pixels, D features, C channels of the last stage, h x w its positions, N its patch tokens.
"""

import difflib
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.nets.weights import CLASSIFIERS, load_tensors

LastStage = Callable[[nn.Module, Tensor], Tensor | None]
"""A network's last stage for images: a map [B, C, h, w], patch tokens [B, N, C], or None where it has neither."""


class Backbone(nn.Module):
    """Another library's network without its classifier, seen as our own encoders are.

    Its state dict is the library's, each name behind "network.". `sizes` are the sides, in pixels, of the views that it
    has to take. Dropout and stochastic depth are turned off: they draw from the global generator, which no checkpoint
    holds, and the two views of an image differ enough.

    Raises:
        InputError: the network cannot take views of such a size, or gives no feature vector for an image.
    """

    def __init__(self, name: str, network: nn.Module, last_stage: LastStage, sizes: Sequence[int]) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.last_stage = last_stage
        _without_dropout(network)
        widths = [_width(name, network, size) for size in sizes]
        self.features = widths[0]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """One feature vector an image: what the library hands to its classifier."""
        return self.network(images)

    def features_map(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C h w"]:
        """The last stage's output before pooling; of a transformer the patch tokens, in their places.

        Raises:
            InputError: the network has no such stage, or its tokens lie on no grid of the images' shape.
        """
        last = self.last_stage(self.network, images)
        if last is not None and last.ndim == 3:
            height = round((last.shape[1] * images.shape[2] / images.shape[3]) ** 0.5)
            on_grid = height > 0 and last.shape[1] % height == 0
            last = last.mT.unflatten(2, (height, -1)) if on_grid else None
        if last is None or last.ndim != 4:
            raise InputError(
                f"the encoder {self.name} has no map of features over the image; use one that keeps positions to its "
                "last stage, as ResNets, ConvNeXts and plain Vision Transformers do"
            )
        return last


def is_backbone(name: str) -> bool:
    """Whether an encoder's name is another library's: LIBRARY/NAME."""
    return "/" in name


def make_backbone(
    name: str, *, sizes: Sequence[int] = (224,), pretrained: bool = False, generator: torch.Generator
) -> Backbone:
    """Let timm or torchvision make the network LIBRARY/NAME, for views of these sides (pixels; the largest use first).

    The library draws its initialisation from torch's global generator. It is seeded here with one number of
    `generator`, a CPU generator, and afterwards put back as it was: the same generator gives the same weights.
    Networks that are built for one size (Vision Transformers) are built for the first.

    Raises:
        InputError: the library is missing, has no such network or no weights for it, or the network does not suit.
    """
    library, _, network_name = name.partition("/")
    if library not in LIBRARIES:
        raise InputError(
            f"there is no library {library!r} for encoders; use {' or '.join(f'{x}/NAME' for x in LIBRARIES)}"
        )
    make, last_stage = LIBRARIES[library]
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Backbone(name, make(network_name, sizes[0], pretrained), last_stage, sizes)


def _timm_network(name: str, size: int, pretrained: bool) -> nn.Module:
    timm = _imported("timm", f"timm/{name}")
    if name not in timm.list_models() and name not in timm.list_pretrained():
        raise _unknown("timm", name, timm.list_models())
    create = partial(timm.create_model, name, pretrained=pretrained, num_classes=0)
    options = [{"img_size": size, "dynamic_img_size": True}, {"img_size": size}]
    with _fetching(f"timm/{name}") if pretrained else _taking(f"timm/{name}", size):
        return _created(create, options)


def _timm_last_stage(network: Any, images: Tensor) -> Tensor:
    last = network.forward_features(images)
    if last.ndim == 3:
        return last[:, getattr(network, "num_prefix_tokens", 0) :]
    return last.permute(0, 3, 1, 2) if getattr(network, "output_fmt", "NCHW") == "NHWC" else last


def _torchvision_network(name: str, size: int, pretrained: bool) -> nn.Module:
    models = _imported("torchvision.models", f"torchvision/{name}")
    names = models.list_models(module=models)
    if name not in names:
        raise _unknown("torchvision", name, names)
    options: list[dict[str, Any]] = [{"image_size": size}, {"aux_logits": False, "init_weights": True}]
    with _taking(f"torchvision/{name}", size):
        network = _created(partial(models.get_model, name, weights=None), options)
    _strip_classifier(f"torchvision/{name}", network)
    if pretrained:
        with _fetching(f"torchvision/{name}"):
            tensors = models.get_model_weights(name).DEFAULT.get_state_dict(check_hash=True, weights_only=True)
        load_tensors(network, tensors, "of torchvision", f"torchvision/{name}")
    return network


def _torchvision_last_stage(network: nn.Module, images: Tensor) -> Tensor | None:
    seen: list[Tensor] = []
    stage = next(
        (part for part in ("avgpool", "features", "layers", "conv5", "encoder") if hasattr(network, part)), None
    )
    if stage is None:
        return None
    module = network.get_submodule(stage)
    if stage == "avgpool":
        handle = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    else:
        handle = module.register_forward_hook(lambda _, inputs, output: seen.append(output))
    with handle:
        network(images)
    return seen[0][:, 1:] if seen[0].ndim == 3 else seen[0]  # a Vision Transformer's class token comes first


LIBRARIES: dict[str, tuple[Callable[[str, int, bool], nn.Module], LastStage]] = {
    "timm": (_timm_network, _timm_last_stage),
    "torchvision": (_torchvision_network, _torchvision_last_stage),
}
"""How each library makes a network, by name, view size and whether it is pretrained; and where its last stage is."""


def _imported(module: str, encoder: str) -> Any:
    """A library's module; torchvision fails with a RuntimeError where it does not belong to the torch that is there."""
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, OSError) as error:
        library, version = module.partition(".")[0], torch.__version__.partition("+")[0]
        raise InputError(
            f"the encoder {encoder} needs {library}, which cannot be imported here ({_reason(error)}); install it with "
            f"the torch that is here, so that this one stays: pip install torch=={version} {library}"
        ) from error


def _unknown(library: str, name: str, names: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(name, names, n=3)
    hint = f"did you mean {' or '.join(f'{library}/{n}' for n in near)}" if near else "its list_models() names them all"
    return InputError(f"{library} has no network {name!r}; {hint}{'?' if near else ''}")


def _created(create: Callable[..., nn.Module], choices: Sequence[dict[str, Any]]) -> nn.Module:
    """The network with the first options that its constructor knows, or with none."""
    for options in choices:
        try:
            return create(**options)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
    return create()


def _strip_classifier(name: str, network: nn.Module) -> None:
    """Let the last linear layer of a network's classifier hand on what it gets."""
    for part in CLASSIFIERS:
        head = getattr(network, part.removesuffix("."), nn.Identity())
        linear = [
            path for path, module in head.named_modules(prefix=part.removesuffix(".")) if isinstance(module, nn.Linear)
        ]
        if linear:
            network.set_submodule(linear[-1], nn.Identity())
            return
    raise InputError(f"the encoder {name} ends in no linear classifier that could be left out; use another network")


def _without_dropout(network: nn.Module) -> None:
    for module in network.modules():
        kind = type(module).__name__
        if kind.startswith("Dropout") or kind in ("AlphaDropout", "StochasticDepth"):
            module.p = 0.0  # type: ignore[assignment]
        elif kind == "DropPath":
            module.drop_prob = 0.0  # type: ignore[assignment]


@torch.no_grad()
def _width(name: str, network: nn.Module, size: int) -> int:
    """How many features the network gives for a view of this side."""
    network.eval()
    with _taking(name, size):
        features = network(torch.zeros(1, 3, size, size))
    network.train()
    if not isinstance(features, Tensor) or features.ndim != 2:
        raise InputError(f"the encoder {name} gives no feature vector for an image; use another network")
    return features.shape[1]


@contextmanager
def _taking(name: str, size: int) -> Iterator[None]:
    """Say that a network is not made for views of a size, should it turn out so."""
    try:
        yield
    except (AssertionError, RuntimeError, ValueError, IndexError, ZeroDivisionError) as error:
        raise InputError(
            f"the encoder {name} cannot take views of {size} px ({_reason(error)}); choose another size of the views "
            "(224 suits most, a multiple of its patch suits a Vision Transformer) or another encoder"
        ) from error


@contextmanager
def _fetching(name: str) -> Iterator[None]:
    """Say that pretrained weights are not to be had, whatever way the library's download fails."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"the pretrained weights of {name} cannot be had ({_reason(error)}); let this machine download them once, "
            "give a file of them as the weights instead, or start without"
        ) from error


def _reason(error: Exception) -> str:
    """An error of another library in short: its first line."""
    text = str(error).strip().partition("\n")[0].rstrip(".")
    return text if len(text) <= 200 else text[:200] + " ..."
