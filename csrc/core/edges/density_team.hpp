// SPDX-License-Identifier: BSD-3-Clause
//
// What the kernels of neighbor_density.cu share: some pairs of one centre in the memory of a team,
// and the steps from their vectors to their radial functions and harmonics. Written once for
// numbers N, which are T or, for the derivative along a direction, Dual<T>.
#pragma once

#include <type_traits>

#include "device.hpp"
#include "edges/cuda.hpp"
#include "math/dual.hpp"
#include "math/polynomial.hpp"
#include "math/radial.hpp"
#include "math/spherical.hpp"

namespace loremd::cuda {

template <class T, bool Tangents>
using DensityNumber = std::conditional_t<Tangents, Dual<T>, T>;

template <class T, bool Tangents>
LOREMD_HOST_DEVICE DensityNumber<T, Tangents> number(double value,
                                                     [[maybe_unused]] double tangent) {
  if constexpr (Tangents) {
    return {static_cast<T>(value), static_cast<T>(tangent)};
  } else {
    return static_cast<T>(value);
  }
}

// Up to `most` pairs of one centre. Arrays of numbers are (count, stride), the pairs fastest; the
// stride is odd, so that threads with different numbers of one pair do not collide either.
template <class T, bool Tangents>
struct DensityPairs {
  using N = DensityNumber<T, Tangents>;
  using Geometry = DensityNumber<double, Tangents>;

  int most, stride;
  int64_t *pair, *atom;        // atom -1: not within the cutoff
  int *species;                // of the neighbour
  double *distance, *change;   // change: of the distance along the direction
  double *vectors, *tangents;  // (pairs, 3): derivatives by the vectors of the pairs
  double *binomials;
  const float **row;  // of a table, with the place in the interval
  float *place;
  Geometry *powers;                // (pairs, n_radial)
  N *unit, *inverse;               // (3), (1): R / r and 1 / r
  N *rho, *rho_slopes;             // (k)
  N *functions, *function_slopes;  // (lf): g_lf and its derivative by r
  N *harmonics;                    // (lm)
  N *by_functions, *by_harmonics;  // derivatives of F by g_lf and Y_lm

  LOREMD_HOST_DEVICE DensityPairs(TeamMemory &memory, const DensityShape &shape, int most,
                                  bool tabulated, bool gradient)
      : most(most), stride(most | 1) {
    const int exact = tabulated ? 0 : most, slopes = gradient ? stride : 0;
    pair = memory.array<int64_t>(most);
    atom = memory.array<int64_t>(most);
    species = memory.array<int>(most);
    distance = memory.array<double>(most);
    change = memory.array<double>(Tangents ? most : 0);
    vectors = memory.array<double>(3 * most);
    tangents = memory.array<double>(Tangents ? 3 * most : 0);
    binomials = memory.array<double>(shape.n_radial);
    row = memory.array<const float *>(tabulated ? most : 0);
    place = memory.array<float>(tabulated ? most : 0);
    powers = memory.array<Geometry>(exact * shape.n_radial);
    unit = memory.array<N>(3 * stride);
    inverse = memory.array<N>(stride);
    rho = memory.array<N>(shape.n_radial * stride);
    rho_slopes = memory.array<N>(shape.n_radial * (tabulated ? slopes : stride));
    functions = memory.array<N>(shape.n_functions() * stride);
    function_slopes = memory.array<N>(shape.n_functions() * slopes);
    harmonics = memory.array<N>(shape.n_harmonics() * stride);
    by_functions = memory.array<N>(shape.n_functions() * slopes);
    by_harmonics = memory.array<N>(shape.n_harmonics() * slopes);
  }

  LOREMD_HOST_DEVICE bool inside(int p) const { return atom[p] >= 0; }
};

// The pairs of all centres, and where a team is among them.
template <class T, bool Tangents>
struct DensityCall {
  DensityShape shape;
  DensityGeometry geometry;
  PairRows rows;
  int64_t n_centres, teams;
  int most;  // pairs at a time
  SphericalRecursion<T> recursion;
  DensityDirection<T> direction;  // unless Tangents: not used

  using Pairs = DensityPairs<T, Tangents>;

  LOREMD_HOST_DEVICE void begin(const Team &team, const Pairs &pairs) const {
    team.step(1, [&](int) { pascal_row(shape.n_radial - 2, pairs.binomials); });
  }

