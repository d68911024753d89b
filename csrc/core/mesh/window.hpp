// SPDX-License-Identifier: BSD-3-Clause
//
// Where one atom touches the mesh, and with which weights: shared by spread and interpolate.
#pragma once

#include <algorithm>
#include <type_traits>

#include "dispatch.hpp"
#include "math/polynomial.hpp"
#include "mesh/layout.hpp"
#include "mesh/window_table.hpp"
#include "simd.hpp"
#include "types.hpp"

namespace loremd {

// An atom in the order of the visit, and where its window starts: the first point of each axis, and
// the rest (WindowStart). Every pass over the atoms reads these one after the other, instead of
// positions from anywhere in memory.
template <class T>
struct Visit {
  int32_t atom, x, y, z;
  T offset[3];  // only what is left of a mesh spacing is rounded to T
};

// Atoms and mesh of one call.
template <class T>
struct MeshCall {
  const Visit<T> *visits;  // (atoms) a part of those of `set_visits`
  const double
      *directions;  // (n, 3) or null: with it, weights w become (direction . d/dfraction) w
  int64_t atoms;    // length of `visits`
  MeshShape shape;  // by mesh_layout, for the order of the window
  const WindowTable<T> *window;
  int64_t columns = 0;  // of the arrays below that say (atoms, channels): there the channels are a
                        // part of each row, from the address given on; 0: all of it
  int64_t place = 0;    // of the first of the visits among all

  int64_t row() const { return columns > 0 ? columns : shape.channels; }
};

// The offsets of the P x P rows of mesh points that the windows of a column (x, y) touch.
template <int P>
struct ColumnRows {
  int64_t x[P], y[P];

  template <class T>
  LOREMD_INLINE void set(const MeshShape &shape, const Visit<T> &visit) {
    rows_from(visit.x, shape.points[0], shape.plane_size(), x);
    rows_from(visit.y, shape.points[1], shape.row_size(), y);
  }

 private:
  // Offsets of P planes or rows, round the cell.
  static LOREMD_INLINE void rows_from(int64_t first, int64_t n, int64_t step, int64_t *offsets) {
    offsets[0] = first * step;
    LOREMD_UNROLL
    for (int k = 1; k < P; ++k) {
      const int64_t next = offsets[k - 1] + step;
      offsets[k] = next == n * step ? 0 : next;
    }
  }
};

// The three axes of one atom: offsets of its rows of mesh points, and weights with as many
// derivatives by the fractional coordinates as `Derivatives` says. Lanes from P on are zero.
template <int P, class T, int Derivatives>
struct AtomWindow {
  static constexpr int lanes = window_lanes(P);

  alignas(64) T weights[3][lanes];
  alignas(64) T slopes[Derivatives > 0 ? 3 : 1][lanes];
  alignas(64) T curvatures[Derivatives > 1 ? 3 : 1][lanes];
  const int64_t *x, *y;  // row (kx, ky) of the window starts at x[kx] + y[ky] + z
  int64_t z;

  template <int Longest>
  LOREMD_INLINE void set(const MeshCall<T> &call, const Visit<T> &visit,
                         const ColumnRows<P> &rows) {
    x = rows.x, y = rows.y;
    z = visit.z * call.shape.stride;
    evaluate<Longest>(*call.window, call.shape, visit.offset);
  }

