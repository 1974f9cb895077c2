"""Files in the place of pixels: what they give, whoever asks, and what stands in for those that are lost."""

import os
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pairlens.data import choice, folder, photographs
from pairlens.data import images as images_module
from pairlens.data.cut import View, cut_file
from pairlens.data.fingerprint import fingerprint
from pairlens.data.images import Source
from pairlens.data.photographs import Photographs, substitutes
from pairlens.data.sources import open_source
from pairlens.errors import InputError
from pairlens.evaluate.features import plain_views

COUNT = 12
WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
CROPS = torch.tensor([[0.0, 0.25, 0.5, 0.5], [0.5, 0.0, 0.25, 1.0]])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    """Twelve photographs of any shape in two folders, each of a grey of its own with a bright left edge."""
    for i in range(COUNT):
        pixels = np.full((20 + 4 * i, 40, 3), 10 * i, np.uint8)
        pixels[:, :8] = 250
        path = tmp_path / "set" / ("ab"[i % 2]) / f"{i:02d}.{'png' if i % 3 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path / "set"


def opened(root, **options):
    return open_source(str(root), decode="always", **options)


def grey(view: torch.Tensor) -> int:
    """Which of the photographs a view shows."""
    return round(int(view[0, -1, -1]) / 10)


def order(names) -> list[int]:
    return [int(os.path.basename(name)[:2]) for name in names]


class TestInThePlaceOfPixels:
    def test_they_are_what_a_store_holds(self, root):
        files, store = opened(root, size=16).train, open_source(str(root), decode="once", size=16).train
        assert isinstance(files.pixels, Photographs)
        assert files.pixels.shape == store.pixels.shape
        assert (files.pixels.dtype, files.pixels.device) == (store.pixels.dtype, store.pixels.device)
        assert len(files.pixels) == len(files) == COUNT
        rows = torch.tensor([3, 0, 11, 3])
        assert torch.equal(files.pixels[rows], store.pixels[rows])
        for some in (slice(None), slice(2, 5), slice(10, 99), slice(4, 4)):
            assert torch.equal(files.pixels[some], store.pixels[some])
        assert files.names == store.names
        assert torch.equal(files.sizes, store.sizes)
        assert files.sizes.dtype == store.sizes.dtype
        assert fingerprint(Source("a", files)) == fingerprint(Source("a", store))
        assert all(torch.equal(a, b) for a, b in zip(files.mean_std(), store.mean_std(), strict=True))

    def test_evaluation_sees_the_same_views(self, root):
        files, store = opened(root, size=16).train, open_source(str(root), decode="once", size=16).train
        for index in (None, torch.tensor([5, 2])):
            found, expected = (torch.cat([*plain_views(s, 8, index=index, batch=5)]) for s in (files, store))
            assert torch.equal(found, expected)

    def test_some_of_them(self, root):
        files = opened(root, size=16).train
        some = files.rows(torch.tensor([4, 1, 4]))
        assert isinstance(some.pixels, Photographs)
        assert some.pixels.shape == (3, 3, 16, 16)
        assert torch.equal(some.pixels[:], files.pixels[torch.tensor([4, 1, 4])])

    def test_fewer_are_decoded_to_measure_their_colours(self, root, monkeypatch):
        looked, real = [], photographs.decode_file
        monkeypatch.setattr(photographs, "decode_file", lambda path, side: looked.append(path) or real(path, side))
        monkeypatch.setattr(images_module, "DECODED", 5)
        images = opened(root).train
        images.mean_std()
        assert len(looked) == 5
        images.mean_std(9)
        assert len(looked) == 14

    def test_labels_and_the_held_out_fifth(self, root):
        files, store = (open_source(str(root), decode=mode, labels=True) for mode in ("always", "once"))
        for a, b in ((files.train, store.train), (files.test, store.test)):
            assert isinstance(a.pixels, Photographs)
            assert torch.equal(a.labels, b.labels)
            assert (a.names, a.classes) == (b.names, b.classes)
            assert torch.equal(a.pixels[:], b.pixels)


