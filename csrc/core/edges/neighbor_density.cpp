// SPDX-License-Identifier: BSD-3-Clause
#include "edges/neighbor_density.hpp"
#include <algorithm>
#include <cmath>

#include "edges/density_chunk.hpp"
#include "edges/index.hpp"
#include "error.hpp"

namespace loremd {
namespace {

// Where the coefficients of a pair of species begin.
int64_t coefficients_of(const DensityShape &shape, int64_t a, int64_t b) {
  return (a * shape.n_species + b) * shape.n_radial * shape.n_functions();
}

template <class T>
T *offset(T *data, int64_t by) {
  return data ? data + by : nullptr;
}

}  // namespace

PairRows rows_of_centres(const int64_t *centres, int64_t pairs, int64_t n_centres,
                         int64_t n_atoms) {
  PairRows rows{std::vector<int64_t>(n_centres + 1), {}};
  bool sorted = true;
  for (int64_t p = 0; p < pairs; ++p) {
    check_index(centres[p], n_atoms, "centre");
    sorted &= p == 0 || centres[p - 1] <= centres[p];
    if (centres[p] < n_centres) ++rows.first[centres[p] + 1];
  }
  for (int64_t i = 0; i < n_centres; ++i) rows.first[i + 1] += rows.first[i];
  if (sorted) return rows;
  rows.order.resize(rows.first[n_centres]);
  std::vector<int64_t> next(rows.first.begin(), rows.first.end() - 1);
  for (int64_t p = 0; p < pairs; ++p) {
    if (centres[p] < n_centres) rows.order[next[centres[p]]++] = p;
  }
  return rows;
}

void check_density_shape(const DensityShape &shape) {
  check(shape.n_radial >= 1 && shape.features >= 1, "there are ", shape.n_radial,
        " radial functions and ", shape.features, " features; each must be at least 1");
  check(shape.degree >= 0 && shape.degree <= largest_degree, "degree is ", shape.degree,
        "; allowed: 0 to ", largest_degree);
  check(shape.cutoff > 0, "cutoff is ", shape.cutoff, "; it must be positive");
}

void check_density(const DensityShape &shape, const DensityGeometry &geometry) {
  check_density_shape(shape);
  for (int64_t i = 0; i < geometry.n_atoms; ++i) {
    check(geometry.species[i] >= 0 && geometry.species[i] < shape.n_species, "species of atom ", i,
          " is ", geometry.species[i], "; allowed: 0 to ", shape.n_species - 1);
  }
}

template <class T>
void neighbor_density(const DensityShape &shape, const DensityGeometry &geometry,
                      const T *coefficients, int64_t begin, int64_t end, T *radial, T *spherical) {
  Neighbourhood neighbours(shape, geometry);
  DensityBuffers<T> buffers(shape);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    DensityChunk<T, bytes(), false> chunk(shape, buffers);
    for (int64_t i = begin; i < end; ++i) {
      neighbours.collect(i, NoDirections{});
      neighbours.for_each_chunk(chunk.lanes, [&](int64_t b, const Neighbour *const *pairs,
                                                 int count) LOREMD_INLINE_LAMBDA {
        const T *own = coefficients + coefficients_of(shape, geometry.species[i], b);
        chunk.set_pairs(pairs, count);
        chunk.add_sums(own, radial + i * shape.radial_size() + b * shape.n_radial,
                       spherical + i * shape.spherical_size());
      });
    }
  });
}

template <class T>
void neighbor_density_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                               const T *coefficients, const T *by_radial, const T *by_spherical,
                               int64_t begin, int64_t end, const DensityGradient<T> &gradient) {
  Neighbourhood neighbours(shape, geometry);
  DensityBuffers<T> buffers(shape);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    DensityChunk<T, bytes(), false> chunk(shape, buffers);
    alignas(64) double by_vectors[3 * chunk.lanes];
    for (int64_t i = begin; i < end; ++i) {
      neighbours.collect(i, NoDirections{});
      neighbours.for_each_chunk(chunk.lanes, [&](int64_t b, const Neighbour *const *pairs,
                                                 int count) LOREMD_INLINE_LAMBDA {
        const int64_t own = coefficients_of(shape, geometry.species[i], b);
        chunk.set_pairs(pairs, count);
        chunk.contract_radial(coefficients + own, nullptr);
        chunk.add_gradient(by_radial + i * shape.radial_size() + b * shape.n_radial,
                           by_spherical + i * shape.spherical_size(), by_vectors,
                           offset(gradient.coefficients, own));
        VectorGradient<T>{geometry, gradient, i}.add(pairs, count, chunk.lanes, by_vectors);
      });
    }
  });
}

template <class T>
void neighbor_density_along(const DensityShape &shape, const DensityGeometry &geometry,
                            const T *coefficients, const DensityDirection<T> &direction,
                            const T *by_radial, const T *by_spherical, int64_t begin, int64_t end,
                            T *radial, T *spherical, const DensityGradient<T> &gradient) {
  Neighbourhood neighbours(shape, geometry);
  DensityBuffers<T> buffers(shape);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    DensityChunk<T, bytes(), true> chunk(shape, buffers);
    alignas(64) double by_vectors[2 * 3 * chunk.lanes];
    const double *tangents = by_vectors + 3 * chunk.lanes;
    for (int64_t i = begin; i < end; ++i) {
      neighbours.collect(i, AlongDirection<T>{direction});
      neighbours.for_each_chunk(chunk.lanes, [&](int64_t b, const Neighbour *const *pairs,
                                                 int count) LOREMD_INLINE_LAMBDA {
        const int64_t own = coefficients_of(shape, geometry.species[i], b);
        const int64_t of_radial = i * shape.radial_size() + b * shape.n_radial;
        const int64_t of_spherical = i * shape.spherical_size();
        chunk.set_pairs(pairs, count);
        chunk.contract_radial(coefficients + own, direction.coefficients + own);
        chunk.add_sums_along(radial + of_radial, spherical + of_spherical);
        chunk.add_gradient(by_radial + of_radial, by_spherical + of_spherical, by_vectors,
                           offset(gradient.coefficients, own));
        const VectorGradient<T> to{geometry, gradient, i};
        to.add(pairs, count, chunk.lanes, tangents);
        to.add_products(pairs, count, chunk.lanes, by_vectors, direction);
      });
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void neighbor_density(const DensityShape &, const DensityGeometry &, const T *,         \
                                 int64_t, int64_t, T *, T *);                                      \
  template void neighbor_density_gradient(const DensityShape &, const DensityGeometry &,           \
                                          const T *, const T *, const T *, int64_t, int64_t,       \
                                          const DensityGradient<T> &);                             \
  template void neighbor_density_along(const DensityShape &, const DensityGeometry &, const T *,   \
                                       const DensityDirection<T> &, const T *, const T *, int64_t, \
                                       int64_t, T *, T *, const DensityGradient<T> &);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
