// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/convolve.hpp"

namespace loremd {

template <class T>
void multiply_spectrum(const MeshShape &shape, const T *influence, std::complex<T> *spectrum) {
  const int64_t points = shape.points[0] * shape.points[1] * half_spectrum_points(shape.points[2]);
  for (int64_t k = 0; k < points; ++k) {
    std::complex<T> *at_k = spectrum + k * shape.channels;
    for (int64_t c = 0; c < shape.channels; ++c) at_k[c] *= influence[k];
  }
}

template <class T>
void correlate_spectra(const MeshShape &shape, const std::complex<T> *a, const std::complex<T> *b,
                       T *correlation) {
  const auto [nx, ny, nz] = shape.points;
  const int64_t half = half_spectrum_points(nz);
  const double scale = 1.0 / (static_cast<double>(nx) * ny * nz);
  for (int64_t k = 0; k < nx * ny * half; ++k) {
    const int64_t z = k % half;
    const bool own_mirror = z == 0 || 2 * z == nz;
    double sum = 0;
    for (int64_t c = 0; c < shape.channels; ++c) {
      const std::complex<T> &ac = a[k * shape.channels + c], &bc = b[k * shape.channels + c];
      sum +=
          static_cast<double>(ac.real()) * bc.real() + static_cast<double>(ac.imag()) * bc.imag();
    }
    correlation[k] = static_cast<T>((own_mirror ? 1 : 2) * scale * sum);
  }
}

template void multiply_spectrum(const MeshShape &, const float *, std::complex<float> *);
template void multiply_spectrum(const MeshShape &, const double *, std::complex<double> *);
template void correlate_spectra(const MeshShape &, const std::complex<float> *,
                                const std::complex<float> *, float *);
template void correlate_spectra(const MeshShape &, const std::complex<double> *,
                                const std::complex<double> *, double *);

}  // namespace loremd
