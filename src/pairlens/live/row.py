"""A run's line in the table of runs: what is known of it, in plain numbers and harmless text."""

import math
import time
from functools import lru_cache
from typing import Any

import numpy as np

from pairlens.live.life import sentence, state_of
from pairlens.live.traces import Traces
from pairlens.report.panels.configuration import plain
from pairlens.report.read import MIXES, column, finite, step_seconds
from pairlens.report.text import clean, shorten

RECENT = 100  # steps over which loss and speed are told
LONGEST = 300  # characters of a value, or of a name


def row_of(traces: Traces, shown: str, now: float | None = None) -> dict[str, Any]:
    """What the table shows of a run, ready for JSON: numbers that are not known are None.

    Args:
        traces: the run.
        shown: its folder, as a command takes it.
        now: seconds since 1970.
    """
    info, status, tail = traces.info, traces.status, traces.tail
    recent = tail[-RECENT:]
    pace = _pace(tail)
    observed = info.get("observed") is True
    quiet = (time.time() if now is None else now) - traces.written
    state = state_of(traces.folder, status, quiet, 100 * (pace or math.nan), observed) if info else "unknown"
    told = column(tail, "step")
    step = max(_number(status.get("step")) or 0, 0 if told is None else int(told[-1]) + 1)
    steps = _number(status.get("steps")) or _number(info.get("steps"))
    an_epoch = _number(info.get("steps_per_epoch"))
    epochs = _number(status.get("epochs")) or (steps / an_epoch if steps and an_epoch else None)
    left = (steps - step) * pace if state == "running" and steps and pace else None
    notes = [*traces.trouble.values(), sentence(state, shown, observed) if info else None]
    notes += ["The loss is no longer a number."] if _broken(recent) else []
    call = _mapping(info.get("call"))
    return {
        "state": state,
        "note": " ".join(note for note in notes if note) or None,
        "recipe": _text(call.get("recipe")),
        "source": _text(call.get("source")),
        "created": _text(info.get("created")),
        "updated": _text(status.get("updated")),
        "step": step,
        "steps": steps,
        "epoch": step / an_epoch if an_epoch else _number(status.get("epoch")),
        "epochs": epochs,
        "an_epoch": an_epoch,
        "seconds": _last(tail, "seconds") or _number(status.get("seconds")),
        "left": left,
        "rate": _rate(recent),
        "loss": _mean(recent, "loss"),
        "knn": None if traces.knn is None else _number(traces.knn[1]),
        "health": _health(traces.events.health),
        "warning": traces.events.warning,
        "spaces": list(traces.spaces),
        "negatives": [_number(space.get("negatives")) for space in traces.spaces.values()],
        "transformed": any(_mapping(call.get("arguments")).get(mix) is not None for mix in MIXES),
        "histograms": (traces.folder / "histograms.npy").exists(),
    }


GRAVEST = ("ill", "watch")


def _health(said: dict[str, str]) -> str | None:
    """The gravest verdict that holds, "RULE: VERDICT: EVIDENCE", of equals the newest; None where none was told."""
    newest = list(reversed(said.values()))
    verdicts = {text: text.split(": ")[1] if text.count(": ") > 1 else "" for text in newest}
    grave = (text for verdict in GRAVEST for text in newest if verdicts[text] == verdict)
    return next(grave, next(iter(newest), None))


def arguments_of(traces: Traces) -> list[tuple[str, str]]:
    """The call's arguments as short texts, with recipe, source and the machine's."""
    call = _mapping(traces.info.get("call"))
    given = {k: call.get(k) for k in ("recipe", "source", "seed") if k in call} | _mapping(call.get("machine"))
    given |= _mapping(call.get("arguments"))
    return [
        (_key(str(k)), _value(type(v).__name__, v) if isinstance(v, SIMPLE) else _shown(v)) for k, v in given.items()
    ]


SIMPLE = (str, int, float, type(None))


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    return shorten(clean(name), 80)


@lru_cache(maxsize=16384)
def _value(kind: str, value: object) -> str:
    """A value that has a hash, in short; hundreds of runs have most of theirs in common. True is not 1."""
    return _shown(value)


def _shown(value: object) -> str:
    return shorten(clean(plain(value)), LONGEST)


def _pace(tail: np.ndarray) -> float | None:
    """Seconds from one of the last steps to the next, all that lies between them included."""
    step, seconds = column(tail, "step"), column(tail, "seconds")
    if step is None or seconds is None or len(step) < 2 or step[-1] <= step[0]:
        return None
    return _number((seconds[-1] - seconds[0]) / (step[-1] - step[0]))


def _rate(recent: np.ndarray) -> float | None:
    images, spent = column(recent, "images"), step_seconds(recent)
    return None if images is None or spent is None else _number(np.median(images / np.maximum(spent, 1e-9)))


def _mean(table: np.ndarray, name: str) -> float | None:
    values = column(table, name)
    if values is None or not np.isfinite(values[-1]):
        return None
    return _number(values[np.isfinite(values)].mean(dtype=np.float64))


def _broken(table: np.ndarray) -> bool:
    values = column(table, "loss")
    return values is not None and not bool(np.isfinite(values[-1]))


def _last(table: np.ndarray, name: str) -> float | None:
    values = column(table, name)
    return None if values is None else _number(values[-1])


def _number(value: Any) -> float | None:
    """A finite number; None for everything else."""
    found = math.nan if isinstance(value, bool) else finite(value, math.nan)
    return None if math.isnan(found) else found


def _text(value: object) -> str:
    return shorten(clean(value), LONGEST) if isinstance(value, str) else ""


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
