# SPDX-License-Identifier: BSD-3-Clause
"""Layers of the LOREM model.

Scalars are (n, features), spherical features (n, (L+1)², features) in the order of
:mod:`loremd.spherical`. Every layer is scriptable and differentiable twice. ``arrays()`` of a layer
lists its parameters under the leaf names that lorem-jax uses; :class:`Entry` says how the stored
array relates to the parameter.

Tables that must be exact in float64 whatever happened to the dtype of the module (a model that is
cast to float32 and back, say) are kept as int64 buffers of fixed-point numbers, because casting a
module leaves integer buffers alone.
"""

import math
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

from .clebsch_gordan import clebsch_gordan, paths
from .ops import (
    equivariant_dense,
    mlp,
    norm_features,
    residual_mlp,
    residual_mlp_again,
    residual_mlp_forward,
    residual_mlp_slopes,
    tensor_dense,
    tensor_dense_gradient,
    tensor_product,
)
from .spherical import component_degrees, harmonics

# standard deviation of a unit normal distribution truncated at ±2
_TRUNCATED_NORMAL = 0.87962566103423978


@dataclass
class Entry:
    """A stored array: ``parameter`` (or its row ``index``), reshaped to ``shape``."""

    parameter: nn.Parameter
    shape: Tuple[int, ...]
    index: Optional[int] = None

    def tensor(self) -> Tensor:
        """The view on the parameter that the array fills."""
        return self.parameter if self.index is None else self.parameter[self.index]


Arrays = Dict[str, Entry]


def to_fixed(table: Tensor) -> Tensor:
    """Float64 numbers below 512 as int64 multiples of 2^-53: exact from 1 up, else to 6e-17."""
    return (table.to(torch.float64) * 2.0**53).round().to(torch.int64)


def from_fixed(table: Tensor) -> Tensor:
    """The inverse of to_fixed, float64."""
    return table.to(torch.float64) * 1.1102230246251565e-16


def prefixed(prefix: str, arrays: Arrays) -> Arrays:
    """The same arrays under a longer path."""
    return {f"{prefix}/{name}": entry for name, entry in arrays.items()}


def _truncated_normal(shape: Tuple[int, ...], variance: float) -> nn.Parameter:
    values = torch.empty(shape)
    deviation = math.sqrt(variance) / _TRUNCATED_NORMAL
    nn.init.trunc_normal_(values, std=deviation, a=-2 * deviation, b=2 * deviation)
    return nn.Parameter(values)