 private:
  // Horner's rule for the three axes at once, and its derivatives.
  template <int Longest>
  LOREMD_INLINE void evaluate(const WindowTable<T> &table, const MeshShape &shape,
                              const T *offset) {
    for_each_vector<T, Longest>(
        std::integral_constant<int, lanes>{}, [&](int k, auto zero) LOREMD_INLINE_LAMBDA {
          using V = decltype(zero);
          V value[3], slope[3] = {zero, zero, zero}, half_curvature[3] = {zero, zero, zero};
          for (int a = 0; a < 3; ++a) value[a] = load<V>(table.coefficients[table.degree] + k);
          for (int d = table.degree - 1; d >= 0; --d) {
            const V coefficients = load<V>(table.coefficients[d] + k);
            LOREMD_UNROLL
            for (int a = 0; a < 3; ++a) {
              horner_step<Derivatives>(coefficients, offset[a], value[a], slope[a],
                                       half_curvature[a]);
            }
          }
          for (int a = 0; a < 3; ++a) {
            const T n = static_cast<T>(shape.points[a]);
            store(weights[a] + k, value[a]);
            if (Derivatives > 0) store(slopes[a] + k, slope[a] * n);
            if (Derivatives > 1) store(curvatures[a] + k, half_curvature[a] * (2 * n * n));
          }
        });
  }
};

// The windows of so many atoms are made together, so that what one waits for overlaps with that of
// others.
constexpr int windows_together = 8;

// Asks for `count` values, to be read or overwritten soon.
template <class T, class Count>
LOREMD_INLINE void prefetch(const T *values, Count count) {
  constexpr int line = line_bytes / static_cast<int>(sizeof(T));
  for (int k = 0; k < count; k += line) __builtin_prefetch(values + k);
  if (count > 1) __builtin_prefetch(values + count - 1);
}

// Calls body(visits, count, their windows) for the atoms of a call, some at a time, with vectors of
// up to `Longest` bytes, and fetch(atom, its place in the visit) some atoms earlier: sorted atoms
// are anywhere in memory, and what the body needs of them must be asked for in time.
template <int Longest, int P, int Derivatives, class T, class Fetch, class Body>
LOREMD_INLINE void for_each_windows(const MeshCall<T> &call, Fetch &&fetch, Body &&body) {
  AtomWindow<P, T, Derivatives> windows[windows_together];
  ColumnRows<P> columns[windows_together];  // as many as these windows may come from, in a ring
  int column = 0, x = -1, y = -1;           // of the last atom
  for (int64_t begin = 0; begin < call.atoms; begin += windows_together) {
    const int64_t end = std::min(begin + windows_together, call.atoms);
    for (int64_t v = end; v < std::min(end + windows_together, call.atoms); ++v) {
      fetch(call.visits[v].atom, call.place + v);
    }
    for (int64_t v = begin; v < end; ++v) {
      const Visit<T> &visit = call.visits[v];
      if (visit.x != x || visit.y != y) {
        x = visit.x, y = visit.y;
        column = (column + 1) % windows_together;
        columns[column].set(call.shape, visit);
      }
      windows[v - begin].template set<Longest>(call, visit, columns[column]);
    }
    body(call.visits + begin, static_cast<int>(end - begin), windows);
  }
}

// The same for one atom after the other: body(atom, its place in the visit, window).
template <int Longest, int P, int Derivatives, class T, class Fetch, class Body>
LOREMD_INLINE void for_each_window(const MeshCall<T> &call, Fetch &&fetch, Body &&body) {
  for_each_windows<Longest, P, Derivatives>(
      call, fetch, [&](const Visit<T> *visits, int n, const auto *windows) LOREMD_INLINE_LAMBDA {
        const int64_t place = call.place + (visits - call.visits);
        for (int i = 0; i < n; ++i) body(int64_t{visits[i].atom}, place + i, windows[i]);
      });
}

// What for_each_windows fetches where the body needs a row of `values`, (atoms, channels).
template <class T, class Channels>
LOREMD_INLINE auto fetch_rows(const MeshCall<T> &call, const T *values, Channels channels) {
  return [&call, values, channels](int64_t atom, int64_t)
             LOREMD_INLINE_LAMBDA { prefetch(values + atom * call.row(), channels); };
}

// The number of channels is an int or a std::integral_constant: one piece of code serves any, and
// is unrolled for the usual ones.
template <class Channels>
constexpr bool is_single = std::is_same_v<Channels, std::integral_constant<int, 1>>;

// The stride of the layout.
template <class Channels>
LOREMD_INLINE auto stride_of(Channels channels) {
  if constexpr (std::is_same_v<Channels, int>) {
    return channel_stride(channels);
  } else {
    return std::integral_constant<int, channel_stride(Channels::value)>{};
  }
}

// The length of a run in the fewest vectors of 16, 32 and 64 bytes.
template <class T>
constexpr int whole_vectors(int length) {
  constexpr int line = line_bytes / static_cast<int>(sizeof(T));
  const int rest = length % line;
  const int unit = rest > line / 2 ? line : rest > line / 4 ? line / 2 : line / 4;
  return (length + unit - 1) / unit * unit;
}

// Values of one window row in memory; where their number is a constant, with what fills up vectors:
// lanes of weight zero, or what belongs to the next point.
template <int P, class T, class Channels>
LOREMD_INLINE auto row_length(Channels channels) {
  if constexpr (std::is_same_v<Channels, int>) {
    return P * channel_stride(channels);
  } else {
    constexpr int points = is_single<Channels> ? window_lanes(P) : P;
    return std::integral_constant<int,
                                  whole_vectors<T>(points * channel_stride(Channels::value))>{};
  }
}

// Room for the values of a row, and for a vector that starts at its last point: on the stack where
// the number of channels is a constant, else a part of the workspace.
template <int P, class T, class Channels>
struct RowBuffer {
  alignas(64) T values[decltype(row_length<P, T>(Channels{}))::value + line_bytes / sizeof(T)];
  explicit LOREMD_INLINE RowBuffer(T *&, Channels) {}
};
template <int P, class T>
struct RowBuffer<P, T, int> {
  T *values;
  explicit LOREMD_INLINE RowBuffer(T *&workspace, int channels) : values(workspace) {
    workspace += P * channel_stride(channels);
  }
};

// Values of a workspace for `rows` such buffers.
template <int P, class T, class Channels>
int workspace_size(Channels channels, int rows) {
  return std::is_same_v<Channels, int> ? rows * P * channel_stride(channels) : 0;
}

// Calls body(order, channels) with both as constants where there is a kernel for them: channels 1
// and 10, LOREM's and one for fixed charges; others go through the loops of any length.
template <class T, class Body>
void dispatch_window(const MeshCall<T> &call, Body &&body) {
  const MeshShape &shape = call.shape;
  const int channels = static_cast<int>(shape.channels);
  check_mesh(shape.points, call.window->order);
  check(shape.halo >= window_lanes(call.window->order) &&
            shape.stride == channel_stride(channels) &&
            shape.row_size() * sizeof(T) % line_bytes == 0,
        "the mesh has a halo of ", shape.halo, " and a stride of ", shape.stride,
        "; it needs the layout of mesh_layout");
  dispatch_order(call.window->order, [&](auto order) {
    switch (channels) {
      case 1:
        return body(order, std::integral_constant<int, 1>{});
      case 10:
        return body(order, std::integral_constant<int, 10>{});
      default:
        return body(order, channels);
    }
  });
}

}  // namespace loremd
