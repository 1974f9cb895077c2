"""A study is data: arms that differ in a few flags and share everything else.

One training of one arm with one seed is a `Job`. A job's folder is named after its recipe and flags, so that arms that
two studies share are trained once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from pairlens.errors import InputError
from pairlens.kept import Probe
from pairlens.recipes import find_recipe, flatten
from pairlens.settings import Machine

Flag = bool | int | float | str | tuple[float, ...] | tuple[str, ...]
"""What a flag of `pairlens train` can be given here."""

Flags = Mapping[str, Flag]
"""Flags by their names in the recipe's settings: {"fixed_head": True, "crop": (0.2, 0.5)}."""

OWN = ("labels", "test", "save_every", "record", "landscape", "decode")
"""Flags of `pairlens train` that belong to no recipe; those of the machine are a `Machine`'s fields."""


@dataclass(frozen=True)
class Arm:
    """One row of a study's table."""

    label: str
    recipe: str
    flags: Flags = field(default_factory=dict)
    reference: str | None = None  # label of the arm that it is compared with, seed by seed
    paper: float | None = None  # per cent, as the paper has it for its own data and scale
    baselines: bool = False  # measure raw pixels as well
    paper_kept: Mapping[str, float] = field(default_factory=dict)  # per cent, by what is kept: {"4 rotations": 61.1}


@dataclass(frozen=True)
class Study:
    """Arms, and what their table says of them."""

    name: str
    title: str
    arms: tuple[Arm, ...]
    difference: str  # heading of the differences: "minus MoCo v2"
    paper: str | None = None  # whose figures stand beside, and what they are of
    notes: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()  # what is measured beside accuracies: what the encoders keep

    def arm(self, label: str) -> Arm:
        """The arm of this label."""
        return next(arm for arm in self.arms if arm.label == label)


@dataclass(frozen=True)
class Setting:
    """What all arms of all studies share, and where the runs go."""

    source: str
    folder: Path
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: Flags = field(default_factory=dict)  # flags of every arm whose recipe has them; an arm's own go before
    jobs: int = 1  # runs at a time
    threads: int | None = None  # of each run; by default the cores are shared out evenly


@dataclass(frozen=True)
class Job:
    """One training: what `pairlens train` is called with, but for folder and threads; and what is measured of it.

    Two jobs are equal if they are the same training.
    """

    words: tuple[str, ...]  # SOURCE --recipe NAME --flag value ... --seed N
    folder: Path
    baselines: bool = field(default=False, compare=False)
    probes: tuple[Probe, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """The run folder's name."""
        return self.folder.name


def job(arm: Arm, setting: Setting, seed: int, probes: tuple[Probe, ...] = ()) -> Job:
    """The training of an arm with a seed, of which some probes are to be measured."""
    known = flags_of(arm.recipe)
    flags = {name: value for name, value in setting.budget.items() if name in known} | dict(arm.flags)
    words = [_source(setting.source), "--recipe", arm.recipe]
    for name in sorted(flags):
        words += flag_words(name, flags[name])
    words += ["--seed", str(seed)]
    own = (f"{name}{_short(value)}" for name, value in sorted(arm.flags.items()))
    folder = setting.folder / "-".join([arm.recipe, *own, str(seed)])
    return Job(tuple(words), folder, arm.baselines, probes)


def all_jobs(studies: Iterable[Study], setting: Setting) -> list[Job]:
    """Every training of some studies, each once, seed by seed: a whole table is there as early as can be.

    Raises:
        InputError: a study cannot be run as it is described.
    """
    studies = list(studies)
    for study in studies:
        check(study, setting)
    found: dict[Path, Job] = {}
    for seed in setting.seeds:
        for study in studies:
            for arm in study.arms:
                made = job(arm, setting, seed, study.probes)
                before = found.get(made.folder, made)
                found[made.folder] = replace(
                    made,
                    baselines=made.baselines or before.baselines,
                    probes=tuple(dict.fromkeys(before.probes + made.probes)),
                )
    return list(found.values())


def check(study: Study, setting: Setting) -> None:
    """Refuse what could not be trained or compared, before anything is.

    Raises:
        InputError: an unknown recipe or flag, a label twice, a reference that is no arm, or no seeds.
    """
    if not setting.seeds or len(set(setting.seeds)) < len(setting.seeds):
        raise InputError(f"a study needs different seeds, not {list(setting.seeds)}; common are 0, 1 and 2")
    if setting.jobs < 1:
        raise InputError(f"a study needs one run at a time at least, not {setting.jobs}; give a positive --jobs")
    labels = [arm.label for arm in study.arms]
    known = {arm.label: flags_of(arm.recipe) for arm in study.arms}
    for arm in study.arms:
        if labels.count(arm.label) > 1:
            raise InputError(f"the study {study.name} has two arms {arm.label!r}; give every arm a label of its own")
        if arm.reference is not None and arm.reference not in labels:
            raise InputError(f"the study {study.name} compares {arm.label!r} with {arm.reference!r}, which is no arm")
        for name in arm.flags:
            if name not in known[arm.label]:
                raise InputError(_no_flag(f"the recipe {arm.recipe} of the arm {arm.label!r} has", name, arm.recipe))
    for name in setting.budget:
        if not any(name in flags for flags in known.values()):
            raise InputError(_no_flag(f"the arms of the study {study.name} have", name, study.arms[0].recipe))


def flags_of(recipe: str) -> set[str]:
    """The names of all flags that `pairlens train` has for a recipe."""
    return {*flatten(find_recipe(recipe)()), *OWN, *(f.name for f in fields(Machine))}


def _no_flag(who: str, name: str, recipe: str) -> str:
    return f"{who} no flag {name!r}; `pairlens train --recipe {recipe} --help` tells which there are"


def flag_words(name: str, value: Flag) -> list[str]:
    """A flag as words of a command line."""
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}"] if value else [f"--no-{dashed}"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"--{dashed}", *map(str, values)]


def _short(value: Flag) -> str:
    """A flag's value as part of a folder's name."""
    text = "_".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return "".join(c if c.isalnum() or c in "._" else "_" for c in text)


def _source(spec: str) -> str:
    """The source by its whole name, as a run keeps it."""
    path = Path(spec).expanduser()
    return str(path.resolve()) if path.exists() and spec.partition(":")[0] != "scenes" else spec
