// SPDX-License-Identifier: BSD-3-Clause
//
// Real spherical harmonics of unit vectors: Racah normalisation (the squares of one degree sum to
// one), no Condon-Shortley phase. Degree l has the components l^2 .. (l+1)^2 - 1, in the order
// m = +l, -l, +(l-1), -(l-1), ..., +1, -1, 0, so that degree 1 is (x, y, z).
//
//   Y_l^m = p_lm(z) Re (x + iy)^m,   Y_l^-m = p_lm(z) Im (x + iy)^m,   Y_l^0 = p_l0(z)
//   p_lm = sqrt(2 (l-m)! / (l+m)!) d^m P_l / dz^m for m > 0, Legendre polynomials P_l for m = 0
//   p_l+1,m = rise(l, m) z p_lm - fall(l, m) p_l-1,m
#pragma once

#include <math.h>

#include "../host_device.hpp"

namespace loremd {

constexpr int largest_degree = 8;

LOREMD_HOST_DEVICE constexpr int n_components(int degree) {
  return (degree + 1) * (degree + 1);
}

// Place of Y_l^m, m >= 0; Y_l^-m follows.
LOREMD_HOST_DEVICE constexpr int component(int l, int m) {
  return l * l + 2 * (l - m);
}

// The numbers of the recursion.
template <class T>
struct SphericalRecursion {
  T start[largest_degree + 1];  // p_mm
  T rise[largest_degree + 1][largest_degree + 1], fall[largest_degree + 1][largest_degree + 1];

  SphericalRecursion() {
    double diagonal = 1;
    for (int m = 0; m <= largest_degree; ++m) {
      if (m > 1) diagonal *= sqrt((2 * m - 1) / (2.0 * m));
      start[m] = static_cast<T>(diagonal);
      for (int l = m; l <= largest_degree; ++l) {
        const double scale = 1 / sqrt((l + 1) * (l + 1) - 1.0 * m * m);
        rise[l][m] = static_cast<T>((2 * l + 1) * scale);
        fall[l][m] = static_cast<T>(sqrt(1.0 * l * l - m * m) * scale);
      }
    }
  }
};

// Calls on_order(m, Re (x+iy)^m, Im (x+iy)^m) for m = 0 .. degree.
template <class T, class N, class Body>
LOREMD_HOST_DEVICE void for_each_order(int degree, const N &x, const N &y, Body &&body) {
  N real = N{} + T(1), imaginary{};
  for (int m = 0; m <= degree; ++m) {
    body(m, real, imaginary);
    const N next = x * real - y * imaginary;
    imaginary = x * imaginary + y * real;
    real = next;
  }
}

// Calls set(component, value) for all components of degrees 0 .. degree. N is a number T, a vector
// or a dual number of T.
template <class T, class N, class Set>
LOREMD_HOST_DEVICE void spherical_harmonics(const SphericalRecursion<T> &recursion, int degree,
                                            const N &x, const N &y, const N &z, Set &&set) {
  for_each_order<T>(degree, x, y, [&](int m, const N &real, const N &imaginary) {
    N before{}, p = N{} + recursion.start[m];
    for (int l = m; l <= degree; ++l) {
      set(component(l, m), m == 0 ? p : p * real);
      if (m > 0) set(component(l, m) + 1, p * imaginary);
      const N next = z * p * recursion.rise[l][m] - before * recursion.fall[l][m];
      before = p;
      p = next;
    }
  });
}

// Derivative of sum over components of weights(component) Y by (x, y, z), with the Y above as
// polynomials of three independent variables; added to by_x, by_y, by_z.
template <class T, class N, class Weights>
LOREMD_HOST_DEVICE void spherical_harmonics_gradient(const SphericalRecursion<T> &recursion,
                                                     int degree, const N &x, const N &y, const N &z,
                                                     Weights &&weights, N &by_x, N &by_y, N &by_z) {
  N lower_real{}, lower_imaginary{};  // (x+iy)^(m-1)
  for_each_order<T>(degree, x, y, [&](int m, const N &real, const N &imaginary) {
    N before{}, slope_before{}, p = N{} + recursion.start[m], slope{};
    N with_real{}, with_imaginary{};
    for (int l = m; l <= degree; ++l) {
      const N w = weights(component(l, m));
      by_z += m == 0 ? w * slope : w * (real * slope);
      if (m > 0) {
        const N v = weights(component(l, m) + 1);
        with_real += w * p;
        with_imaginary += v * p;
        by_z += v * (imaginary * slope);
      }
      const N next = z * p * recursion.rise[l][m] - before * recursion.fall[l][m];
      const N slope_next =
          (z * slope + p) * recursion.rise[l][m] - slope_before * recursion.fall[l][m];
      before = p, slope_before = slope;
      p = next, slope = slope_next;
    }
    by_x += (with_real * lower_real + with_imaginary * lower_imaginary) * static_cast<T>(m);
    by_y += (with_imaginary * lower_real - with_real * lower_imaginary) * static_cast<T>(m);
    lower_real = real, lower_imaginary = imaginary;
  });
}

}  // namespace loremd
