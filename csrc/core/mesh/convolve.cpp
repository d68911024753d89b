// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/convolve.hpp"

#include <algorithm>
#include <new>

namespace loremd {
namespace {

// Sequences that are transformed together, in vectors: they share the angles, and fill cache lines.
// Two buffers of this many times 200 vectors stay within the second-level cache.
constexpr int side_by_side = 4;

// Memory for two sequences of `n` elements, aligned for any vector.
template <class V>
class Buffers {
 public:
  explicit Buffers(int n) : memory_(2 * size_t(n) * side_by_side * sizeof(V) + 64) {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    first = reinterpret_cast<V *>((address + 63) / 64 * 64);
    second = first + size_t(n) * side_by_side;
  }
  V *first, *second;

 private:
  std::vector<unsigned char> memory_;
};

// Calls body(ComplexLanes) with the longest vectors of the machine that a point is a whole number
// of.
template <class T, class Body>
void dispatch_lanes(const MeshShape &shape, Body &&body) {
  const int64_t bytes = shape.stride * sizeof(T);
  if (LOREMD_HAS_WIDE && bytes % 64 == 0) return body(ComplexLanes<T, 64>{});
  if (bytes % 32 == 0) return body(ComplexLanes<T, 32>{});
  body(ComplexLanes<T, 16>{});
}

// Transforms `count` sequences that lie `apart` vectors from each other and whose elements are
// `step` vectors apart, each element being `width` vectors long.
template <class Lanes, class T, class V>
LOREMD_INLINE void transform_rows(const FftPlan<T> &plan, bool inverse, int count, int64_t apart,
                                  int64_t step, int width, V *from, Buffers<V> &buffers) {
  const int wide = count * width;
  for (int c = 0; c < count; ++c) {
    for (int i = 0; i < plan.n; ++i) {
      for (int v = 0; v < width; ++v) {
        buffers.first[i * wide + c * width + v] = from[c * apart + i * step + v];
      }
    }
  }
  const V *to = fft<Lanes>(plan, inverse, wide, buffers.first, buffers.second);
  for (int c = 0; c < count; ++c) {
    for (int i = 0; i < plan.n; ++i) {
      for (int v = 0; v < width; ++v) {
        from[c * apart + i * step + v] = to[i * wide + c * width + v];
      }
    }
  }
}

template <class Lanes, class T>
LOREMD_CLONES void transform_planes_in(Lanes, const MeshShape &planes, const MeshFft<T> &fft,
                                       bool inverse, PlaneAxes axes, T *mesh) {
  using V = typename Lanes::V;
  const int64_t per_point = planes.stride / Lanes::lanes;
  const int64_t row = planes.row_size() / Lanes::lanes, plane = planes.plane_size() / Lanes::lanes;
  const int64_t ny = planes.points[1], row_vectors = planes.points[2] * per_point;
  Buffers<V> buffers(static_cast<int>(std::max(planes.points[1], planes.points[2] * per_point)));
  V *const start = reinterpret_cast<V *>(mesh);
  for (int64_t x = 0; x < planes.points[0]; ++x) {
    V *const first = start + x * plane;
    for (int step = 0; step < 2; ++step) {
      const bool along_z = (step == 0) != inverse;
      if (axes == (along_z ? PlaneAxes::y : PlaneAxes::z)) continue;
      if (along_z) {
        for (int64_t y = 0; y < ny; y += side_by_side) {
          transform_rows<Lanes>(fft.z, inverse,
                                static_cast<int>(std::min<int64_t>(side_by_side, ny - y)), row,
                                per_point, static_cast<int>(per_point), first + y * row, buffers);
        }
      } else {
        for (int64_t z = 0; z < row_vectors; z += side_by_side) {
          transform_rows<Lanes>(fft.y, inverse, 1, 0, row,
                                static_cast<int>(std::min<int64_t>(side_by_side, row_vectors - z)),
                                first + z, buffers);
        }
      }
    }
  }
}

template <class V>
LOREMD_INLINE auto lane_sum(const V &values) {
  auto sum = values[0];
  for (int k = 1; k < static_cast<int>(sizeof(V) / sizeof(sum)); ++k) sum += values[k];
  return sum;
}

template <class Lanes, class T>
LOREMD_CLONES void convolve_columns_in(Lanes, const ColumnCall<T> &call, const MeshFft<T> &fft_of,
                                       int64_t begin, int64_t end, T *mesh) {
  using V = typename Lanes::V;
  const MeshShape &shape = call.shape;
  const FftPlan<T> &plan = fft_of.x;
  const int64_t ny = shape.points[1], nz = shape.points[2];
  const int64_t per_point = shape.stride / Lanes::lanes, row_vectors = nz * per_point;
  const int64_t row = shape.row_size() / Lanes::lanes, plane = shape.plane_size() / Lanes::lanes;
  Buffers<V> buffers(plan.n);
  for (int64_t y = begin; y < end; ++y) {
    V *const first = reinterpret_cast<V *>(mesh) + y * row;
    V *const kept = reinterpret_cast<V *>(call.spectrum) + y * row;
    const V *const other = reinterpret_cast<const V *>(call.other) + y * row;
    for (int64_t z = 0; z < row_vectors; z += side_by_side) {
      const int width = static_cast<int>(std::min<int64_t>(side_by_side, row_vectors - z));
      for (int x = 0; x < plan.n; ++x) {
        for (int v = 0; v < width; ++v) buffers.first[x * width + v] = first[x * plane + z + v];
      }
      V *const spectrum = fft<Lanes>(plan, false, width, buffers.first, buffers.second);
      for (int x = 0; x < plan.n; ++x) {
        for (int v = 0; v < width; ++v) {
          V &value = spectrum[x * width + v];
          const int64_t k = (x * ny + y) * nz + (z + v) / per_point;
          if (call.spectrum) kept[x * plane + z + v] = value;
          if (call.correlation) {
            const V &partner = call.other ? other[x * plane + z + v] : value;
            call.correlation[k] += lane_sum(partner * value);
          }
          value *= call.influence[k];
        }
      }
      V *const free = spectrum == buffers.first ? buffers.second : buffers.first;
      const V *const back = fft<Lanes>(plan, true, width, spectrum, free);
      for (int x = 0; x < plan.n; ++x) {
        for (int v = 0; v < width; ++v) first[x * plane + z + v] = back[x * width + v];
      }
    }
  }
}

int64_t mirror(int64_t index, int64_t n) {
  return index == 0 ? 0 : n - index;
}

// Planes of the half spectrum that hold both k and -k.
bool own_mirror(int64_t kz, int64_t nz) {
  return kz == 0 || 2 * kz == nz;
}

// Re(conj(a) b)
template <class T>
double real_product(const std::complex<T> &a, const std::complex<T> &b) {
  return static_cast<double>(a.real()) * b.real() + static_cast<double>(a.imag()) * b.imag();
}

// Calls body(index in a compact field, address of the point in the mesh).
template <class Body>
void for_each_point(const MeshShape &shape, Body &&body) {
  int64_t index = 0;
  for (int64_t x = 0; x < shape.points[0]; ++x) {
    for (int64_t y = 0; y < shape.points[1]; ++y) {
      const int64_t row = x * shape.plane_size() + y * shape.row_size();
      for (int64_t z = 0; z < shape.points[2]; ++z) body(index++, row + z * shape.stride);
    }
  }
}

}  // namespace

template <class T>
void transform_planes(const MeshShape &planes, const MeshFft<T> &fft, bool inverse, T *mesh,
                      PlaneAxes axes) {
  dispatch_lanes<T>(
      planes, [&](auto lanes) { transform_planes_in(lanes, planes, fft, inverse, axes, mesh); });
}

template <class T>
void convolve_columns(const ColumnCall<T> &call, const MeshFft<T> &fft, int64_t begin, int64_t end,
                      T *mesh) {
  dispatch_lanes<T>(call.shape,
                    [&](auto lanes) { convolve_columns_in(lanes, call, fft, begin, end, mesh); });
}

template <class T>
void expand_influence(const MeshPoints &points, double scale, const T *half, T *full) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  const T factor = static_cast<T>(scale);
  for (int64_t x = 0; x < nx; ++x) {
    for (int64_t y = 0; y < ny; ++y) {
      const T *own = half + (x * ny + y) * stored;
      const T *mirrored = half + (mirror(x, nx) * ny + mirror(y, ny)) * stored;
      T *row = full + (x * ny + y) * nz;
      for (int64_t z = 0; z < stored; ++z) {
        row[z] = factor * (own_mirror(z, nz) ? (own[z] + mirrored[z]) / 2 : own[z]);
      }
      for (int64_t z = stored; z < nz; ++z) row[z] = factor * mirrored[nz - z];
    }
  }
}

