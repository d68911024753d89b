// SPDX-License-Identifier: BSD-3-Clause
//
// Every function of csrc/core/math inside a kernel, so that nvcc compiles it as device code.
#include "math/bspline.hpp"
#include "math/influence.hpp"

namespace {

template <int P, class T>
__global__ void window_weights(const T *fractions, T *weights, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  T w[P], slopes[P], curvatures[P];
  loremd::bspline_weights<P>(fractions[i], w, slopes, curvatures);
  for (int k = 0; k < P; ++k) weights[i * P + k] = w[k] + slopes[k] + curvatures[k];
}

template <int P>
__global__ void influence(const double *metric, double smearing, int n, double *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const double f[3] = {double(i + 1), 0, 0};
  const double x = loremd::metric_product(metric, f);
  const loremd::GaussianSplitting splitting{smearing};
  out[i] = loremd::window_power(i, n, P) / loremd::window_power_sum<P>(i, n) *
           (splitting.value(x) + splitting.first(x) + splitting.second(x));
}

template <int P>
void launch(const float *f32, float *w32, const double *f64, double *w64, int n) {
  window_weights<P><<<1, 128>>>(f32, w32, n);
  window_weights<P><<<1, 128>>>(f64, w64, n);
  influence<P><<<1, 128>>>(f64, 1.0, n, w64);
}

}  // namespace

void launch_all_orders(const float *f32, float *w32, const double *f64, double *w64, int n) {
  launch<3>(f32, w32, f64, w64, n);
  launch<4>(f32, w32, f64, w64, n);
  launch<5>(f32, w32, f64, w64, n);
  launch<6>(f32, w32, f64, w64, n);
  launch<7>(f32, w32, f64, w64, n);
  launch<8>(f32, w32, f64, w64, n);
}