class Dense(nn.Module):
    """y = x W + b with W of shape (in, out)."""

    def __init__(self, n_in: int, n_out: int, bias: bool = True):
        super().__init__()
        self.weight = _truncated_normal((n_in, n_out), 1.0 / n_in)
        self.bias = nn.Parameter(torch.zeros(n_out)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias
        return x @ self.weight if bias is None else torch.addmm(bias, x, self.weight)

    def arrays(self) -> Arrays:
        entries = {"kernel": Entry(self.weight, tuple(self.weight.shape))}
        if self.bias is not None:
            entries["bias"] = Entry(self.bias, tuple(self.bias.shape))
        return entries


class MLP(nn.Module):
    """Dense layers with bias of the given widths, silu between them."""

    def __init__(self, n_in: int, widths: List[int]):
        super().__init__()
        inputs = [n_in, *widths[:-1]]
        self.layers = nn.ModuleList([Dense(a, b) for a, b in zip(inputs, widths, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        weights, biases = self.matrices()
        return mlp(x, weights, biases)

    def matrices(self, first: Optional[Tensor] = None) -> Tuple[List[Tensor], List[Tensor]]:
        """Weights and biases of the layers; `first`, if given, is the first weight's substitute."""
        weights: List[Tensor] = []
        biases: List[Tensor] = []
        for layer in self.layers:
            bias = layer.bias
            assert bias is not None
            weights.append(layer.weight)
            biases.append(bias)
        if first is not None:
            weights[0] = first
        return weights, biases

    def arrays(self) -> Arrays:
        entries: Arrays = {}
        for k, layer in enumerate(self.layers):
            entries.update(prefixed(f"Dense_{k}", layer.arrays()))
        return entries


class LayerNorm(nn.Module):
    """Scale and shift of a layer normalisation, which is part of ops.residual_mlp."""

    def __init__(self, width: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def arrays(self) -> Arrays:
        shape = tuple(self.scale.shape)
        return {"scale": Entry(self.scale, shape), "bias": Entry(self.bias, shape)}


class Kept(NamedTuple):
    """Of the two steps of an Update; see ops.residual_mlp_forward and residual_mlp_slopes."""

    normalised: Tensor
    inverse: Tensor
    own_normalised: Tensor
    own_inverse: Tensor
    own_slopes: Tensor


class Update(nn.Module):
    """Two residual steps of the scalars, each followed by its LayerNorm."""

    def __init__(self, width: int, n_in: int):
        super().__init__()
        self.message = MLP(n_in, [2 * width, width])
        self.message_norm = LayerNorm(width)
        self.own = MLP(width, [2 * width, width])
        self.own_norm = LayerNorm(width)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        norm, own_norm = self.message_norm, self.own_norm
        weights, biases = self.message.matrices()
        x = residual_mlp(x, y, weights, biases, norm.scale, norm.bias)
        weights, biases = self.own.matrices()
        return residual_mlp(x, x, weights, biases, own_norm.scale, own_norm.bias)

    @torch.jit.export
    def keep(self, x: Tensor, y: Tensor, first: Optional[Tensor] = None) -> Tuple[Tensor, Kept]:
        """forward without derivatives, and what :meth:`again` needs.

        first (in, 2 d) takes the place of the first matrix, for other y.
        """
        norm, own_norm = self.message_norm, self.own_norm
        weights, biases = self.message.matrices(first)
        x, normalised, inverse = residual_mlp_forward(x, y, weights, biases, norm.scale, norm.bias)
        weights, biases = self.own.matrices()
        x, own_normalised, own_inverse, own_slopes = residual_mlp_slopes(
            x, x, weights, biases, own_norm.scale, own_norm.bias
        )
        return x, Kept(normalised, inverse, own_normalised, own_inverse, own_slopes)

    @torch.jit.export
    def again(self, x: Tensor, y: Tensor, kept: Kept, first: Optional[Tensor] = None) -> Tensor:
        """:meth:`keep` for the same arguments a second time, for its derivatives."""
        norm, own_norm = self.message_norm, self.own_norm
        weights, biases = self.message.matrices(first)
        x = residual_mlp_again(
            x, y, weights, biases, norm.scale, norm.bias, kept.normalised, kept.inverse
        )
        weights, biases = self.own.matrices()
        return residual_mlp_again(
            x,
            x,
            weights,
            biases,
            own_norm.scale,
            own_norm.bias,
            kept.own_normalised,
            kept.own_inverse,
            kept.own_slopes,
        )

    def arrays(self) -> Arrays:
        return {
            **prefixed("MLP_0", self.message.arrays()),
            **prefixed("LayerNorm_0", self.message_norm.arrays()),
            **prefixed("MLP_1", self.own.arrays()),
            **prefixed("LayerNorm_1", self.own_norm.arrays()),
        }


class RadialBasis(nn.Module):
    """Bernstein polynomials of r / cutoff times the cutoff function.

    ``b_k(x) = binomial(K-1, k) x^k (1-x)^(K-1-k)`` and the cutoff function f are one exponential,
    exp(ln binomial + k ln x + (K-1-k) ln(1-x) + ln f), in float64, where this costs no accuracy.
    """

    def __init__(self, cutoff: float, n_radial: int, cutoff_fn: str):
        super().__init__()
        self.cutoff = cutoff
        self.smooth = cutoff_fn == "smooth_cutoff"
        n = n_radial - 1
        exponents = torch.tensor([[k, n - k, 1] for k in range(n_radial)], dtype=torch.float64)
        binomials = torch.tensor(
            [math.log(math.comb(n, k)) for k in range(n_radial)], dtype=torch.float64
        )
        self.register_buffer("exponents", to_fixed(exponents.t()), persistent=False)
        self.register_buffer("log_binomials", to_fixed(binomials), persistent=False)

    def forward(self, distances: Tensor, mask: Tensor) -> Tensor:
        """Distances (Q,) float64, 0 < r < cutoff, and mask (Q,) of 0 and 1 -> (Q, K) float64."""
        x = distances / self.cutoff
        if self.smooth:
            envelope = 1.0 - 1.0 / (1.0 - x.square())
        else:
            envelope = 2.0 * torch.log(torch.cos((0.5 * math.pi) * x))
        # exp(-2000) is exactly zero, and so are its derivatives
        envelope = envelope - 2000.0 * (1.0 - mask)
        logarithms = torch.stack([torch.log(x), torch.log1p(-x), envelope])
        exponents, binomials = from_fixed(self.exponents), from_fixed(self.log_binomials)
        return torch.exp(torch.addmm(binomials, logarithms.t(), exponents))


class SphericalHarmonics(nn.Module):
    """Harmonics by recursion: Y_l is Y_{l-1} coupled with Y_1, times a constant."""

    def __init__(self, max_degree: int):
        super().__init__()
        self.max_degree = max_degree
        sizes, blocks = [], []
        north = harmonics(torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64), max_degree)[0]
        for degree in range(2, max_degree + 1):
            lower, own = slice((degree - 1) ** 2, degree**2), slice(degree**2, (degree + 1) ** 2)
            table = clebsch_gordan(max_degree, 1, max_degree)[lower, 1:4, own]
            factor = torch.einsum("a,b,abc,c", north[lower], north[1:4], table, north[own])
            blocks.append((table / factor).flatten(0, 1).t().flatten())
            sizes.append(table.numel())
        self.sizes: List[int] = [*sizes, 0]  # never empty: TorchScript infers the type from it
        recursion = torch.cat(blocks) if blocks else torch.zeros(0, dtype=torch.float64)
        self.register_buffer("recursion", to_fixed(recursion), persistent=False)

    def forward(self, directions: Tensor) -> Tensor:
        """Unit vectors (3, Q) -> ((L+1)², Q), same dtype; directions last, as lanes."""
        values = [torch.ones_like(directions[:1])]
        if self.max_degree > 0:
            values.append(directions)
        table = from_fixed(self.recursion).to(directions.dtype)
        start = 0
        for degree in range(2, self.max_degree + 1):
            rows, columns = 2 * degree + 1, 3 * (2 * degree - 1)
            products = (values[degree - 1].unsqueeze(1) * directions.unsqueeze(0)).flatten(0, 1)
            block = table[start : start + rows * columns].reshape(rows, columns)
            values.append(block @ products)
            start += self.sizes[degree - 2]
        return torch.cat(values, 0)


class RadialCoefficients(nn.Module):
    """Network whose output, per pair feature vector, is a (K, d) matrix of radial coefficients."""

    def __init__(self, n_in: int, width: int, n_radial: int):
        super().__init__()
        self.n_radial = n_radial
        self.width = width
        self.network = MLP(n_in, [width, n_radial * width])

    def forward(self, features: Tensor) -> Tensor:
        return self.network(features).reshape(features.shape[0], self.n_radial, self.width)

    def arrays(self) -> Arrays:
        return prefixed("MLP_0", self.network.arrays())


class EqDense(nn.Module):
    """One matrix per degree, shared by the components of this degree; no bias."""

    def __init__(self, max_degree: int, n_in: int, n_out: int):
        super().__init__()
        self.weight = _truncated_normal((max_degree + 1, n_in, n_out), 1.0 / n_in)
        degrees = torch.tensor(component_degrees(max_degree))
        self.register_buffer("degrees", degrees, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """(n, (L+1)², n_in) -> (n, (L+1)², n_out)."""
        return equivariant_dense(t, self.weight)

    def arrays(self) -> Arrays:
        shape = tuple(self.weight.shape[1:])
        return {
            f"{degree}{'+-'[degree % 2]}/kernel": Entry(self.weight, shape, degree)
            for degree in range(self.weight.shape[0])
        }


class TensorProduct(nn.Module):
    """Couple two spherical arrays, one weight per path (l1, l2, l3) and feature.

    ``out[n, l3 m3, f] = Σ w[l1, l2, l3, f] C[l1 m1, l2 m2, l3 m3] a[n, l1 m1, f] b[n, l2 m2, f]``
    over the paths that keep the parity. Weights of other paths exist in the parameter, as in
    lorem-jax's files, and are never used. :meth:`contract` does the same to products that exist
    already, for messages whose products are summed over pairs first.
    """

    def __init__(self, degree_a: int, degree_b: int, degree_out: int, features: int):
        super().__init__()
        shape = (degree_a + 1, degree_b + 1, degree_out + 1, features)
        self.weight = nn.Parameter(torch.zeros(shape))
        self.components = [(degree_a + 1) ** 2, (degree_b + 1) ** 2, (degree_out + 1) ** 2]
        self._initialise(paths(degree_a, degree_b, degree_out))
        table = clebsch_gordan(degree_a, degree_b, degree_out)
        entries = table.flatten().nonzero().squeeze(1)
        a, b, c = torch.meshgrid(
            *(torch.tensor(component_degrees(k)) for k in (degree_a, degree_b, degree_out)),
            indexing="ij",
        )
        path = (a * (degree_b + 1) + b) * (degree_out + 1) + c
        self.register_buffer("entries", entries, persistent=False)
        self.register_buffer("path", path.flatten()[entries], persistent=False)
        self.register_buffer("coefficients", to_fixed(table.flatten()[entries]), persistent=False)

    def _initialise(self, allowed: List[Tuple[int, int, int]]) -> None:
        for l3 in range(self.weight.shape[2]):
            own = [path for path in allowed if path[2] == l3]
            values = _truncated_normal((len(own), self.weight.shape[3]), 1.0 / max(1, len(own)))
            with torch.no_grad():
                for path, value in zip(own, values, strict=True):
                    self.weight[path] = value

    def table(self) -> Tensor:
        """The weighted coefficients, (features, M1 M2, M3)."""
        features = self.weight.shape[3]
        m1, m2, m3 = self.components[0], self.components[1], self.components[2]
        coefficients = from_fixed(self.coefficients).to(self.weight.dtype)
        weighted = self.weight.reshape(-1, features).index_select(0, self.path)
        weighted = weighted * coefficients.unsqueeze(1)
        dense = torch.zeros(m1 * m2 * m3, features, dtype=weighted.dtype, device=weighted.device)
        dense = dense.index_copy(0, self.entries, weighted)
        return dense.reshape(m1 * m2, m3, features).permute(2, 0, 1)

    def contract(self, products: Tensor) -> Tensor:
        """Products (features, n, M1 M2) of the two arguments -> (n, M3, features)."""
        return torch.bmm(products, self.table()).permute(1, 2, 0)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, M1, features), (n, M2, features) -> (n, M3, features)."""
        return tensor_product(a, b, self.weight)

    def arrays(self) -> Arrays:
        l1, l2, l3, features = self.weight.shape
        return {"kernel": Entry(self.weight, (1, l1, 1, l2, 1, l3, features))}


class TensorDense(nn.Module):
    """Couple two linear images of the same spherical array."""

    def __init__(self, degree: int, degree_out: int, n_in: int, features: int):
        super().__init__()
        self.dense = EqDense(degree, n_in, 2 * features)
        self.tensor = TensorProduct(degree, degree, degree_out, features)

    def forward(self, t: Tensor) -> Tensor:
        return tensor_dense(t, self.dense.weight, self.tensor.weight)

    @torch.jit.export
    def gradient(self, t: Tensor, by: Tensor) -> Tensor:
        """Gradient by t of Σ by · self(t), without self(t)."""
        return tensor_dense_gradient(t, self.dense.weight, self.tensor.weight, by)

    def arrays(self) -> Arrays:
        return {
            **prefixed("dense", self.dense.arrays()),
            **prefixed("tensor", self.tensor.arrays()),
        }


class NormFeatures(nn.Module):
    """Norms of every degree and feature times (2l+1)^(1/4), (n, (L+1) features), degree slow.

    With ``epsilon`` = 0 the norm is √(Σ_m t²), with first and second derivatives 0 at zero. For
    degree 0 this is |t|, a kink in the energy wherever a scalar component changes sign. With
    epsilon > 0 it is √(Σ_m t² + ε²) - ε, smooth everywhere and equally 0 at zero.
    """

    def __init__(self, max_degree: int, epsilon: float):
        super().__init__()
        self.epsilon = epsilon

    def forward(self, t: Tensor) -> Tensor:
        """(n, (L+1)², features) -> (n, (L+1) features)."""
        return norm_features(t, self.epsilon)
