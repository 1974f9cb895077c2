"""Evidence as a healthy run gives it, with what a test wants to be otherwise."""

from dataclasses import replace
from typing import Any

from pairlens.health.course import PARTS, Course
from pairlens.health.evidence import Evidence, Space

HEALTHY = {
    "loss": 5.0,
    "accuracy": 0.6,
    "positive_mean": 0.75,
    "raw_positive_mean": 0.75,
    "raw_positive_variance": 0.02,
    "raw_negative_mean": 0.03,
    "raw_negative_variance": 0.04,
    "feature_std": 0.9,
    "effective_rank": 25.0,
    "effective_negatives": 400.0,
    "negatives_above": 0.002,
    "batch_negative_mean": 0.05,
}
ARGUMENTS = {
    "optimizer": "sgd",
    "lr": 0.12,
    "momentum": 0.99,
    "negatives": 4096,
    "temperature": 0.1,
    "dim": 128,
    "schedule": "cosine",
    "weight_decay": 5e-4,
    "extrapolate": None,
}


def flat(value: float, unrest: float = 0.0) -> Course:
    """A course that never changed."""
    value = float(value)
    return Course((value,) * PARTS, value, unrest)


def course(*parts: float) -> Course:
    """A course of equally long pieces."""
    spread = tuple(float(part) for part in parts for _ in range(PARTS // len(parts)))
    return Course(spread, spread[-1], 0.0)


def space(negatives: float = 4096, temperature: float = 0.1, name: str = "z", **statistics: float | Course) -> Space:
    """A space with some statistics otherwise; numbers are courses that never changed."""
    courses = {k: v if isinstance(v, Course) else flat(v) for k, v in (HEALTHY | statistics).items()}
    return Space(name, float(negatives), float(temperature), courses)


def evidence(arguments: dict[str, Any] | None = None, **changes: Any) -> Evidence:
    """A healthy, finished run of 1000 steps with a queue, with some things otherwise.

    What is a statistic of a space becomes the space's; `arguments` are added to the usual ones.
    """
    own = {k: changes.pop(k) for k in [*changes] if (k in HEALTHY and k != "loss") or k in ("negatives", "temperature")}
    usual = Evidence(
        rows=1000,
        last_step=999,
        share=1.0,
        epochs=12.0,
        arguments=ARGUMENTS | (arguments or {}),
        source="queue",
        images=50_000.0,
        batch=128.0,
        spaces=(space(**own),),
        loss=course(8.0, 6.5, 5.5, 5.2, 5.0),
        gradient=flat(1.2),
        rate=0.01,
        quality={"h.alignment": 0.3, "h.uniformity": -1.3, "h.rankme": 50.0},
        waiting=0.02,
    )
    numbers = {k: float(v) for k, v in changes.items() if k in ("images", "share", "rate")}
    return replace(usual, **changes | numbers)
