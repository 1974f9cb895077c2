"""Opening any encoder to look at it: a run's, another library's, or a bare file of weights.

B images, S pixels of a view's side, C features of the encoder, D dimensions of a space.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pairlens.assemble import make_branch, seeded
from pairlens.data.images import Source
from pairlens.environment import apply
from pairlens.errors import InputError
from pairlens.evaluate.protocol import Sight
from pairlens.nets.backbones import Backbone, is_backbone
from pairlens.nets.branch import Branch
from pairlens.nets.encoders import ARCHITECTURES, make_encoder
from pairlens.nets.weights import PRETRAINED, fits, load_tensors, read_tensors
from pairlens.place import Place, find_place
from pairlens.record.checkpoint import checkpoints, load_encoder, step_of, weights_below
from pairlens.record.run import Run
from pairlens.reopen import open_run_source, recall, recorded_colours
from pairlens.settings import Network

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's pixels, which most published encoders are trained with."""

KEY = "pairlens"
"""What `encoder.safetensors` calls the description of its network."""

STEMS = {"imagenet": 224, "small": 32}
"""The view size that an encoder of ours is shown where nobody knows better, by its stem."""


@dataclass(frozen=True)
class Opened:
    """An encoder, anybody's, and how it is shown images."""

    name: str
    encoder: nn.Module  # [B, 3, S, S] -> [B, C], on the place's device
    size: int  # S
    mean: Float[Tensor, "3"]  # of the pixels in [0, 1] units, on the device
    std: Float[Tensor, "3"]
    place: Place
    heads: Mapping[str, nn.Module] = field(default_factory=dict)  # [B, C] -> [B, D] by space; none of a bare encoder
    run: Run | None = None  # that trained it, where that is known
    network: Network = Network()  # its shape, ...
    spaces: tuple[str, ...] = ("z",)  # ... for heads of these names
    step: int | None = None  # of the run's training that the weights are from

    def sight(self, progress: Callable[[int], None] = lambda images: None) -> Sight:
        """How this encoder is shown images."""
        return Sight(self.size, self.mean, self.std, self.place.device, self.place.precision, progress)


def open_encoder(
    what: str,
    place: Place,
    *,
    encoder: str | None = None,
    stem: str | None = None,
    size: int | None = None,
    pretrained: bool = True,
) -> Opened:
    """Open what a user names.

    Args:
        what: a run's folder; timm/NAME or torchvision/NAME; or a .safetensors, .pth or .pt file of weights.
        place: where to compute.
        encoder: the network that a file's weights are of; by default what the file says of itself (as those of
            pairlens do), or the one of our ResNets, which have torchvision's names, that its tensors fit.
        stem: of our own networks, likewise.
        size: S; by default that of the training where it is known, else 224, or 32 behind a small stem.
        pretrained: take a library's own weights; else its random initialisation.

    Raises:
        InputError: there is no such thing, it cannot be read, or its network is not known.
    """
    path = Path(what).expanduser()
    if path.is_dir():
        return open_run_encoder(Run.open(path), place, size=size)
    if path.is_file():
        return _open_file(path, place, encoder, stem, size)
    if is_backbone(what) and what.partition("/")[0] in ("timm", "torchvision"):
        network = Network(encoder=what, weights=PRETRAINED if pretrained else None)
        made = _make(network, size or 224, place)
        return _opened(what, made, size or 224, _colours(made.encoder), place, network)
    raise InputError(
        f"there is no encoder {what}; give a run's folder, a .safetensors or .pth file, timm/NAME or torchvision/NAME"
    )


def open_run_encoder(run: Run, place: Place, *, size: int | None = None) -> Opened:
    """A run's encoder and, where it keeps a checkpoint of the same step, its heads.

    Raises:
        InputError: the run was observed, has nothing to open yet, or its weights are damaged.
    """
    recipe, _ = recall(run)
    size = size or int(run.info["size"])
    network, spaces = replace(recipe.network, weights=None), recipe.method.heads
    branch = _make(network, size, place, spaces)
    step = load_trained(run, branch.encoder)
    saved = checkpoints(run.folder / "checkpoints")
    heads = weights_below(saved[-1] / "weights.safetensors", "online.heads.") if saved else {}
    loaded = bool(saved and step_of(saved[-1]) == step and heads)
    if loaded:
        _load_heads(branch, heads, saved[-1])
    opened = _opened(str(run.folder), branch, size, recorded_colours(run), place, network, spaces)
    return replace(opened, run=run, step=step, heads=dict(branch.heads.items()) if loaded else {})


