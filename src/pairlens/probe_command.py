"""What `pairlens probe` does: find out what encoders are blind to, and write a page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.environment import apply
from pairlens.flags import parse
from pairlens.place import find_place
from pairlens.probing.page import write_probe
from pairlens.probing.record import record
from pairlens.probing.subject import open_subject
from pairlens.probing.summary import show
from pairlens.probing.whole import probe as look
from pairlens.record.run import write_json
from pairlens.report.document import check_output
from pairlens.settings import Machine
from pairlens.shown import check_seed


@dataclass(frozen=True)
class ProbeMachine:
    """Where the encoders run."""

    device: str | None = None
    """cpu, cuda or cuda:1; a GPU where there is one."""
    precision: Literal["bf16", "fp32"] = "fp32"
    """bf16 is faster on machines that have it in hardware, and rounds away the smallest differences."""
    threads: int | None = None
    """CPU threads; all cores."""


def probe(argv: list[str]) -> int:
    """`pairlens probe WHAT... [--on SOURCE] [-o PAGE]`."""

    def command(
        what: Positional[tuple[str, ...]],
        *,
        on: str | None = None,
        encoder: str | None = None,
        stem: Literal["small", "imagenet"] | None = None,
        size: int | None = None,
        pretrained: bool = True,
        images: int | None = None,
        spaces: bool = False,
        seed: int = 0,
        output: Annotated[Path | None, arg(aliases=["-o"])] = None,
        machine: ProbeMachine = ProbeMachine(),
    ) -> int:
        """Find out what encoders are blind to and what they keep, and whether LooC is worth trying.

        Args:
            what: encoders: a run's folder, timm/NAME, torchvision/NAME, or a .safetensors, .pth or .pt file of weights.
                Several are compared on the same images.
            on: the images to look at, as `pairlens train` takes them; labels are not needed. By default those that the
                runs were trained on; test images where there are any.
            encoder: the network that a file's weights are of, where the file does not say it.
            stem: likewise its first layers.
            size: side of the views, pixels; by default that of the training where it is known, else 224, or 32.
            pretrained: take a library's own weights; --no-pretrained leaves its random ones.
            images: how many to look at; by default as many as take about a minute, 320 to 1600.
            spaces: probe each space of a run's encoder, too.
            seed: of the images and of all that is drawn.
            output: the page, and beside it its numbers as .json; by default RUN/probe.html for one run, else
                probe.html here.
        """
        check_seed(seed)
        page = output or _usual_output(what)
        check_output(page)
        place = find_place(Machine(machine.device, machine.precision, machine.threads))
        apply(place)
        with Console() as console:
            subject = open_subject(
                what,
                place,
                on=on,
                encoder=encoder,
                stem=stem,
                size=size,
                pretrained=pretrained,
                images=images,
                seed=seed,
                say=console.say,
                progress=console.decoding,
            )
            console.say(
                f"probing {' and '.join(subject.names)} with {len(subject.part):,} {subject.which} images of "
                f"{subject.source}, on {place.device} with {place.threads} threads"
            )
            found = look(subject, spaces=spaces, advance=console.advance)
            show(found, console.rich)
            written = write_probe(found, page)
            write_json(written.with_suffix(".json"), record(found))
            console.say(f"page: {written}")
            console.say(f"numbers: {written.with_suffix('.json')}")
        return 0

    return parse(command, "probe", argv)


def _usual_output(what: tuple[str, ...]) -> Path:
    """In the folder of a run that is alone, else here."""
    alone = Path(what[0]).expanduser() if len(what) == 1 else None
    return (alone if alone is not None and (alone / "run.json").is_file() else Path()) / "probe.html"
