// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <complex>

#include "types.hpp"

namespace loremd {

// Fourier side of the convolution, between a forward and an inverse real FFT over the three axes of
// a mesh. A half spectrum has shape (nx, ny, nz/2 + 1, channels), channels fastest; the influence
// array (nx, ny, nz/2 + 1), real and even, is shared by all channels, which makes the convolution
// self-adjoint.

// spectrum(k, c) *= influence(k)
template <class T>
void multiply_spectrum(const MeshShape &shape, const T *influence, std::complex<T> *spectrum);

// correlation(k) = weight(k) / N * sum_c Re(conj(a(k, c)) b(k, c)), N = nx ny nz, with weight 2 for
// the entries that stand for k and -k and 1 for kz = 0 and, when nz is even, kz = nz/2. It is the
// derivative by influence(k) of sum_gc A(g, c) (convolution of B)(g, c).
template <class T>
void correlate_spectra(const MeshShape &shape, const std::complex<T> *a, const std::complex<T> *b,
                       T *correlation);

}  // namespace loremd
