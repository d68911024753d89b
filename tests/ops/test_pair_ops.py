# SPDX-License-Identifier: BSD-3-Clause
"""The real-space pair sum and the ops that reach other ranks."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from loremd import ops
from loremd.ops import reference

from .communicators import Images


def random_pairs(n=7, pairs=30, channels=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(pairs, generator=generator, dtype=torch.float64)
    charges = torch.randn(n, channels, generator=generator, dtype=torch.float64)
    return weights, charges, torch.randint(n, (2, pairs), generator=generator)


class TestPairSum:
    def test_equal_to_plain_torch(self):
        weights, charges, pairs = random_pairs()
        for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 1e-5)):
            arguments = (weights.to(dtype), charges.to(dtype), pairs, 7)
            torch.testing.assert_close(
                ops.pair_sum(*arguments),
                reference.pair_sum(*arguments),
                rtol=0,
                atol=10 * tolerance,
            )

    def test_ten_channels_equal_ten_single_calls(self):
        weights, charges, pairs = random_pairs(channels=10)
        single = [ops.pair_sum(weights, charges[:, c : c + 1], pairs, 7) for c in range(10)]
        assert torch.equal(ops.pair_sum(weights, charges, pairs, 7), torch.cat(single, 1))

    def test_transposed_pairs_are_the_transpose(self):
        weights, charges, pairs = random_pairs()
        other = torch.randn(7, 3, dtype=torch.float64)
        left = (other * ops.pair_sum(weights, charges, pairs, 7)).sum()
        right = (charges * ops.pair_sum(weights, other, pairs.flip(0), 7)).sum()
        assert abs(left - right) < 1e-12 * abs(weights).sum()

    def test_derivatives(self):
        weights, charges, pairs = random_pairs(n=4, pairs=6, channels=2)
        arguments = (weights.requires_grad_(), charges.requires_grad_())
        assert gradcheck(lambda w, q: ops.pair_sum(w, q, pairs, 5), arguments)
        assert gradgradcheck(lambda w, q: ops.pair_sum(w, q, pairs, 5), arguments)

    def test_empty_and_non_contiguous(self):
        weights, charges, pairs = random_pairs()
        assert ops.pair_sum(weights[:0], charges, pairs[:, :0], 3).equal(torch.zeros(3, 3).double())
        strided = pairs.t().contiguous().t()
        assert torch.equal(
            ops.pair_sum(weights, charges.t().contiguous().t(), strided, 7),
            ops.pair_sum(weights, charges, pairs, 7),
        )

    @pytest.mark.cpu_kernels
    def test_bad_input(self):
        weights, charges, pairs = random_pairs()
        with pytest.raises(ValueError, match=r"centre index \d is out of range; there are 2 atoms"):
            ops.pair_sum(weights, charges, pairs, 2)
        with pytest.raises(ValueError, match="neighbour index"):
            ops.pair_sum(weights, charges[:2], pairs, 7)
        with pytest.raises(ValueError, match="one weight for each of 30 pairs"):
            ops.pair_sum(weights[:5], charges, pairs, 7)
        with pytest.raises(TypeError, match="pairs of dtype Long"):
            ops.pair_sum(weights, charges, pairs.int(), 7)


class TestCommunicator:
    images = (2, 0, 0)

    def test_ghosts_get_the_values_of_their_atoms(self):
        owned = torch.arange(8.0, dtype=torch.float64).reshape(4, 2)
        with Images(self.images) as comm:
            everyone = ops.halo_exchange(owned, 7, comm)
        torch.testing.assert_close(everyone, torch.cat([owned, owned[list(self.images)]]))

    def test_float32_and_empty(self):
        with Images(()) as comm:
            assert ops.halo_exchange(torch.zeros(0, 3), 0, comm).shape == (0, 3)
        with Images(self.images) as comm:
            assert ops.halo_exchange(torch.ones(4, 2), 7, comm).dtype == torch.float32

    def test_derivatives(self):
        owned = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
        with Images(self.images, ranks=1) as comm:
            for call in (
                lambda x: ops.halo_exchange(x * x, 7, comm),
                lambda x: ops.halo_reduce(ops.halo_exchange(x * x, 7, comm), 4, comm),
                lambda x: ops.sum_over_ranks(x * x, comm),
            ):
                assert gradcheck(call, (owned,))
                assert gradgradcheck(call, (owned,))

    def test_sum_is_its_own_transpose(self):
        values = torch.randn(5, dtype=torch.float64, requires_grad=True)
        with Images(()) as comm:
            (gradient,) = torch.autograd.grad(ops.sum_over_ranks(values, comm).sum(), values)
        torch.testing.assert_close(gradient, torch.full_like(values, 3.0))

    def test_alone(self):
        owned = torch.randn(4, 2)
        assert torch.equal(ops.halo_exchange(owned, 4, 0), owned)
        assert torch.equal(ops.sum_over_ranks(owned, 0), owned)
        with pytest.raises(ValueError, match="3 ghost atoms, but no communicator"):
            ops.halo_exchange(owned, 7, 0)

    def test_errors(self):
        with pytest.raises(ValueError, match="no communicator has the handle 12345"):
            ops.sum_over_ranks(torch.zeros(3), 12345)
        with (
            Images(self.images, status=7) as comm,
            pytest.raises(RuntimeError, match="communication failed with status 7"),
        ):
            ops.halo_exchange(torch.zeros(4, 1), 7, comm)
