// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/interpolate.hpp"

#include "aligned_array.hpp"
#include "mesh/contract.hpp"
#include "mesh/window_vectors.hpp"

namespace loremd {
namespace {

// sums = sum w_x w_y row, over the rows of the window, along `length` values from `mesh` on
template <int Longest, int P, class W, class Length, class T>
LOREMD_INLINE void sum_rows(const W &window, Length length, const T *mesh, T *sums) {
  const auto &[wx, wy, wz] = window.weights;
  for_each_vector<T, Longest>(length, [&](int i, auto zero) LOREMD_INLINE_LAMBDA {
    using V = decltype(zero);
    V sum = zero;
    for (int ky = 0; ky < P; ++ky) {
      const T *column = mesh + window.y[ky] + i;
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
                                     T *values, const ChargeTerms<T> &terms) {
  using Vectors = WindowVectors<Longest, P, T>;
  const auto stride = stride_of(channels);
  const int room = Vectors::room(stride);
  AlignedArray<T> sums(windows_together * room);
  for_each_windows<Longest, P, 0>(
      call,
      [&](int64_t i, int64_t) LOREMD_INLINE_LAMBDA {
        prefetch(values + i * call.row(), channels);
        if (terms.charges) prefetch(terms.charges + i * call.row(), channels);
      },
      [&](const Visit<T> *visits, int n, const auto *windows) LOREMD_INLINE_LAMBDA {
        const auto contract_sums = [&](int i, const T *of_window) LOREMD_INLINE_LAMBDA {
          const int64_t atom = visits[i].atom;
          T *const of_atom = values + atom * call.row();
          contract<Longest, P>(channels, windows[i].weights[2], of_window, of_atom);
          add_terms<Longest>(channels, terms, atom, call.row(), of_atom);
        };
        if constexpr (is_single<Channels>) {  // a row is one vector, wherever it starts
          for (int i = 0; i < n; ++i) {
            sum_rows<Longest, P>(windows[i], row_length<P, T>(channels), mesh + windows[i].z,
                                 sums.data());
            contract_sums(i, sums.data());
          }
        } else {
          for (int i = 0; i < n; ++i) {
            const Vectors vectors(windows[i].z, stride);
            sum_rows<Longest, P>(windows[i], vectors.count() * Vectors::lanes,
                                 mesh + vectors.begin * Vectors::lanes, sums.data() + i * room);
          }
          // only now: vectors read across the ends of some just written would wait for those
          for (int i = 0; i < n; ++i) {
            contract_sums(i, sums.data() + i * room + Vectors(windows[i].z, stride).offset);
          }
        }
      });
}

template <int Longest, int P, class T>
LOREMD_INLINE void interpolate_along_directions(const MeshCall<T> &call, const T *mesh, T *values) {
  const int channels = static_cast<int>(call.shape.channels);
  for_each_window<Longest, P, 1>(
      call, fetch_rows(call, values, channels),
      [&](int64_t i, int64_t, const auto &window) LOREMD_INLINE_LAMBDA {
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
void interpolate(const MeshCall<T> &call, const T *mesh, T *values, const ChargeTerms<T> &terms) {
  check(!call.directions || !terms.charges, "terms have no directions");
  dispatch_window(call, [&](auto order, auto channels) {
    constexpr int P = decltype(order)::value;
    with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
      if (call.directions) {
        interpolate_along_directions<longest(), P>(call, mesh, values);
      } else {
        interpolate_atoms<longest(), P>(call, channels, mesh, values, terms);
      }
    });
  });
}

template void interpolate(const MeshCall<float> &, const float *, float *,
                          const ChargeTerms<float> &);
template void interpolate(const MeshCall<double> &, const double *, double *,
                          const ChargeTerms<double> &);

}  // namespace loremd
