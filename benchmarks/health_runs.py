"""The runs that health is calibrated on: good ones, and some that are broken on purpose, each with a few seeds.

    python benchmarks/health_runs.py CIFAR10 PHOTOGRAPHS [--seeds 0 1 2] [--folder runs/benchmark-health]

CIFAR10 is `pairlens data cifar10`'s folder, of which every fifth image is taken (for one case every 500th);
PHOTOGRAPHS a folder of some thousand, of which 256 are enlarged for another. Called again, it goes on where it stopped.
All have a small encoder and views of 16 px, so that a run takes about a minute on one core; `health.py` judges them.
"""

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from pairlens.cli import run
from pairlens.data.sources import open_source
from pairlens.record.disk import write_arrays
from pairlens.studies.arms import Arm, Flags, Job, Setting, job
from pairlens.studies.stages import stage_of
from pairlens.words import duration

SOURCES = ("cifar10", "few", "photographs", "large", "scenes")
SHORT = 3  # epochs
PHOTOS: Flags = {"epochs": 6, "size": 24}
SCENES: Flags = {"epochs": 3, "size": 24}
UNTOUCHED: Flags = {"crop": (1.0, 1.0), "flip": 0.0, "jitter_probability": 0.0, "gray": 0.0}
MILD: Flags = {"crop": (0.5, 1.0), "jitter": (0.2, 0.2, 0.2, 0.05), "gray": 0.0}
DESTROYED: Flags = {"crop": (0.01, 0.03), "jitter": (1.0, 1.0, 1.0, 0.5), "jitter_probability": 1.0}
FT: Flags = {"extrapolate": 2.0, "interpolate": 1.6}


@dataclass(frozen=True)
class Case:
    """A training and what is known to be wrong with it."""

    name: str
    source: str  # one of SOURCES
    recipe: str
    flags: Flags = field(default_factory=dict)
    ill: tuple[str, ...] = ()  # the rules any of which would name it; empty for a good one
    why: str = ""  # in words, of broken ones

    def job(self, sources: Mapping[str, str], folder: Path, seed: int) -> Job:
        """The training with a seed."""
        setting = Setting(sources[self.source], folder, budget={"encoder": "resnet8w", "batch": 64, "size": 16})
        made = job(Arm(self.name, self.recipe, self.flags), setting, seed)
        return Job(made.words, folder / f"{self.name}-{seed}")


GOOD = (
    Case("good-moco_v2", "cifar10", "moco_v2", {"epochs": SHORT}),
    Case("good-moco_v1", "cifar10", "moco_v1", {"epochs": SHORT}),
    Case("good-simclr", "cifar10", "simclr", {"epochs": SHORT}),
    Case("good-byol", "cifar10", "byol", {"epochs": SHORT}),
    Case("good-simsiam", "cifar10", "simsiam", {"epochs": SHORT}),
    Case("good-swav", "cifar10", "swav", {"epochs": SHORT}),
    Case("good-mochi", "cifar10", "mochi", {"epochs": SHORT}),
    Case("good-looc", "cifar10", "looc", {"epochs": SHORT, "designated": ("rotation",)}),
    Case("good-interpolation", "cifar10", "simclr", {"epochs": SHORT, "interpolate": 1.6}),
    Case("good-constant", "cifar10", "simclr", {"epochs": SHORT, "schedule": "constant"}),
    Case("good-steps", "cifar10", "moco_v2", {"epochs": SHORT, "schedule": "steps"}),
    Case("good-adamw", "cifar10", "simclr", {"epochs": SHORT, "optimizer": "adamw"}),
    Case("good-crops", "cifar10", "simclr", {"epochs": SHORT, "boxes": "found", "box_coverage": 0.5}),
    Case("good-scenes-simclr", "scenes", "scenes.simclr", SCENES),
    Case("good-scenes-moco_v2", "scenes", "scenes.moco_v2", SCENES),
    Case("good-scenes-byol", "scenes", "scenes.byol", SCENES),
    Case("good-photos-moco_v2", "photographs", "moco_v2", PHOTOS),
    Case("good-photos-simclr", "photographs", "simclr", PHOTOS),
)
"""Trainings that learn, short as they are."""

