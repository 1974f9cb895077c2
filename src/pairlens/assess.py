"""Evaluating a run as a user means it: from a run folder to accuracies beside their baselines, kept in the folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from pairlens.assemble import untrained_encoder
from pairlens.environment import apply
from pairlens.evaluate.nearest import neighbour_arrays
from pairlens.evaluate.protocol import EPOCHS, NAMES, Solver, evaluate
from pairlens.judge import judge_crops, lines, open_classifier, open_judgement
from pairlens.opened import load_trained
from pairlens.place import find_place
from pairlens.record.disk import write_arrays
from pairlens.record.files import tell_unreadable
from pairlens.record.run import Run, write_json
from pairlens.reopen import open_run_source, recall, recorded_colours

Say = Callable[[str], None]


def assess(
    run: Run,
    *,
    solver: Solver = "lbfgs",
    epochs: int = EPOCHS,
    seed: int = 0,
    baselines: bool = True,
    classifier: Path | None = None,
    say: Say = print,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Any]:
    """Evaluate a run's encoder against both baselines; write `evaluation.json` and `neighbours.npz` in its folder.

    A finished run's encoder is taken, or else that of its newest checkpoint. `solver` and `epochs` are those of
    the linear read-out, as `pairlens.evaluate.protocol.evaluate` says. Without `baselines` the encoder alone is
    measured, which is much faster where there are many images. With the folder of a supervised run as `classifier`
    the run's crops are judged by it first, which writes `semantics.json` (`pairlens.judge`).

    Raises:
        InputError: there is nothing to evaluate yet, weights are damaged, the source has changed, or it
            cannot be evaluated so.
    """
    call, info = run.call, run.info
    recipe, machine = recall(run)
    place = find_place(machine)
    apply(place)
    encoder = untrained_encoder(recipe.network, place.precision, call["seed"], info["size"], recipe.method.heads)
    step = load_trained(run, encoder)
    judgement = None
    if classifier is not None:
        judgement = open_judgement(run, recipe, open_classifier(classifier, place), place)
    source = open_run_source(run, say, lambda done, total: progress("reading images", done, total))
    if judgement is not None:
        judged = judge_crops(
            judgement, source, seed=seed, progress=lambda done, total: progress("judging crops", done, total)
        )
        say(lines(judged))
    random_encoder = (
        untrained_encoder(recipe.network, place.precision, call["seed"], info["size"], recipe.method.heads)
        if baselines
        else None
    )
    mean, std = (colour.to(place.device) for colour in recorded_colours(run))
    sight: dict[str, Any] = {"size": info["size"], "mean": mean, "std": std}
    sight |= {"device": place.device, "precision": place.precision}
    for network in (encoder, random_encoder):
        if network is not None:
            network.to(place.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    result = evaluate(
        encoder,
        random_encoder,
        source,
        seed=seed,
        plan=recipe.views.plan(),
        solver=solver,
        epochs=epochs,
        say=say,
        progress=lambda done, total: progress("encoding images", done, total),
        **sight,
    )
    result |= {"step": step, "training_seed": call["seed"]}
    write_json(run.folder / "evaluation.json", result)
    say("finding the nearest neighbours of some images")
    arrays = neighbour_arrays(
        encoder, source, seed=seed, progress=lambda done, total: progress("encoding images", done, total), **sight
    )
    write_arrays(run.folder / "neighbours.npz", arrays)
    tell_unreadable(run.folder, source, say)
    return result


def table(result: dict[str, Any]) -> str:
    """The accuracies as lines for a terminal; baselines that were not measured have none."""
    lines = []
    if result["test"] is not None:
        data = result["data"]
        lines.append(f"top-1 accuracy on {data['test']:,} test images (top-5)")
        lines.append(f"  {'':17} {'kNN':>16} {'linear':>16}")
        for name, row in result["test"].items():
            cells = (row[protocol] for protocol in ("knn", "linear"))
            shares = (f"{cell['top1']:>8.1%} ({cell['top5']:.1%})" for cell in cells)
            lines.append("  " + " ".join([f"{NAMES[name]:17}", *shares]))
        lines.append(f"  seeds: {result['training_seed']} of the training, {result['seed']} of the read-out")
    found = result["retrieval"]
    if found is not None:
        lines.append(f"finding another view of the same image among {found['images']:,}: top-1 (top-5)")
        for name, label in NAMES.items():
            if name in found:
                lines.append(f"  {label:17} {found[name]['top1']:>8.1%} ({found[name]['top5']:.1%})")
    return "\n".join(lines)
