"""A probe's numbers as JSON: `probe.json`, beside the page."""

import math
from collections.abc import Mapping
from typing import Any

import pairlens
from pairlens.environment import describe
from pairlens.evaluate.invariance import FOLDS, Estimate, Similar, Traces
from pairlens.probing import verdict
from pairlens.probing.verdict import headline
from pairlens.probing.whole import Probe, Probing


def record(probing: Probing) -> dict[str, Any]:
    """All numbers.

    `date`, `seed`, `seconds`, `version`, `environment`; `source`, `which` (of its images), `images`, `curve` (images of
    the curves), `folds`; `thresholds` of the verdicts; and `encoders`, a list of records: `name`, `what` was opened,
    `space` (None for the encoder itself), `size` of the views, `training` (None where it is not known), `headline` (all
    verdicts in a sentence), `advice` (None for a space), and `alterations` by name. Of these each has `group`, `unit`,
    `measure` ("accuracy", of which chance is taken off, or "r2"), `verdict`, `sure`, `share` (of what the reference
    reads off), `sentences`, and for "encoder", "untrained" and "pixels" the `invariance`, the `predictability` (each
    `value` and standard `error`) and the `curve`. What is not known is None.
    """
    subject = probing.subject
    limits = {name: getattr(verdict, name) for name in ("NEAR", "FAR", "LOST", "KEPT", "READABLE", "FAINT", "SURE")}
    return {
        "date": probing.date,
        "seed": subject.seed,
        "seconds": probing.seconds,
        "version": pairlens.__version__,
        "environment": describe(subject.encoders[0].place),
        "source": subject.source,
        "which": subject.which,
        "images": len(subject.part),
        "curve": probing.curve,
        "folds": FOLDS,
        "thresholds": {name.lower(): value for name, value in limits.items()},
        "encoders": [_encoder(probe) for probe in probing.probes],
    }


def _encoder(probe: Probe) -> dict[str, Any]:
    training, advice = probe.training, probe.advice
    return {
        "name": probe.name,
        "what": probe.opened.name,
        "space": None if probe.reader == "encoder" else probe.reader,
        "size": probe.opened.size,
        "training": training
        and {
            "recipe": training.recipe,
            "trained": training.trained,
            "varied": sorted(training.varied),
            "apart": list(training.apart),
        },
        "headline": headline(probe.verdicts),
        "advice": advice and {"worth": advice.worth, "sentence": advice.sentence, "command": advice.command},
        "alterations": {a.name: _alteration(probe, a.name) for a in probe.alterations},
    }


def _alteration(probe: Probe, name: str) -> dict[str, Any]:
    judged = probe.verdicts[name]
    alteration = next(a for a in probe.alterations if a.name == name)
    return {
        "group": alteration.group,
        "unit": alteration.unit,
        "measure": "accuracy" if alteration.classes else "r2",
        "verdict": judged.kind,
        "sure": judged.sure,
        "share": _known(judged.share),
        "sentences": list(judged.sentences),
        "encoder": _traces(probe.own(name)),
        **_references(probe.traces[name], probe.reader),
    }


def _references(traces: Mapping[str, Traces], reader: str) -> dict[str, Any]:
    return {name: _traces(one) for name, one in traces.items() if name != reader}


def _traces(traces: Traces) -> dict[str, Any]:
    return {
        "invariance": _estimate(traces.invariance),
        "predictability": _estimate(traces.told),
        "curve": [_similar(one) for one in traces.curve],
    }


def _similar(one: Similar) -> dict[str, Any]:
    found = {"own": one.own, "other": one.other, "invariance": one.invariance}
    return {"strength": one.strength} | {name: _estimate(estimate) for name, estimate in found.items()}


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {"value": _known(estimate.value), "error": _known(estimate.error)}


def _known(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
