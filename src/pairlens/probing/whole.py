"""Everything that a probe finds out, computed in one go.

B images of a batch, S pixels of a view's side, D features.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from pairlens.errors import InputError
from pairlens.evaluate.alterations import Alteration, alterations
from pairlens.evaluate.features import encode
from pairlens.evaluate.invariance import Traces, altered_views, pixels, trace, views_of
from pairlens.evaluate.parts import Part
from pairlens.evaluate.protocol import Sight
from pairlens.evaluate.retrieval import Encode
from pairlens.opened import Opened, untrained_like
from pairlens.probing.advice import Advice, Training, advise, training_of
from pairlens.probing.subject import Subject
from pairlens.probing.verdict import Verdict, judge
from pairlens.words import duration, timestamp

Advance = Callable[[str, int, int, str], None]  # what is done, how much, of how much, a detail

SHOWN = 128
"""Pixels of a shown picture's side, where the encoder sees more."""

AMONG = 64
"""The picture that is shown is the most colourful of so many."""


@dataclass(frozen=True)
class Probe:
    """What was found out about one encoder, or about one space of it."""

    name: str
    reader: str  # "encoder", or the space's name
    opened: Opened
    alterations: tuple[Alteration, ...]
    traces: Mapping[str, Mapping[str, Traces]]  # by alteration, then by reader: this one and the references
    verdicts: Mapping[str, Verdict]  # by alteration
    training: Training | None
    advice: Advice | None  # of an encoder; its spaces are as they are meant to be

    def own(self, alteration: str) -> Traces:
        """What its own features make of an alteration."""
        return self.traces[alteration][self.reader]


@dataclass(frozen=True)
class Strip:
    """One picture under an alteration: as it is, then by strength."""

    pictures: tuple[UInt8[np.ndarray, "3 S S"], ...]
    strengths: tuple[float, ...]  # the first is the neutral one


@dataclass(frozen=True)
class Probing:
    """What was found out about all encoders of a subject."""

    subject: Subject
    probes: tuple[Probe, ...]
    strips: Mapping[str, Strip]  # by alteration, as the first encoder sees them
    curve: int  # images of the curves
    seconds: float
    date: str


