// SPDX-License-Identifier: BSD-3-Clause
//
// The prolate spheroidal wave function of order zero: of all functions on [-1, 1] the one whose
// Fourier transform has most of its weight within [-bandlimit, bandlimit].
#pragma once

#include <cmath>
#include <vector>

#include "error.hpp"
#include "even_series.hpp"

namespace loremd {

constexpr double largest_bandlimit = 100;

// Its even Legendre series (even_series.hpp), scaled to the integral 1 over [0, 1]; as many terms
// as matter in double precision. Lowest eigenvector of the prolate differential operator
//     -d/dt (1 - t^2) d/dt + bandlimit^2 t^2,
// tridiagonal in normalised Legendre polynomials of even degree (Xiao, Rokhlin, Yarvin 2001, DOI
// 10.1088/0266-5611/17/4/315), by inverse iteration. Throws Error for a bandlimit outside (0, 100].
inline std::vector<double> prolate_series(double bandlimit) {
  check(bandlimit > 0 && bandlimit <= largest_bandlimit, "bandlimit is ", bandlimit,
        "; allowed: above 0, up to ", largest_bandlimit);
  const int terms = 20 + static_cast<int>(bandlimit);
  const double square = bandlimit * bandlimit;
  std::vector<double> diagonal(terms), coupling(terms), vector(terms, 1.0);
  for (int j = 0; j < terms; ++j) {
    const double n = 2 * j;
    diagonal[j] = n * (n + 1) + square * (2 * n * (n + 1) - 1) / ((2 * n + 3) * (2 * n - 1));
    coupling[j] = square * (n + 1) * (n + 2) / ((2 * n + 3) * std::sqrt((2 * n + 1) * (2 * n + 5)));
  }
  // L D L^T of the positive definite matrix
  std::vector<double> pivot(diagonal), lower(terms, 0.0);
  for (int j = 1; j < terms; ++j) {
    lower[j] = coupling[j - 1] / pivot[j - 1];
    pivot[j] -= lower[j] * coupling[j - 1];
  }
  // the next eigenvalue of an even function is at least 4 times larger
  for (int step = 0; step < 60; ++step) {
    for (int j = 1; j < terms; ++j) vector[j] -= lower[j] * vector[j - 1];
    for (int j = 0; j < terms; ++j) vector[j] /= pivot[j];
    for (int j = terms - 2; j >= 0; --j) vector[j] -= lower[j + 1] * vector[j + 1];
    double norm = 0;
    for (double v : vector) norm += v * v;
    for (double &v : vector) v /= std::sqrt(norm);
  }
  const double scale = 1 / (vector[0] * std::sqrt(0.5));
  while (vector.size() > 1 && std::abs(vector.back()) < 1e-18) vector.pop_back();
  for (size_t j = 0; j < vector.size(); ++j) vector[j] *= scale * std::sqrt(2 * j + 0.5);
  return vector;
}

// The shape of windows and splittings: the prolate function less its value at the edge, scaled to
// the integral 1 over [0, 1] again. It is continuous where it ends, so that energies do not jump
// when an atom passes a mesh point, nor forces at the cutoff; the mesh may be 2 % coarser without
// (docs/longrange.md).
inline std::vector<double> prolate_shape(double bandlimit) {
  std::vector<double> series = prolate_series(bandlimit);
  const EvenSeries prolate{series.data(), static_cast<int>(series.size())};
  const double edge = prolate.value(1);
  series[0] -= edge;
  for (size_t j = series.size(); j-- > 0;) series[j] /= series[0];
  return series;
}

}  // namespace loremd
