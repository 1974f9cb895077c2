"""What `pairlens train` and `pairlens resume` do: begin a run or go on with one, train it, and tell what comes next."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro import MISSING
from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.data.choice import Decode
from pairlens.data.images import Source
from pairlens.flags import parse
from pairlens.given import Given
from pairlens.loggers.live import logged
from pairlens.loggers.logger import LoggerName, targets_of
from pairlens.pretrain import pretrain
from pairlens.recipes.recipe import Recipe
from pairlens.reopen import reopen_run
from pairlens.settings import Machine
from pairlens.start import KEEP, start_run
from pairlens.train import Training

EXIT = {"finished": 0, "interrupted": 128 + signal.SIGINT, "terminated": 128 + signal.SIGTERM}


@dataclass(frozen=True)
class RunArguments:
    """The run: its folder, its images and what is written. A configuration may hold these, too."""

    out: Path | None = None
    """The run's folder; runs/SOURCE-RECIPE-NUMBER by default."""
    labels: bool = False
    """Read a plain folder's sub-folders as labels; where there is no test part, a fifth is held out to test on."""
    test: str | None = None
    """Another source to evaluate on."""
    seed: int = 0
    """Of everything random."""
    save_every: float = 60.0
    """Seconds between checkpoints."""
    record: bool = True
    """Write statistics, histograms and sample views."""
    landscape: int = 0
    """Times to measure the loss's landscape in the course of the training; each takes about as long as 15 steps."""
    keep: int = KEEP
    """Checkpoints along the training that stay when it is finished, that of its end among them."""
    decode: Decode = "auto"
    """Decode photographs once, to a store of squares, or always, in every epoch anew; auto does what pays."""
    log: tuple[LoggerName, ...] = ()
    """Send what is recorded to tensorboard, wandb or trackio while the run trains; `pairlens log` does so later."""
    log_project: str | None = None
    """The project of wandb and trackio; pairlens by default."""
    log_everything: bool = False
    """Send every step; of a long run it is about 2 000 steps, evenly spaced, by default."""


def train(argv: list[str]) -> int:
    """`pairlens train SOURCE [--recipe NAME] [--config FILE] [flags]`."""
    given = Given.of(argv, {"run": RunArguments(), "machine": Machine()})

    def command(
        source: Positional[str] = given.source or MISSING,
        *,
        recipe: str = given.recipe,
        config: Path | None = given.config,
        run: RunArguments = given.groups["run"],
        made: Annotated[Recipe, arg(constructor=given.constructor, name="")],
        machine: Machine = given.groups["machine"],
    ) -> int:
        """Pretrain an encoder on images.

        Args:
            source: a folder of images, a data set's folder, a .npy or .npz file, "scenes", "scenes:shortcut" or
                "scenes:small".
            recipe: a method with its numbers; `pairlens recipes` lists them. Each has flags of its own.
            config: a YAML file of flags, or a run's run.json; flags given here go before it.
        """
        targets = targets_of(run.log, run.log_project)
        with Console() as console:
            folder, training, images, place = start_run(
                source,
                made,
                folder=run.out,
                machine=machine,
                labels=run.labels,
                test=run.test,
                seed=run.seed,
                record=run.record,
                landscape=run.landscape,
                decode=run.decode,
                keep=run.keep,
                argv=argv,
                say=console.say,
                progress=console.decoding,
            )
            console.say(
                f"{recipe}: {training.epochs} epochs of {len(training.order)} steps, batch {training.order.batch}, "
                f"{training.size} px views, on {place.device} with {place.threads} threads, "
                f"{str(place.precision).removeprefix('torch.')}"
            )
            console.say(f"run folder: {folder}")
            with logged(folder, targets, everything=run.log_everything, say=console.say):
                state = _train(folder, training, images, console, save_every=run.save_every)
            return _finish(folder, console, state)

    about = f"Pretrain an encoder on images.\n\nThe recipe {given.recipe}: {given.about}"
    return parse(command, "train", argv, about)


def resume(argv: list[str]) -> int:
    """`pairlens resume RUN`."""

    def command(
        run: Positional[Path],
        *,
        save_every: float = 60.0,
        log: tuple[LoggerName, ...] = (),
        log_project: str | None = None,
        log_everything: bool = False,
    ) -> int:
        """Go on with an interrupted run from its newest checkpoint, bit for bit.

        Args:
            run: the run's folder.
            save_every: seconds between checkpoints.
            log: send what is recorded to tensorboard, wandb or trackio, behind what they were sent before.
            log_project: the project of wandb and trackio, where the run was not sent there before.
            log_everything: send every step.
        """
        targets = targets_of(log, log_project)
        with Console() as console:
            training, images, seconds = reopen_run(run, console.say, console.decoding)
            console.say(f"resuming {run} at step {training.step} of {training.steps}")
            with logged(run, targets, everything=log_everything, say=console.say):
                state = _train(run, training, images, console, save_every=save_every, seconds=seconds)
            return _finish(run, console, state)

    return parse(command, "resume", argv)


def _train(
    folder: Path, training: Training, images: Source, console: Console, *, save_every: float, seconds: float = 0.0
) -> str:
    """Train with a progress line, and return how it ended."""
    return pretrain(
        folder,
        training,
        images,
        seconds=seconds,
        save_every=save_every,
        watch=console.training(training),
        say=console.say,
        show_health=console.show_health,
    )


def _finish(folder: Path, console: Console, state: str) -> int:
    console.close()
    if console.health:
        console.say(f"health: {console.health}; all of it: pairlens doctor {folder}")
    if state == "finished":
        console.say(f"trained encoder: {folder / 'encoder.safetensors'}")
        console.say(f"next: pairlens evaluate {folder}")
    else:
        console.say(f"{state}; next: pairlens resume {folder}")
    return EXIT[state]
