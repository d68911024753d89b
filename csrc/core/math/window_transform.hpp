// SPDX-License-Identifier: BSD-3-Clause
//
// Fourier transform of the windows that put charges on a mesh.
#pragma once

#include <math.h>

#include <vector>

#include "../dispatch.hpp"
#include "even_series.hpp"
#include "quadrature.hpp"

namespace loremd {

constexpr double pi = 3.14159265358979323846;

// A window over `order` mesh points: the cardinal B-spline of that order where the shape has no
// terms, else shape(2 x / order) / order for |x| <= order / 2, x in mesh spacings. Both have the
// integral one.
class WindowTransform {
 public:
  WindowTransform(int order, EvenSeries shape) : order_(order), shape_(shape) {
    check_order(order);
    if (shape.terms == 0) {
      bspline_autocorrelation();
    } else {
      shape_autocorrelation();
    }
  }

  // Square of the transform at `cycles` per mesh spacing.
  LOREMD_HOST_DEVICE double power(double cycles) const {
    if (shape_.terms > 0) return pow(shape_.cosine_transform(pi * order_ * cycles), 2);
    if (cycles == 0) return 1;
    const double x = pi * cycles;
    return pow(sin(x) / x, 2 * order_);
  }

  // Sum of `power` over all aliases, cycles + m for any integer m: the Fourier series of the
  // window's autocorrelation at the mesh points (Poisson's sum).
  LOREMD_HOST_DEVICE double power_sum(double cycles) const {
    double sum = autocorrelation_[0];
    for (int j = 1; j < order_; ++j) sum += 2 * autocorrelation_[j] * cos(2 * pi * j * cycles);
    return sum;
  }

  // The same window with the coefficients of its shape elsewhere, as on a device.
  LOREMD_HOST_DEVICE WindowTransform with_shape(EvenSeries shape) const {
    WindowTransform moved = *this;
    moved.shape_ = shape;
    return moved;
  }

 private:
  // M_2P(P + j), by (n - 1) M_n(x) = x M_n-1(x) + (n - x) M_n-1(x - 1) at the integers.
  void bspline_autocorrelation() {
    std::vector<double> values(2 * order_ + 1, 0.0);
    values[1] = 1;  // M_2
    for (int n = 3; n <= 2 * order_; ++n) {
      for (int x = n - 1; x >= 1; --x) {
        values[x] = (x * values[x] + (n - x) * values[x - 1]) / (n - 1);
      }
    }
    for (int j = 0; j < order_; ++j) autocorrelation_[j] = values[order_ + j];
  }

  void shape_autocorrelation() {
    const Quadrature rule = gauss_legendre(40);
    for (int j = 0; j < order_; ++j) {
      const double half = 0.5 * (order_ - j);  // the overlap is [-order/2 + j, order/2]
      double sum = 0;
      for (size_t i = 0; i < rule.nodes.size(); ++i) {
        const double x = 0.5 * j + half * rule.nodes[i];
        sum += rule.weights[i] * shape_.value(2 * x / order_) * shape_.value(2 * (x - j) / order_);
      }
      autocorrelation_[j] = half * sum / (order_ * order_);
    }
  }

  int order_;
  EvenSeries shape_;
  double autocorrelation_[largest_order] = {};
};

}  // namespace loremd
