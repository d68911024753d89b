// SPDX-License-Identifier: BSD-3-Clause
//
// A team takes a block of lanes, (atom, feature) with the features fastest, whose arguments it
// brings to its memory: the rows are the cosines and sines of all pairs. Then a thread sums up all
// that contributes to one pair of one lane, or to one weight.
#include "device.hpp"
#include "features/cuda.hpp"
#include "math/degrees.hpp"
#include "math/spherical.hpp"

namespace loremd::cuda {
namespace {

constexpr int64_t arguments_bytes = 40 * 1024;

// How lanes are cut into blocks: `atoms` of them, `features` of each.
struct LaneBlocks {
  int atoms, features, parts;

  // For `rows` values of `bytes` per lane.
  LaneBlocks(int all_features, int64_t rows, int64_t bytes) {
    const int64_t fit = arguments_bytes / (rows * bytes);
    const int lanes = static_cast<int>(std::clamp<int64_t>(fit, 1, block_threads));
    features = std::min(all_features, lanes);
    atoms = lanes / features;
    parts = (all_features + features - 1) / features;
  }
  LOREMD_HOST_DEVICE int lanes() const { return atoms * features; }
  int64_t count(int64_t all_atoms) const { return (all_atoms + atoms - 1) / atoms; }
};

int pair_rows(int degree) {
  return 2 * pairs_up_to(degree);
}

// The lanes of one block.
struct Lanes {
  LaneBlocks blocks;
  int64_t first_atom, atoms;  // the block's first, and those of the call
  int first_feature, features;

  LOREMD_HOST_DEVICE int count() const { return blocks.lanes(); }
  LOREMD_HOST_DEVICE int64_t atom(int lane) const { return first_atom + lane / blocks.features; }
  LOREMD_HOST_DEVICE int feature(int lane) const { return first_feature + lane % blocks.features; }
  LOREMD_HOST_DEVICE bool exists(int lane) const {
    return atom(lane) < atoms && feature(lane) < features;
  }
};

// rows (2 pairs, lanes) <- an argument, zero where there is no lane and no sine.
template <class T>
LOREMD_HOST_DEVICE void bring(const Team &team, const Lanes &lanes, int rows,
                              const SphericalFeatures<const T> &array, T *to) {
  team.step(rows * lanes.count(), [&](int t) {
    const int lane = t % lanes.count(), row = t / lanes.count(), sine = row % 2;
    int l, m;
    degree_and_order(row / 2, &l, &m);
    const bool there = lanes.exists(lane) && !(sine == 1 && m == 0);
    to[t] = there ? array.row(lanes.atom(lane), component(l, m) + sine)[lanes.feature(lane)] : T(0);
  });
}

// z_a z_b of a term for one lane.
template <class T>
LOREMD_HOST_DEVICE void term_product(const CouplingTerm<T> &term, const T *a, const T *b, int lanes,
                                     int lane, T *cosine, T *sine) {
  multiply_pairs(a[2 * term.a * lanes + lane], term.sign_a * a[(2 * term.a + 1) * lanes + lane],
                 b[2 * term.b * lanes + lane], term.sign_b * b[(2 * term.b + 1) * lanes + lane],
                 cosine, sine);
}

template <class T>
struct Product {
  ProductShape shape;
  LaneBlocks blocks;
  int64_t atoms;
  SphericalFeatures<const T> a, b;
  const T *weight;
  DeviceCoupling<T> coupling;
  SphericalFeatures<T> out;
  int rows_a, rows_b, pairs_out;

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    const Lanes lanes{blocks, team.index / blocks.parts * blocks.atoms, atoms,
                      static_cast<int>(team.index % blocks.parts) * blocks.features,
                      shape.features};
    TeamMemory memory(team.memory);
    T *const first = memory.array<T>(int64_t(rows_a) * lanes.count());
    T *const second = memory.array<T>(int64_t(rows_b) * lanes.count());
    bring(team, lanes, rows_a, a, first);
    bring(team, lanes, rows_b, b, second);
    team.step(pairs_out * lanes.count(), [&](int t) {
      const int lane = t % lanes.count(), pair = t / lanes.count();
      if (!lanes.exists(lane)) return;
      const int feature = lanes.feature(lane);
      T cosines = 0, sines = 0;
      for (int k = coupling.first_of_pair[pair]; k < coupling.first_of_pair[pair + 1]; ++k) {
        const CouplingTerm<T> term = coupling.by_pair[k];
        const T factor =
            term.coefficient *
            weight[int64_t(1) * coupling.weights[term.path] * shape.features + feature];
        T cosine, sine;
        term_product(term, first, second, lanes.count(), lane, &cosine, &sine);
        cosines += factor * cosine;
        sines += factor * sine;
      }
      int l, m;
      degree_and_order(pair, &l, &m);
      const int64_t atom = lanes.atom(lane);
      out.row(atom, component(l, m))[feature] = cosines;
      if (m > 0) out.row(atom, component(l, m) + 1)[feature] = sines;
    });
  }
};

// Sums over the blocks of a range of atoms; team.index counts (range, part of the features).
template <class T>
struct ProductWeights {
  ProductShape shape;
  LaneBlocks blocks;
  int64_t atoms, ranges;
  SphericalFeatures<const T> a, b, grad;
  DeviceCoupling<T> coupling;
  int rows_a, rows_b, rows_out;
  double *partials;  // (ranges, paths, features), zeros