template <class T>
void reduce_correlation(const MeshPoints &points, double scale, const T *full, T *half) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  for (int64_t x = 0; x < nx; ++x) {
    for (int64_t y = 0; y < ny; ++y) {
      const T *own = full + (x * ny + y) * nz;
      const T *mirrored = full + (mirror(x, nx) * ny + mirror(y, ny)) * nz;
      T *row = half + (x * ny + y) * stored;
      for (int64_t z = 0; z < stored; ++z) {
        const double both = double(own[z]) + mirrored[mirror(z, nz)];
        row[z] += static_cast<T>((own_mirror(z, nz) ? 0.5 : 1.0) * scale * both);
      }
    }
  }
}

template <class T>
void take_channel(const MeshShape &shape, const T *mesh, T *field) {
  for_each_point(shape, [&](int64_t i, int64_t point) { field[i] = mesh[point]; });
}

template <class T>
void put_channel(const MeshShape &shape, const T *field, T *mesh) {
  for_each_point(shape, [&](int64_t i, int64_t point) { mesh[point] = field[i]; });
}

template <class T>
void multiply_spectrum(int64_t count, const T *factors, std::complex<T> *spectrum) {
  for (int64_t k = 0; k < count; ++k) spectrum[k] *= factors[k];
}

template <class T>
void correlate_half_spectra(const MeshPoints &points, double scale, const std::complex<T> *a,
                            const std::complex<T> *b, T *half) {
  const auto [nx, ny, nz] = points;
  const int64_t stored = half_spectrum_points(nz);
  for (int64_t k = 0; k < nx * ny * stored; ++k) {
    const double weight = own_mirror(k % stored, nz) ? 1 : 2;
    half[k] += static_cast<T>(weight * scale * real_product(a[k], b[k]));
  }
}

#define LOREMD_INSTANTIATE(T)                                                                  \
  template void transform_planes(const MeshShape &, const MeshFft<T> &, bool, T *, PlaneAxes); \
  template void convolve_columns(const ColumnCall<T> &, const MeshFft<T> &, int64_t, int64_t,  \
                                 T *);                                                         \
  template void expand_influence(const MeshPoints &, double, const T *, T *);                  \
  template void reduce_correlation(const MeshPoints &, double, const T *, T *);                \
  template void take_channel(const MeshShape &, const T *, T *);                               \
  template void put_channel(const MeshShape &, const T *, T *);                                \
  template void multiply_spectrum(int64_t, const T *, std::complex<T> *);                      \
  template void correlate_half_spectra(const MeshPoints &, double, const std::complex<T> *,    \
                                       const std::complex<T> *, T *);
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
