// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "mesh/layout.hpp"

namespace loremd {

// Time of the potentials and their derivatives by positions and charges, in nanoseconds. The
// constants are those of one core with 512-bit vectors; loremd.machine measures those of the
// machine at hand.
struct CostModel {
  double window_atom = 90;   // per atom
  double window_line = 1.8;  // per atom and 64-byte line of its window
  double mesh_value = 5;     // per mesh point and channel, with the padding of mesh/layout.hpp
  double pair = 30;          // per pair within the cutoff
  double pair_channel = 1;   // per pair and channel

  double operator()(int64_t atoms, int64_t channels, double pairs,
                    const std::array<int64_t, 3> &points, int order) const {
    const int stride = channel_stride(static_cast<int>(channels));
    const double line = 16;  // single-precision numbers
    const double lines = channels == 1 ? order * order : order * order * order * stride / line;
    const double mesh = double(points[0]) * points[1] * points[2];
    return atoms * (window_atom + window_line * lines) + mesh_value * stride * mesh +
           pairs * (pair + pair_channel * channels);
  }
};

// The one of this process. Not to be changed while another thread plans.
inline CostModel &cost_model() {
  static CostModel model;
  return model;
}

}  // namespace loremd
