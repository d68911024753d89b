// SPDX-License-Identifier: BSD-3-Clause
#include "edges/neighbor_density.hpp"
#include <algorithm>
#include <cmath>

#include "edges/density_chunk.hpp"
#include "edges/index.hpp"
#include "error.hpp"

namespace loremd {
namespace {

// The neighbours of one centre within the cutoff, those of one species together.
class Neighbourhood {
 public:
  Neighbourhood(const DensityShape &shape, const DensityGeometry &geometry)
      : geometry_(geometry), first_(shape.n_species + 1), next_(shape.n_species) {
    // the last 1e-12 of the cutoff, where 1 - r / cutoff may round to zero, counts as outside
    const double radius = shape.cutoff * (1 - 1e-12);
    within_ = radius * radius;
  }

  template <class Directions>
  void collect(int64_t centre, const Directions &directions) {
    found_.clear();
    std::fill(first_.begin(), first_.end(), 0);
    const PairRows &rows = *geometry_.rows;
    for (int64_t k = rows.first[centre]; k < rows.first[centre + 1]; ++k) {
      add(centre, rows.order.empty() ? k : rows.order[k], directions);
    }
    sort_by_species();
  }

  // Calls body(species, pairs, number of them) for all pairs, at most `most` of them at a time.
  template <class Body>
  LOREMD_INLINE void for_each_chunk(int most, Body &&body) const {
    for (size_t b = 0; b + 1 < first_.size(); ++b) {
      for (int64_t begin = first_[b]; begin < first_[b + 1]; begin += most) {
        body(b, sorted_.data() + begin,
             static_cast<int>(std::min<int64_t>(most, first_[b + 1] - begin)));
      }
    }
  }

 private:
  template <class Directions>
  void add(int64_t centre, int64_t pair, const Directions &directions) {
    const int64_t atom = geometry_.neighbours[pair];
    check_index(atom, geometry_.n_atoms, "neighbour");
    Neighbour found;
    double squared = 0;
    for (int a = 0; a < 3; ++a) {
      double component = geometry_.positions[3 * atom + a] - geometry_.positions[3 * centre + a];
      for (int b = 0; b < 3; ++b) {
        component += geometry_.shifts(pair, b) * geometry_.cell[3 * b + a];
      }
      found.vector[a] = component;
      squared += component * component;
    }
    if (!(squared < within_)) return;
    check(squared > 0, "atoms ", centre, " and ", atom, " are at the same place");
    found.pair = pair;
    found.atom = atom;
    found.distance = std::sqrt(squared);
    directions(geometry_, centre, found);
    found_.push_back(found);
    ++first_[geometry_.species[atom] + 1];
  }

  void sort_by_species() {
    for (size_t b = 1; b < first_.size(); ++b) first_[b] += first_[b - 1];
    std::copy(first_.begin(), first_.end() - 1, next_.begin());
    sorted_.resize(found_.size());
    for (const Neighbour &pair : found_) sorted_[next_[geometry_.species[pair.atom]]++] = &pair;
  }

  const DensityGeometry &geometry_;
  double within_;
  std::vector<Neighbour> found_;
  std::vector<const Neighbour *> sorted_;
  std::vector<int64_t> first_, next_;
};

// Derivatives of the vectors along a direction, or none.
struct NoDirections {
  void operator()(const DensityGeometry &, int64_t, Neighbour &) const {}
};

template <class T>
struct AlongDirection {
  const DensityDirection<T> &direction;

  void operator()(const DensityGeometry &geometry, int64_t centre, Neighbour &pair) const {
    for (int a = 0; a < 3; ++a) {
      double sum = direction.positions[3 * pair.atom + a] - direction.positions[3 * centre + a];
      for (int b = 0; b < 3; ++b) {
        sum += geometry.shifts(pair.pair, b) * direction.cell[3 * b + a];
        if (direction.shifts) sum += direction.shifts[3 * pair.pair + b] * geometry.cell[3 * b + a];
      }
      pair.direction[a] = sum;
    }
  }
};

// Adds what the derivatives by the vectors of pairs, (3, lanes), mean for all inputs.
template <class T>
struct VectorGradient {
  const DensityGeometry &geometry;
  const DensityGradient<T> &to;
  int64_t centre;