  LOREMD_HOST_DEVICE void operator()(const Team &team) const {
    const int64_t range = team.index / blocks.parts;
    const int first_feature = static_cast<int>(team.index % blocks.parts) * blocks.features;
    const int lane_count = blocks.lanes();
    TeamMemory memory(team.memory);
    T *const first = memory.array<T>(int64_t(rows_a) * lane_count);
    T *const second = memory.array<T>(int64_t(rows_b) * lane_count);
    T *const third = memory.array<T>(int64_t(rows_out) * lane_count);
    const int64_t end = atoms * (range + 1) / ranges;
    for (int64_t atom = atoms * range / ranges; atom < end; atom += blocks.atoms) {
      const Lanes lanes{blocks, atom, end, first_feature, shape.features};
      bring(team, lanes, rows_a, a, first);
      bring(team, lanes, rows_b, b, second);
      bring(team, lanes, rows_out, grad, third);
      team.step(coupling.paths * blocks.features, [&](int t) {
        const int path = t / blocks.features, f = t % blocks.features;
        if (first_feature + f >= shape.features) return;
        double sum = 0;
        for (int k = coupling.first_of_path[path]; k < coupling.first_of_path[path + 1]; ++k) {
          const CouplingTerm<T> term = coupling.by_path[k];
          for (int lane = f; lane < lane_count; lane += blocks.features) {
            T cosine, sine;
            term_product(term, first, second, lane_count, lane, &cosine, &sine);
            sum += term.coefficient * (third[2 * term.out * lane_count + lane] * cosine +
                                       third[(2 * term.out + 1) * lane_count + lane] * sine);
          }
        }
        partials[(range * coupling.paths + path) * shape.features + first_feature + f] += sum;
      });
    }
  }
};

// by_weight += sums (paths, features), each to its place.
struct PlaceWeights {
  const double *sums;
  const int32_t *weights;
  int64_t features;
  double *by_weight;

  LOREMD_HOST_DEVICE void operator()(int64_t i) const {
    by_weight[weights[i / features] * features + i % features] += sums[i];
  }
};

}  // namespace

template <class T>
void tensor_product(const ProductShape &shape, int64_t atoms, const SphericalFeatures<const T> &a,
                    const SphericalFeatures<const T> &b, const T *weight,
                    const DeviceCoupling<T> &coupling, const SphericalFeatures<T> &out,
                    Stream stream) {
  const int rows_a = pair_rows(shape.degree_a), rows_b = pair_rows(shape.degree_b);
  const LaneBlocks blocks(shape.features, rows_a + rows_b, sizeof(T));
  const int64_t bytes = (rows_a + rows_b + 1) * blocks.lanes() * int64_t(sizeof(T)) + 16;
  for_each_team(stream, blocks.count(atoms) * blocks.parts, block_threads, bytes,
                Product<T>{shape, blocks, atoms, a, b, weight, coupling, out, rows_a, rows_b,
                           pairs_up_to(shape.degree_out)});
}

template <class T>
void tensor_product_weights(const ProductShape &shape, int64_t atoms,
                            const SphericalFeatures<const T> &a,
                            const SphericalFeatures<const T> &b,
                            const SphericalFeatures<const T> &grad,
                            const DeviceCoupling<T> &coupling, double *workspace, double *by_weight,
                            Stream stream) {
  const int rows_a = pair_rows(shape.degree_a), rows_b = pair_rows(shape.degree_b);
  const int rows_out = pair_rows(shape.degree_out);
  const int64_t rows = rows_a + rows_b + rows_out;
  const LaneBlocks blocks(shape.features, rows, sizeof(T));
  const int64_t ranges = sum_ranges(atoms), columns = int64_t(1) * coupling.paths * shape.features;
  const int64_t bytes = (rows + 1) * blocks.lanes() * int64_t(sizeof(T)) + 24;
  double *const totals = workspace + ranges * columns;
  set_zero(stream, (ranges + 1) * columns, workspace);
  for_each_team(stream, ranges * blocks.parts, block_threads, bytes,
                ProductWeights<T>{shape, blocks, atoms, ranges, a, b, grad, coupling, rows_a,
                                  rows_b, rows_out, workspace});
  add_partials(stream, workspace, ranges, columns, totals);
  for_each_item(stream, columns, PlaceWeights{totals, coupling.weights, shape.features, by_weight});
}

#define LOREMD_INSTANTIATE(T)                                                                     \
  template void tensor_product(const ProductShape &, int64_t, const SphericalFeatures<const T> &, \
                               const SphericalFeatures<const T> &, const T *,                     \
                               const DeviceCoupling<T> &, const SphericalFeatures<T> &, Stream);  \
  template void tensor_product_weights(                                                           \
      const ProductShape &, int64_t, const SphericalFeatures<const T> &,                          \
      const SphericalFeatures<const T> &, const SphericalFeatures<const T> &,                     \
      const DeviceCoupling<T> &, double *, double *, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
