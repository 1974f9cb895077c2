"""Which features are inverted: those of each encoder at several depths, and the references beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn

from pairlens.errors import InputError
from pairlens.evaluate.inversion import Features, features_of, pixels
from pairlens.nets.heads import hidden_layers
from pairlens.opened import Opened, untrained_like
from pairlens.record.parts import digest_of

Target = Literal["h", "hidden", "z"]
TARGETS: tuple[Target, ...] = get_args(Target)

UNTRAINED, PIXELS = "untrained", "pixels"
"""The references' depths: features of the encoder as it was drawn, and raw pixels through the same U-Nets."""

WORDS = {
    "h": "encoder features",
    "hidden": "the head's last hidden layer",
    "z": "the head's output",
    UNTRAINED: "features of the untrained encoder",
    PIXELS: "raw pixels",
}
"""What is inverted, in words."""


@dataclass(frozen=True)
class Contestant:
    """Features that are inverted, and whose they are."""

    encoder: str  # the encoder's name; empty of raw pixels
    depth: str  # a key of `WORDS`
    features: Features
    size: int  # S, pixels of its images' side
    digest: str  # of all weights and numbers that the features depend on

    @property
    def label(self) -> str:
        """Depth and encoder, as a column's head has them."""
        return f"{self.depth} {self.encoder}" if self.encoder else "raw pixels"


def contestants(
    opened: Sequence[Opened],
    names: Sequence[str],
    *,
    targets: Sequence[Target] | None = None,
    space: str | None = None,
    references: bool = True,
) -> list[Contestant]:
    """What is inverted, encoder by encoder, the references last.

    z is what the head gives before it is brought to unit length, which is no part of the head.

    Args:
        opened: the encoders.
        names: theirs.
        targets: depths, in the order of `TARGETS`; None is all that an encoder has.
        space: whose head; None is the first one's.
        references: add each encoder as it was drawn, and raw pixels.

    Raises:
        InputError: an encoder lacks a depth that was asked for, or a space.
    """
    found = [one for o, name in zip(opened, names, strict=True) for one in _depths(o, name, targets, space)]
    if references:
        drawn = [
            _contestant(o, name, UNTRAINED, untrained_like(o), None) for o, name in zip(opened, names, strict=True)
        ]
        found += reversed(
            {one.digest: one for one in reversed(drawn)}.values()
        )  # equal networks once, by the first one's name
        for size in dict.fromkeys(o.size for o in opened):
            found.append(Contestant("", PIXELS, pixels, size, f"pixels {size}"))
    return found


def _depths(opened: Opened, name: str, targets: Sequence[Target] | None, space: str | None) -> list[Contestant]:
    head = _head(opened, name, space, needed=targets is not None and targets != ("h",))
    there: dict[Target, nn.Module | None] = {"h": None}
    hidden = None if head is None else hidden_layers(head)
    if hidden is not None:
        there["hidden"] = hidden
    if head is not None:
        there["z"] = head
    for target in targets or ():
        if target not in there:
            raise InputError(
                f"the head of {name} is one linear layer and has no hidden output to invert; leave `hidden` out of "
                "--targets"
            )
    wanted = [target for target in TARGETS if target in (targets or there)]
    return [_contestant(opened, name, target, opened.encoder, there[target]) for target in wanted]


def _head(opened: Opened, name: str, space: str | None, *, needed: bool) -> nn.Module | None:
    """The space's head; None of an encoder without heads, where it is not needed."""
    if space is not None and opened.heads and space not in opened.heads:
        raise InputError(f"{name} has no space {space!r}; use one of {', '.join(opened.heads)}")
    if opened.heads:
        return opened.heads[space or next(iter(opened.heads))]
    if needed or space is not None:
        raise InputError(
            f"{name} has no projection head, so only h can be inverted; give the folder of a run with its checkpoints, "
            "or ask for --targets h"
        )
    return None


def _contestant(opened: Opened, name: str, depth: str, encoder: nn.Module, head: nn.Module | None) -> Contestant:
    tensors = {
        **encoder.state_dict(),
        **({} if head is None else {f"head.{k}": v for k, v in head.state_dict().items()}),
    }
    digest = digest_of(f"{depth} {opened.size}", {**tensors, "mean": opened.mean, "std": opened.std})
    features = features_of(encoder, head, opened.mean, opened.std)
    return Contestant(name, depth, features, opened.size, digest)
