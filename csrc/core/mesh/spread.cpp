// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/spread.hpp"

#include <algorithm>

#include "aligned_array.hpp"
#include "mesh/window_vectors.hpp"

namespace loremd {
namespace {

// Rows of a plane of P x P sums that fit the registers, all parts being about the same.
template <int Longest, int P>
constexpr int rows_in_registers() {
  const int registers = Longest == 64 ? 30 : 13;
  const int most = std::max(1, registers / P), parts = (P + most - 1) / most;
  return (P + parts - 1) / parts;
}

// Atoms whose windows start in the same column (x, y) of the mesh, by ascending z. They are spread
// together: a vector of mesh values is read and written once for all atoms that touch it, whose
// contributions are summed up in registers, rather than once for each. The contribution of an atom
// is the outer product of
//
//   plane   (P, P)                weights along x and y
//   row     weights along z times charges, in the vectors of the mesh that hold them
template <int Longest, int P, class T>
class Column {
  using Vectors = WindowVectors<Longest, P, T>;
  using V = typename Vectors::V;
  static constexpr int lanes = Vectors::lanes;
  static constexpr int most_atoms = 32;
  static constexpr std::integral_constant<int, window_lanes(P)> weight_lanes{};

 public:
  Column(int stride, T *mesh)
      : room_(Vectors::room(stride)),
        mesh_(mesh),
        rows_(most_atoms * room_),
        planes_(most_atoms * P * P + weight_lanes) {}

  template <class Window, class Channels>
  LOREMD_INLINE void add(const Window &window, Channels channels, const T *charges) {
    if (atoms_ == most_atoms || !continues(window)) {
      flush();
      std::copy_n(window.x, P, x_);
      std::copy_n(window.y, P, y_);
    }
    last_z_ = window.z;
    const Vectors vectors(window.z, stride_of(channels));
    begin_[atoms_] = vectors.begin;
    end_[atoms_] = vectors.end;
    const auto &[wx, wy, wz] = window.weights;
    fill_row<Longest, P>(channels, vectors.offset, wz, charges, rows_.data() + atoms_ * room_);
    T *const plane = planes_.data() + atoms_ * P * P;
    // each row overwrites what the one before left behind its own
    for (int kx = 0; kx < P; ++kx) {
      for_each_vector<T, Longest>(weight_lanes, [&](int k, auto zero) LOREMD_INLINE_LAMBDA {
        store(plane + kx * P + k, wx[kx] * load<decltype(zero)>(wy + k));
      });
    }
    ++atoms_;
  }

  // Brings what is there to the mesh.
  LOREMD_INLINE void flush() {
    constexpr int R = rows_in_registers<Longest, P>();
    int first = 0, last = 0;  // of the atoms that touch a vector
    for (int64_t vector = begin_[0]; first < atoms_; ++vector) {
      while (last < atoms_ && begin_[last] <= vector) ++last;
      while (first < last && end_[first] <= vector) ++first;
      if (first == last) {
        if (last < atoms_) vector = begin_[last] - 1;
        continue;
      }
      for (int kx = 0; kx + R <= P; kx += R) add_rows<R>(kx, first, last, vector);
      if constexpr (P % R != 0) add_rows<P % R>(P - P % R, first, last, vector);
    }
    atoms_ = 0;
  }

 private:
  template <class Window>
  LOREMD_INLINE bool continues(const Window &window) const {
    return atoms_ > 0 && window.x[0] == x_[0] && window.y[0] == y_[0] && window.z >= last_z_;
  }

  // Sums of the atoms from `first` to `last` for R rows kx of the plane, added to the mesh.
  template <int R>
  LOREMD_INLINE void add_rows(int kx, int first, int last, int64_t vector) {
    V sums[R][P] = {};
    for (int a = first; a < last; ++a) {
      const V row = load<V>(rows_.data() + a * room_ + (vector - begin_[a]) * lanes);
      const T *plane = planes_.data() + a * P * P + kx * P;
      LOREMD_UNROLL
      for (int i = 0; i < R; ++i) {
        LOREMD_UNROLL
        for (int ky = 0; ky < P; ++ky) sums[i][ky] += plane[i * P + ky] * row;
      }
    }
    T *start = mesh_ + vector * lanes;
    LOREMD_UNROLL
    for (int i = 0; i < R; ++i) {
      LOREMD_UNROLL
      for (int ky = 0; ky < P; ++ky) {
        T *to = start + x_[kx + i] + y_[ky];
        store(to, load<V>(to) + sums[i][ky]);
      }
    }
  }

  const int room_;  // of a row, in values
  T *const mesh_;
  AlignedArray<T> rows_, planes_;
  int atoms_ = 0;
  int64_t x_[P] = {}, y_[P] = {}, last_z_ = 0;
  int64_t begin_[most_atoms] = {}, end_[most_atoms];
};

template <int Longest, int P, class T, class Channels>
LOREMD_INLINE void spread_columns(const MeshCall<T> &call, Channels channels, const T *charges,
                                  T *mesh) {
  Column<Longest, P, T> column(stride_of(channels), mesh);
  for_each_window<Longest, P, 0>(call, fetch_rows(call, charges, channels),
                                 [&](int64_t i, int64_t, const auto &window) LOREMD_INLINE_LAMBDA {
                                   column.add(window, channels, charges + i * call.row());
                                 });
  column.flush();
}

// Weights replaced by their derivative along the direction of each atom.
template <int Longest, int P, class T>
LOREMD_INLINE void spread_along_directions(const MeshCall<T> &call, const T *charges, T *mesh) {
  const int channels = static_cast<int>(call.shape.channels);
  for_each_window<Longest, P, 1>(
      call, fetch_rows(call, charges, channels),
      [&](int64_t i, int64_t, const auto &window) LOREMD_INLINE_LAMBDA {
        const auto &[wx, wy, wz] = window.weights;
        const auto &[sx, sy, sz] = window.slopes;
        const double *direction = call.directions + 3 * i;
        const T dx = static_cast<T>(direction[0]), dy = static_cast<T>(direction[1]);
        const T dz = static_cast<T>(direction[2]);
        for (int kx = 0; kx < P; ++kx) {
          for (int ky = 0; ky < P; ++ky) {
            T *row = mesh + window.x[kx] + window.y[ky] + window.z;
            const DirectionalWeight<T> weight(dx, dy, dz, wx[kx], wy[ky], sx[kx], sy[ky]);
            for (int k = 0; k < P; ++k) {
              add_scaled<Longest>(channels, weight(wz[k], sz[k]), charges + i * call.row(),
                                  row + k * call.shape.stride);
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
      with_vectors([&](auto longest) LOREMD_INLINE_LAMBDA {
        // a window row of single precision is shorter than the longest vectors
        constexpr bool short_rows = is_single<decltype(channels)> && sizeof(T) == 4;
        spread_columns<short_rows ? 32 : longest(), P>(call, channels, charges, mesh);
      });
    }
  });
}

template void spread(const MeshCall<float> &, const float *, float *);
template void spread(const MeshCall<double> &, const double *, double *);

}  // namespace loremd
