// SPDX-License-Identifier: BSD-3-Clause
#include "edges/pair_potential.hpp"
#include <cmath>
#include <optional>

#include "edges/index.hpp"
#include "simd.hpp"

namespace loremd {
namespace {

// sharp(r) or its derivative as a function of r^2, for many values at once.
class SharpKernel {
 public:
  SharpKernel(const SharpPart &part, int derivative)
      : tail_(0.5 * part.exponent, 0.5 / (part.length * part.length)),
        scale_(1 / std::tgamma(0.5 * part.exponent)),
        derivative_(derivative) {
    if (part.shape.terms > 0) compact_.emplace(part.length, part.shape, derivative);
  }

  void operator()(int n, const double *squared, double *out) const {
    if (compact_) return compact_->evaluate(n, squared, out);
    gamma_tail(n, squared, tail_, derivative_, out);
    for (int k = 0; k < n; ++k) out[k] *= scale_;
  }

 private:
  GammaTail tail_;
  double scale_;
  int derivative_;
  std::optional<CompactSharp> compact_;
};

// Pairs within the cutoff, as many as are worked on together.
struct Block {
  static constexpr int size = 256;
  int64_t pair[size + 1];  // the last is for a pair that turns out not to belong
  int64_t centre[size + 1], neighbour[size + 1];
  double vector[size + 1][3], squared[size + 1];
  double values[size], slopes[size];
};

// Puts pair p into a place of the block; returns whether it counts.
LOREMD_INLINE bool set_pair(const PairGeometry &geometry, int64_t p, int place, Block &block) {
  const PairList &list = geometry.list;
  const int64_t i = list.centres[p], j = list.neighbours[p];
  check_index(i, list.n_neighbours, "centre");
  check_index(j, list.n_neighbours, "neighbour");
  const double shift[3] = {geometry.shifts(p, 0), geometry.shifts(p, 1), geometry.shifts(p, 2)};
  const double squared =
      pair_vector(geometry.positions, geometry.cell, shift, i, j, block.vector[place]);
  block.pair[place] = p, block.centre[place] = i, block.neighbour[place] = j;
  block.squared[place] = squared;
  return (i < list.n_centres) & !(squared >= geometry.cutoff * geometry.cutoff);
}

// Calls body(block, number of pairs in it) for all pairs within the cutoff.
template <class Body>
void for_each_block(const PairGeometry &geometry, Body &&body) {
  Block block;
  int filled = 0;
  for (int64_t p = 0; p < geometry.list.pairs; ++p) {
    // without a branch, which would be mispredicted for every third pair or so
    filled += set_pair(geometry, p, filled, block);
    if (filled == Block::size) {
      body(block, filled);
      filled = 0;
    }
  }
  if (filled > 0) body(block, filled);
}

template <class T, class Channels>
LOREMD_CLONES void add_sums(const Block &block, int n, Channels channels, const T *charges,
                            T *sums) {
  for (int k = 0; k < n; ++k) {
    add_scaled<32>(channels, static_cast<T>(block.values[k]),
                   charges + block.neighbour[k] * channels, sums + block.centre[k] * channels);
  }
}

template <class T, class Channels>
LOREMD_CLONES void add_gradients(const Block &block, int n, Channels channels, const T *charges,
                                 const T *weights, const PairGeometry &geometry,
                                 double *by_positions, T *by_charges, double *by_cell) {
  for (int k = 0; k < n; ++k) {
    const int64_t i = block.centre[k], j = block.neighbour[k];
    const T *weight = weights + i * channels;
    add_scaled<32>(channels, static_cast<T>(block.values[k]), weight, by_charges + j * channels);
    const double product = dot(channels, weight, charges + j * channels);
    double force[3];
    for (int a = 0; a < 3; ++a) {
      force[a] = 2 * block.slopes[k] * product * block.vector[k][a];
      by_positions[3 * j + a] += force[a];
      by_positions[3 * i + a] -= force[a];
    }
    const int64_t p = block.pair[k];
    const double shift[3] = {geometry.shifts(p, 0), geometry.shifts(p, 1), geometry.shifts(p, 2)};
    add_cell_gradient(shift, force, by_cell);
  }
}

// Calls body(channels) with a constant for the usual numbers.
template <class Body>
void dispatch_channels(int channels, Body &&body) {
  if (channels == 1) return body(std::integral_constant<int, 1>{});
  if (channels == 10) return body(std::integral_constant<int, 10>{});
  body(channels);
}

}  // namespace

template <class T>
void pair_potential(const PairGeometry &geometry, const SharpPart &part, int channels,
                    const T *charges, T *sums) {
  const SharpKernel value(part, 0);
  for_each_block(geometry, [&](Block &block, int n) {
    value(n, block.squared, block.values);
    dispatch_channels(channels, [&](auto c) { add_sums(block, n, c, charges, sums); });
  });
}

template <class T>
void pair_potential_gradient(const PairGeometry &geometry, const SharpPart &part, int channels,
                             const T *charges, const T *weights, double *by_positions,
                             T *by_charges, double *by_cell) {
  const SharpKernel value(part, 0), slope(part, 1);
  for_each_block(geometry, [&](Block &block, int n) {
    value(n, block.squared, block.values);
    slope(n, block.squared, block.slopes);
    dispatch_channels(channels, [&](auto c) {
      add_gradients(block, n, c, charges, weights, geometry, by_positions, by_charges, by_cell);
    });
  });
}

#define LOREMD_INSTANTIATE(T)                                                                    \
  template void pair_potential(const PairGeometry &, const SharpPart &, int, const T *, T *);    \
  template void pair_potential_gradient(const PairGeometry &, const SharpPart &, int, const T *, \
                                        const T *, double *, T *, double *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