  void add(const Neighbour *const *pairs, int count, int lanes, const double *by_vectors) const {
    for (int p = 0; p < count; ++p) {
      const Neighbour &pair = *pairs[p];
      for (int a = 0; a < 3; ++a) {
        const double value = by_vectors[a * lanes + p];
        to.positions[3 * pair.atom + a] += value;
        to.positions[3 * centre + a] -= value;
        for (int b = 0; b < 3; ++b) {
          to.cell[3 * b + a] += geometry.shifts(pair.pair, b) * value;
          if (to.shifts) to.shifts[3 * pair.pair + b] += geometry.cell[3 * b + a] * value;
        }
      }
    }
  }

  // Shift and cell form a product: the rest of the tangent, with the derivatives themselves.
  void add_products(const Neighbour *const *pairs, int count, int lanes, const double *by_vectors,
                    const DensityDirection<T> &direction) const {
    for (int p = 0; p < count; ++p) {
      const int64_t pair = pairs[p]->pair;
      for (int a = 0; a < 3; ++a) {
        const double value = by_vectors[a * lanes + p];
        for (int b = 0; b < 3; ++b) {
          if (direction.shifts) to.cell[3 * b + a] += direction.shifts[3 * pair + b] * value;
          if (to.shifts) to.shifts[3 * pair + b] += direction.cell[3 * b + a] * value;
        }
      }
    }
  }
};

// Where the coefficients of a pair of species begin.
int64_t coefficients_of(const DensityShape &shape, int64_t a, int64_t b) {
  return (a * shape.n_species + b) * shape.n_radial * shape.n_functions();
}

const float *values_of(const DensityShape &shape, const RadialTable &table, int64_t a, int64_t b) {
  return table.values + (a * shape.n_species + b) * 4 * table.intervals * table.functions;
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

void neighbor_density_tabulated(const DensityShape &shape, const DensityGeometry &geometry,
                                const RadialTable &table, int64_t begin, int64_t end, float *radial,
                                float *spherical) {
  Neighbourhood neighbours(shape, geometry);
  DensityBuffers<float> buffers(shape);
  with_vectors([&](auto bytes) LOREMD_INLINE_LAMBDA {
    DensityChunk<float, bytes(), false> chunk(shape, buffers);
    for (int64_t i = begin; i < end; ++i) {
      neighbours.collect(i, NoDirections{});
      neighbours.for_each_chunk(chunk.lanes, [&](int64_t b, const Neighbour *const *pairs,
                                                 int count) LOREMD_INLINE_LAMBDA {
        chunk.set_pairs(pairs, count);
        chunk.add_sums(table, values_of(shape, table, geometry.species[i], b),
                       radial + i * shape.radial_size() + b * shape.n_radial,
                       spherical + i * shape.spherical_size());
      });
    }
  });
}

void neighbor_density_tabulated_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                                         const RadialTable &table, const float *by_radial,
                                         const float *by_spherical, int64_t begin, int64_t end,
                                         const DensityGradient<float> &gradient) {
  Neighbourhood neighbours(shape, geometry);
  DensityBuffers<float> buffers(shape);
  with_vectors([&](auto) LOREMD_INLINE_LAMBDA {
    // the work is in transposing, which short vectors do with fewer steps and fewer idle lanes
    DensityChunk<float, 32, false> chunk(shape, buffers);
    alignas(64) double by_vectors[3 * chunk.lanes];
    for (int64_t i = begin; i < end; ++i) {
      neighbours.collect(i, NoDirections{});
      neighbours.for_each_chunk(chunk.lanes, [&](int64_t b, const Neighbour *const *pairs,
                                                 int count) LOREMD_INLINE_LAMBDA {
        chunk.set_pairs(pairs, count);
        chunk.set_gradient(table, values_of(shape, table, geometry.species[i], b),
                           by_radial + i * shape.radial_size() + b * shape.n_radial,
                           by_spherical + i * shape.spherical_size(), by_vectors);
        VectorGradient<float>{geometry, gradient, i}.add(pairs, count, chunk.lanes, by_vectors);
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
