"""What each command does: parse its flags with tyro, call the library, tell what happened and what comes next."""

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro import MISSING
from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.data.choice import Decode
from pairlens.data.download import download_cifar10
from pairlens.errors import InputError
from pairlens.flags import parse
from pairlens.given import Given
from pairlens.loggers.live import logged
from pairlens.loggers.logger import LoggerName, targets_of
from pairlens.pretrain import pretrain
from pairlens.recipes.recipe import Recipe
from pairlens.record.run import Run
from pairlens.reopen import reopen_run
from pairlens.report.page import write_report
from pairlens.settings import Machine
from pairlens.start import KEEP, start_run

Probe = Literal["accuracy", "rotation", "factors", "spaces", "few_shot", "false_negatives"]
"""What `pairlens evaluate` can measure."""

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
            watch = console.training(training)
            with logged(folder, targets, everything=run.log_everything, say=console.say):
                state = pretrain(
                    folder,
                    training,
                    images,
                    save_every=run.save_every,
                    watch=watch,
                    say=console.say,
                    show_health=console.show_health,
                )
            return _finish(folder, console, state)

    about = f"Pretrain an encoder on images.\n\nThe recipe {given.recipe}: {given.about}"
    return parse(command, "train", argv, about)


def recipes(argv: list[str]) -> int:
    """`pairlens recipes [NAME]`."""

    def command(name: Positional[str | None] = None) -> int:
        """List all recipes, or show one with every argument and its value.

        Args:
            name: a recipe's.
        """
        from rich.console import Console as RichConsole

        from pairlens.listing import list_recipes, show_recipe

        console = RichConsole(highlight=False)
        if name is None:
            list_recipes(console)
        else:
            show_recipe(console, name)
        return 0

    return parse(command, "recipes", argv)


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
            watch = console.training(training)
            with logged(run, targets, everything=log_everything, say=console.say):
                state = pretrain(
                    run,
                    training,
                    images,
                    seconds=seconds,
                    save_every=save_every,
                    watch=watch,
                    say=console.say,
                    show_health=console.show_health,
                )
            return _finish(run, console, state)

    return parse(command, "resume", argv)


def evaluate(argv: list[str]) -> int:
    """`pairlens evaluate RUN [--probes NAME...]`."""

    def command(
        run: Positional[Path],
        *,
        probes: tuple[Probe, ...] = ("accuracy",),
        solver: Literal["lbfgs", "sgd"] = "lbfgs",
        linear_epochs: int = 100,
        seed: int = 0,
        baselines: bool = True,
        classifier: Path | None = None,
    ) -> int:
        """Measure kNN and linear accuracy against raw pixels and the randomly initialised encoder; write the report.

        Args:
            run: the run's folder.
            probes: what to measure: accuracy; rotation (how well a linear layer tells by which quarter turn an image
                is turned: what training with turned views may cost); factors (how well it tells hue, position,
                texture, ... where they are known, as of scenes); spaces (all that of each embedding space and of every
                set of them, what its neighbours share, and where right answers come from); few_shot (accuracy with 5
                and 10 labelled images of each class); false_negatives (how often a negative is of its query's own
                class, by chance and among the hardest). What was measured before stays in the report.
            solver: of the linear read-out: lbfgs (seconds), or sgd (the papers' protocol: slow, for every image is
                cropped, flipped and encoded anew in each epoch).
            linear_epochs: of sgd; fewer than the papers' 100 take less time.
            seed: of the read-out and of the examples shown.
            baselines: measure raw pixels and the untrained encoder, too, which takes most of the time.
            classifier: the folder of a supervised run that judges this run's crops, too: how much of the images'
                classes is in them, against how far apart they are (for runs with boxes).
        """
        from pairlens.assess import assess, table
        from pairlens.false_negatives import false_negatives_table, measure_false_negatives
        from pairlens.few_shot import few_shot_table, measure_few_shot
        from pairlens.kept import PROBES, kept_table, measure_kept
        from pairlens.spaces import measure_spaces, spaces_table

        if "accuracy" not in probes and (classifier is not None or solver != "lbfgs" or linear_epochs != 100):
            raise InputError(
                "a classifier, a solver and its epochs belong to the accuracy, which is not to be measured; add "
                "accuracy to --probes, or leave them out"
            )
        with Console() as console:
            how: dict[str, Any] = {"seed": seed, "say": console.say, "progress": console.advance}
            beside = how | {"baselines": baselines}
            if "accuracy" in probes:
                result = assess(Run.open(run), solver=solver, epochs=linear_epochs, classifier=classifier, **beside)
                console.say(table(result))
            if keeping := tuple(name for name in PROBES if name in probes):
                console.say(kept_table(measure_kept(Run.open(run), probes=keeping, **beside)))
            if "spaces" in probes:
                console.say(spaces_table(measure_spaces(Run.open(run), **how)))
            if "few_shot" in probes:
                console.say(few_shot_table(measure_few_shot(Run.open(run), **how)))
            if "false_negatives" in probes:
                console.say(false_negatives_table(measure_false_negatives(Run.open(run), **how)))
            page = write_report([Run.open(run)], run / "report.html")
            console.say(f"report: {page}")
            return 0

    return parse(command, "evaluate", argv)


def report(argv: list[str]) -> int:
    """`pairlens report RUN... [-o PAGE]`."""

    def command(
        runs: Positional[tuple[Path, ...]],
        *,
        output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    ) -> int:
        """Write one self-contained page about one run, or several compared.

        Args:
            runs: run folders.
            output: the page; RUN/report.html for one run, report.html here for several.
        """
        opened = [Run.open(folder) for folder in runs]
        page = write_report(opened, output or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html")))
        Console().say(f"report: {page}")
        return 0

    return parse(command, "report", argv)


def data(argv: list[str]) -> int:
    """`pairlens data cifar10 [FOLDER]`."""

    def command(name: Positional[Literal["cifar10"]], folder: Positional[Path] = Path("data")) -> int:
        """Put a data set on disk.

        Args:
            name: cifar10.
            folder: where to; a folder cifar-10-batches-bin is made in it.
        """
        console = Console()
        place = download_cifar10(folder, console.say)
        console.say(f"next: pairlens train {place}")
        return 0

    return parse(command, "data", argv)


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
