"""Whether LooC is worth trying: what an encoder has lost, against what it was trained to lose."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from pairlens.draw import Draw
from pairlens.probing.verdict import FAR, Verdict
from pairlens.probing.words import WORDS
from pairlens.recipes import RECIPES
from pairlens.record.run import Run
from pairlens.reopen import recall
from pairlens.report.text import listed
from pairlens.views.params import GROUPS
from pairlens.views.plans import key_of

DECISIVE: Mapping[str, tuple[str, ...]] = {
    "color": ("hue", "gray"),
    "rotation": ("rotation",),
    "texture": ("texture",),
}
"""The augmentations that LooC has spaces for, and the alterations that tell whether they are lost.

The others that are drawn with the colours are seldom what a task is about.
"""

NOUNS = {"color": "colour", "rotation": "rotation", "texture": "texture"}


@dataclass(frozen=True)
class Training:
    """What is known of how an encoder was trained."""

    recipe: str
    trained: bool
    varied: frozenset[str]  # augmentations in which two views of an image differ: keys of `GROUPS`
    apart: tuple[str, ...]  # those with a space of their own (LooC)
    fanned: bool = False  # each space has a last stage of its own (LooC++)


@dataclass(frozen=True)
class Advice:
    """Whether LooC is worth trying, why, and what to type."""

    worth: bool
    sentence: str
    command: str | None = None


def training_of(run: Run | None) -> Training | None:
    """How a run was trained: which augmentations its views were drawn with; None where nobody knows."""
    if run is None:
        return None
    recipe, _ = recall(run)
    aside, count = torch.Generator().manual_seed(0), 256
    sizes = torch.full((count, 2), int(run.info["size"]))
    views = recipe.plan()(Draw(torch.arange(count), sizes, 0, 0, aside, aside))
    first = next(iter(views.values()))
    other = views.get("key", first.rows(torch.arange(count).roll(1)))
    varied = frozenset(group for group in GROUPS if not first.agrees(other, group).all())
    apart = tuple(g for g in GROUPS if key_of(g) in views)
    return Training(recipe.name, recipe.method.trains, varied, apart, recipe.network.last_stage == "own")


def advise(
    verdicts: Mapping[str, Verdict], levels: Mapping[str, float], training: Training | None, source: str
) -> Advice:
    """Advise by what is lost; `levels` are the alterations' invariances.

    An augmentation is lost if the encoder is blind to one of its decisive alterations, and dulled if it is blind in
    part to one that leaves features nearer than `FAR`.
    """
    if training is not None and not training.trained:
        return Advice(False, "This encoder is untrained; train one first, and probe that.")
    probed = {g: [n for n in names if n in verdicts] for g, names in DECISIVE.items()}
    lost = [g for g, names in probed.items() if any(verdicts[n].kind == "blind" for n in names)]
    dull = [
        g
        for g, names in probed.items()
        if g not in lost and any(verdicts[n].kind == "partly" and levels[n] > FAR for n in names)
    ]
    apart = training.apart if training else ()
    again = [g for g in DECISIVE if g in (*lost, *dull) and g in apart]
    wanted = [g for g in DECISIVE if g in (*lost, *dull) and g not in apart]
    if wanted:
        return Advice(True, _why(wanted, lost, training, verdicts), command_for(wanted, training, source))
    if training is not None and again:
        return Advice(False, _already(again, training.fanned))
    kept = listed([NOUNS[g] for g, names in probed.items() if names])
    extra = f" It was trained by LooC, with a space for {_nouns(apart)}." if apart else ""
    return Advice(False, f"No: nothing that LooC could give back is lost; it keeps {kept}.{extra}")


def command_for(groups: Sequence[str], training: Training | None, source: str) -> str:
    """What to type: LooC in the same family of recipes, with views that are turned or textured only if asked for."""
    family = training.recipe.rpartition(".")[0] if training else ""
    recipe = f"{family}.looc" if f"{family}.looc" in RECIPES else "looc"
    words = ["pairlens", "train", source, "--recipe", recipe, "--designated", *groups]
    if "rotation" not in groups and not (training and "rotation" in training.varied):
        words += ["--rotation", "0"]
    if "texture" in groups:
        words += ["--texture", "0.5"]
    return shlex.join(words)


def _why(wanted: Sequence[str], lost: Sequence[str], training: Training | None, verdicts: Mapping[str, Verdict]) -> str:
    needs = " or ".join(f"{NOUNS[g]} ({_needs(g, verdicts)})" for g in wanted)
    state = "is blind to" if all(g in lost for g in wanted) else "has lost some or all of"
    said = f"Yes, if your task needs {needs}: this encoder {state} {_nouns(wanted)}"
    if training is None:
        return f"{said}, whatever it was trained with. LooC keeps each in a space of its own."
    taught = [g for g in wanted if g in training.varied]
    if taught:
        why = f"because its training draws {_nouns(taught)} anew for each view"
    else:
        why = f"although its training does not change {_nouns(wanted)}"
    return f"{said}, {why}. LooC keeps each in a space of its own."


def _already(groups: Sequence[str], fanned: bool) -> str:
    stages = "" if fanned else "give each a last stage of its own (`--last-stage own`), "
    return (
        f"LooC has been tried: there is a space for {_nouns(groups)}, and yet the encoder is blind to it, at least in "
        f"part. Look at the spaces themselves (`--spaces`), {stages}or train longer."
    )


def _needs(group: str, verdicts: Mapping[str, Verdict]) -> str:
    """The tasks of the first decisive alteration that is lost most."""
    order = {"blind": 0, "partly": 1, "keeps": 2, "faint": 3}
    worst = min((n for n in DECISIVE[group] if n in verdicts), key=lambda n: order[verdicts[n].kind])
    return WORDS[worst].needs


def _nouns(groups: Sequence[str]) -> str:
    return listed([NOUNS.get(g, g) for g in groups])
