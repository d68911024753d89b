// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/interpolate.hpp"

#include <vector>

#include "mesh/contract.hpp"

namespace loremd {
namespace {

// sums = sum w_x w_y row, over the rows of the window
template <int Longest, int P, class W, class Length, class T>
LOREMD_INLINE void sum_rows(const W &window, Length length, const T *mesh, T *sums) {
  const auto &[wx, wy, wz] = window.weights;
  for_each_vector<T, Longest>(length, [&](int i, auto zero) LOREMD_INLINE_LAMBDA {
    using V = decltype(zero);
    V sum = zero;
    for (int ky = 0; ky < P; ++ky) {
      const T *column = mesh + window.y[ky] + window.z + i;
      V along_x = zero;
      LOREMD_UNROLL
      for (int kx = 0; kx < P; ++kx) along_x += wx[kx] * load<V>(column + window.x[kx]);
      sum += wy[ky] * along_x;
    }
    store(sums + i, sum);
  });
}

template <int Longest, int P, class T, class Channels>
LOREMD_INLINE void interpolate_atoms(const MeshCall<T> &call, Channels channels, const T *mesh,
                                     T *values, T *workspace) {
  const auto length = row_length<P, T>(channels);
  RowBuffer<P, T, Channels> sums(workspace, channels);
  for_each_window<Longest, P, 0>(
      call, values, channels, [&](int64_t i, const auto &window) LOREMD_INLINE_LAMBDA {
        sum_rows<Longest, P>(window, length, mesh, sums.values);
        contract<Longest, P>(channels, window.weights[2], sums.values, values + i * call.row());
      });
}

template <int Longest, int P, class T>
LOREMD_INLINE void interpolate_along_directions(const MeshCall<T> &call, const T *mesh, T *values) {
  const int channels = static_cast<int>(call.shape.channels);
  for_each_window<Longest, P, 1>(
      call, values, channels, [&](int64_t i, const auto &window) LOREMD_INLINE_LAMBDA {
        const auto &[wx, wy, wz] = window.weights;
        const auto &[sx, sy, sz] = window.slopes;
        const double *direction = call.directions + 3 * i;
        const T dx = static_cast<T>(direction[0]), dy = static_cast<T>(direction[1]);
        const T dz = static_cast<T>(direction[2]);
        T *out = values + i * call.row();
        set_zero(channels, out);
        for (int kx = 0; kx < P; ++kx) {
          for (int ky = 0; ky < P; ++ky) {
            const T *row = mesh + window.x[kx] + window.y[ky] + window.z;
            const DirectionalWeight<T> weight(dx, dy, dz, wx[kx], wy[ky], sx[kx], sy[ky]);
            for (int k = 0; k < P; ++k) {
              add_scaled<Longest>(channels, weight(wz[k], sz[k]), row + k * call.shape.stride, out);
            }
          }
        }
      });
}

}  // namespace

template <class T>
void interpolate(const MeshCall<T> &call, const T *mesh, T *values) {
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    if (call.directions) {
      with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
        interpolate_along_directions<longest(), P>(call, mesh, values);
      });
    } else {
      std::vector<T> workspace(workspace_size<P, T>(channels, 1));
      with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
        interpolate_atoms<longest(), P>(call, channels, mesh, values, workspace.data());
      });
    }
  });
}

template void interpolate(const MeshCall<float> &, const float *, float *);
template void interpolate(const MeshCall<double> &, const double *, double *);

}  // namespace loremd
