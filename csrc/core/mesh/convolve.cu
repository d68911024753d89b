// SPDX-License-Identifier: BSD-3-Clause
//
// What is done between the Fourier transforms of a library. An item is one k.
#include "device.hpp"
#include "math/half_spectrum.hpp"
#include "mesh/cuda.hpp"

namespace loremd::cuda {
namespace {

using Points = std::array<int64_t, 3>;

int64_t stored_points(const Points &points) {
  return points[0] * points[1] * half_spectrum_points(points[2]);
}

template <class T>
struct Multiply {
  Points points;
  int64_t channels, stored;
  T scale;
  const T *influence;
  T *spectrum;

  LOREMD_HOST_DEVICE void operator()(int64_t k) const {
    const auto [nx, ny, nz] = points;
    const int64_t row = half_spectrum_points(nz);
    const int64_t x = k / (row * ny), y = k / row % ny, z = k % row;
    const int64_t opposite = (mirror(x, nx) * ny + mirror(y, ny)) * row + z;
    const T factor = scale * even_part(z, nz, influence[k], influence[opposite]);
    for (int64_t c = 0; c < channels; ++c) {
      T *value = spectrum + 2 * (c * stored + k);
      value[0] *= factor;
      value[1] *= factor;
    }
  }
};

template <class T>
struct Correlate {
  Points points;
  int64_t channels, stored;
  double scale;
  const T *a, *b;
  T *half;

  LOREMD_HOST_DEVICE void operator()(int64_t k) const {
    double sum = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t at = 2 * (c * stored + k);
      sum += real_product(a[at], a[at + 1], b[at], b[at + 1]);
    }
    const double weight = multiplicity(k % half_spectrum_points(points[2]), points[2]);
    half[k] += static_cast<T>(weight * scale * sum);
  }
};

}  // namespace

template <class T>
void multiply_spectrum(const Points &points, int64_t channels, double scale, const T *influence,
                       T *spectrum, Stream stream) {
  const int64_t stored = stored_points(points);
  for_each_item(stream, stored,
                Multiply<T>{points, channels, stored, static_cast<T>(scale), influence, spectrum});
}

template <class T>
void correlate_half_spectra(const Points &points, int64_t channels, double scale, const T *a,
                            const T *b, T *half, Stream stream) {
  const int64_t stored = stored_points(points);
  for_each_item(stream, stored, Correlate<T>{points, channels, stored, scale, a, b, half});
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void multiply_spectrum(const Points &, int64_t, double, const T *, T *, Stream);        \
  template void correlate_half_spectra(const Points &, int64_t, double, const T *, const T *, T *, \
                                       Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
