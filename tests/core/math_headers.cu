// SPDX-License-Identifier: BSD-3-Clause
//
// Every function of csrc/core/math inside a kernel, so that nvcc compiles it as device code.
#include "math/bspline.hpp"
#include "math/dual.hpp"
#include "math/exponential.hpp"
#include "math/influence.hpp"
#include "math/radial.hpp"
#include "math/spherical.hpp"

namespace {

template <int P, class T>
__global__ void window_weights(const T *fractions, T *weights, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  T w[P], slopes[P], curvatures[P];
  loremd::bspline_weights<P, 0>(fractions[i], w);
  loremd::bspline_weights<P, 1>(fractions[i], slopes);
  loremd::bspline_weights<P, 2>(fractions[i], curvatures);
  for (int k = 0; k < P; ++k) weights[i * P + k] = w[k] + slopes[k] + curvatures[k];
}

// Gaussian splitting in three, two and no periodic directions.
template <class Cut>
__global__ void influence(const double *metric, double smearing, Cut cut, int n, double *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const double f[3] = {double(i + 1), 0, 0};
  const double x = loremd::metric_product(metric, f);
  const loremd::GaussianSplitting splitting{smearing};
  double limit = 0;
  const bool finite = cut.at_zero(&limit);
  out[i] = x > splitting.largest() ? 0
                                   : splitting.value(x) * cut.value(x, 0.5 * x) +
                                         splitting.first(x) * cut.first(x, 0.5 * x) +
                                         splitting.second(x) * cut.second(x, 0.5 * x);
  if (i == 0 && finite) out[i] += limit;
}

template <class T>
__global__ void silus(const T *x, int n, T *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const auto result = loremd::silu<T>(x[i]);
  out[i] = result.value + result.slope;
}

__global__ void gamma_tails(const double *x, double a, double b, int n, double *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const loremd::GammaTail tail(a, b);
  out[i] = tail.value(x[i]) + tail.derivative(x[i], 1) + tail.derivative(x[i], 2);
}

__global__ void even_series(const double *t, loremd::EvenSeries series, int n, double *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  out[i] = series.value(t[i]) + series.slope(t[i]) + series.integral(t[i]) +
           series.cosine_transform(t[i]);
}

// Numbers and dual numbers.
template <class N>
__global__ void radial_functions(const double *x, const double *binomials, bool smooth, int n,
                                 N *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const loremd::CutoffValue fc = smooth ? loremd::smooth_cutoff(x[i]) : loremd::cosine_cutoff(x[i]);
  N powers[8];
  loremd::radial_basis(
      8, binomials, N{} + x[i], 1.0, N{} + fc.value, N{} + fc.slope, powers,
      [&](int k, const N &value, const N &slope) { out[8 * i + k] = value + slope; });
}

template <class T, class N>
__global__ void harmonics(loremd::SphericalRecursion<T> recursion, int degree, const T *vectors,
                          int n, N *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const N x = N{} + vectors[3 * i], y = N{} + vectors[3 * i + 1], z = N{} + vectors[3 * i + 2];
  N *own = out + i * (loremd::n_components(degree) + 3);
  loremd::spherical_harmonics(recursion, degree, x, y, z,
                              [&](int lm, const N &value) { own[lm + 3] = value; });
  loremd::spherical_harmonics_gradient(
      recursion, degree, x, y, z, [&](int lm) { return own[lm + 3]; }, own[0], own[1], own[2]);
}

template <int P>
void launch(const float *f32, float *w32, const double *f64, double *w64, int n) {
  window_weights<P><<<1, 128>>>(f32, w32, n);
  window_weights<P><<<1, 128>>>(f64, w64, n);
}

}  // namespace

void launch_all_orders(const float *f32, float *w32, const double *f64, double *w64, int n) {
  launch<3>(f32, w32, f64, w64, n);
  launch<4>(f32, w32, f64, w64, n);
  launch<5>(f32, w32, f64, w64, n);
  launch<6>(f32, w32, f64, w64, n);
  launch<7>(f32, w32, f64, w64, n);
  launch<8>(f32, w32, f64, w64, n);
  launch<9>(f32, w32, f64, w64, n);
  launch<10>(f32, w32, f64, w64, n);
  influence<<<1, 128>>>(f64, 1.0, loremd::Periodic{}, n, w64);
  influence<<<1, 128>>>(f64, 1.0, loremd::CutSphere{9.0}, n, w64);
  influence<<<1, 128>>>(f64, 1.0, loremd::CutSlab{9.0}, n, w64);
  silus<<<1, 128>>>(f32, n, w32);
  silus<<<1, 128>>>(f64, n, w64);
  gamma_tails<<<1, 128>>>(f64, 0.5, 1.0, n, w64);
  even_series<<<1, 128>>>(f64, {f64, 20}, n, w64);
  const auto dual32 = reinterpret_cast<loremd::Dual<float> *>(w32);
  const auto dual64 = reinterpret_cast<loremd::Dual<double> *>(w64);
  radial_functions<<<1, 128>>>(f64, f64, true, n, w64);
  radial_functions<<<1, 128>>>(f64, f64, false, n, dual64);
  harmonics<<<1, 128>>>(loremd::SphericalRecursion<float>(), 6, f32, n, w32);
  harmonics<<<1, 128>>>(loremd::SphericalRecursion<float>(), 6, f32, n, dual32);
  harmonics<<<1, 128>>>(loremd::SphericalRecursion<double>(), 8, f64, n, w64);
}