  // Calls body(centre, chunk's first pair, number of its pairs) for all chunks of this team.
  template <class Body>
  LOREMD_HOST_DEVICE void for_each_chunk(const Team &team, Body &&body) const {
    for (int64_t i = team.index; i < n_centres; i += teams) {
      const int64_t end = rows.first[i + 1];
      for (int64_t k = rows.first[i]; k < end; k += most) {
        body(i, k, static_cast<int>(end - k < most ? end - k : most));
      }
    }
  }

  // The species of a centre, 0 where it is none of them.
  LOREMD_HOST_DEVICE int64_t species_of(int64_t atom) const {
    const int64_t species = geometry.species[atom];
    return species >= 0 && species < shape.n_species ? species : 0;
  }

  // Vector, distance and harmonics of the pairs: two steps.
  LOREMD_HOST_DEVICE void set_pairs(const Team &team, const Pairs &pairs, int64_t centre,
                                    int64_t first, int count) const {
    team.step(count, [&](int p) { set_geometry(pairs, centre, rows.pair(first + p), p); });
    team.step(count, [&](int p) {
      const int n = pairs.stride;
      spherical_harmonics(
          recursion, shape.degree, pairs.unit[p], pairs.unit[n + p], pairs.unit[2 * n + p],
          [&](int lm, const typename Pairs::N &value) { pairs.harmonics[lm * n + p] = value; });
    });
  }

 private:
  LOREMD_HOST_DEVICE void set_geometry(const Pairs &pairs, int64_t centre, int64_t pair,
                                       int p) const {
    const int64_t j = geometry.neighbours[pair];
    const bool exists = j >= 0 && j < geometry.n_atoms && known(j) && known(centre);
    const double shift[3] = {geometry.shifts(pair, 0), geometry.shifts(pair, 1),
                             geometry.shifts(pair, 2)};
    double vector[3];
    const double squared =
        pair_vector(geometry.positions, geometry.cell, shift, centre, exists ? j : centre, vector);
    // the last 1e-12 of the cutoff, where 1 - r / cutoff may round to zero, counts as outside
    const double radius = shape.cutoff * (1 - 1e-12);
    const bool inside = !exists || squared < radius * radius;
    pairs.pair[p] = pair;
    pairs.atom[p] = inside ? (exists ? j : centre) : -1;
    pairs.species[p] = exists ? static_cast<int>(geometry.species[j]) : 0;
    const double distance = exists ? sqrt(squared) : nan("");
    pairs.distance[p] = distance;
    const double inverse = inside ? 1 / distance : 0;
    double unit[3], turn[3] = {0, 0, 0}, change = 0;
    for (int a = 0; a < 3; ++a) unit[a] = vector[a] * inverse;
    if constexpr (Tangents) {
      double along[3];
      for (int a = 0; a < 3; ++a) {
        along[a] = exists ? direction_of(centre, j, pair, shift, a) : 0;
        change += unit[a] * along[a];
      }
      for (int a = 0; a < 3; ++a) turn[a] = (along[a] - unit[a] * change) * inverse;
      pairs.change[p] = change;
    }
    for (int a = 0; a < 3; ++a) {
      pairs.unit[a * pairs.stride + p] = number<T, Tangents>(unit[a], turn[a]);
    }
    pairs.inverse[p] = number<T, Tangents>(inverse, -inverse * inverse * change);
  }

  LOREMD_HOST_DEVICE bool known(int64_t atom) const {
    return geometry.species[atom] >= 0 && geometry.species[atom] < shape.n_species;
  }

  // Component a of the derivative of the vector of a pair along the direction.
  LOREMD_HOST_DEVICE double direction_of(int64_t i, int64_t j, int64_t pair, const double *shift,
                                         int a) const {
    double sum = direction.positions[3 * j + a] - direction.positions[3 * i + a];
    for (int b = 0; b < 3; ++b) {
      sum += shift[b] * direction.cell[3 * b + a];
      if (direction.shifts) sum += direction.shifts[3 * pair + b] * geometry.cell[3 * b + a];
    }
    return sum;
  }
};

// Radial functions from coefficients: rho_k pair by pair in float64, then their sums.
template <class T, bool Tangents>
struct ExactFunctions {
  using Call = DensityCall<T, Tangents>;
  using Pairs = DensityPairs<T, Tangents>;
  using N = DensityNumber<T, Tangents>;
  using Geometry = DensityNumber<double, Tangents>;
  static constexpr bool tabulated = false;

  const T *coefficients;

