// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cmath>
#include <vector>

namespace loremd {

struct Quadrature {
  std::vector<double> nodes, weights;
};

// Gauss-Legendre rule on [-1, 1], exact for polynomials of degree 2 n - 1.
inline Quadrature gauss_legendre(int n) {
  const double pi = std::acos(-1.0);
  Quadrature rule{std::vector<double>(n), std::vector<double>(n)};
  for (int i = 0; i < n; ++i) {
    double x = std::cos(pi * (i + 0.75) / (n + 0.5)), slope = 1;
    for (int step = 0; step < 8; ++step) {  // Newton, from an estimate good to 1e-2
      double before = 1, value = x;
      for (int k = 1; k < n; ++k) {
        const double next = ((2 * k + 1) * x * value - k * before) / (k + 1);
        before = value;
        value = next;
      }
      slope = n * (x * value - before) / (x * x - 1);
      x -= value / slope;
    }
    rule.nodes[i] = x;
    rule.weights[i] = 2 / ((1 - x * x) * slope * slope);
  }
  return rule;
}

}  // namespace loremd
