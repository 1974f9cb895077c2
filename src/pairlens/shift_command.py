"""What `pairlens shift` does: see whether augmentation moves images between classes, and write a page of it."""

from functools import partial
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.environment import apply
from pairlens.errors import InputError
from pairlens.evaluate.embedding import MISSING, can_draw
from pairlens.flags import parse
from pairlens.opened import open_encoder
from pairlens.place import find_place
from pairlens.record.run import write_json
from pairlens.report.document import check_output, check_record, write_page
from pairlens.settings import Machine
from pairlens.shift.page import page
from pairlens.shift.whole import Asked, measure_shift, record, sentences
from pairlens.shown import check_seed, open_images, short_names
from pairlens.words import timestamp

KIND = "label shift"


def shift(argv: list[str]) -> int:
    """`pairlens shift WHAT... [--on SOURCE] [-o PAGE] [flags]`."""

    def command(
        what: Positional[tuple[str, ...]],
        *,
        on: str | None = None,
        classes: int = 10,
        each: int = 64,
        draws: int = 5,
        seed: int = 0,
        space: str | None = None,
        weak_crop: tuple[float, float] = (0.08, 1.0),
        strong_crop: tuple[float, float] = (0.2, 1.0),
        labels: bool = False,
        size: int | None = None,
        encoder: str | None = None,
        pretrained: bool = True,
        output: Annotated[Path, arg(aliases=["-o"])] = Path("shift.html"),
        device: str | None = None,
        threads: int | None = None,
    ) -> int:
        """See whether weak and strong augmentation move images to other classes, in the features of encoders.

        Args:
            what: encoders: a run's folder, timm/NAME, torchvision/NAME, or a .safetensors, .pth or .pt file of weights.
                Several are compared on the same images.
            on: images with labels, as `pairlens train` takes them; by default those that the runs were trained on.
                Test images where there are any.
            classes: how many.
            each: images of a class.
            draws: of images and views; the figures are means over them, the picture is of the first.
            seed: of images and views.
            space: look at the output of this space's head; by default at the encoder's features.
            weak_crop: least and greatest share of the area that a weak view takes.
            strong_crop: the same of a strong one.
            labels: read a plain folder's sub-folder names as labels.
            size: side of the images that the encoders see, pixels; by default each encoder's own.
            encoder: the network that a file's weights are of, where the file does not tell.
            pretrained: take a library's own weights; else its random initialisation.
            output: the page; a .json of the same name, with all figures, stands beside it.
            device: cpu, cuda or cuda:1; a GPU where there is one.
            threads: of the CPU; all cores.
        """
        if not what:
            raise InputError(
                "there is no encoder to look through; give a run's folder, a file of weights, or timm/NAME"
            )
        check_seed(seed)
        check_output(output)
        beside = check_record(output, KIND)
        place = find_place(Machine(device, "fp32", threads))
        apply(place)
        with Console() as console:
            opened = [open_encoder(w, place, encoder=encoder, size=size, pretrained=pretrained) for w in what]
            names = short_names(what)
            data = open_images(opened, on, labels=labels, seed=seed, say=console.say, progress=console.decoding)
            asked = Asked(data, classes, each, draws, seed, space, weak_crop, strong_crop)
            points = can_draw()
            found = [
                measure_shift(one, name, asked, points=points, progress=partial(console.advance, f"measuring {name}"))
                for one, name in zip(opened, names, strict=True)
            ]
            for text in [*sentences(found), *([] if points else [MISSING])]:
                console.say(text)
            written = write_page(page(asked, found), output, "page")
            write_json(beside, {"kind": KIND, "date": timestamp(), **record(asked, found)})
            console.say(f"page: {written}")
        return 0

    return parse(command, "shift", argv)
