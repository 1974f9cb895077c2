"""What a run's encoder keeps: the rotation task and probes of known factors, from a run folder to `kept.json` in it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import torch

from pairlens.errors import InputError
from pairlens.evaluate.factors import find_factors, tell_factor
from pairlens.evaluate.features import counted, encode, pooled_pixels
from pairlens.evaluate.parts import Part, parted_anyhow
from pairlens.evaluate.protocol import NAMES, Contestants, Sight
from pairlens.evaluate.rotation import IMAGES, TURNS, tell_rotation
from pairlens.evaluate.told import Told
from pairlens.opened import open_measured, untrained_like
from pairlens.record.files import tell_unreadable
from pairlens.record.run import Run, write_json
from pairlens.words import timestamp

Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]
Probe = Literal["rotation", "factors"]
PROBES: tuple[Probe, ...] = get_args(Probe)
NONE = "\u2013"
CALLED = {"rotation": "lean"}
"""What the report, too, calls the factor that has the name of the rotation task."""

MEASURES = {"accuracy": "accuracy", "r2": "R2"}


def measure_kept(
    run: Run,
    *,
    probes: tuple[Probe, ...] = PROBES,
    seed: int = 0,
    baselines: bool = True,
    say: Say = print,
    progress: Progress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Probe what a run's encoder keeps, beside the untrained encoder and raw pixels; write `kept.json` in its folder.

    The result is JSON: `date`, `seed`, `training_seed`, `step`, `seconds`, `data` (how many images) and `probes`. Of
    `probes`, "rotation" is one result, that of `pairlens.evaluate.rotation`, with each encoder's confusions; "factors"
    holds a result for each factor (`pairlens.evaluate.factors`) with its `kind`; `skipped` says why others have none.
    A result has `measure` ("accuracy" or "r2"), `chance`, and for each of "encoder", "random" and "pixels" `value`,
    `error` (standard error over the test images) and `strength` (of the read-out's L2 penalty). What an earlier call
    measured of the same encoder with the same seed stays, unless it is measured again.

    Args:
        run: a finished run, or one with a checkpoint.
        probes: what to measure; "factors" needs labels, boxes or known factors (`scenes` has them all).
        seed: of the images that are turned, and of those that are held out to choose the regularisation.
        baselines: measure the untrained encoder and raw pixels, too.
        say: told in a sentence what is being done.
        progress: told how many images of how many are encoded.

    Raises:
        InputError: there is no encoder yet, weights are damaged, or the source has changed.
    """
    began = time.perf_counter()
    opened, source = open_measured(run, say, progress)
    contestants: Contestants = {"encoder": opened.encoder}
    if baselines:
        contestants |= {"random": untrained_like(opened, run.call["seed"]), "pixels": None}
    train, test = parted_anyhow(source, seed)
    sight = opened.sight()
    found: dict[str, Any] = {}
    measures = {"rotation": _rotation, "factors": _factors}
    for probe in dict.fromkeys(probes):
        found |= measures[probe](contestants, train, test, sight, seed, say, progress)
    same = {"step": opened.step, "training_seed": run.call["seed"], "seed": seed}
    result = {
        "date": timestamp(),
        **same,
        "seconds": round(time.perf_counter() - began, 2),
        "data": {"train": len(train), "test": len(test)},
        "probes": _before(run, same) | found,
    }
    write_json(run.folder / "kept.json", result)
    tell_unreadable(run.folder, source, say)
    return result


def _before(run: Run, same: Mapping[str, Any]) -> dict[str, Any]:
    """What an earlier call found of the same encoder with the same seed; nothing where that cannot be read."""
    try:
        before = Run(run.folder).kept or {}
        return dict(before["probes"]) if all(before[name] == value for name, value in same.items()) else {}
    except (InputError, KeyError, TypeError, ValueError):
        return {}


def _rotation(
    contestants: Contestants, train: Part, test: Part, sight: Sight, seed: int, say: Say, progress: Progress
) -> dict[str, Any]:
    """The rotation task with every contestant."""
    say("telling by which quarter turn images are turned")
    images = {"train": min(IMAGES, len(train)), "test": min(IMAGES, len(test))}
    views = TURNS * len(contestants) * sum(images.values())
    sight = replace(sight, progress=counted(lambda done, total: progress("encoding views", done, total), views))
    told = {
        name: tell_rotation(
            pooled_pixels if network is None else partial(encode, network, precision=sight.precision),
            train,
            test,
            sight,
            seed=seed,
        )
        for name, network in contestants.items()
    }
    result = _result(told) | {"turns": TURNS, "images": images}
    for name, one in told.items():
        assert one.confusion is not None
        result[name]["confusion"] = one.confusion.tolist()
    return {"rotation": result}


def _factors(
    contestants: Contestants, train: Part, test: Part, sight: Sight, seed: int, say: Say, progress: Progress
) -> dict[str, Any]:
    """All factors with every contestant."""
    factors, skipped = find_factors(train, test)
    networks = sum(network is not None for network in contestants.values()) if factors else 0
    total = networks * (len(train) + len(test))
    sight = replace(sight, progress=counted(lambda done, total: progress("encoding images", done, total), total))
    told: dict[str, dict[str, Told]] = {factor.name: {} for factor in factors}
    for name, network in contestants.items() if factors else ():
        say(f"telling {', '.join(told)}: {NAMES[name]}")
        fitted, tested = (sight.features(network, part) for part in (train, test))
        for factor in factors:
            told[factor.name][name] = tell_factor(factor, fitted, tested, torch.Generator().manual_seed(seed))
    found = {factor.name: _result(told[factor.name]) | {"kind": factor.kind} for factor in factors}
    return {"factors": found, "skipped": skipped}


def _result(told: Mapping[str, Told]) -> dict[str, Any]:
    first = next(iter(told.values()))
    return {"measure": first.measure, "chance": first.chance} | {name: one.record() for name, one in told.items()}


def kept_table(result: Mapping[str, Any]) -> str:
    """What was measured as lines for a terminal."""
    probes = result["probes"]
    rows = [("4 rotations", probes["rotation"])] if "rotation" in probes else []
    rows += [(CALLED.get(name, name), one) for name, one in probes.get("factors", {}).items()]
    lines = [f"what a linear layer tells from the features, on {result['data']['test']:,} test images"]
    who = [one for one in NAMES if any(one in row for _, row in rows)]
    lines.append(f"  {'':21} {'':9}" + "".join(f" {NAMES[one]:>18}" for one in who) + "   by chance")
    for name, row in rows:
        form = "{:.1%}" if row["measure"] == "accuracy" else "{:.3f}"
        cells = "".join(f" {form.format(row[one]['value']) if one in row else NONE:>18}" for one in who)
        chance = f"{row['chance']:.1%}" if row["measure"] == "accuracy" else "0"
        lines.append(f"  {name:21} {MEASURES[row['measure']]:9}{cells}   {chance}")
    lines += [f"  {name}: not asked for, {why}" for name, why in probes.get("skipped", {}).items()]
    lines.append(f"  seeds: {result['training_seed']} of the training, {result['seed']} of the read-out")
    return "\n".join(lines)
