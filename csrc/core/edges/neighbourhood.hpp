// SPDX-License-Identifier: BSD-3-Clause
//
// The neighbours of one centre, collected from the list, and what derivatives by their vectors mean
// for positions, cell and shifts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "edges/index.hpp"
#include "edges/neighbor_density.hpp"
#include "error.hpp"
#include "simd.hpp"

namespace loremd {

// A pair within the cutoff.
struct Neighbour {
  int64_t pair, atom;
  double vector[3], squared;  // and its square
  double direction[3];        // derivative of the vector along the direction, if there is one
};

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
    const PairRows &rows = *geometry_.rows;
    const int64_t begin = rows.first[centre], end = rows.first[centre + 1];
    if (static_cast<int64_t>(found_.size()) <= end - begin) found_.resize(end - begin + 1);
    int64_t n = 0;
    for (int64_t k = begin; k < end; ++k) {
      // without a branch, which would be mispredicted for every third pair or so
      n += set(rows.order.empty() ? k : rows.order[k], centre, found_[n]);
    }
    sort_by_species(n);
    for (int64_t k = 0; k < n; ++k) {
      check_apart(found_[k], centre);
      directions(geometry_, centre, found_[k]);
    }
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

  // The same with pairs of all species together: body(pairs, number of them).
  template <class Body>
  LOREMD_INLINE void for_each_chunk_of_all(int most, Body &&body) const {
    const int64_t n = sorted_.size();
    for (int64_t begin = 0; begin < n; begin += most) {
      body(sorted_.data() + begin, static_cast<int>(std::min<int64_t>(most, n - begin)));
    }
  }

 private:
  // Sets all but the direction; returns whether the pair is within the cutoff.
  LOREMD_INLINE bool set(int64_t pair, int64_t centre, Neighbour &found) const {
    const int64_t atom = geometry_.neighbours[pair];
    check_index(atom, geometry_.n_atoms, "neighbour");
    const Shifts &shifts = geometry_.shifts;
    const double shift[3] = {shifts(pair, 0), shifts(pair, 1), shifts(pair, 2)};
    found.pair = pair, found.atom = atom;
    found.squared =
        pair_vector(geometry_.positions, geometry_.cell, shift, centre, atom, found.vector);
    return found.squared < within_;
  }

  static void check_apart(const Neighbour &found, int64_t centre) {
    if (found.squared > 0) return;
    check(false, "atoms ", int64_t{centre}, " and ", found.atom, " are at the same place");
  }

  void sort_by_species(int64_t n) {
    std::fill(first_.begin(), first_.end(), 0);
    for (int64_t k = 0; k < n; ++k) ++first_[geometry_.species[found_[k].atom] + 1];
    for (size_t b = 1; b < first_.size(); ++b) first_[b] += first_[b - 1];
    std::copy(first_.begin(), first_.end() - 1, next_.begin());
    sorted_.resize(n);
    for (int64_t k = 0; k < n; ++k) {
      sorted_[next_[geometry_.species[found_[k].atom]]++] = &found_[k];
    }
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
    double sum[3] = {};
    for (int p = 0; p < count; ++p) {
      const Neighbour &pair = *pairs[p];
      const double by[3] = {by_vectors[p], by_vectors[lanes + p], by_vectors[2 * lanes + p]};
      double *positions = to.positions + 3 * pair.atom;
      for (int a = 0; a < 3; ++a) positions[a] += by[a], sum[a] += by[a];
      const Shifts &shifts = geometry.shifts;
      const double shift[3] = {shifts(pair.pair, 0), shifts(pair.pair, 1), shifts(pair.pair, 2)};
      add_cell_gradient(shift, by, to.cell);
      for (int b = 0; to.shifts && b < 3; ++b) {
        for (int a = 0; a < 3; ++a)
          to.shifts[3 * pair.pair + b] += geometry.cell[3 * b + a] * by[a];
      }
    }
    for (int a = 0; a < 3; ++a) to.positions[3 * centre + a] -= sum[a];
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

}  // namespace loremd
