// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

namespace loremd {

// Time of the potentials and their derivatives by positions and charges, in nanoseconds. The
// constants are those of one core with 512-bit vectors; loremd.machine measures those of the
// machine at hand.
struct CostModel {
  double window_atom = 100;  // per atom
  double window_line = 4;    // per atom and 64-byte line of its window
  double mesh_point = 8;     // per mesh point and channel
  double pair = 80;          // per pair within the cutoff
  double pair_channel = 1;   // per pair and channel

  double operator()(int64_t atoms, int64_t channels, double pairs,
                    const std::array<int64_t, 3> &points, int order) const {
    const double line = 16;  // single-precision numbers
    const double lines = order * order * (order * channels / line + 0.5);
    const double mesh = double(points[0]) * points[1] * points[2];
    return atoms * (window_atom + window_line * lines) + mesh_point * channels * mesh +
           pairs * (pair + pair_channel * channels);
  }
};

// The one of this process. Not to be changed while another thread plans.
inline CostModel &cost_model() {
  static CostModel model;
  return model;
}

}  // namespace loremd
