"""The command line: `pairlens COMMAND`, each of which `USAGE` names.

Exit codes: 0 done, 1 a defect of ours, 2 input that cannot be used, 3 a run is ill (`pairlens doctor`), 130 interrupted
(Ctrl-C), 143 terminated.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from pairlens.errors import InputError

USAGE = """\
pairlens: contrastive pretraining on images that shows its positive and negative pairs

  pairlens inspect SOURCE   before any training: the images, the views drawn of them, duplicates and speed on one page
  pairlens train SOURCE     pretrain an encoder; SOURCE is a folder of images, a data set's folder, or "scenes"
  pairlens recipes [NAME]   what can be trained: all methods with their numbers, or one with its arguments
  pairlens resume RUN       go on with an interrupted run, bit for bit
  pairlens evaluate RUN     kNN and linear accuracy against two baselines, and the run's report
  pairlens probe WHAT...    what any encoder is blind to and what it keeps: a run's, timm's, torchvision's, or a file
  pairlens invert WHAT...   images made anew from an encoder's features: what it keeps of them before and after its head
  pairlens map WHAT...      images as points where an encoder places them, over its training, with neighbours and copies
  pairlens shift WHAT...    whether weak and strong augmentation move images to other classes, in an encoder's features
  pairlens doctor RUN...    whether a run is healthy, while it goes on or afterwards; if not, why and what to change
  pairlens landscape RUN    the loss along its gradient, from the start over the checkpoints that a run keeps
  pairlens report RUN...    one self-contained page about one run, or several compared
  pairlens figures RUN...   the report's figures as SVG, PDF or PNG files for a paper
  pairlens watch [FOLDER]   one live page about all runs below a folder, while they train
  pairlens log RUN...       send what runs have recorded to TensorBoard, Weights & Biases or trackio
  pairlens study SOURCE     a paper's table in miniature: every arm trained, measured and set beside the paper's figures
  pairlens data cifar10     put CIFAR-10 on disk

pairlens COMMAND --help tells more. To try it without any data: pairlens train scenes
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    sys.exit(run(sys.argv[1:] if argv is None else list(argv)))


def run(argv: list[str]) -> int:
    """Run a command and return its exit code."""
    from pairlens import __version__

    if not argv or argv[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        print(f"pairlens {__version__}")
        return 0
    try:
        return _command(argv[0])(argv[1:])
    except InputError as error:
        print(f"pairlens: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("pairlens: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1


COMMANDS = {
    "inspect": "inspect_command.inspect",
    "train": "train_command.train",
    "recipes": "commands.recipes",
    "resume": "train_command.resume",
    "evaluate": "commands.evaluate",
    "doctor": "doctor_command.doctor",
    "landscape": "landscape_command.landscape",
    "probe": "probe_command.probe",
    "invert": "invert_command.invert",
    "map": "map_command.map_images",
    "shift": "shift_command.shift",
    "report": "commands.report",
    "figures": "figures_command.figures",
    "watch": "watch_command.watch",
    "log": "log_command.log",
    "study": "study_command.study",
    "data": "commands.data",
}
"""Where each command's function is: only its own module is imported, so that it starts as fast as it can."""


def _command(name: str) -> Callable[[list[str]], int]:
    """The function of a command; torch is imported only now, so that help and mistakes answer at once."""
    if name not in COMMANDS:
        raise InputError(f"there is no command {name!r}; use one of {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[name].partition(".")
    return getattr(import_module(f"pairlens.{module}"), function)
