// SPDX-License-Identifier: BSD-3-Clause
//
// Coupling of real spherical harmonics for l1 + l2 + l3 even: the Gaunt integrals, normalised.
#pragma once

#include <cmath>
#include <cstdlib>

#include "quadrature.hpp"

namespace loremd {

// Whether degrees l1 and l2 couple to l3 without changing parity.
inline bool degrees_couple(int l1, int l2, int l3) {
  return std::abs(l1 - l2) <= l3 && l3 <= l1 + l2 && (l1 + l2 + l3) % 2 == 0;
}

// Y_l^m / cos(m phi) at z = cos(theta), 0 <= m <= l: Racah normalisation, no Condon-Shortley phase.
inline double polar_harmonic(int l, int m, double z) {
  const double rho = std::sqrt(1 - z * z);
  double value = m > 0 ? std::sqrt(2.0) : 1, before = 0;
  for (int k = 1; k <= m; ++k) value *= (2 * k - 1) * rho;
  for (int k = l - m + 1; k <= l + m; ++k) value /= std::sqrt(static_cast<double>(k));
  for (int k = m; k < l; ++k) {
    const double next = ((2 * k + 1) * z * value - (k + m) * before) / (k - m + 1);
    before = value;
    value = next;
  }
  return value;
}

// The Clebsch-Gordan coefficient C[l1 m1, l2 m2, l3 m3] / sqrt(2 l3 + 1) of three cosine components
// (0 <= m <= l), symmetric under all exchanges. The degrees must couple, and one m must be the sum
// of the other two. Of the other components with the same orders, c = cos and s = sin,
//   C[c c, c] = C[s c, s] = C[c s, s] = -C[s s, c]                         for m3 = m1 + m2,
//   C[c c, c] = C[s s, c] = sign(m1 - m2) C[s c, s] = sign(m2 - m1) C[c s, s] for m3 = |m1 - m2|,
// and those that are not listed vanish.
inline double cosine_coupling(int l1, int m1, int l2, int m2, int l3, int m3) {
  const Quadrature rule = gauss_legendre((l1 + l2 + l3) / 2 + 1);
  double integral = 0, axial = 0;  // over z, of the components and of those with m = 0
  for (size_t i = 0; i < rule.nodes.size(); ++i) {
    const double z = rule.nodes[i], weight = rule.weights[i];
    integral +=
        weight * polar_harmonic(l1, m1, z) * polar_harmonic(l2, m2, z) * polar_harmonic(l3, m3, z);
    axial +=
        weight * polar_harmonic(l1, 0, z) * polar_harmonic(l2, 0, z) * polar_harmonic(l3, 0, z);
  }
  const int zeros = (m1 == 0) + (m2 == 0) + (m3 == 0);
  const double azimuthal = zeros == 3 ? 2 : zeros == 1 ? 1 : 0.5;  // integral over phi, / pi
  return azimuthal * integral / (4 * std::sqrt(0.5 * axial));
}

}  // namespace loremd
