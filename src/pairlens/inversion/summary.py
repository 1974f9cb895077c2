"""What inversions say, in numbers and in words.

N images, M draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pairlens.intervals import Estimate, interval
from pairlens.inversion.contestants import PIXELS, TARGETS, UNTRAINED
from pairlens.inversion.whole import SCORES, Found

CONVERGED = 0.02
"""Feature errors up to this, as a share of the distance between different images, are called converged."""

NAMES = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "layout": "layout, dB",
    "recognised": "recognised, %",
    "error": "feature error, %",
}
DIGITS = {"psnr": 1, "ssim": 3, "layout": 1, "recognised": 0, "error": 2}
PERCENT = ("recognised", "error")


def estimate(found: Found, name: str) -> Estimate:
    """A score's mean over images and draws, and its 95 % interval over images."""
    return interval([float(value) for value in found.scores[name].mean(0)])


def difference(one: Found, other: Found, name: str) -> Estimate:
    """How much more one has of a score than the other: the same images, paired."""
    return interval([float(value) for value in one.scores[name].mean(0) - other.scores[name].mean(0)])


def shown(name: str, value: Estimate, sign: str = "") -> str:
    """A score with its interval, as tables have it."""
    scale, digits = (100 if name in PERCENT else 1), DIGITS[name]
    text = f"{scale * value.mean:{sign}.{digits}f}".replace("-", "\u2212")
    return text if value.half is None else f"{text} \u00b1 {scale * value.half:.{digits}f}"


def converged(found: Found) -> bool:
    """Whether the reconstructions have nearly the features that they were to have."""
    return estimate(found, "error").mean <= CONVERGED


def compared(found: Sequence[Found]) -> list[tuple[Found, Found, str]]:
    """What is worth comparing, and how it belongs together: h between encoders, and each h with what comes of it."""
    h = [one for one in found if one.contestant.depth == "h"]
    pairs = [(a, b, "between") for i, a in enumerate(h) for b in h[i + 1 :]]
    for first in h:
        own = [one for one in found if one.contestant.encoder == first.contestant.encoder]
        pairs += [(first, one, "within") for one in own if one.contestant.depth in TARGETS[1:]]
        pairs += [(first, one, "trained") for one in found if one.contestant.depth == UNTRAINED][:1]
    return [(a, b, kind) for a, b, kind in pairs if a.contestant.size == b.contestant.size]


def sentences(found: Sequence[Found], mean: Mapping[int, Mapping[str, np.ndarray]]) -> list[str]:
    """The findings, each in plain words; `mean` is what the mean image scores, by size."""
    said = _kept(found, mean)
    for one, other, kind in compared(found):
        by = difference(one, other, "layout")
        if by.half is None or abs(by.mean) <= by.half:
            verdict = "reconstruct images equally well, as far as these images can tell"
            said.append(f"{_of(one)} and {_of(other)} {verdict} ({_by(by)}).")
            continue
        better, worse = (one, other) if by.mean > 0 else (other, one)
        tail = {
            "within": "what the head takes away is gone behind it" if by.mean > 0 else "the head hides nothing here",
            "between": f"the encoder {better.contestant.encoder} keeps more of the image",
            "trained": "training made the encoder keep more" if by.mean > 0 else "training threw away what chance kept",
        }[kind]
        said.append(f"{_of(better)} reconstructs images better than {_of(worse)} ({_by(by)}): {tail}.")
    return said


def warnings(found: Sequence[Found], missing: Sequence[str]) -> list[str]:
    """What stands against believing the pictures."""
    said = []
    loose = [one for one in found if not converged(one)]
    if loose:
        worst = max(loose, key=lambda one: estimate(one, "error").mean)
        said.append(
            f"The optimisation has not converged for {', '.join(one.contestant.label for one in loose)}: up to "
            f"{100 * estimate(worst, 'error').mean:.0f} % of the distance between different images is left, so poor "
            "pictures may be the fit's fault; give more `--iterations`."
        )
    if missing:
        said.append(f"Not finished: {', '.join(missing)}; the same command goes on with it.")
    if len({one.contestant.size for one in found}) > 1:
        said.append("The encoders see images at different sizes; scores are comparable at one size only.")
    return said


def record(found: Sequence[Found], mean: Mapping[int, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Scores and differences for JSON; `mean` is what the mean image scores, by size."""
    rows = [
        {
            "encoder": one.contestant.encoder,
            "depth": one.contestant.depth,
            "size": one.contestant.size,
            "draws": len(one.scores["psnr"]),
            **{name: asdict(estimate(one, name)) for name in SCORES},
        }
        for one in found
    ]
    return {
        "scores": rows,
        "differences": [
            {
                "of": one.contestant.label,
                "from": other.contestant.label,
                **{name: asdict(difference(one, other, name)) for name in SCORES if name != "error"},
            }
            for one, other, _ in compared(found)
        ],
        "mean_image": {
            str(size): {name: asdict(interval(value.tolist())) for name, value in scores.items()}
            for size, scores in mean.items()
        },
    }


def _kept(found: Sequence[Found], mean: Mapping[int, Mapping[str, np.ndarray]]) -> list[str]:
    """What of layout and colours each encoder keeps at each depth, between nothing and all."""
    said = []
    for encoder in dict.fromkeys(one.contestant.encoder for one in found):
        own = [one for one in found if one.contestant.encoder == encoder and one.contestant.depth in TARGETS]
        if own:
            size = own[0].contestant.size
            depths = ", ".join(f"{one.contestant.depth} {estimate(one, 'layout').mean:.1f}" for one in own)
            marks = [f"a mean image has {float(mean[size]['layout'].mean()):.1f}"]
            whole = [one for one in found if one.contestant.depth == PIXELS and one.contestant.size == size]
            marks += [f"raw pixels give {estimate(one, 'layout').mean:.1f}" for one in whole]
            said.append(f"{encoder} keeps of layout and colours, in dB: {depths}; {' and '.join(marks)}.")
    return said


def _of(one: Found) -> str:
    return f"{one.contestant.depth} of {one.contestant.encoder}"


def _by(by: Estimate) -> str:
    half = "" if by.half is None else f" \u00b1 {by.half:.1f}"
    return f"layout and colours {abs(by.mean):.1f}{half} dB apart"