BROKEN = (
    Case(
        "rate-huge",
        "cifar10",
        "moco_v2",
        {"epochs": SHORT, "lr": 60.0},
        ("rate_too_high", "exploding_gradients", "not_a_number", "complete_collapse", "guessing"),
        "learning rate 500 times the usual",
    ),
    Case(
        "diverged",
        "cifar10",
        "moco_v1",
        {"epochs": SHORT, "lr": 1e6},
        ("not_a_number", "exploding_gradients", "rate_too_high"),
        "learning rate a million: the weights overflow",
    ),
    Case(
        "rate-adamw",
        "cifar10",
        "simclr",
        {"epochs": SHORT, "optimizer": "adamw", "lr": 2.0},
        ("rate_too_high", "exploding_gradients", "not_a_number", "complete_collapse", "guessing"),
        "AdamW at rate 2",
    ),
    Case(
        "rate-tiny",
        "cifar10",
        "moco_v2",
        {"epochs": SHORT, "lr": 1e-5},
        ("rate_too_low", "guessing", "vanishing_gradients"),
        "learning rate a ten-thousandth of the usual: nothing is learned",
    ),
    Case(
        "momentum-0",
        "cifar10",
        "moco_v2",
        {"epochs": SHORT, "momentum": 0.0},
        ("low_momentum", "complete_collapse", "stale_queue", "guessing"),
        "keys by the encoder of the step before",
    ),
    Case(
        "momentum-half",
        "cifar10",
        "moco_v1",
        {"epochs": SHORT, "momentum": 0.5},
        ("low_momentum", "complete_collapse", "stale_queue", "guessing"),
        "momentum .5",
    ),
    Case(
        "momentum-1",
        "cifar10",
        "moco_v2",
        {"epochs": SHORT, "momentum": 1.0},
        ("stale_queue", "guessing", "dimensional_collapse"),
        "keys by an encoder that never learns",
    ),
    Case(
        "temperature-tiny",
        "cifar10",
        "moco_v2",
        {"epochs": SHORT, "temperature": 0.004},
        ("temperature_low", "not_a_number", "exploding_gradients"),
        "temperature .004",
    ),
    Case(
        "temperature-huge",
        "cifar10",
        "simclr",
        {"epochs": SHORT, "temperature": 5.0},
        ("temperature_high", "guessing"),
        "temperature 5",
    ),
    Case(
        "ft-at-once",
        "cifar10",
        "moco_v2",
        {"epochs": SHORT, **FT},
        ("complete_collapse", "dimensional_collapse"),
        "feature transformation from the first step of a short training",
    ),
    Case(
        "views-alike",
        "cifar10",
        "moco_v2",
        {"epochs": SHORT, **UNTOUCHED},
        ("views_too_weak", "positives_too_easy"),
        "both views are the image itself",
    ),
    Case(
        "views-destroyed",
        "cifar10",
        "simclr",
        {"epochs": SHORT, **DESTROYED},
        ("views_too_strong", "positives_too_hard", "guessing"),
        "crops of 3 px, strongest jitter",
    ),
    Case("queue-tiny", "cifar10", "moco_v2", {"epochs": SHORT, "negatives": 8}, ("small_queue",), "8 negatives"),
    Case(
        "queue-larger",
        "photographs",
        "moco_v2",
        {**PHOTOS, "epochs": 4, "negatives": 16384},
        ("false_negatives",),
        "a queue of many times the set",
    ),
    Case(
        "batch-tiny",
        "scenes",
        "scenes.simclr",
        {"epochs": 1, "batch": 4},
        ("small_queue",),
        "6 negatives in a batch of 4",
    ),
    Case(
        "decay-huge",
        "cifar10",
        "simclr",
        {"epochs": SHORT, "weight_decay": 0.5},
        ("complete_collapse", "dimensional_collapse", "guessing", "vanishing_gradients"),
        "weight decay a thousand times the usual",
    ),
    Case(
        "boxes-whole",
        "cifar10",
        "simclr",
        {"epochs": SHORT, "boxes": "found", "box_threshold": 0.01},
        ("useless_boxes",),
        "boxes that are the whole image",
    ),
    Case(
        "plateau",
        "few",
        "simclr",
        {"epochs": 1000, "batch": 32, "schedule": "constant", **MILD},
        ("plateau",),
        "100 images and mild views, trained on at a constant rate long after nothing was left to learn",
    ),
    Case(
        "data-bound",
        "large",
        "simclr",
        {"epochs": 15, "decode": "always", "workers": 1},
        ("data_bound",),
        "one thread decodes photographs of 8 megapixels for a small encoder",
    ),
    Case(
        "dim-2",
        "cifar10",
        "simclr",
        {"epochs": SHORT, "dim": 2},
        ("dimensional_collapse", "positives_too_hard", "guessing"),
        "an embedding of 2 dimensions",
    ),
    Case(
        "simsiam-rate",
        "cifar10",
        "simsiam",
        {"epochs": SHORT, "lr": 20.0},
        ("complete_collapse", "rate_too_high", "exploding_gradients", "not_a_number", "dimensional_collapse"),
        "SimSiam at 160 times the usual rate",
    ),
)
"""Trainings with one thing wrong, each as it happens to people."""

