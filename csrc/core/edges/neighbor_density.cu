// SPDX-License-Identifier: BSD-3-Clause
//
// A team takes one centre after another, and some pairs of it at a time, in steps that are each
// spread over its threads: pairs, then functions of pairs, then sums of the centre.
#include "edges/neighbor_density.hpp"

#include "edges/density_team.hpp"
#include "math/degrees.hpp"

namespace loremd::cuda {
namespace {

// value * other, or its tangent.
template <class T>
LOREMD_HOST_DEVICE T product(T a, T b) {
  return a * b;
}
template <class T>
LOREMD_HOST_DEVICE T product(const Dual<T> &a, const Dual<T> &b) {
  return (a * b).tangent;
}
template <class T>
LOREMD_HOST_DEVICE T last_part(T a) {
  return a;
}
template <class T>
LOREMD_HOST_DEVICE T last_part(const Dual<T> &a) {
  return a.tangent;
}

// Sums of the centre += those over the pairs; of dual numbers, their tangents.
template <class T, bool Tangents>
LOREMD_HOST_DEVICE void add_sums(const Team &team, const DensityCall<T, Tangents> &call,
                                 const DensityPairs<T, Tangents> &pairs, int64_t centre, int count,
                                 T *radial, T *spherical) {
  const DensityShape &shape = call.shape;
  const int features = shape.features, stride = pairs.stride;
  team.step(shape.radial_size(), [&](int t) {
    const int species = t / shape.n_radial, k = t % shape.n_radial;
    T sum = 0;
    for (int p = 0; p < count; ++p) {
      if (pairs.inside(p) && pairs.species[p] == species) {
        sum += last_part(pairs.rho[k * stride + p]);
      }
    }
    radial[centre * shape.radial_size() + t] += sum;
  });
  team.step(shape.spherical_size(), [&](int t) {
    const int lm = t / features, f = t % features;
    const int l = degree_of_component(lm);
    T sum = 0;
    for (int p = 0; p < count; ++p) {
      if (!pairs.inside(p)) continue;
      sum += product(pairs.functions[(l * features + f) * stride + p],
                     pairs.harmonics[lm * stride + p]);
    }
    spherical[centre * shape.spherical_size() + t] += sum;
  });
}

template <class T, class Functions>
struct Density {
  DensityCall<T, false> call;
  Functions functions;
  T *radial, *spherical;

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    TeamMemory memory(team.memory);
    const DensityPairs<T, false> pairs(memory, call.shape, call.most, Functions::tabulated, false);
    call.begin(team, pairs);
    call.for_each_chunk(team, [&](int64_t i, int64_t first, int count) {
      call.set_pairs(team, pairs, i, first, count);
      functions.template set<false>(team, call, pairs, i, count);
      add_sums(team, call, pairs, i, count, radial, spherical);
    });
  }
};

template <class T, bool Tangents, class Functions>
struct Gradient {
  DensityCall<T, Tangents> call;
  Functions functions;
  const T *by_radial, *by_spherical;
  T *radial, *spherical;  // tangents of the density; unless Tangents: not used
  DensityGradient gradient;
  double *cell_partials, *coefficient_partials;  // (teams, ..)

  using N = DensityNumber<T, Tangents>;
  using Pairs = DensityPairs<T, Tangents>;

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    TeamMemory memory(team.memory);
    const Pairs pairs(memory, call.shape, call.most, Functions::tabulated, true);
    double *const by_cell = memory.array<double>(9);
    team.step(9, [&](int e) { by_cell[e] = 0; });
    call.begin(team, pairs);
    call.for_each_chunk(team, [&](int64_t i, int64_t first, int count) {
      call.set_pairs(team, pairs, i, first, count);
      functions.template set<true>(team, call, pairs, i, count);
      if constexpr (Tangents) add_sums(team, call, pairs, i, count, radial, spherical);
      contract(team, pairs, by_spherical + i * call.shape.spherical_size(), count);
      team.step(count, [&](int p) { set_vector_gradient(pairs, i, p); });
      add_geometry(team, pairs, i, count, by_cell);
      if (gradient.coefficients) add_coefficients(team, pairs, i, count);
    });
    team.step(9, [&](int e) { cell_partials[9 * team.index + e] = by_cell[e]; });
  }

