// SPDX-License-Identifier: BSD-3-Clause
//
// The kernels on pairs for CUDA. What they compute is in pair_sum.hpp, screening.hpp,
// pair_potential.hpp and neighbor_density.hpp; all arrays are in the memory of the device,
// workspaces included, unless it says otherwise.
//
// Pairs are taken by centre. Sums over the pairs of a centre, over all centres, and over parameters
// are in an order that is always the same. What a pair gives to its neighbour is added by atomics,
// so that the last digits of these gradients change from call to call; or it is kept pair by pair
// for the neighbours to collect, which takes memory for every pair, and is always the same.
//
// Indices are not checked, for which the caller would have to wait: a pair with a centre out of
// range is left out, one with a neighbour out of range makes what it touches NaN.
#pragma once

#include "edges/neighbor_density.hpp"
#include "edges/pair_potential.hpp"
#include "edges/pair_sum.hpp"
#include "edges/screening.hpp"
#include "host_device.hpp"

namespace loremd::cuda {

// ---- pairs by centre ----

// Pairs of centre i: those numbered pair(k), first[i] <= k < first[i+1].
struct PairRows {
  const int64_t *first;     // (n_centres + 1)
  const int64_t *order;     // (pairs), of which nothing is read where the list is sorted already
  const int32_t *unsorted;  // (1) whether it is not

  LOREMD_HOST_DEVICE int64_t pair(int64_t k) const { return *unsorted ? order[k] : k; }
};

// counts(i) += number of pairs with centre i < n_centres; *unsorted |= 1 where a centre is below
// the one before it. Both zero before. Sums of `counts` up to i are first[i] to the caller.
void count_pairs(const int64_t *centres, int64_t pairs, int64_t n_centres, int64_t *counts,
                 int32_t *unsorted, Stream stream);

// order <- the pairs by centre, as they are in the list, if it is not sorted. `next` (n_centres):
// a copy of `first`, overwritten.
void order_pairs(const int64_t *centres, int64_t pairs, int64_t n_centres, const PairRows &rows,
                 int64_t *next, int64_t *order, Stream stream);

// by_positions(j, a) += sum over the pairs with neighbour j of vectors(pair, a), (pairs, 3).
// `by_neighbour`: the pairs of every neighbour, from a list with the roles exchanged.
void collect_vectors(const PairRows &by_neighbour, int64_t n_atoms, const double *vectors,
                     double *by_positions, Stream stream);

// ---- pair_sum.hpp ----

// `rows` are those of list.centres.
template <class T>
void pair_sum(const PairList &list, const PairRows &rows, const T *weights, const T *charges,
              int64_t channels, T *sums, Stream stream);
template <class T>
void pair_dot(const PairList &list, const T *a, const T *b, int64_t channels, T *products,
              Stream stream);

// ---- screening.hpp; series are in the memory of the host ----

void gamma_tail(int64_t n, const double *x, GammaTail tail, int derivative, double *out,
                Stream stream);
void compact_sharp(int64_t n, const double *x, const CompactSharp &sharp, double *out,
                   Stream stream);

// ---- pair_potential.hpp; the shape of the part is in the memory of the host ----

template <class T>
void pair_potential(const PairGeometry &geometry, const PairRows &rows, const SharpPart &part,
                    int channels, const T *charges, T *sums, Stream stream);

// What is kept pair by pair, overwritten where a pair counts and left alone elsewhere; null: it is
// added by atomics instead.
template <class T>
struct KeptPairs {
  double *vectors = nullptr;  // (pairs, 3), for collect_vectors
  T *values = nullptr;        // (pairs): weights of a pair_sum from centres to neighbours
};

// `workspace`: cell_workspace(n_centres) values.
template <class T>
void pair_potential_gradient(const PairGeometry &geometry, const PairRows &rows,
                             const SharpPart &part, int channels, const T *charges,
                             const T *weights, double *workspace, double *by_positions,
                             T *by_charges, double *by_cell, const KeptPairs<T> &kept,
                             Stream stream);

int64_t cell_workspace(int64_t n_centres);

// ---- neighbor_density.hpp, for all centres 0 .. n_centres - 1 ----

// geometry.rows is not used; species out of range make the sums of the centre NaN.
template <class T>
void neighbor_density(const DensityShape &shape, const DensityGeometry &geometry,
                      const PairRows &rows, int64_t n_centres, const T *coefficients, T *radial,
                      T *spherical, Stream stream);

// As neighbor_density_gradient, but for the derivatives by the coefficients, which are doubles.
struct DensityGradient {
  double *positions, *cell, *shifts, *coefficients;  // the last two may be null
  double *vectors = nullptr;                         // (pairs, 3) as in KeptPairs, or null
};

// `workspace`: density_workspace(shape, n_centres, whether coefficients are wanted) values.
int64_t density_workspace(const DensityShape &shape, int64_t n_centres, bool with_coefficients);

template <class T>
void neighbor_density_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                               const PairRows &rows, int64_t n_centres, const T *coefficients,
                               const T *by_radial, const T *by_spherical, double *workspace,
                               const DensityGradient &gradient, Stream stream);

template <class T>
void neighbor_density_along(const DensityShape &shape, const DensityGeometry &geometry,
                            const PairRows &rows, int64_t n_centres, const T *coefficients,
                            const DensityDirection<T> &direction, const T *by_radial,
                            const T *by_spherical, T *radial, T *spherical, double *workspace,
                            const DensityGradient &gradient, Stream stream);

void neighbor_density_tabulated(const DensityShape &shape, const DensityGeometry &geometry,
                                const PairRows &rows, int64_t n_centres, const RadialTable &table,
                                float *radial, float *spherical, Stream stream);
void neighbor_density_tabulated_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                                         const PairRows &rows, int64_t n_centres,
                                         const RadialTable &table, const float *by_radial,
                                         const float *by_spherical, double *workspace,
                                         const DensityGradient &gradient, Stream stream);

}  // namespace loremd::cuda
