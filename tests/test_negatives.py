"""The queue holds the last K keys, whatever batches they came in; the bank a vector an image.

K keys of D dimensions, B keys of a batch, N images.
"""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from pairlens.errors import InputError
from pairlens.negatives import Bank, Queue

DIM = 3
batches = st.lists(st.integers(1, 30), max_size=12)


def queue_of(size: int, seed: int = 0) -> Queue:
    return Queue(size, DIM, torch.Generator().manual_seed(seed))


def numbered(first: int, count: int) -> Tensor:
    """Keys that can be told apart: their number in each dimension, larger than any unit vector's coordinate."""
    return torch.arange(first, first + count, dtype=torch.float32)[:, None].expand(count, DIM) + 100


def rows(keys: Tensor) -> list[tuple[float, ...]]:
    return sorted(map(tuple, keys.tolist()))


@given(st.integers(1, 13), batches)
def test_the_queue_holds_the_last_keys(size: int, counts: list[int]) -> None:
    queue, seen = queue_of(size), 0
    initial = rows(queue.keys)
    for count in counts:
        queue.enqueue(numbered(seen, count))
        seen += count
        kept = min(seen, size)
        found = rows(queue.keys)
        assert found[size - kept :] == rows(numbered(seen - kept, kept))
        assert all(row in initial for row in found[: size - kept])
        assert len(set(found)) == size


@given(st.integers(1, 13), batches, batches)
def test_a_stored_queue_continues_identically(size: int, before: list[int], after: list[int]) -> None:
    queue, seen = queue_of(size), 0
    for count in before:
        queue.enqueue(numbered(seen, count))
        seen += count
    stored = {name: value.clone() for name, value in queue.state_dict().items()}
    other = queue_of(size, seed=1)
    other.load_state_dict(stored)
    assert torch.equal(other.keys, queue.keys)
    for count in after:
        queue.enqueue(numbered(seen, count))
        other.enqueue(numbered(seen, count))
        seen += count
        assert torch.equal(other.keys, queue.keys)


@pytest.mark.parametrize("counts", [(5, 1, 1), (4, 3), (6, 1), (30,), (3, 30, 2)])
def test_the_queue_knows_when_no_random_key_is_left(counts: tuple[int, ...]) -> None:
    queue, seen = queue_of(7), 0
    for count in counts:
        assert bool(queue.full) == (seen >= 7)
        queue.enqueue(numbered(seen, count))
        seen += count
    assert queue.full


def test_the_queue_starts_as_random_unit_vectors_of_its_generator() -> None:
    before = torch.get_rng_state()
    queue = Queue(500, 16, torch.Generator().manual_seed(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert queue.keys.dtype == torch.float32
    assert queue.keys.shape == (500, 16)
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(500))
    covariance = queue.keys.T @ queue.keys / 500  # of directions spread evenly: the identity over D
    torch.testing.assert_close(covariance, torch.eye(16) / 16, rtol=0, atol=0.02)
    assert queue.keys.mean(0).norm() < 0.1
    assert torch.equal(Queue(500, 16, torch.Generator().manual_seed(2)).keys, queue.keys)
    assert not torch.equal(Queue(500, 16, torch.Generator().manual_seed(3)).keys, queue.keys)


def test_keys_are_a_buffer_and_carry_no_gradient() -> None:
    queue = queue_of(4)
    assert "keys" in dict(queue.named_buffers())
    assert "keys" in queue.state_dict()
    assert not list(queue.parameters())
    live = torch.ones(2, DIM, requires_grad=True)
    queue.enqueue(live * 2)
    assert not queue.keys.requires_grad
    assert queue.keys.grad_fn is None


def test_enqueued_keys_are_copies() -> None:
    queue, keys = queue_of(3), numbered(0, 3).clone()
    queue.enqueue(keys)
    keys.zero_()
    assert rows(queue.keys) == rows(numbered(0, 3))


@pytest.mark.parametrize("size", [0, -1])
def test_the_size_must_be_positive(size: int) -> None:
    with pytest.raises(InputError):
        Queue(size, DIM, torch.Generator())


def test_the_bank_starts_as_random_unit_vectors_of_its_generator() -> None:
    before = torch.get_rng_state()
    bank = Bank(500, 16, torch.Generator().manual_seed(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert bank.vectors.dtype == torch.float32
    assert bank.vectors.shape == (500, 16)
    torch.testing.assert_close(bank.vectors.norm(dim=1), torch.ones(500))
    covariance = bank.vectors.T @ bank.vectors / 500
    torch.testing.assert_close(covariance, torch.eye(16) / 16, rtol=0, atol=0.02)
    assert torch.equal(Bank(500, 16, torch.Generator().manual_seed(2)).vectors, bank.vectors)
    assert list(bank.state_dict()) == ["vectors"]
    assert not list(bank.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9, 1.0])
def test_the_bank_moves_the_vectors_of_the_images_that_were_seen(momentum: float) -> None:
    bank = Bank(9, DIM, torch.Generator().manual_seed(0), momentum)
    old = bank.vectors.double().tolist()
    index = torch.tensor([4, 0, 7])
    features = torch.randn(3, DIM, generator=torch.Generator().manual_seed(1)).requires_grad_()
    bank.update(index, torch.nn.functional.normalize(features, dim=1))
    assert not bank.vectors.requires_grad
    seen = dict(zip(index.tolist(), features.tolist(), strict=True))
    for i in range(9):
        expected = old[i]
        if i in seen:
            length = math.sqrt(sum(f * f for f in seen[i]))
            mixed = [momentum * v + (1 - momentum) * f / length for v, f in zip(old[i], seen[i], strict=True)]
            norm = math.sqrt(sum(m * m for m in mixed))
            expected = [m / norm for m in mixed]
        assert bank.vectors[i].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("images", "dim", "momentum"), [(0, 4, 0.5), (4, 0, 0.5), (4, 4, -0.1), (4, 4, 1.1), (4, 4, float("nan"))]
)
def test_a_bank_that_cannot_be_made_is_refused(images: int, dim: int, momentum: float) -> None:
    with pytest.raises(InputError, match=f"a bank of {images} vectors of {dim} dimensions with momentum"):
        Bank(images, dim, torch.Generator(), momentum)