def probe(
    subject: Subject, *, spaces: bool = False, advance: Advance = lambda what, done, total, detail: None
) -> Probing:
    """Probe every encoder of a subject; the same seed gives the same result.

    Args:
        subject: encoders and images.
        spaces: probe each space of an encoder that has its heads, too.
        advance: told how far it is, with rate and time left.

    Raises:
        InputError: features are not finite, or do not differ between images.
    """
    began, copies = time.perf_counter(), _copies(subject.part)
    count = len(subject.part)
    curve = max(32, min(256, count // 4))
    altered = [alterations(one.size, copies) for one in subject.encoders]
    total = sum(views_of(a, count, curve) for each in altered for a in each)
    told = _telling(advance, total)
    probes: list[Probe] = []
    for opened, name, each in zip(subject.encoders, subject.names, altered, strict=True):
        readers = _readers(opened, spaces)
        sight = opened.sight(told)
        _check_varied(readers["encoder"], name, subject.part, each[0], sight)
        traces = {
            a.name: trace(readers, subject.part, a, sight, seed=subject.seed * len(each) + k, curve=curve)
            for k, a in enumerate(each)
        }
        probes += _judged(
            opened, name, each, traces, tuple(r for r in readers if r not in ("untrained", "pixels")), subject
        )
    strips = _strips(subject, altered[0])
    seconds = round(time.perf_counter() - began, 2)
    return Probing(subject, tuple(probes), strips, min(curve, count), seconds, timestamp())


def _judged(
    opened: Opened,
    name: str,
    each: tuple[Alteration, ...],
    traces: Mapping[str, Mapping[str, Traces]],
    readers: tuple[str, ...],
    subject: Subject,
) -> list[Probe]:
    training = training_of(opened.run)
    found = []
    for reader in readers:
        seen = {a: {r: t for r, t in of.items() if r in (reader, "untrained", "pixels")} for a, of in traces.items()}
        verdicts = {a: judge(a, of, reader) for a, of in seen.items()}
        levels = {a: of[reader].invariance.value for a, of in seen.items()}
        label = name if reader == "encoder" else f"{name}, space {reader}"
        advice = advise(verdicts, levels, training, subject.source) if reader == "encoder" else None
        found.append(Probe(label, reader, opened, each, seen, verdicts, training, advice))
    return found


def _readers(opened: Opened, spaces: bool) -> dict[str, Encode]:
    """The encoder, its spaces, the same network untrained, and pixels."""
    precision = opened.place.precision

    def embed(head: nn.Module, views: Float[Tensor, "B 3 S S"]) -> Float[Tensor, "B D"]:
        with torch.no_grad():
            return head(encode(opened.encoder, views, precision)).float()

    found: dict[str, Encode] = {"encoder": partial(encode, opened.encoder, precision=precision)}
    if spaces:
        found |= {space: partial(embed, head) for space, head in opened.heads.items()}
    untrained = untrained_like(opened)
    return found | {"untrained": partial(encode, untrained, precision=precision), "pixels": pixels}


def _check_varied(encoder: Encode, name: str, part: Part, alteration: Alteration, sight: Sight) -> None:
    """Refuse an encoder that has collapsed: nothing can be told from features that are all alike."""
    few = Part(part.images, part.index[:32])
    neutral = torch.tensor(alteration.neutral).repeat(len(few), 1)
    views = next(altered_views(few, neutral, alteration, sight))
    features = encoder(views)
    if not float(features.std(0).max()) > 1e-5 * float(features.abs().max()):
        raise InputError(
            f"the encoder {name} gives all images the same features: it has collapsed, and there is nothing to probe"
        )


def _copies(part: Part) -> int:
    """How many copies of another texture there are of each image."""
    return 0 if part.images.styles is None else len(part.images.styles)


def _telling(advance: Advance, total: int) -> Callable[[int], None]:
    began, done = time.monotonic(), 0

    def told(views: int) -> None:
        nonlocal done
        done += views
        rate = done / max(1e-9, time.monotonic() - began)
        advance("probing", done, total, f"{rate:,.0f} views/s  {duration((total - done) / rate)} left")

    return told


def _strips(subject: Subject, each: tuple[Alteration, ...]) -> dict[str, Strip]:
    """One picture at all strengths, as the first encoder sees it but for its colours' normalisation."""
    sight = Sight(max(subject.encoders[0].size, 32), None, None)
    if sight.size > SHOWN:
        sight = Sight(SHOWN, None, None)
    one = _colourful(subject.part, sight, each[0])
    generator = torch.Generator().manual_seed(subject.seed)
    found = {}
    for alteration in each:
        values = [torch.tensor([alteration.neutral])]
        values += [alteration.at(strength, 1, generator) for strength in alteration.strengths]
        same = Part(subject.part.images, one.repeat(len(values)))
        views = torch.cat(list(altered_views(same, torch.cat(values), alteration, sight)))
        shown = tuple(view.clamp(0, 1).mul(255).round().byte().numpy() for view in views)
        found[alteration.name] = Strip(shown, (alteration.neutral[0], *alteration.strengths))
    return found


def _colourful(part: Part, sight: Sight, alteration: Alteration) -> Tensor:
    """The image whose pixels differ most in colour and shade: what is done to it is seen best."""
    few = Part(part.images, part.index[:AMONG])
    neutral = torch.tensor(alteration.neutral).repeat(len(few), 1)
    views = torch.cat(list(altered_views(few, neutral, alteration, sight)))
    colour = (views.amax(1) - views.amin(1)).mean((1, 2))
    spread = views.mean(1).flatten(1).std(1)
    return few.index[int((colour * spread).argmax())][None]