  template <bool Slopes>
  LOREMD_HOST_DEVICE void set(const Team &team, const Call &call, const Pairs &pairs,
                              int64_t centre, int count) const {
    team.step(count, [&](int p) { set_radial(call, pairs, p); });
    const DensityShape &shape = call.shape;
    const int64_t a = call.species_of(centre), stride = pairs.stride;
    const int n = shape.n_functions();
    team.step(n * count, [&](int t) {
      const int p = t % count, lf = t / count;
      const int64_t own = (a * shape.n_species + pairs.species[p]) * shape.n_radial * n + lf;
      N value{}, slope{};
      for (int k = 0; k < shape.n_radial; ++k) {
        const auto c = coefficient(call, own + int64_t(1) * k * n);
        value += pairs.rho[k * stride + p] * c;
        if (Slopes) slope += pairs.rho_slopes[k * stride + p] * c;
      }
      pairs.functions[lf * stride + p] = value;
      if (Slopes) pairs.function_slopes[lf * stride + p] = slope;
    });
  }

 private:
  LOREMD_HOST_DEVICE N coefficient(const Call &call, int64_t at) const {
    if constexpr (Tangents) {
      return {coefficients[at], call.direction.coefficients[at]};
    } else {
      return coefficients[at];
    }
  }

  LOREMD_HOST_DEVICE void set_radial(const Call &call, const Pairs &pairs, int p) const {
    const int n_radial = call.shape.n_radial;
    if (!pairs.inside(p)) {
      for (int k = 0; k < n_radial; ++k) {
        pairs.rho[k * pairs.stride + p] = N{};
        pairs.rho_slopes[k * pairs.stride + p] = N{};
      }
      return;
    }
    const double inverse_cutoff = 1 / call.shape.cutoff, x = pairs.distance[p] * inverse_cutoff;
    const CutoffValue fc = call.shape.smooth ? smooth_cutoff(x) : cosine_cutoff(x);
    double change = 0;
    if constexpr (Tangents) change = pairs.change[p] * inverse_cutoff;
    radial_basis(n_radial, pairs.binomials, number<double, Tangents>(x, change), inverse_cutoff,
                 number<double, Tangents>(fc.value, fc.slope * change),
                 number<double, Tangents>(fc.slope, fc.curvature * change),
                 pairs.powers + p * n_radial,
                 [&](int k, const Geometry &value, const Geometry &slope) {
                   pairs.rho[k * pairs.stride + p] = rounded(value);
                   pairs.rho_slopes[k * pairs.stride + p] = rounded(slope);
                 });
  }

  LOREMD_HOST_DEVICE static N rounded(const Geometry &value) {
    if constexpr (Tangents) {
      return {static_cast<T>(value.value), static_cast<T>(value.tangent)};
    } else {
      return static_cast<T>(value);
    }
  }
};

// Radial functions from a table.
struct TabulatedFunctions {
  using Call = DensityCall<float, false>;
  using Pairs = DensityPairs<float, false>;
  static constexpr bool tabulated = true;

  RadialTable table;

  template <bool Slopes>
  LOREMD_HOST_DEVICE void set(const Team &team, const Call &call, const Pairs &pairs,
                              int64_t centre, int count) const {
    const DensityShape &shape = call.shape;
    const int64_t a = call.species_of(centre);
    team.step(count, [&](int p) {
      const double place = pairs.distance[p] * (table.intervals / shape.cutoff);
      // a distance that is not a number is in no interval
      const int q =
          place >= 0 && place < table.intervals ? static_cast<int>(place) : table.intervals - 1;
      const int64_t species = a * shape.n_species + pairs.species[p];
      pairs.row[p] = table.values + (species * table.intervals + q) * 4 * table.functions;
      pairs.place[p] = static_cast<float>(place - q);
    });
    const int n_radial = shape.n_radial, all = n_radial + shape.n_functions();
    const int stride = pairs.stride;
    const auto scale = static_cast<float>(table.intervals / shape.cutoff);
    team.step(all * count, [&](int t) {
      const int p = t / all, i = t % all;  // the values of a pair follow each other
      const bool radial = i < n_radial;
      const int lf = i - n_radial, n = table.functions;
      const float *c = pairs.row[p] + (radial ? i : RadialTable::padded(n_radial) + lf);
      const float x = pairs.place[p], used = pairs.inside(p) ? 1.0f : 0.0f;
      float *to = radial ? pairs.rho + i * stride : pairs.functions + lf * stride;
      to[p] = used * cubic(c[0], c[n], c[2 * n], c[3 * n], x);
      if (Slopes) {
        to = radial ? pairs.rho_slopes + i * stride : pairs.function_slopes + lf * stride;
        to[p] = used * scale * cubic_slope(c[n], c[2 * n], c[3 * n], x);
      }
    });
  }
};

}  // namespace loremd::cuda
