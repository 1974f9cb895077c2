"""What `pairlens map` does: draw images where encoders place them, over a training, and write a page of it."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pairlens.console import Console
from pairlens.environment import apply
from pairlens.errors import InputError
from pairlens.evaluate.embedding import MISSING, can_draw
from pairlens.flags import parse
from pairlens.mapping.asked import Asked, Looking, Track
from pairlens.mapping.copies import compare, pixel_groups
from pairlens.mapping.moments import moments
from pairlens.mapping.page import page
from pairlens.mapping.summary import Found, arrays, record, sentences
from pairlens.mapping.whole import measure
from pairlens.opened import open_encoder
from pairlens.place import find_place
from pairlens.record.parts import Parts
from pairlens.record.run import write_json
from pairlens.report.document import check_output, check_record, write_page
from pairlens.settings import Machine
from pairlens.shown import check_seed, copied, open_images, short_names
from pairlens.words import timestamp

KIND = "embedding map"
MARK, NOUN = "pairlens.map", "features of a map"
PAUSE = 15.0
"""Seconds between two writes of what is finished."""


def map_images(argv: list[str]) -> int:
    """`pairlens map WHAT... [--on SOURCE] [-o PAGE] [flags]`."""

    def command(
        what: Positional[tuple[str, ...]],
        *,
        on: str | None = None,
        images: int = 2000,
        among: int = 20_000,
        neighbours: int = 8,
        clusters: int | None = None,
        seed: int = 0,
        labels: bool = False,
        size: int | None = None,
        encoder: str | None = None,
        pretrained: bool = True,
        output: Annotated[Path, arg(aliases=["-o"])] = Path("map.html"),
        device: str | None = None,
        threads: int | None = None,
    ) -> int:
        """See images as points where an encoder places them, at every moment of its training that is kept.

        Neighbours, clusters, outliers and near-duplicates stand beside. Called again, it goes on.

        Args:
            what: encoders: a run's folder, timm/NAME, torchvision/NAME, or a .safetensors, .pth or .pt file of weights.
                A run is looked at as it began, at all its checkpoints, and at its end. Several are compared on the
                same images.
            on: the images, as `pairlens train` takes them; by default those that the runs were trained on. Training
                images are taken.
            images: on the map, drawn at random; up to 5000.
            among: how many training images are searched for outliers and near-duplicates.
            neighbours: shown of an image that is chosen.
            clusters: of k-means; by default as many as there are labels, without labels the number, 2 to 15, of the
                greatest silhouette.
            seed: of the images, of t-SNE and of k-means.
            labels: read a plain folder's sub-folder names as labels.
            size: side of the images that the encoders see, pixels; by default each encoder's own.
            encoder: the network that a file's weights are of, where the file does not tell.
            pretrained: take a library's own weights; else its random initialisation.
            output: the page; map.json, its numbers, and map.npz, every image's places and features, named after it,
                stand beside it.
            device: cpu, cuda or cuda:1; a GPU where there is one.
            threads: of the CPU; all cores.
        """
        if not what:
            raise InputError("there is no encoder to map; give a run's folder, a file of weights, or timm/NAME")
        check_seed(seed)
        check_output(output)
        beside = check_record(output, KIND)
        place = find_place(Machine(device, "fp32", threads))
        apply(place)
        with Console() as console:
            parts = Parts(output.with_suffix(".npz"), MARK, NOUN, console.say, PAUSE)
            opened = [open_encoder(w, place, encoder=encoder, size=size, pretrained=pretrained) for w in what]
            source = open_images(opened, on, labels=labels, seed=seed, say=console.say, progress=console.decoding)
            asked = Asked(source, images, among, neighbours, clusters, seed)
            look = Looking(asked, copied(source.train, asked.shown, console.decoding), parts, console.advance)
            tracks: list[Track] = []
            try:
                for one, name in zip(opened, short_names(what), strict=True):
                    found = moments(one, console.say)
                    tracks.append(measure(one, name, found, look, tracks[0] if tracks else None))
            except KeyboardInterrupt:
                console.close()
                console.say(f"what is finished is kept in {parts.path}, and the same call goes on from there")
                raise
            finally:
                parts.write()
            searched = source.train.rows(asked.searched)
            pixels = pixel_groups(searched, lambda done, total: console.advance("comparing pixels", done, total))
            if pixels.lost:
                (name, why), more = pixels.lost[0], len(pixels.lost) - 1
                others = f" and {more:,} other files" if more else ""
                console.say(f"{name} ({why}){others} cannot be read any more; other images stand in the places")
            results = [Found(track, compare(track, pixels)) for track in tracks]
            for number, result in enumerate(results, 1):
                parts.put(f"map-{number}", arrays(result, look))
            parts.keep_only(look.used | {f"map-{number}" for number in range(1, len(results) + 1)})
            for text in [*sentences(results, look), *([] if can_draw() else [MISSING])]:
                console.say(text)
            written = write_page(page(look, results), output, "page")
            write_json(beside, {"kind": KIND, "date": timestamp(), **record(asked, results, look)})
            console.say(f"page: {written}")
        return 0

    return parse(command, "map", argv)