class TestCutting:
    def test_views_are_cut_from_the_files(self, root):
        images = opened(root).train
        index = torch.tensor([7, 2])
        views = images.pixels.cut(index, {"query": (CROPS, 24), "key": (CROPS.flip(0), 10)}).result()
        assert {name: view.shape for name, view in views.items()} == {"query": (2, 3, 24, 24), "key": (2, 3, 10, 10)}
        assert all(view.dtype == torch.uint8 and view.is_contiguous() for view in views.values())
        for name, crops in (("query", CROPS), ("key", CROPS.flip(0))):
            for i, row in enumerate(index.tolist()):
                out = np.zeros(views[name].shape[1:], np.uint8)
                assert cut_file(root / images.names[row], [View(crops[i].tolist(), out)]) is None
                assert np.array_equal(views[name][i], out)

    def test_every_file_is_read_once_for_all_views(self, root, monkeypatch):
        read = []
        real = cut_file
        monkeypatch.setattr(photographs, "cut_file", lambda path, views: read.append(path) or real(path, views))
        images = opened(root).train
        images.pixels.cut(torch.arange(COUNT), {n: (WHOLE.repeat(COUNT, 1), 8) for n in "qkm"}).result()
        assert sorted(read) == [os.path.join(root, name) for name in images.names]

    def test_views_do_not_depend_on_the_number_of_threads(self, root):
        index = torch.arange(COUNT).repeat(4)
        crops = torch.rand(len(index), 4, generator=torch.Generator().manual_seed(0)).mul_(0.5)
        found = [
            opened(root, workers=workers).train.pixels.cut(index, {"q": (crops, 9)}).result()["q"]
            for workers in (1, 3, 16)
        ]
        assert torch.equal(found[0], found[1])
        assert torch.equal(found[0], found[2])

    def test_rectangles_are_read_at_once(self, root):
        """The caller may reuse its tensors."""
        images = opened(root, workers=1).train
        index, crops = torch.arange(COUNT), WHOLE.repeat(COUNT, 1)
        future = images.pixels.cut(index, {"q": (crops, 8)})
        index.zero_()
        crops.zero_()
        assert [grey(view) for view in future.result()["q"]] == order(images.names)

    def test_work_is_done_beside_the_caller(self, root, monkeypatch):
        gate, threads = threading.Event(), set()
        real = cut_file

        def waiting(path, views):
            threads.add(threading.current_thread())
            assert gate.wait(20)
            return real(path, views)

        monkeypatch.setattr(photographs, "cut_file", waiting)
        images = opened(root, workers=3).train
        futures = [images.pixels.cut(torch.arange(8), {"q": (WHOLE.repeat(8, 1), 8)}) for _ in range(2)]
        assert not any(future.done() for future in futures)
        gate.set()
        assert all(len(future.result()["q"]) == 8 for future in futures)
        assert threading.main_thread() not in threads
        assert len(threads) <= 3

    def test_nothing_is_cut_of_nothing(self, root):
        pixels = opened(root).train.pixels
        assert pixels.cut(torch.arange(0), {"q": (WHOLE[:0], 8)}).result()["q"].shape == (0, 3, 8, 8)


