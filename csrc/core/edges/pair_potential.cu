// SPDX-License-Identifier: BSD-3-Clause
//
// A team takes one centre after another, and some pairs of it at a time: first a thread per pair,
// then a thread per channel or component.
#include "edges/pair_potential.hpp"

#include "device.hpp"
#include "edges/cuda.hpp"
#include "edges/sharp.hpp"

namespace loremd::cuda {
namespace {

constexpr int pairs_together = 32;

// Some pairs of a centre.
struct PairChunk {
  int64_t *pair, *neighbour;  // neighbour -1: not within the cutoff
  double *vector;             // (pairs, 3)
  double *value, *slope;      // sharp(r), and its derivative by r^2

  LOREMD_HOST_DEVICE explicit PairChunk(TeamMemory &memory)
      : pair(memory.array<int64_t>(pairs_together)),
        neighbour(memory.array<int64_t>(pairs_together)),
        vector(memory.array<double>(3 * pairs_together)),
        value(memory.array<double>(pairs_together)),
        slope(memory.array<double>(pairs_together)) {}

  // Pair number p of the chunk; false where it does not count.
  LOREMD_HOST_DEVICE bool set(const PairGeometry &geometry, int64_t centre, int64_t of,
                              int p) const {
    const int64_t j = geometry.list.neighbours[of];
    const double shift[3] = {geometry.shifts(of, 0), geometry.shifts(of, 1),
                             geometry.shifts(of, 2)};
    const bool exists = j >= 0 && j < geometry.list.n_neighbours;
    const double squared = pair_vector(geometry.positions, geometry.cell, shift, centre,
                                       exists ? j : centre, vector + 3 * p);
    const bool inside = !exists || !(squared >= geometry.cutoff * geometry.cutoff);
    pair[p] = of;
    neighbour[p] = inside ? (exists ? j : centre) : -1;
    value[p] = exists ? squared : nan("");  // for the caller to replace
    return inside;
  }
};

// Calls body(chunk's first pair, number of its pairs) for the pairs of a centre.
template <class Body>
LOREMD_HOST_DEVICE void for_each_chunk(const PairRows &rows, int64_t centre, Body &&body) {
  const int64_t end = rows.first[centre + 1];
  for (int64_t k = rows.first[centre]; k < end; k += pairs_together) {
    body(k, static_cast<int>(end - k < pairs_together ? end - k : pairs_together));
  }
}

template <class Sharp, class T>
struct Potential {
  PairGeometry geometry;
  PairRows rows;
  Sharp sharp;
  int channels;
  const T *charges;
  T *sums;
  int64_t teams;

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    TeamMemory memory(team.memory);
    const PairChunk chunk(memory);
    for (int64_t i = team.index; i < geometry.list.n_centres; i += teams) {
      for_each_chunk(rows, i, [&](int64_t first, int count) {
        team.step(count, [&](int p) {
          if (chunk.set(geometry, i, rows.pair(first + p), p)) {
            chunk.value[p] = sharp(chunk.value[p]);
          }
        });
        team.step(channels, [&](int c) {
          T sum = 0;
          for (int p = 0; p < count; ++p) {
            const int64_t j = chunk.neighbour[p];
            if (j >= 0) sum += static_cast<T>(chunk.value[p]) * charges[j * channels + c];
          }
          sums[i * channels + c] += sum;
        });
      });
    }
  }
};

template <class Sharp, class T>
struct PotentialGradient {
  PairGeometry geometry;
  PairRows rows;
  Sharp sharp, sharp_slope;
  int channels;
  const T *charges, *weights;
  double *by_positions;
  T *by_charges;
  double *partials;  // (teams, 9)
  int64_t teams;
  KeptPairs<T> kept;

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    TeamMemory memory(team.memory);
    const PairChunk chunk(memory);
    double *const by_cell = memory.array<double>(9);
    team.step(9, [&](int e) { by_cell[e] = 0; });
    for (int64_t i = team.index; i < geometry.list.n_centres; i += teams) {
      for_each_chunk(rows, i, [&](int64_t first, int count) {
        team.step(count, [&](int p) { set_force(chunk, i, rows.pair(first + p), p); });
        if (kept.values) {
          team.step(count, [&](int p) { keep_value(chunk, p); });
        } else {
          team.step(count * channels, [&](int t) { add_charge(chunk, i, t); });
        }
        team.step(9, [&](int e) { add_to_cell(chunk, count, e, by_cell); });
        team.step(3 * count, [&](int t) { add_vector(chunk, t); });
        team.step(3, [&](int a) { add_to_centre(chunk, count, i, a); });
      });
    }
    team.step(9, [&](int e) { partials[9 * team.index + e] = by_cell[e]; });
  }

