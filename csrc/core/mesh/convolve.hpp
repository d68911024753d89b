// SPDX-License-Identifier: BSD-3-Clause
//
// Convolution of a mesh with an influence function, in place: transform the planes x = constant
// along z and y, then column by column along x forward, multiply and back, then the planes back.
// Each step goes through the memory once. What they leave in the halo has no meaning. Channels 2 f
// and 2 f + 1 are the real and imaginary part of one complex field; a real, even influence function
// keeps them apart.
#pragma once

#include <complex>
#include <cstdint>

#include "mesh/boxes.hpp"
#include "mesh/fft.hpp"
#include "types.hpp"

namespace loremd {

// Indices from `begin` to `end`.
struct Run {
  int64_t begin = 0, end = 0;
};

template <class T>
struct MeshFft {
  FftPlan<T> x, y, z;
  Run zeros{};  // frequencies kz of no interest: what is there is not transformed along y

  explicit MeshFft(const MeshPoints &points) : x(points[0]), y(points[1]), z(points[2]) {}
};

enum class PlaneAxes { both, y, z };

// Whether transform_planes takes the halo that windows leave behind and gives them the one they
// meet: folded before the forward and filled after the inverse transform, while the plane is near.
enum class Halo { ignored, meets_windows };

// Transforms the points of all planes of `shape` along z and y (inverse: along y and z), or along
// one of them, without a factor. `planes` are some of a mesh, shape.planes(begin, end), from
// address `mesh` on. They may be part of a box in which these axes are whole.
template <class T>
void transform_planes(const MeshShape &planes, const MeshFft<T> &fft, bool inverse, T *mesh,
                      PlaneAxes axes = PlaneAxes::both, Halo halo = Halo::ignored);

// What happens to the columns between the transforms; (nx, ny, nz) is the mesh, or a box in which x
// is whole.
template <class T>
struct ColumnCall {
  MeshShape shape;
  const T *influence;  // (nx, ny, nz), even in k; factor 1 / (points of the mesh) included; the
                       // values of a vector behind the end are read, and not used
  T *spectrum;         // null, or the transformed mesh before the product is stored here
  const T *other;      // null, or such a spectrum of another mesh
  T *correlation;      // null, or (nx, ny, nz) += sum over channels of Re(conj(other) transformed
                       // mesh), without `other` of the mesh with itself
};

// Forward along x, product with the influence function, and back, for all columns with y in
// [begin, end). Columns in which the influence function vanishes become zero, without transforms
// where no more is asked for.
template <class T>
void convolve_columns(const ColumnCall<T> &call, const MeshFft<T> &fft, int64_t begin, int64_t end,
                      T *mesh);

// A mesh of one channel with an even number of points along z as one of complex numbers, a point
// each for two neighbours along z: the same values in the same memory (its rows are whole cache
// lines, so the halo is even, too).
inline MeshShape pairs_of_points(const MeshShape &shape) {
  const auto [nx, ny, nz] = shape.points;
  return {{nx, ny, nz / 2}, 2, shape.halo / 2, 2};
}

// convolve_columns for such pairs, transformed by transform_planes with an `fft` for them: rows y
// in [begin, end), at most 0 .. ny/2, and those of -y. `influence` is the half spectrum for the
// points, (nx, ny, nz/2 + 1); the factor 1 / (points of the mesh) is not included.
template <class T>
void convolve_paired_columns(const MeshShape &pairs, const MeshFft<T> &fft, const T *influence,
                             int64_t begin, int64_t end, T *mesh);

// The kz at which a half spectrum (nx, ny, nz/2 + 1) vanishes for all kx and ky, and so do the -kz.
template <class T>
Run vanishing_frequencies(const MeshPoints &points, const T *influence);

// full(k) = scale * the influence function for all k of a mesh, from its half spectrum (nx, ny,
// nz/2 + 1). Where the half holds both k and -k, their mean: the real part of the mesh sees no
// more.
template <class T>
void expand_influence(const MeshPoints &points, double scale, const T *half, T *full);

// The transpose of expand_influence: half += scale * what the full spectrum has at k and -k.
template <class T>
void reduce_correlation(const MeshPoints &points, double scale, const T *full, T *half);

// ---- meshes of one channel, with the real Fourier transforms of a library ----

// The mesh as a compact field (nx, ny, nz), and back.
template <class T>
void take_channel(const MeshShape &shape, const T *mesh, T *field);
template <class T>
void put_channel(const MeshShape &shape, const T *field, T *mesh);

// spectrum *= factors
template <class T>
void multiply_spectrum(int64_t count, const T *factors, std::complex<T> *spectrum);

// half(k) += scale w Re(conj(a) b) for half spectra (nx, ny, nz/2 + 1), w = 2 where k stands for -k
// as well.
template <class T>
void correlate_half_spectra(const MeshPoints &points, double scale, const std::complex<T> *a,
                            const std::complex<T> *b, T *half);

}  // namespace loremd
