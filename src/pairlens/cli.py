"""The command line: `pairlens COMMAND`, each of which `USAGE` names.

Exit codes: 0 done, 1 a defect of ours, 2 input that cannot be used, 130 interrupted (Ctrl-C), 143 terminated.
"""

import sys
from collections.abc import Callable, Sequence

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
  pairlens report RUN...    one self-contained page about one run, or several compared
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


def _command(name: str) -> Callable[[list[str]], int]:
    """The function of a command; torch is imported only now, so that help and mistakes answer at once."""
    names = (
        "inspect",
        "train",
        "recipes",
        "resume",
        "evaluate",
        "probe",
        "invert",
        "map",
        "shift",
        "report",
        "study",
        "data",
    )
    if name not in names:
        raise InputError(f"there is no command {name!r}; use one of {', '.join(names)}")
    from pairlens import (
        commands,
        inspect_command,
        invert_command,
        map_command,
        probe_command,
        shift_command,
        study_command,
    )

    functions = (
        inspect_command.inspect,
        commands.train,
        commands.recipes,
        commands.resume,
        commands.evaluate,
        probe_command.probe,
        invert_command.invert,
        map_command.map_images,
        shift_command.shift,
        commands.report,
        study_command.study,
        commands.data,
    )
    return dict(zip(names, functions, strict=True))[name]
