// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/convolve.hpp"

namespace loremd {
namespace {

int64_t mirror(int64_t index, int64_t n) {
  return index == 0 ? 0 : n - index;
}

// Planes of the half spectrum that hold both k and -k.
bool own_mirror(int64_t kz, int64_t nz) {
  return kz == 0 || 2 * kz == nz;
}

// Re(conj(a) b)
template <class T>
double real_product(const std::complex<T> &a, const std::complex<T> &b) {
  return static_cast<double>(a.real()) * b.real() + static_cast<double>(a.imag()) * b.imag();
}

}  // namespace

template <class T>
void expand_influence(const MeshPoints &points, const T *half, T *full) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  for (int64_t x = 0; x < nx; ++x) {
    for (int64_t y = 0; y < ny; ++y) {
      const T *own = half + (x * ny + y) * stored;
      const T *mirrored = half + (mirror(x, nx) * ny + mirror(y, ny)) * stored;
      T *row = full + (x * ny + y) * nz;
      for (int64_t z = 0; z < nz; ++z) {
        if (z >= stored) {
          row[z] = mirrored[nz - z];
        } else {
          row[z] = own_mirror(z, nz) ? (own[z] + mirrored[z]) / 2 : own[z];
        }
      }
    }
  }
}

template <class T>
void multiply_spectrum(int64_t count, const T *factors, std::complex<T> *spectrum) {
  for (int64_t k = 0; k < count; ++k) spectrum[k] *= factors[k];
}

template <class T>
void correlate_fields(const MeshPoints &points, const std::complex<T> *a, const std::complex<T> *b,
                      T *correlation) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  const double scale = 1.0 / (static_cast<double>(nx) * ny * nz);
  for (int64_t x = 0; x < nx; ++x) {
    for (int64_t y = 0; y < ny; ++y) {
      const int64_t row = (x * ny + y) * nz, mirrored = (mirror(x, nx) * ny + mirror(y, ny)) * nz;
      T *out = correlation + (x * ny + y) * stored;
      for (int64_t z = 0; z < stored; ++z) {
        // the products of the two channels with each other cancel between k and -k
        const int64_t k = row + z, minus_k = mirrored + mirror(z, nz);
        const double both = real_product(a[k], b[k]) + real_product(a[minus_k], b[minus_k]);
        out[z] += static_cast<T>((own_mirror(z, nz) ? 0.5 : 1.0) * scale * both);
      }
    }
  }
}

template <class T>
void correlate_single(const MeshPoints &points, const std::complex<T> *a, const std::complex<T> *b,
                      T *correlation) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  const double scale = 1.0 / (static_cast<double>(nx) * ny * nz);
  for (int64_t k = 0; k < nx * ny * stored; ++k) {
    const double weight = own_mirror(k % stored, nz) ? 1 : 2;
    correlation[k] += static_cast<T>(weight * scale * real_product(a[k], b[k]));
  }
}

#define LOREMD_INSTANTIATE(T)                                                 \
  template void expand_influence(const MeshPoints &, const T *, T *);         \
  template void multiply_spectrum(int64_t, const T *, std::complex<T> *);     \
  template void correlate_fields(const MeshPoints &, const std::complex<T> *, \
                                 const std::complex<T> *, T *);               \
  template void correlate_single(const MeshPoints &, const std::complex<T> *, \
                                 const std::complex<T> *, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
