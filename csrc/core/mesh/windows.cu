// SPDX-License-Identifier: BSD-3-Clause
//
// Where atoms touch the mesh: bins to sort them by, and the weights of their windows.
#include "device.hpp"
#include "math/polynomial.hpp"
#include "mesh/cuda.hpp"

namespace loremd::cuda {
namespace {

// Within the mesh also for a position that is not finite.
LOREMD_HOST_DEVICE int32_t first_point(const WindowStart &start, int64_t n) {
  return static_cast<int32_t>(start.first >= 0 && start.first < n ? start.first : 0);
}

struct Bin {
  const double *fractions;
  MeshShape shape;
  int order;
  int32_t *bins;

  LOREMD_HOST_DEVICE void operator()(int64_t i) const {
    int64_t bin = 0;
    for (int a = 0; a < 3; ++a) {
      const int64_t n = shape.points[a];
      bin = bin * n + first_point(window_start(fractions[3 * i + a], n, order), n);
    }
    bins[i] = static_cast<int32_t>(bin);
  }
};

struct BinStart {
  const int32_t *sorted;
  int64_t atoms;
  int32_t *starts;

  LOREMD_HOST_DEVICE void operator()(int64_t bin) const {
    int64_t low = 0, high = atoms;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (sorted[middle] < bin) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    starts[bin] = static_cast<int32_t>(low);
  }
};

// An item is one point of the window of one axis of one atom.
template <int Derivatives, class T>
struct WindowItem {
  const double *fractions;
  MeshShape shape;
  WindowTable<T> table;
  Windows<T> windows;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int order = windows.order, k = static_cast<int>(item % order);
    const int a = static_cast<int>(item / order % 3);
    const int64_t v = item / (3 * order), n = shape.points[a];
    const auto start = window_start(fractions[3 * windows.atoms_sorted[v] + a], n, order);
    if (k == 0) windows.first[3 * v + a] = first_point(start, n);
    const T offset = static_cast<T>(start.offset), scale = static_cast<T>(n);
    T value = table.coefficients[table.degree][k], slope = 0, half_curvature = 0;
    for (int d = table.degree - 1; d >= 0; --d) {
      horner_step<Derivatives>(table.coefficients[d][k], offset, value, slope, half_curvature);
    }
    T *to = windows.values + v * (1 + Derivatives) * 3 * order + a * order + k;
    to[0] = value;
    if (Derivatives > 0) to[3 * order] = slope * scale;
    if (Derivatives > 1) to[6 * order] = half_curvature * (2 * scale * scale);
  }
};

}  // namespace

void window_bins(const double *fractions, int64_t atoms, const MeshShape &shape, int order,
                 int32_t *bins, Stream stream) {
  const auto [nx, ny, nz] = shape.points;
  check(nx * ny * nz < INT32_MAX && atoms < INT32_MAX, "a mesh of ", nx, " x ", ny, " x ", nz,
        " points with ", atoms, " atoms is too large for CUDA; fewer than 2^31 are allowed");
  for_each_item(stream, atoms, Bin{fractions, shape, order, bins});
}

void bin_starts(const int32_t *sorted_bins, int64_t atoms, int64_t points, int32_t *starts,
                Stream stream) {
  for_each_item(stream, points + 1, BinStart{sorted_bins, atoms, starts});
}

template <class T>
void set_windows(const double *fractions, const MeshShape &shape, const WindowTable<T> &table,
                 const Windows<T> &windows, Stream stream) {
  const int64_t items = windows.atoms * 3 * windows.order;
  switch (windows.derivatives) {
    case 0:
      return for_each_item(stream, items, WindowItem<0, T>{fractions, shape, table, windows});
    case 1:
      return for_each_item(stream, items, WindowItem<1, T>{fractions, shape, table, windows});
    case 2:
      return for_each_item(stream, items, WindowItem<2, T>{fractions, shape, table, windows});
    default:
      check(false, "windows have 0 to 2 derivatives, not ", windows.derivatives);
  }
}

template void set_windows(const double *, const MeshShape &, const WindowTable<float> &,
                          const Windows<float> &, Stream);
template void set_windows(const double *, const MeshShape &, const WindowTable<double> &,
                          const Windows<double> &, Stream);

}  // namespace loremd::cuda