 private:
  // Derivatives of F by functions and harmonics of the pairs.
  LOREMD_HOST_DEVICE void contract(const Team &team, const Pairs &pairs, const T *by_spherical,
                                   int count) const {
    const DensityShape &shape = call.shape;
    const int features = shape.features, stride = pairs.stride;
    team.step(shape.n_functions() * count, [&](int t) {
      const int p = t % count, lf = t / count, l = lf / features, f = lf % features;
      N sum{};
      for (int lm = l * l; lm < (l + 1) * (l + 1); ++lm) {
        sum += pairs.harmonics[lm * stride + p] * by_spherical[lm * features + f];
      }
      pairs.by_functions[lf * stride + p] = sum;
    });
    team.step(shape.n_harmonics() * count, [&](int t) {
      const int p = t % count, lm = t / count;
      const int l = degree_of_component(lm);
      N sum{};
      for (int f = 0; f < features; ++f) {
        sum += pairs.functions[(l * features + f) * stride + p] * by_spherical[lm * features + f];
      }
      pairs.by_harmonics[lm * stride + p] = sum;
    });
  }

  // dF/dR = u dF/dr + (dF/du - u (u . dF/du)) / r
  LOREMD_HOST_DEVICE void set_vector_gradient(const Pairs &pairs, int64_t centre, int p) const {
    const DensityShape &shape = call.shape;
    const int stride = pairs.stride;
    const T *weights = by_radial + centre * shape.radial_size() + pairs.species[p] * shape.n_radial;
    N by_distance{};
    for (int k = 0; k < shape.n_radial; ++k) {
      by_distance += pairs.rho_slopes[k * stride + p] * weights[k];
    }
    for (int lf = 0; lf < shape.n_functions(); ++lf) {
      by_distance += pairs.function_slopes[lf * stride + p] * pairs.by_functions[lf * stride + p];
    }
    const N u[3] = {pairs.unit[p], pairs.unit[stride + p], pairs.unit[2 * stride + p]};
    N by_u[3] = {};
    spherical_harmonics_gradient(
        call.recursion, shape.degree, u[0], u[1], u[2],
        [&](int lm) { return pairs.by_harmonics[lm * stride + p]; }, by_u[0], by_u[1], by_u[2]);
    const N along = u[0] * by_u[0] + u[1] * by_u[1] + u[2] * by_u[2];
    const N radial_part = by_distance - along * pairs.inverse[p];
    for (int a = 0; a < 3; ++a) {
      const N value = u[a] * radial_part + by_u[a] * pairs.inverse[p];
      if constexpr (Tangents) {
        pairs.vectors[3 * p + a] = value.value;
        pairs.tangents[3 * p + a] = value.tangent;
      } else {
        pairs.vectors[3 * p + a] = value;
      }
    }
  }

  // What the derivatives by vectors, or their tangents, mean for positions, cell and shifts.
  LOREMD_HOST_DEVICE void add_geometry(const Team &team, const Pairs &pairs, int64_t centre,
                                       int count, double *by_cell) const {
    const double *by_vector = Tangents ? pairs.tangents : pairs.vectors;
    team.step(3 * count, [&](int t) {
      const int p = t / 3;
      if (!pairs.inside(p)) return;
      if (gradient.vectors) {
        gradient.vectors[3 * pairs.pair[p] + t % 3] = by_vector[t];
      } else {
        atomic_add(gradient.positions + 3 * pairs.atom[p] + t % 3, by_vector[t]);
      }
      if (gradient.shifts) gradient.shifts[3 * pairs.pair[p] + t % 3] += by_shift(pairs, p, t % 3);
    });
    team.step(3, [&](int a) {
      double sum = 0;
      for (int p = 0; p < count; ++p) {
        if (pairs.inside(p)) sum += by_vector[3 * p + a];
      }
      atomic_add(gradient.positions + 3 * centre + a, -sum);
    });
    team.step(9, [&](int e) {
      for (int p = 0; p < count; ++p) {
        if (!pairs.inside(p)) continue;
        by_cell[e] += call.geometry.shifts(pairs.pair[p], e / 3) * by_vector[3 * p + e % 3];
        if (Tangents && call.direction.shifts) {
          by_cell[e] +=
              call.direction.shifts[3 * pairs.pair[p] + e / 3] * pairs.vectors[3 * p + e % 3];
        }
      }
    });
  }

