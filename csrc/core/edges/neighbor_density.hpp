// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "edges/shifts.hpp"

#include <cstdint>
#include <vector>

namespace loremd {

// Pairs by centre: those of centre i stand in the list at order[k], first[i] <= k < first[i+1], or
// at k itself where `order` is empty, because the list is sorted by centre already.
struct PairRows {
  std::vector<int64_t> first;  // (n_centres + 1)
  std::vector<int64_t> order;
};

// Pairs with a centre from n_centres to n_atoms - 1 are left out. Throws Error on other centres.
PairRows rows_of_centres(const int64_t *centres, int64_t pairs, int64_t n_centres, int64_t n_atoms);

// Atoms and pairs; the vector of a pair (i, j) is R_j - R_i + shift cell.
struct DensityGeometry {
  const double *positions;    // (n_atoms, 3)
  const double *cell;         // (3, 3) rows
  const int64_t *species;     // (n_atoms), 0 .. n_species - 1
  const int64_t *neighbours;  // (pairs)
  Shifts shifts;
  const PairRows *rows;
  int64_t n_atoms;
};

struct DensityShape {
  int n_species, n_radial, degree, features;  // at least 0 (no atoms), 1, 0, 1
  double cutoff;
  bool smooth;  // cutoff function, see math/radial.hpp

  LOREMD_HOST_DEVICE int n_functions() const { return (degree + 1) * features; }
  LOREMD_HOST_DEVICE int n_harmonics() const { return (degree + 1) * (degree + 1); }
  LOREMD_HOST_DEVICE int radial_size() const { return n_species * n_radial; }  // of one centre
  LOREMD_HOST_DEVICE int spherical_size() const {
    return n_harmonics() * features;
  }  // of one centre
  int64_t coefficients_size() const {
    return int64_t(1) * n_species * n_species * n_radial * n_functions();
  }
};

// Throws Error where a number of the shape is out of range.
void check_density_shape(const DensityShape &shape);

// The same, and where a species is.
void check_density(const DensityShape &shape, const DensityGeometry &geometry);

// The density of the neighbours around centres begin .. end - 1, for pairs closer than the cutoff:
//
//   radial(i, b, k)     = sum over neighbours j of species b of rho_k(r)
//   spherical(i, lm, f) = sum over neighbours j of g_lf(r) Y_lm(R / r)
//   g_lf(r)             = sum_k coefficients(a, b, k, l, f) rho_k(r), species a of i, b of j
//
// with rho_k of math/radial.hpp and Y_lm of math/spherical.hpp. Layouts, all owned by the caller:
//   coefficients (n_species, n_species, n_radial, degree + 1, features)
//   radial (n_centres, n_species, n_radial), spherical (n_centres, (degree + 1)^2, features); zeros
// Throws Error on a neighbour out of range and on two atoms at the same place.
template <class T>
void neighbor_density(const DensityShape &shape, const DensityGeometry &geometry,
                      const T *coefficients, int64_t begin, int64_t end, T *radial, T *spherical);

// Derivatives of F = sum of by_radial * radial + by_spherical * spherical, all added to. Those by
// shifts and coefficients are left out where null.
template <class T>
struct DensityGradient {
  double *positions;  // (n_atoms, 3)
  double *cell;       // (3, 3)
  double *shifts;     // (pairs, 3)
  T *coefficients;    // as the coefficients
};

template <class T>
void neighbor_density_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                               const T *coefficients, const T *by_radial, const T *by_spherical,
                               int64_t begin, int64_t end, const DensityGradient<T> &gradient);

// A direction in the space of all inputs.
template <class T>
struct DensityDirection {
  const double *positions;  // (n_atoms, 3)
  const double *cell;       // (3, 3)
  const double *shifts;     // (pairs, 3), or null for none
  const T *coefficients;    // as the coefficients
};

// The derivative along a direction of everything above: of `radial` and `spherical`, added to
// arrays of their layout, and of the gradient of F, added to `gradient`.
template <class T>
void neighbor_density_along(const DensityShape &shape, const DensityGeometry &geometry,
                            const T *coefficients, const DensityDirection<T> &direction,
                            const T *by_radial, const T *by_spherical, int64_t begin, int64_t end,
                            T *radial, T *spherical, const DensityGradient<T> &gradient);

// rho_k and g_lf of every pair of species as piecewise cubic polynomials of r, float32:
//
//   values (n_species, n_species, intervals, 4, functions)
//   functions: the n_radial rho_k, zeros up to padded(n_radial), the g_lf, zeros
//
// In interval q, of the length cutoff / intervals, the number of power i belongs to t^i,
// t = r / length - q.
struct RadialTable {
  const float *values;
  int intervals, functions;

  LOREMD_HOST_DEVICE static constexpr int padded(int n) { return (n + 15) / 16 * 16; }
};

// neighbor_density from a table, and its derivatives by positions, cell and shifts.
void neighbor_density_tabulated(const DensityShape &shape, const DensityGeometry &geometry,
                                const RadialTable &table, int64_t begin, int64_t end, float *radial,
                                float *spherical);
void neighbor_density_tabulated_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                                         const RadialTable &table, const float *by_radial,
                                         const float *by_spherical, int64_t begin, int64_t end,
                                         const DensityGradient<float> &gradient);

}  // namespace loremd
