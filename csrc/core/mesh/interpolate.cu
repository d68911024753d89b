// SPDX-License-Identifier: BSD-3-Clause
//
// An item is one pack of channels of one atom.
#include "device.hpp"
#include "mesh/cuda.hpp"
#include "mesh/window_rows.hpp"

namespace loremd::cuda {
namespace {

// Calls body(kx, ky, address of the pack at the row's first point z = 0).
template <int P, class T, class Body>
LOREMD_HOST_DEVICE void for_each_row(const WindowRows<P, T> &rows, const MeshShape &shape,
                                     const T *mesh, Body &&body) {
  for (int kx = 0; kx < P; ++kx) {
    const T *plane = mesh + rows.plane(kx, shape);
    for (int ky = 0; ky < P; ++ky) {
      body(kx, ky, plane + rows.row(ky, shape));
    }
  }
}

template <int W, class T>
LOREMD_HOST_DEVICE void add_scaled(T factor, const Pack<T, W> &pack, Pack<T, W> &sum) {
  LOREMD_UNROLL
  for (int w = 0; w < W; ++w) sum.values[w] += factor * pack.values[w];
}

// to(c + w) = the pack, as far as there are channels.
template <int W, class T>
LOREMD_HOST_DEVICE void store_channels(const Pack<T, W> &pack, int64_t c, int64_t channels, T *to) {
  LOREMD_UNROLL
  for (int w = 0; w < W; ++w) {
    if (c + w < channels) to[c + w] = pack.values[w];
  }
}

template <int P, int W, bool Directional, class T>
struct MeshToAtom {
  Windows<T> windows;
  MeshShape shape;
  const double *directions;
  const T *mesh;
  T *values;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t packs = shape.stride / W, v = item / packs, c = item % packs * W;
    const int64_t atom = windows.atoms_sorted[v];
    const WindowRows<P, T> rows(windows, v);
    Pack<T, W> sum{};
    for_each_row(rows, shape, mesh + c, [&](int kx, int ky, const T *row) {
      Pack<T, W> along{}, along_slope{};
      LOREMD_UNROLL
      for (int k = 0; k < P; ++k) {
        const Pack<T, W> here = load_pack<T, W>(row + rows.in_row(k, shape));
        add_scaled(rows.at(0, 2)[k], here, along);
        if constexpr (Directional) add_scaled(rows.at(1, 2)[k], here, along_slope);
      }
      if constexpr (Directional) {
        const auto weight = directional_weight(rows, kx, ky, directions + 3 * atom);
        add_scaled(weight(T(1), T(0)), along, sum);
        add_scaled(weight(T(0), T(1)), along_slope, sum);
      } else {
        add_scaled(rows.at(0, 0)[kx] * rows.at(0, 1)[ky], along, sum);
      }
    });
    store_channels(sum, c, shape.channels, values + atom * shape.channels);
  }
};

template <int P, int W, class T>
struct MeshToField {
  Windows<T> windows;
  MeshShape shape;
  const T *mesh;
  T *values, *field;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t packs = shape.stride / W, v = item / packs, c = item % packs * W;
    const int64_t atom = windows.atoms_sorted[v], channels = shape.channels;
    const WindowRows<P, T> rows(windows, v);
    Pack<T, W> sum{}, by_x{}, by_y{}, by_z{};
    for_each_row(rows, shape, mesh + c, [&](int kx, int ky, const T *row) {
      Pack<T, W> along{}, along_slope{};
      LOREMD_UNROLL
      for (int k = 0; k < P; ++k) {
        const Pack<T, W> here = load_pack<T, W>(row + rows.in_row(k, shape));
        add_scaled(rows.at(0, 2)[k], here, along);
        add_scaled(rows.at(1, 2)[k], here, along_slope);
      }
      const T wx = rows.at(0, 0)[kx], wy = rows.at(0, 1)[ky];
      add_scaled(wx * wy, along, sum);
      add_scaled(rows.at(1, 0)[kx] * wy, along, by_x);
      add_scaled(wx * rows.at(1, 1)[ky], along, by_y);
      add_scaled(wx * wy, along_slope, by_z);
    });
    store_channels(sum, c, channels, values + atom * channels);
    store_channels(by_x, c, channels, field + 3 * atom * channels);
    store_channels(by_y, c, channels, field + (3 * atom + 1) * channels);
    store_channels(by_z, c, channels, field + (3 * atom + 2) * channels);
  }
};

