// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/spread.hpp"

#include <vector>

namespace loremd {
namespace {

// row(k, c) = weights(k) * charges(c), in the layout of the mesh
template <int Longest, int P, class Channels, class T>
LOREMD_INLINE void outer_product(Channels channels, const T *weights, const T *charges, T *row) {
  if constexpr (is_single<Channels>) {
    for (int k = 0; k < window_lanes(P); ++k) row[k] = weights[k] * charges[0];
  } else if constexpr (is_padded<T, Channels>) {
    constexpr auto stride = decltype(stride_of<T>(channels)){};
    alignas(64) T padded[stride] = {};
    std::memcpy(padded, charges, channels * sizeof(T));
    for_each_vector<T, Longest>(stride, [&](int c, auto zero) LOREMD_INLINE_LAMBDA {
      const auto charge = load<decltype(zero)>(padded + c);
      for (int k = 0; k < P; ++k) store(row + k * stride + c, weights[k] * charge);
    });
  } else {
    const int stride = stride_of<T>(channels);
    for (int k = 0; k < P; ++k) {
      for (int c = 0; c < channels; ++c) row[k * stride + c] = weights[k] * charges[c];
      for (int c = channels; c < stride; ++c) row[k * stride + c] = 0;
    }
  }
}

template <int Longest, int P, class T, class Channels>
LOREMD_INLINE void spread_atoms(const MeshCall<T> &call, Channels channels, const T *charges,
                                T *mesh, T *workspace) {
  const auto length = row_length<P, T>(channels);
  RowBuffer<P, T, Channels> row(workspace, channels);
  for_each_window<Longest, P, 0>(
      call, charges, channels, [&](int64_t i, const auto &window) LOREMD_INLINE_LAMBDA {
        const auto &[wx, wy, wz] = window.weights;
        outer_product<Longest, P>(channels, wz, charges + i * channels, row.values);
        for (int kx = 0; kx < P; ++kx) {
          for (int ky = 0; ky < P; ++ky) {
            add_scaled<Longest>(length, wx[kx] * wy[ky], row.values,
                                mesh + window.x[kx] + window.y[ky] + window.z);
          }
        }
      });
}

// Weights replaced by their derivative along the direction of each atom.
template <int Longest, int P, class T>
LOREMD_INLINE void spread_along_directions(const MeshCall<T> &call, const T *charges, T *mesh) {
  const int channels = static_cast<int>(call.shape.channels);
  for_each_window<Longest, P, 1>(
      call, charges, channels, [&](int64_t i, const auto &window) LOREMD_INLINE_LAMBDA {
        const auto &[wx, wy, wz] = window.weights;
        const auto &[sx, sy, sz] = window.slopes;
        const double *direction = call.directions + 3 * i;
        const T dx = static_cast<T>(direction[0]), dy = static_cast<T>(direction[1]);
        const T dz = static_cast<T>(direction[2]);
        for (int kx = 0; kx < P; ++kx) {
          for (int ky = 0; ky < P; ++ky) {
            T *row = mesh + window.x[kx] + window.y[ky] + window.z;
            const T in_plane = dx * sx[kx] * wy[ky] + dy * wx[kx] * sy[ky];
            const T along_z = dz * wx[kx] * wy[ky];
            for (int k = 0; k < P; ++k) {
              add_scaled<Longest>(channels, in_plane * wz[k] + along_z * sz[k],
                                  charges + i * channels, row + k * call.shape.stride);
            }
          }
        }
      });
}

}  // namespace

template <class T>
void spread(const MeshCall<T> &call, const T *charges, T *mesh) {
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    if (call.directions) {
      with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
        spread_along_directions<longest(), P>(call, charges, mesh);
      });
    } else {
      std::vector<T> workspace(workspace_size<P, T>(channels, 1));
      with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
        spread_atoms<longest(), P>(call, channels, charges, mesh, workspace.data());
      });
    }
  });
}

template void spread(const MeshCall<float> &, const float *, float *);
template void spread(const MeshCall<double> &, const double *, double *);

}  // namespace loremd
