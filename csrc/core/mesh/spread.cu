// SPDX-License-Identifier: BSD-3-Clause
//
// Two ways to the same sums: atoms that add to the mesh, and points that collect from atoms.
#include "device.hpp"
#include "mesh/cuda.hpp"
#include "mesh/window_rows.hpp"

namespace loremd::cuda {
namespace {

// The charges c .. c + W - 1 of an atom, zero beyond its channels.
template <int W, class T>
LOREMD_HOST_DEVICE Pack<T, W> charges_of(const T *charges, int64_t channels, int64_t c) {
  Pack<T, W> pack;
  LOREMD_UNROLL
  for (int w = 0; w < W; ++w) pack.values[w] = c + w < channels ? charges[c + w] : T(0);
  return pack;
}

template <int W, class T>
LOREMD_HOST_DEVICE Pack<T, W> scaled(T factor, const Pack<T, W> &pack) {
  Pack<T, W> result;
  LOREMD_UNROLL
  for (int w = 0; w < W; ++w) result.values[w] = factor * pack.values[w];
  return result;
}

// An item is one pack of the row along z of one window, which it adds to the P x P rows of the
// mesh: items that follow each other go to addresses that do.
template <int P, int W, bool Directional, class T>
struct AtomToMesh {
  Windows<T> windows;
  MeshShape shape;
  const double *directions;
  const T *charges;
  T *mesh;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const int64_t packs = shape.stride / W;
    const int64_t v = item / (P * packs), c = item % packs * W;
    const int kz = static_cast<int>(item / packs % P);
    const int64_t atom = windows.atoms_sorted[v];
    const WindowRows<P, T> rows(windows, v);
    const Pack<T, W> own = charges_of<W>(charges + atom * shape.channels, shape.channels, c);
    T *const column = mesh + rows.in_row(kz, shape) + c;
    const T wz = rows.at(0, 2)[kz], slope_z = Directional ? rows.at(1, 2)[kz] : T(0);
    LOREMD_UNROLL
    for (int kx = 0; kx < P; ++kx) {
      T *const plane = column + rows.plane(kx, shape);
      LOREMD_UNROLL
      for (int ky = 0; ky < P; ++ky) {
        T weight;
        if constexpr (Directional) {
          weight = directional_weight(rows, kx, ky, directions + 3 * atom)(wz, slope_z);
        } else {
          weight = rows.at(0, 0)[kx] * rows.at(0, 1)[ky] * wz;
        }
        atomic_add(plane + rows.row(ky, shape), scaled(weight, own));
      }
    }
  }
};

// An item is one pack of one point of the mesh. The windows that reach it along z start in a run of
// bins, which are consecutive, too, but where the run wraps around the cell.
template <int P, int W, bool Directional, class T>
struct MeshFromAtoms {
  Windows<T> windows;
  const int32_t *starts;
  MeshShape shape;
  const double *directions;
  const T *charges;
  T *mesh;

  LOREMD_HOST_DEVICE void operator()(int64_t item) const {
    const auto [nx, ny, nz] = shape.points;
    const int64_t packs = shape.stride / W, point = item / packs, c = item % packs * W;
    const int64_t x = point / (ny * nz), y = point / nz % ny, z = point % nz;
    Pack<T, W> sum{};
    for (int kx = 0; kx < P; ++kx) {
      const int64_t start_x = x >= kx ? x - kx : x - kx + nx;
      for (int ky = 0; ky < P; ++ky) {
        const int64_t start_y = y >= ky ? y - ky : y - ky + ny;
        const int64_t row = (start_x * ny + start_y) * nz;
        const int64_t begin = z - (P - 1);
        add_bins(row + (begin > 0 ? begin : 0), row + z + 1, kx, ky, z, c, sum);
        if (begin < 0) add_bins(row + begin + nz, row + nz, kx, ky, z, c, sum);
      }
    }
    *reinterpret_cast<Pack<T, W> *>(mesh + point * shape.stride + c) = sum;
  }

 private:
  LOREMD_HOST_DEVICE void add_bins(int64_t begin, int64_t end, int kx, int ky, int64_t z, int64_t c,
                                   Pack<T, W> &sum) const {
    for (int64_t v = starts[begin]; v < starts[end]; ++v) {
      const int64_t atom = windows.atoms_sorted[v];
      const WindowRows<P, T> rows(windows, v);
      const int64_t behind = z - rows.first[2];
      const int64_t kz = behind >= 0 ? behind : behind + shape.points[2];
      const T wz = rows.at(0, 2)[kz];
      T weight;
      if constexpr (Directional) {
        weight = directional_weight(rows, kx, ky, directions + 3 * atom)(wz, rows.at(1, 2)[kz]);
      } else {
        weight = rows.at(0, 0)[kx] * rows.at(0, 1)[ky] * wz;
      }
      const Pack<T, W> own = charges_of<W>(charges + atom * shape.channels, shape.channels, c);
      LOREMD_UNROLL
      for (int w = 0; w < W; ++w) sum.values[w] += weight * own.values[w];
    }
  }
};

}  // namespace

template <class T>
void spread(const Windows<T> &windows, const MeshShape &shape, const double *directions,
            const T *charges, T *mesh, Stream stream) {
  check(!directions || windows.derivatives > 0, "spread along directions needs derivatives");
  dispatch_packs<T>(shape, windows.order, [&](auto order, auto width) {
    constexpr int P = decltype(order)::value, W = decltype(width)::value;
    const int64_t items = windows.atoms * P * (shape.stride / W);
    if (directions) {
      for_each_item(stream, items,
                    AtomToMesh<P, W, true, T>{windows, shape, directions, charges, mesh});
    } else {
      for_each_item(stream, items,
                    AtomToMesh<P, W, false, T>{windows, shape, directions, charges, mesh});
    }
  });
}

template <class T>
void spread_in_order(const Windows<T> &windows, const int32_t *starts, const MeshShape &shape,
                     const double *directions, const T *charges, T *mesh, Stream stream) {
  check(!directions || windows.derivatives > 0, "spread along directions needs derivatives");
  dispatch_packs<T>(shape, windows.order, [&](auto order, auto width) {
    constexpr int P = decltype(order)::value, W = decltype(width)::value;
    const int64_t items = shape.size() / W;
    if (directions) {
      for_each_item(
          stream, items,
          MeshFromAtoms<P, W, true, T>{windows, starts, shape, directions, charges, mesh});
    } else {
      for_each_item(
          stream, items,
          MeshFromAtoms<P, W, false, T>{windows, starts, shape, directions, charges, mesh});
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                                                 \
  template void spread(const Windows<T> &, const MeshShape &, const double *, const T *, T *, \
                       Stream);                                                               \
  template void spread_in_order(const Windows<T> &, const int32_t *, const MeshShape &,       \
                                const double *, const T *, T *, Stream);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd::cuda
