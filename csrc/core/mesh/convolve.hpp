// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <complex>

#include "types.hpp"

namespace loremd {

// Fourier side of the convolution, between a forward and an inverse FFT over the three axes.
//
// Two real channels a and b travel as one complex field a + i b, which halves the work and needs no
// copy of an interleaved mesh: the influence function is real and even, so the product keeps the
// two apart. A channel without a partner goes through a real FFT with its half spectrum, kz = 0 ..
// nz/2. The influence array (nx, ny, nz/2 + 1) is shared by all; being real and even, it makes the
// convolution self-adjoint. Spectra are contiguous: (nx, ny, nz) of a field, (nx, ny, nz/2 + 1) of
// a single channel.

using MeshPoints = std::array<int64_t, 3>;

// full (nx, ny, nz) <- the even function with the given half. In the planes kz = 0 and nz/2, which
// hold both k and -k, the two are averaged, as a real inverse FFT does.
template <class T>
void expand_influence(const MeshPoints &points, const T *half, T *full);

// spectrum(k) *= factors(k) for `count` values.
template <class T>
void multiply_spectrum(int64_t count, const T *factors, std::complex<T> *spectrum);

// correlation(k) += weight(k) / N * sum over the channels of Re(conj(A(k)) B(k)), N = nx ny nz,
// with weight 2 for the entries of the half spectrum that stand for k and -k and 1 for the planes
// kz = 0 and, when nz is even, kz = nz/2. It is the derivative by influence(k) of sum_g A(g) (B
// convolved)(g). a and b are spectra of fields, that is of two channels at once, or of single
// channels.
template <class T>
void correlate_fields(const MeshPoints &points, const std::complex<T> *a, const std::complex<T> *b,
                      T *correlation);
template <class T>
void correlate_single(const MeshPoints &points, const std::complex<T> *a, const std::complex<T> *b,
                      T *correlation);

}  // namespace loremd