// An item is one component of one atom.
template <class T>
struct FieldGradient {
  int channels;
  const T *field, *charges;
  double *gradient;

  LOREMD_HOST_DEVICE void operator()(int64_t i) const {
    double sum = 0;
    for (int c = 0; c < channels; ++c) {
      sum += double(charges[i / 3 * channels + c]) * field[i * channels + c];
    }
    gradient[i] += sum;
  }
};

// An item is one atom: second derivatives belong to training, where systems are small.
template <int P, class T>
struct Hessian {
  Windows<T> windows;
  MeshShape shape;
  const double *directions;
  const T *mesh, *charges;
  double *gradient;

  LOREMD_HOST_DEVICE void operator()(int64_t v) const {
    const int64_t atom = windows.atoms_sorted[v];
    const WindowRows<P, T> rows(windows, v);
    HessianSums<T> sums;
    for_each_row(rows, shape, mesh, [&](int kx, int ky, const T *row) {
      T value = 0, slope = 0, curvature = 0;
      for (int k = 0; k < P; ++k) {
        const T *point = row + rows.in_row(k, shape);
        T charge = 0;
        for (int c = 0; c < shape.channels; ++c) {
          charge += charges[atom * shape.channels + c] * point[c];
        }
        value += rows.at(0, 2)[k] * charge;
        slope += rows.at(1, 2)[k] * charge;
        curvature += rows.at(2, 2)[k] * charge;
      }
      sums.add(rows.at(0, 0)[kx], rows.at(0, 1)[ky], rows.at(1, 0)[kx], rows.at(1, 1)[ky],
               rows.at(2, 0)[kx], rows.at(2, 1)[ky], value, slope, curvature);
    });
    sums.times(directions + 3 * atom, gradient + 3 * atom);
  }
};

}  // namespace

template <class T>
void interpolate(const Windows<T> &windows, const MeshShape &shape, const double *directions,
                 const T *mesh, T *values, Stream stream) {
  check(!directions || windows.derivatives > 0, "interpolate along directions needs derivatives");
  dispatch_packs<T>(shape, windows.order, [&](auto order, auto width) {
    constexpr int P = decltype(order)::value, W = decltype(width)::value;
    const int64_t items = windows.atoms * (shape.stride / W);
    if (directions) {
      for_each_item(stream, items,
                    MeshToAtom<P, W, true, T>{windows, shape, directions, mesh, values});
    } else {
      for_each_item(stream, items,
                    MeshToAtom<P, W, false, T>{windows, shape, directions, mesh, values});
    }
  });
}

template <class T>
void interpolate_field(const Windows<T> &windows, const MeshShape &shape, const T *mesh, T *values,
                       T *field, Stream stream) {
  check(windows.derivatives > 0, "interpolate_field needs derivatives");
  dispatch_packs<T>(shape, windows.order, [&](auto order, auto width) {
    constexpr int P = decltype(order)::value, W = decltype(width)::value;
    for_each_item(stream, windows.atoms * (shape.stride / W),
                  MeshToField<P, W, T>{windows, shape, mesh, values, field});
  });
}

template <class T>
void add_field_gradient(int64_t n, int channels, const T *field, const T *charges, double *gradient,
                        Stream stream) {
  for_each_item(stream, 3 * n, FieldGradient<T>{channels, field, charges, gradient});
}

template <class T>
void gradient_along_directions(const Windows<T> &windows, const MeshShape &shape,
                               const double *directions, const T *mesh, const T *charges,
                               double *gradient, Stream stream) {
  check(windows.derivatives > 1, "second derivatives need windows with two");
  dispatch_packs<T>(shape, windows.order, [&](auto order, auto) {
    for_each_item(
        stream, windows.atoms,
        Hessian<decltype(order)::value, T>{windows, shape, directions, mesh, charges, gradient});
  });
}

#define LOREMD_INSTANTIATE(T)                                                                      \
  template void interpolate(const Windows<T> &, const MeshShape &, const double *, const T *, T *, \
                            Stream);                                                               \
  template void interpolate_field(const Windows<T> &, const MeshShape &, const T *, T *, T *,      \
                                  Stream);                                                         \
  template void add_field_gradient(int64_t, int, const T *, const T *, double *, Stream);          \
  template void gradient_along_directions(const Windows<T> &, const MeshShape &, const double *,   \
                                          const T *, const T *, double *, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