def open_measured(
    run: Run,
    say: Callable[[str], None] = print,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> tuple[Opened, Source]:
    """A run's encoder, on the machine that it was called with, and the images that it was trained on.

    Raises:
        InputError: there is no encoder yet, weights are damaged, or the source has changed.
    """
    _, machine = recall(run)
    place = find_place(machine)
    apply(place)
    opened = open_run_encoder(run, place)
    return opened, open_run_source(run, say, lambda done, total: progress("reading images", done, total))


def untrained_like(opened: Opened, seed: int = 1) -> nn.Module:
    """The same network at a random initialisation, on the same device, in eval mode: what is there without training.

    An opened library's network without its weights has seed 0, and is another one.
    """
    branch = _make(replace(opened.network, weights=None), opened.size, opened.place, opened.spaces, seed)
    encoder = branch.encoder.to(opened.place.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return encoder.eval().requires_grad_(False)


def load_trained(run: Run, encoder: nn.Module) -> int:
    """Load the finished encoder, or that of the newest checkpoint, and return the step it is from."""
    saved = checkpoints(run.folder / "checkpoints")
    final = run.folder / "encoder.safetensors"
    if final.exists():
        load_encoder(final, encoder)
        return int(run.status.get("step", 0))
    if not saved:
        raise InputError(f"the run {run.folder} has no checkpoint yet; wait for the first one, or train it further")
    load_encoder(saved[-1] / "weights.safetensors", encoder, prefix="online.encoder.")
    return step_of(saved[-1])


def described(
    network: Network, heads: Sequence[str], size: int, mean: Float[Tensor, "3"], std: Float[Tensor, "3"]
) -> dict[str, str]:
    """What `encoder.safetensors` says of itself, so that it can be opened without the run that it is from."""
    about = {"network": asdict(replace(network, weights=None)), "heads": list(heads), "size": size}
    return {KEY: json.dumps(about | {"mean": mean.tolist(), "std": std.tolist()})}


def _open_file(path: Path, place: Place, encoder: str | None, stem: str | None, size: int | None) -> Opened:
    about = _about(path) if encoder is None and stem is None else None
    if about is not None:
        try:
            known = {f.name for f in fields(Network)}
            network = Network(**{k: v for k, v in about["network"].items() if k in known})
            heads, seen = tuple(about["heads"]), int(about["size"])
            colours = torch.tensor(about["mean"]), torch.tensor(about["std"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"what {path} says of its network cannot be read ({error}); name the encoder and its stem"
            ) from error
        size = size or seen
        made = _make(network, size, place, heads)
        load_encoder(path, made.encoder)
        return _opened(str(path), made, size, colours, place, network, heads)
    tensors = read_tensors(path)
    network = _network_of(path, tensors, encoder, stem)
    size = size or (STEMS[network.stem] if network.stem else 224)
    made = _make(network, size, place)
    inner = made.encoder.network if isinstance(made.encoder, Backbone) else made.encoder
    load_tensors(inner, tensors, str(path), network.encoder or "")
    return _opened(str(path), made, size, _colours(made.encoder), place, network)


def _about(path: Path) -> dict[str, Any] | None:
    """What a file says of its network; None where it is not ours."""
    if path.suffix != ".safetensors":
        return None
    try:
        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get(KEY)
        about = None if said is None else json.loads(said)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as weights ({type(error).__name__}); fetch or save it anew") from error
    return about if isinstance(about, dict) else None


def _network_of(path: Path, tensors: Mapping[str, Tensor], encoder: str | None, stem: str | None) -> Network:
    """The network that tensors are of: the named one, or of our own the one whose names and shapes they have."""
    if encoder is not None and is_backbone(encoder):
        return Network(encoder=encoder)
    names = (encoder,) if encoder else tuple(ARCHITECTURES)
    for name in names:
        for which in (stem,) if stem else tuple(STEMS):
            if fits(make_encoder(name, stem=which, generator=torch.Generator()), tensors):
                return Network(encoder=name, stem=which)  # type: ignore[arg-type]
    if encoder is not None:
        return Network(encoder=encoder, stem=stem or "imagenet")  # type: ignore[arg-type]
    raise InputError(
        f"the weights in {path} are of none of {', '.join(ARCHITECTURES)}; name the network that they are of "
        "(--encoder timm/NAME or torchvision/NAME)"
    )


def _make(network: Network, size: int, place: Place, heads: Sequence[str] = ("z",), seed: int = 0) -> Branch:
    return make_branch(network, place.precision, seeded(seed, "weights", "cpu"), (size,), heads)


def _load_heads(branch: Branch, heads: Mapping[str, Tensor], path: Path) -> None:
    try:
        branch.heads.load_state_dict(heads)
    except RuntimeError as error:
        raise InputError(
            f"the checkpoint {path} holds other heads than run.json describes; restore run.json or train anew"
        ) from error


def _colours(encoder: nn.Module) -> tuple[Tensor, Tensor]:
    """The colours that a library says its network was trained with, or ImageNet's."""
    about = getattr(encoder.network, "pretrained_cfg", None) if isinstance(encoder, Backbone) else None
    about = about if isinstance(about, Mapping) else {}
    mean, std = (about.get(name) or usual for name, usual in zip(("mean", "std"), IMAGENET, strict=True))
    return torch.tensor(mean), torch.tensor(std)


def _opened(
    name: str,
    made: Branch,
    size: int,
    colours: tuple[Tensor, Tensor],
    place: Place,
    network: Network,
    spaces: Sequence[str] = ("z",),
) -> Opened:
    made.to(place.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    made.eval().requires_grad_(False)
    mean, std = (colour.to(place.device) for colour in colours)
    return Opened(name, made.encoder, size, mean, std, place, network=network, spaces=tuple(spaces))