 private:
  // The vector of a pair becomes the derivative by it.
  LOREMD_HOST_DEVICE void set_force(const PairChunk &chunk, int64_t i, int64_t pair, int p) const {
    if (!chunk.set(geometry, i, pair, p)) return;
    const double squared = chunk.value[p];
    double product = 0;
    for (int c = 0; c < channels; ++c) {
      product += double(weights[i * channels + c]) * charges[chunk.neighbour[p] * channels + c];
    }
    chunk.value[p] = sharp(squared);
    const double factor = 2 * sharp_slope(squared) * product;
    for (int a = 0; a < 3; ++a) chunk.vector[3 * p + a] *= factor;
  }

  LOREMD_HOST_DEVICE void keep_value(const PairChunk &chunk, int p) const {
    if (chunk.neighbour[p] >= 0) kept.values[chunk.pair[p]] = static_cast<T>(chunk.value[p]);
  }

  LOREMD_HOST_DEVICE void add_charge(const PairChunk &chunk, int64_t i, int t) const {
    const int p = t / channels, c = t % channels;
    const int64_t j = chunk.neighbour[p];
    if (j < 0) return;
    const T value = static_cast<T>(chunk.value[p]);
    atomic_add(by_charges + j * channels + c, value * weights[i * channels + c]);
  }

  // One component of what a pair gives to its neighbour.
  LOREMD_HOST_DEVICE void add_vector(const PairChunk &chunk, int t) const {
    const int64_t j = chunk.neighbour[t / 3];
    if (j < 0) return;
    if (kept.vectors) {
      kept.vectors[3 * chunk.pair[t / 3] + t % 3] = chunk.vector[t];
    } else {
      atomic_add(by_positions + 3 * j + t % 3, chunk.vector[t]);
    }
  }

  LOREMD_HOST_DEVICE void add_to_cell(const PairChunk &chunk, int count, int e,
                                      double *by_cell) const {
    double sum = 0;
    for (int p = 0; p < count; ++p) {
      if (chunk.neighbour[p] < 0) continue;
      sum += geometry.shifts(chunk.pair[p], e / 3) * chunk.vector[3 * p + e % 3];
    }
    by_cell[e] += sum;
  }

  LOREMD_HOST_DEVICE void add_to_centre(const PairChunk &chunk, int count, int64_t i, int a) const {
    double sum = 0;
    for (int p = 0; p < count; ++p) {
      if (chunk.neighbour[p] >= 0) sum += chunk.vector[3 * p + a];
    }
    atomic_add(by_positions + 3 * i + a, -sum);
  }
};

int64_t teams_for(int64_t centres) {
  return std::min(centres, 8 * most_teams);
}

int64_t chunk_bytes() {
  TeamMemory memory(nullptr);
  const PairChunk chunk(memory);
  memory.array<double>(9);
  return memory.bytes();
}

// Calls body(sharp of a derivative) for the kind of sharp part.
template <class Body>
void with_sharp(const SharpPart &part, Body &&body) {
  if (part.shape.terms > 0) {
    return body([&](int derivative) {
      return CompactSharpValue(CompactSharp(part.length, part.shape, derivative));
    });
  }
  const GammaTail tail(0.5 * part.exponent, 0.5 / (part.length * part.length));
  const double scale = 1 / std::tgamma(0.5 * part.exponent);
  body([&](int derivative) {
    check_gamma_tail(tail, derivative);
    return GaussianSharp{tail, scale, derivative};
  });
}

}  // namespace

int64_t cell_workspace(int64_t n_centres) {
  return 9 * teams_for(n_centres);
}

template <class T>
void pair_potential(const PairGeometry &geometry, const PairRows &rows, const SharpPart &part,
                    int channels, const T *charges, T *sums, Stream stream) {
  const int64_t teams = teams_for(geometry.list.n_centres);
  with_sharp(part, [&](auto &&sharp) {
    using Sharp = decltype(sharp(0));
    for_each_team(stream, teams, pairs_together, chunk_bytes(),
                  Potential<Sharp, T>{geometry, rows, sharp(0), channels, charges, sums, teams});
  });
}

template <class T>
void pair_potential_gradient(const PairGeometry &geometry, const PairRows &rows,
                             const SharpPart &part, int channels, const T *charges,
                             const T *weights, double *workspace, double *by_positions,
                             T *by_charges, double *by_cell, const KeptPairs<T> &kept,
                             Stream stream) {
  const int64_t teams = teams_for(geometry.list.n_centres);
  with_sharp(part, [&](auto &&sharp) {
    using Sharp = decltype(sharp(0));
    for_each_team(
        stream, teams, pairs_together, chunk_bytes(),
        PotentialGradient<Sharp, T>{geometry, rows, sharp(0), sharp(1), channels, charges, weights,
                                    by_positions, by_charges, workspace, teams, kept});
  });
  add_partials(stream, workspace, teams, 9, by_cell);
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void pair_potential(const PairGeometry &, const PairRows &, const SharpPart &, int,     \
                               const T *, T *, Stream);                                            \
  template void pair_potential_gradient(const PairGeometry &, const PairRows &, const SharpPart &, \
                                        int, const T *, const T *, double *, double *, T *,        \
                                        double *, const KeptPairs<T> &, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