  LOREMD_HOST_DEVICE double by_shift(const Pairs &pairs, int p, int b) const {
    double sum = 0;
    for (int a = 0; a < 3; ++a) {
      sum += call.geometry.cell[3 * b + a] *
             (Tangents ? pairs.tangents[3 * p + a] : pairs.vectors[3 * p + a]);
      if (Tangents) sum += call.direction.cell[3 * b + a] * pairs.vectors[3 * p + a];
    }
    return sum;
  }

  LOREMD_HOST_DEVICE void add_coefficients(const Team &team, const Pairs &pairs, int64_t centre,
                                           int count) const {
    const DensityShape &shape = call.shape;
    const int n = shape.n_functions(), per_species = shape.n_radial * n, stride = pairs.stride;
    double *const own = coefficient_partials + team.index * shape.coefficients_size() +
                        call.species_of(centre) * shape.n_species * per_species;
    team.step(shape.n_species * per_species, [&](int t) {
      const int species = t / per_species, k = t % per_species / n, lf = t % n;
      double sum = 0;
      for (int p = 0; p < count; ++p) {
        if (!pairs.inside(p) || pairs.species[p] != species) continue;
        sum += product(pairs.rho[k * stride + p], pairs.by_functions[lf * stride + p]);
      }
      own[t] += sum;
    });
  }
};

// ---- launches ----

constexpr int most_pairs = 32;

template <class T, bool Tangents>
int64_t memory_of(const DensityShape &shape, int pairs, bool tabulated, bool gradient) {
  TeamMemory memory(nullptr);
  const DensityPairs<T, Tangents> arrays(memory, shape, pairs, tabulated, gradient);
  memory.array<double>(9);
  return memory.bytes();
}

template <class T, bool Tangents>
int pairs_that_fit(const DensityShape &shape, bool tabulated, bool gradient) {
  int pairs = most_pairs;
  while (pairs > 1 &&
         memory_of<T, Tangents>(shape, pairs, tabulated, gradient) > most_shared_bytes) {
    pairs /= 2;
  }
  return pairs;
}

int64_t teams_for(int64_t n_centres, bool with_coefficients) {
  return std::min(n_centres, with_coefficients ? most_teams / 8 : 8 * most_teams);
}

template <class T, bool Tangents>
DensityCall<T, Tangents> call_of(const DensityShape &shape, const DensityGeometry &geometry,
                                 const PairRows &rows, int64_t n_centres, bool with_coefficients,
                                 const DensityDirection<T> &direction, bool tabulated,
                                 bool gradient) {
  return {shape,
          geometry,
          rows,
          n_centres,
          teams_for(n_centres, with_coefficients),
          pairs_that_fit<T, Tangents>(shape, tabulated, gradient),
          SphericalRecursion<T>(),
          direction};
}

template <class T, class Functions>
void launch_density(const DensityShape &shape, const DensityGeometry &geometry,
                    const PairRows &rows, int64_t n_centres, const Functions &functions, T *radial,
                    T *spherical, Stream stream) {
  const auto call =
      call_of<T, false>(shape, geometry, rows, n_centres, false, {}, Functions::tabulated, false);
  for_each_team(stream, call.teams, block_threads,
                memory_of<T, false>(shape, call.most, Functions::tabulated, false),
                Density<T, Functions>{call, functions, radial, spherical});
}

