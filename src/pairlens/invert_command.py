"""What `pairlens invert` does: make images anew from encoders' features, and write a page of what they keep."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.environment import apply
from pairlens.errors import InputError
from pairlens.evaluate.inversion import Prior
from pairlens.flags import parse
from pairlens.inversion.contestants import Target, contestants
from pairlens.inversion.page import page
from pairlens.inversion.store import Store
from pairlens.inversion.summary import record, sentences, warnings
from pairlens.inversion.whole import Asked, collect, invert_all
from pairlens.opened import open_encoder
from pairlens.place import find_place
from pairlens.record.run import write_json
from pairlens.report.document import check_output, check_record, write_page
from pairlens.settings import Machine
from pairlens.shown import check_seed, open_images, short_names
from pairlens.words import timestamp

KIND = "inversion"
USUAL = Prior()


def invert(argv: list[str]) -> int:
    """`pairlens invert WHAT... [--on SOURCE] [-o PAGE] [flags]`."""

    def command(
        what: Positional[tuple[str, ...]],
        *,
        on: str | None = None,
        targets: tuple[Target, ...] = (),
        images: int = 8,
        draws: int = 1,
        seed: int = 0,
        space: str | None = None,
        references: bool = True,
        size: int | None = None,
        encoder: str | None = None,
        pretrained: bool = True,
        output: Annotated[Path, arg(aliases=["-o"])] = Path("invert.html"),
        prior: Prior = USUAL,
        device: str | None = None,
        threads: int | None = None,
    ) -> int:
        """See what encoders keep of images: make the images anew from features alone. Called again, it goes on.

        Args:
            what: encoders: a run's folder, timm/NAME, torchvision/NAME, or a .safetensors, .pth or .pt file of weights.
                Several are compared on the same images.
            on: the images, as `pairlens train` takes them; by default those that the runs were trained on. Test
                images where there are any.
            targets: h (the encoder's features), hidden (the head's last hidden layer), z (the head's output); by
                default all that an encoder has.
            images: how many.
            draws: of the U-Nets' noise and weights; the scores are means over them.
            seed: of images, noise and weights.
            space: whose head, where there are several; the first one's by default.
            references: invert the untrained encoder and raw pixels, too.
            size: side of the images that the encoders see, pixels; by default each encoder's own.
            encoder: the network that a file's weights are of, where the file does not tell.
            pretrained: take a library's own weights; else its random initialisation.
            output: the page; invert.json and invert.npz, named after it, stand beside it.
            device: cpu, cuda or cuda:1; a GPU where there is one.
            threads: of the CPU; all cores.
        """
        if not what:
            raise InputError("there is no encoder to invert; give a run's folder, a file of weights, or timm/NAME")
        check_seed(seed)
        check_output(output)
        check_record(output, KIND)
        place = find_place(Machine(device, "fp32", threads))
        apply(place)
        with Console() as console:
            store = Store(output, console.say)
            opened = [open_encoder(w, place, encoder=encoder, size=size, pretrained=pretrained) for w in what]
            names = short_names(what)
            found = contestants(opened, names, targets=targets or None, space=space, references=references)
            data = open_images(opened, on, seed=seed, say=console.say, progress=console.decoding)
            asked = Asked(data, found, prior, images, draws, seed, place.device)
            try:
                invert_all(asked, store, console.advance)
            except KeyboardInterrupt:
                console.close()
                _write(asked, store, output, console)
                raise
            _write(asked, store, output, console)
        return 0

    return parse(command, "invert", argv)


def _write(asked: Asked, store: Store, output: Path, console: Console) -> None:
    """The page and `invert.json` of what is finished, be it all or not."""
    found = collect(asked, store)
    finished = {one.contestant.label for one in found if len(one.scores["psnr"]) == asked.draws}
    missing = [one.label for one in asked.contestants if one.label not in finished]
    mean = {size: views.of_mean() for size, views in asked.views.items()}
    about: dict[str, Any] = {
        "kind": KIND,
        "date": timestamp(),
        "source": asked.source.name,
        "seed": asked.seed,
        "images": asked.index[0].tolist(),
        "draws": asked.draws,
        "prior": asdict(asked.prior),
        "missing": missing,
    }
    written = write_page(page(asked, found, missing), output, "page")
    write_json(output.with_suffix(".json"), about | record(found, mean))
    for text in (*sentences(found, mean), *warnings(found, missing)):
        console.say(text)
    console.say(f"page: {written}")
