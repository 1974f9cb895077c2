"""What an encoder keeps (`kept.json`), read for the report and for studies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pairlens.record.run import Run
from pairlens.report.read import CONTESTANTS, intact
from pairlens.report.text import clean

TURNS = "4 rotations"
"""What the rotation task is called; the factor of the same name, degrees of lean, is called `lean`."""

NAMES = {"rotation": "lean"}


@dataclass(frozen=True)
class Told:
    """How well a read-out told a quantity."""

    value: float  # accuracy, or R2
    error: float  # its standard error over the test images


@dataclass(frozen=True)
class Quantity:
    """One thing that the read-outs were asked for, and how well they told it from what."""

    name: str
    accuracy: bool  # a share of right answers; else an R2
    chance: float
    told: Mapping[str, Told]  # by contestant: "encoder", "random", "pixels"


@dataclass(frozen=True)
class Kept:
    """All that was probed of a run's encoder."""

    quantities: tuple[Quantity, ...]
    step: int  # of the encoder
    images: int  # tested
    turned: int | None  # images of the rotation task's test, where it was measured


def read_kept(run: Run) -> Kept | None:
    """What was probed of this run's encoder; None where nothing was.

    Raises:
        InputError: `kept.json` does not hold what it should.
    """
    return None if run.kept is None else intact(_kept, run.kept, "kept.json", "measure again what is kept")


def _kept(found: Mapping[str, Any]) -> Kept:
    probes = found["probes"]
    turns = probes.get("rotation")
    given = ({TURNS: turns} if turns else {}) | {
        NAMES.get(name, clean(name)): one for name, one in probes.get("factors", {}).items()
    }
    return Kept(
        quantities=tuple(_quantity(name, one) for name, one in given.items()),
        step=int(found["step"]),
        images=int(found["data"]["test"]),
        turned=int(turns["images"]["test"]) if turns else None,
    )


def _quantity(name: str, given: Mapping[str, Any]) -> Quantity:
    told = {who: Told(float(given[who]["value"]), float(given[who]["error"])) for who in CONTESTANTS if who in given}
    if "encoder" not in told or given["measure"] not in ("accuracy", "r2"):
        raise ValueError(f"{name} was not measured of the encoder")
    return Quantity(name, given["measure"] == "accuracy", float(given["chance"]), told)