class TestLostFiles:
    @pytest.fixture
    def images(self, root):
        return opened(root, size=8).train

    def shown(self, images, rows) -> list[int]:
        index = torch.as_tensor(rows)
        cut = images.pixels.cut(index, {"q": (WHOLE.repeat(len(index), 1), 8)}).result()["q"]
        assert [grey(view) for view in cut] == [grey(square) for square in images.pixels[index]]
        return [grey(view) for view in cut]

    def lose(self, root, images, row, how) -> None:
        path = root / images.names[row]
        data = path.read_bytes()
        path.unlink()
        if how == "link":
            path.symlink_to(root / "nowhere")
        elif how == "folder":
            path.mkdir()
        elif how != "gone":
            path.write_bytes({"empty": b"", "truncated": data[: len(data) // 2], "text": b"no image"}[how])

    @pytest.mark.parametrize("how", ["gone", "empty", "truncated", "text", "folder", "link"])
    def test_another_takes_the_place_and_the_loss_is_told_once(self, root, images, how):
        numbers = order(images.names)
        self.lose(root, images, 3, how)
        assert self.shown(images, range(COUNT)) == [*numbers[:3], numbers[4], *numbers[4:]]
        ((name, reason),) = images.pixels.drain()
        assert name == images.names[3]
        assert reason
        assert self.shown(images, [3, 3]) == [numbers[4]] * 2
        assert images.pixels.drain() == []

    def test_distances_double_and_wrap(self, root, images):
        numbers = order(images.names)
        for row in (10, 11, 0, 2):
            self.lose(root, images, row, "gone")
        assert self.shown(images, [10, 11, 2, 9]) == [numbers[6], numbers[1], numbers[3], numbers[9]]
        for row in (1, 3, 4, 5, 6, 7, 8):
            self.lose(root, images, row, "gone")
        assert self.shown(images, range(COUNT)) == [numbers[9]] * COUNT
        assert [name for name, _ in images.pixels.drain()] == sorted(images.names[:9] + images.names[10:])

    def test_a_substitute_of_another_shape_is_cut_by_the_same_shares(self, root, images):
        self.lose(root, images, 3, "gone")
        crops = torch.tensor([[0.0, 0.0, 0.2, 1.0]])  # the bright edge
        assert images.pixels.cut(torch.tensor([3]), {"q": (crops, 8)}).result()["q"].min() >= 240

    def test_a_file_that_comes_back_is_taken_again(self, root, images):
        path = root / images.names[3]
        data = path.read_bytes()
        self.lose(root, images, 3, "gone")
        self.shown(images, [3])
        path.write_bytes(data)
        assert self.shown(images, [3]) == [order(images.names)[3]]

    def test_all_files_lost_is_an_error_with_a_remedy(self, root, images):
        for row in range(COUNT):
            self.lose(root, images, row, "gone")
        with pytest.raises(InputError, match=r"can no longer be read .* nor can any file that was tried in its place"):
            images.pixels.cut(torch.tensor([2, 5]), {"q": (WHOLE.repeat(2, 1), 8)}).result()
        with pytest.raises(InputError, match="see whether the disk is still there"):
            images.pixels[torch.tensor([2, 5])]

    def test_many_files_lost_are_not_all_tried(self, root, monkeypatch):
        monkeypatch.setattr(photographs, "TRIES", 5)
        files, tried = Photographs(root, [f"{i}.jpg" for i in range(1000)], 8, workers=1), []
        real = cut_file
        monkeypatch.setattr(photographs, "cut_file", lambda path, views: tried.append(path) or real(path, views))
        with pytest.raises(InputError):
            files.cut(torch.tensor([7]), {"q": (WHOLE, 8)}).result()
        assert [os.path.basename(path) for path in tried] == [f"{i}.jpg" for i in (7, 8, 9, 11, 15, 23)]

    @given(st.integers(1, 200), st.integers(0, 199))
    def test_every_other_image_may_stand_in(self, count, row):
        found = list(substitutes(row % count, count))
        assert sorted([*found, row % count]) == list(range(count))


class TestOpening:
    def broken(self, root):
        (root / "zero.jpg").write_bytes(b"")
        (root / "text.jpg").write_text("no image")
        (root / "dangling.jpg").symlink_to(root / "gone")
        (root / "folder.jpg").mkdir()
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(root / "truncated.jpg")
        os.truncate(root / "truncated.jpg", 3000)
        Image.new("RGB", (1, 5000), (90, 0, 0)).save(root / "tall.jpg")
        try:
            os.rename(root / "text.jpg", os.fsencode(root) + b"/text\xff.jpg")
        except OSError:
            pytest.skip("this file system takes only UTF-8 names")

    def test_none_of_them_is_fatal_and_each_is_named(self, root):
        self.broken(root)
        said = []
        train = opened(root, size=8, say=said.append).train
        assert [name for name, _ in train.skipped] == ["dangling.jpg", "folder.jpg", "text\ufffd.jpg", "zero.jpg"]
        assert all(reason for _, reason in train.skipped)
        assert "4 unreadable files skipped" in said[-1]
        assert train.sizes[train.names.index("tall.jpg")].tolist() == [5000, 1]
        index = torch.arange(len(train))
        views = train.pixels.cut(index, {"q": (WHOLE.repeat(len(train), 1), 16)}).result()["q"]
        assert views[train.names.index("tall.jpg"), 0].float().mean().round() == 90
        assert [name for name, _ in train.pixels.drain()] == ["truncated.jpg"]
        once = open_source(str(root), decode="once", size=8).train
        assert {*once.skipped} >= {*train.skipped}
        assert {name for name, _ in once.skipped} - {name for name, _ in train.skipped} == {"truncated.jpg"}

    def test_a_file_that_vanishes_after_it_was_listed(self, root, monkeypatch):
        real = folder.list_files

        def listed(*args):
            files = real(*args)
            (root / "a" / "02.png").unlink(missing_ok=True)
            return files

        monkeypatch.setattr(folder, "list_files", listed)
        train = opened(root).train
        assert train.skipped == (("a/02.png", "FileNotFoundError: No such file or directory"),)
        assert len(train) == COUNT - 1

    def test_the_folder_is_searched_for_parts_once(self, root, monkeypatch):
        asked, real = [], folder._entries
        monkeypatch.setattr(folder, "_entries", lambda place: asked.append(place) or real(place))
        opened(root)
        assert asked == [root]

    def test_names_that_are_no_text_are_read(self, root):
        self.broken(root)
        os.rename(root / "a" / "00.jpg", os.fsencode(root) + b"/a/00\xfe.jpg")
        train = opened(root, size=8).train
        at = train.names.index("a/00\ufffd.jpg")
        assert grey(train.pixels[torch.tensor([at])][0]) == 0
        os.unlink(os.fsencode(root) + b"/a/00\xfe.jpg")
        train.pixels[torch.tensor([at])]
        assert train.pixels.drain() == [("a/00\ufffd.jpg", "FileNotFoundError: No such file or directory")]

    def test_sizes_are_upright(self, root):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (50, 20), (5, 5, 5)).save(root / "turned.jpg", exif=exif)
        train = opened(root).train
        assert train.sizes[train.names.index("turned.jpg")].tolist() == [50, 20]

    def test_headers_are_read_once(self, root, cache, monkeypatch):
        self.broken(root)
        read, told = [], []
        real = folder.read_size
        monkeypatch.setattr(folder, "read_size", lambda path: read.append(path) or real(path))
        first = opened(root, progress=lambda done, total: told.append((done, total))).train
        assert told == [(len(read), COUNT + 6)]
        second = opened(root).train
        assert len(read) == COUNT + 6
        assert torch.equal(first.sizes, second.sizes)
        assert (first.names, first.skipped) == (second.names, second.skipped)
        Image.new("RGB", (33, 44)).save(root / "a" / "00.jpg")
        third = opened(root).train
        assert len(read) == 2 * (COUNT + 6)
        assert third.sizes[third.names.index("a/00.jpg")].tolist() == [44, 33]
        for kept in cache.iterdir():
            kept.write_bytes(b"damaged")
        assert torch.equal(opened(root).train.sizes, third.sizes)

    def test_a_cache_that_cannot_be_written_is_done_without(self, root, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setenv("PAIRLENS_CACHE", str(tmp_path / "file"))
        assert len(opened(root).train) == COUNT

    def test_nothing_readable(self, tmp_path):
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "a.jpg").write_bytes(b"")
        for _ in range(2):
            with pytest.raises(InputError, match=r"none of the 1 image files .* a\.jpg: the file is empty"):
                opened(tmp_path / "bad")

    def test_files_are_chosen_where_a_store_is_too_large(self, root, monkeypatch):
        said = []
        monkeypatch.setattr(choice, "IN_MEMORY", 0)
        monkeypatch.setattr(choice, "memory", lambda: 4 * 3 * 8**2 * COUNT - 1)
        monkeypatch.setattr(choice, "free_room", lambda: 1000)
        train = open_source(str(root), size=8, say=said.append).train
        assert isinstance(train.pixels, Photographs)
        assert said[0].startswith(f"the {COUNT} files are decoded anew in every epoch, since a store of 8 x 8 pixels")
        assert "--decode once" in said[0]
        assert said[1].endswith("no labels, read from their files")
        monkeypatch.setattr(choice, "memory", lambda: 4 * 3 * 8**2 * COUNT)
        assert isinstance(open_source(str(root), size=8, say=said.append).train.pixels, torch.Tensor)
        assert "--decode always" in said[2]

    def test_a_test_source_is_read_like_the_training_images(self, root, monkeypatch):
        """Also where it would fit by itself."""
        (root.parent / "few").mkdir()
        Image.new("RGB", (9, 9)).save(root.parent / "few" / "a.png")
        monkeypatch.setattr(choice, "IN_MEMORY", 0)
        monkeypatch.setattr(choice, "memory", lambda: 4 * 3 * 8**2 * COUNT - 1)
        monkeypatch.setattr(choice, "free_room", lambda: 0)
        source = open_source(str(root), test=str(root.parent / "few"), size=8)
        assert isinstance(source.train.pixels, Photographs)
        assert isinstance(source.test.pixels, Photographs)
        assert source.test.pixels.shape == (1, 3, 8, 8)

    @pytest.mark.parametrize(("argument", "value"), [("workers", 0), ("smallest_crop", 0.0), ("smallest_crop", 1.5)])
    def test_arguments_out_of_range(self, root, argument, value):
        with pytest.raises(InputError, match=str(value)):
            opened(root, **{argument: value})