template <class T, bool Tangents, class Functions>
void launch_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                     const PairRows &rows, int64_t n_centres, const Functions &functions,
                     const DensityDirection<T> &direction, const T *by_radial,
                     const T *by_spherical, T *radial, T *spherical, double *workspace,
                     const DensityGradient &gradient, Stream stream) {
  const bool coefficients = gradient.coefficients != nullptr;
  const auto call = call_of<T, Tangents>(shape, geometry, rows, n_centres, coefficients, direction,
                                         Functions::tabulated, true);
  double *const of_coefficients = workspace + 9 * call.teams;
  const int64_t columns = coefficients ? shape.coefficients_size() : 0;
  set_zero(stream, call.teams * columns, of_coefficients);
  for_each_team(stream, call.teams, block_threads,
                memory_of<T, Tangents>(shape, call.most, Functions::tabulated, true),
                Gradient<T, Tangents, Functions>{call, functions, by_radial, by_spherical, radial,
                                                 spherical, gradient, workspace, of_coefficients});
  add_partials(stream, workspace, call.teams, 9, gradient.cell);
  add_partials(stream, of_coefficients, call.teams, columns, gradient.coefficients);
}

}  // namespace

int64_t density_workspace(const DensityShape &shape, int64_t n_centres, bool with_coefficients) {
  const int64_t columns = 9 + (with_coefficients ? shape.coefficients_size() : 0);
  return teams_for(n_centres, with_coefficients) * columns;
}

template <class T>
void neighbor_density(const DensityShape &shape, const DensityGeometry &geometry,
                      const PairRows &rows, int64_t n_centres, const T *coefficients, T *radial,
                      T *spherical, Stream stream) {
  launch_density<T>(shape, geometry, rows, n_centres, ExactFunctions<T, false>{coefficients},
                    radial, spherical, stream);
}

template <class T>
void neighbor_density_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                               const PairRows &rows, int64_t n_centres, const T *coefficients,
                               const T *by_radial, const T *by_spherical, double *workspace,
                               const DensityGradient &gradient, Stream stream) {
  launch_gradient<T, false>(shape, geometry, rows, n_centres,
                            ExactFunctions<T, false>{coefficients}, {}, by_radial, by_spherical,
                            nullptr, nullptr, workspace, gradient, stream);
}

template <class T>
void neighbor_density_along(const DensityShape &shape, const DensityGeometry &geometry,
                            const PairRows &rows, int64_t n_centres, const T *coefficients,
                            const DensityDirection<T> &direction, const T *by_radial,
                            const T *by_spherical, T *radial, T *spherical, double *workspace,
                            const DensityGradient &gradient, Stream stream) {
  launch_gradient<T, true>(shape, geometry, rows, n_centres, ExactFunctions<T, true>{coefficients},
                           direction, by_radial, by_spherical, radial, spherical, workspace,
                           gradient, stream);
}

void neighbor_density_tabulated(const DensityShape &shape, const DensityGeometry &geometry,
                                const PairRows &rows, int64_t n_centres, const RadialTable &table,
                                float *radial, float *spherical, Stream stream) {
  launch_density<float>(shape, geometry, rows, n_centres, TabulatedFunctions{table}, radial,
                        spherical, stream);
}

void neighbor_density_tabulated_gradient(const DensityShape &shape, const DensityGeometry &geometry,
                                         const PairRows &rows, int64_t n_centres,
                                         const RadialTable &table, const float *by_radial,
                                         const float *by_spherical, double *workspace,
                                         const DensityGradient &gradient, Stream stream) {
  launch_gradient<float, false>(shape, geometry, rows, n_centres, TabulatedFunctions{table}, {},
                                by_radial, by_spherical, nullptr, nullptr, workspace, gradient,
                                stream);
}

#define LOREMD_INSTANTIATE(T)                                                                     \
  template void neighbor_density(const DensityShape &, const DensityGeometry &, const PairRows &, \
                                 int64_t, const T *, T *, T *, Stream);                           \
  template void neighbor_density_gradient(const DensityShape &, const DensityGeometry &,          \
                                          const PairRows &, int64_t, const T *, const T *,        \
                                          const T *, double *, const DensityGradient &, Stream);  \
  template void neighbor_density_along(const DensityShape &, const DensityGeometry &,             \
                                       const PairRows &, int64_t, const T *,                      \
                                       const DensityDirection<T> &, const T *, const T *, T *,    \
                                       T *, double *, const DensityGradient &, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
