"""Stylised copies of images: which of them a view is cut from, and two ways of making them without a network.

These two stand in for neural style transfer, which needs weights (`nets.adain`), and they are no more than that: they
change an image's texture and keep its layout and its colours, but no brush was ever led so.

B images of a batch, N images of the set, S copies of each, H x W pixels, V = W // 2 + 1 frequencies.
"""

import torch
from jaxtyping import Float, Int64, Integer, UInt8
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in an image's luminance."""

LAYOUT = (2.0, 4.0)
"""Cycles an image: what is slower stays the image's own (its layout), what is faster is all texture."""

CELLS = 8
"""Cells along each side of an image, within which patches change places."""

PATCHES = 32
"""Patches along each side, as far as they have two pixels at least."""


def chosen(
    images: UInt8[Tensor, "B 3 H W"],
    styles: UInt8[Tensor, "S N 3 H W"],
    index: Int64[Tensor, "B"],
    texture: Integer[Tensor, "B"],
) -> UInt8[Tensor, "B 3 H W"]:
    """Some images, those that a texture was drawn for replaced by that copy of theirs.

    Args:
        images: as `index` takes them from the set; left as they are.
        styles: every image's copies, on the images' device.
        index: which images of the set, on the CPU.
        texture: `ViewParams.texture`, on the CPU: nothing is read back from the device.
    """
    rows = texture.nonzero()[:, 0]
    places = (texture[rows] - 1) * styles.shape[1] + index[rows]
    copies = styles.flatten(0, 1).index_select(0, places.to(styles.device))
    return images.index_copy(0, rows.to(images.device), copies)


def mix_spectra(images: UInt8[Tensor, "B 3 H W"], others: UInt8[Tensor, "B 3 H W"]) -> UInt8[Tensor, "B 3 H W"]:
    """Images with the texture of others: their own phases, and above `LAYOUT` the others' amplitudes. Not neural.

    Phases carry where edges are, amplitudes which orientations and scales there are (Oppenheim & Lim 1981). Only the
    luminance is changed; the change is added to all three channels, and what leaves [0, 255] is clipped. An image of
    one colour has no phases, and stays as it is.
    """
    own, style = (_luminance(pixels) for pixels in (images, others))
    spectrum, amplitudes = torch.fft.rfft2(own), torch.fft.rfft2(style).abs()
    before = spectrum.abs()
    after = torch.lerp(before, amplitudes, _share_of_texture(*own.shape[1:]))
    changed = torch.fft.irfft2(spectrum * (after / before.clamp(min=1e-3)), s=own.shape[1:])
    return (images + (changed - own)[:, None]).round_().clamp_(0, 255).byte()


def shuffle_patches(images: UInt8[Tensor, "B 3 H W"], generator: torch.Generator) -> UInt8[Tensor, "B 3 H W"]:
    """Images whose small patches change places within the cells of a grid. Not neural.

    Cells are an eighth of a side, patches a 32nd of it but two pixels at least (Kang et al. 2017 shuffle the pixels of
    larger patches). What the grid leaves over at the right and below, and images too small for it, stay as they are.
    """
    batch, channels, height, width = images.shape
    patch = max(2, min(height, width) // PATCHES)
    rows, columns = (side // CELLS // patch for side in (height, width))  # patches of a cell
    if rows * columns < 2:
        return images.clone()
    bottom, right = CELLS * rows * patch, CELLS * columns * patch
    grid = (batch, channels, CELLS, rows, patch, CELLS, columns, patch)
    cells = images[:, :, :bottom, :right].reshape(grid).permute(0, 2, 5, 3, 6, 1, 4, 7)
    patches = cells.reshape(batch, CELLS, CELLS, rows * columns, channels * patch * patch)
    order = torch.rand(patches.shape[:4], generator=generator).argsort(3)
    moved = patches.gather(3, order[..., None].expand_as(patches)).view(cells.shape)
    shuffled = images.clone()
    shuffled[:, :, :bottom, :right] = moved.permute(0, 5, 1, 3, 6, 2, 4, 7).reshape(batch, channels, bottom, right)
    return shuffled


def _luminance(images: UInt8[Tensor, "B 3 H W"]) -> Float[Tensor, "B H W"]:
    return torch.einsum("bchw,c->bhw", images.float(), torch.tensor(LUMA))


def _share_of_texture(height: int, width: int) -> Float[Tensor, "H V"]:
    """How much of each frequency is texture: 0 of the slow ones, 1 of the fast ones."""
    rows, columns = torch.fft.fftfreq(height, 1 / height), torch.fft.rfftfreq(width, 1 / width)
    low, high = LAYOUT
    return ((torch.hypot(rows[:, None], columns) - low) / (high - low)).clamp_(0, 1)