CASES = (*GOOD, *BROKEN)


def main() -> None:
    """Train what is missing, one after the other, seed by seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar10")
    parser.add_argument("photographs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, default=Path("runs/benchmark-health"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    some = [str(every(step, Path(given.cifar10), given.folder)) for step in (5, 500)]
    places = (*some, given.photographs, str(enlarged(Path(given.photographs), given.folder)), "scenes")
    sources = dict(zip(SOURCES, places, strict=True))
    jobs = [case.job(sources, given.folder, seed) for seed in given.seeds for case in CASES]
    began = time.monotonic()
    waiting = [job for job in jobs if stage_of(job) in ("train", "resume")]
    for done, one in enumerate(waiting, 1):
        words = ["train", *one.words, "--out", str(one.folder), "--threads", "1"]
        code = run(words if stage_of(one) == "train" else ["resume", str(one.folder)])
        left = duration((time.monotonic() - began) / done * (len(waiting) - done))
        print(
            f"{one.name}: {f'ended with {code}' if code else 'trained'}; {done} of {len(waiting)}, {left} left",
            flush=True,
        )


def every(step: int, cifar10: Path, folder: Path) -> Path:
    """Every fifth (or so) image of CIFAR-10, training and test, as a file in the folder of the runs."""
    path = folder / f"cifar10-every-{step}.npz"
    if not path.exists():
        source = open_source(str(cifar10))
        arrays = {}
        for part, images in (("train", source.train), ("test", source.test)):
            assert images is not None
            assert images.labels is not None
            arrays[f"x_{part}"] = images.pixels[::step].permute(0, 2, 3, 1).numpy()
            arrays[f"y_{part}"] = images.labels[::step].numpy()
        write_arrays(path, arrays)
    return path


def enlarged(photographs: Path, folder: Path, count: int = 256, side: int = 2448) -> Path:
    """So many of the photographs as large JPEG files, as cameras write them, in a folder beside the runs."""
    path = folder / "large"
    if not path.exists():
        partial = folder / "large.partial"
        partial.mkdir(exist_ok=True)
        files = sorted(p for p in photographs.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        for number, file in enumerate(files[:: max(1, len(files) // count)][:count]):
            with Image.open(file) as image:
                size = (side, round(side * image.height / image.width))
                image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(partial / f"{number}.jpg", quality=92)
        os.replace(partial, path)
    return path


if __name__ == "__main__":
    main()
