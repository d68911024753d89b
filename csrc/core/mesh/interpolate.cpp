// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/interpolate.hpp"

#include <algorithm>
#include <vector>

#include "dispatch.hpp"

namespace loremd {
namespace {

// sums[i] += scale * mesh_row[...] over the P * channels values of one mesh row, in one run or two
template <int P, class W, class T>
void gather_row(const W &window, const MeshShape &shape, T scale, const T *mesh_row, T *sums) {
  const int64_t before = window.points_before_wrap(shape) * shape.channels;
  const T *head = mesh_row + window.z.first * shape.channels;
  for (int64_t i = 0; i < before; ++i) sums[i] += scale * head[i];
  const int64_t after = P * shape.channels - before;
  for (int64_t i = 0; i < after; ++i) sums[before + i] += scale * mesh_row[i];
}

// values[c] += sum_k weights[k] * sums[k * channels + c]
template <int P, class T>
void contract(T scale, const T *weights, const T *sums, int64_t channels, T *values) {
  for (int k = 0; k < P; ++k) {
    for (int64_t c = 0; c < channels; ++c) {
      values[c] += scale * weights[k] * sums[k * channels + c];
    }
  }
}

template <int P, class T>
void interpolate_plain(const MeshCall &call, const T *mesh, T *values) {
  const MeshShape &shape = call.shape;
  std::vector<T> sums(P * shape.channels);
  for (int64_t i = 0; i < call.atoms; ++i) {
    const Window<P, T, 0> window(call.fractions + 3 * i, shape);
    std::fill(sums.begin(), sums.end(), T(0));
    window.for_each_row(shape, [&](int kx, int ky, int64_t offset) {
      gather_row<P>(window, shape, window.x.weights[kx] * window.y.weights[ky], mesh + offset,
                    sums.data());
    });
    T *out = values + i * shape.channels;
    std::fill(out, out + shape.channels, T(0));
    contract<P>(T(1), window.z.weights, sums.data(), shape.channels, out);
  }
}

template <int P, class T>
void interpolate_directional(const MeshCall &call, const T *mesh, T *values) {
  const MeshShape &shape = call.shape;
  std::vector<T> sums(P * shape.channels), in_plane_sums(P * shape.channels);
  for (int64_t i = 0; i < call.atoms; ++i) {
    const Window<P, T, 1> window(call.fractions + 3 * i, shape);
    const double *direction = call.directions + 3 * i;
    const T dx = static_cast<T>(direction[0]), dy = static_cast<T>(direction[1]);
    std::fill(sums.begin(), sums.end(), T(0));
    std::fill(in_plane_sums.begin(), in_plane_sums.end(), T(0));
    window.for_each_row(shape, [&](int kx, int ky, int64_t offset) {
      const T in_plane = dx * window.x.slopes[kx] * window.y.weights[ky] +
                         dy * window.x.weights[kx] * window.y.slopes[ky];
      gather_row<P>(window, shape, in_plane, mesh + offset, in_plane_sums.data());
      gather_row<P>(window, shape, window.x.weights[kx] * window.y.weights[ky], mesh + offset,
                    sums.data());
    });
    T *out = values + i * shape.channels;
    std::fill(out, out + shape.channels, T(0));
    contract<P>(T(1), window.z.weights, in_plane_sums.data(), shape.channels, out);
    contract<P>(static_cast<T>(direction[2]), window.z.slopes, sums.data(), shape.channels, out);
  }
}

// Sum over z of one mesh row, contracted with the atom's charges: with the weights along z, their
// slopes and their curvatures.
template <class T>
struct RowSums {
  T value = 0, slope = 0, curvature = 0;
};

template <int P, int Derivatives, class W, class T>
RowSums<T> contract_row(const W &window, const MeshShape &shape, const T *charges,
                        const T *mesh_row) {
  RowSums<T> sums;
  const int64_t before = window.points_before_wrap(shape);
  for (int k = 0; k < P; ++k) {
    const int64_t z = k < before ? window.z.first + k : k - before;
    const T *point = mesh_row + z * shape.channels;
    T dot = 0;
    for (int64_t c = 0; c < shape.channels; ++c) dot += charges[c] * point[c];
    sums.value += window.z.weights[k] * dot;
    sums.slope += window.z.slopes[k] * dot;
    if (Derivatives > 1) sums.curvature += window.z.curvatures[k] * dot;
  }
  return sums;
}

template <int P, class T>
void gradient_plain(const MeshCall &call, const T *mesh, const T *charges, double *gradient) {
  const MeshShape &shape = call.shape;
  for (int64_t i = 0; i < call.atoms; ++i) {
    const Window<P, T, 1> window(call.fractions + 3 * i, shape);
    const T *q = charges + i * shape.channels;
    T gx = 0, gy = 0, gz = 0;
    window.for_each_row(shape, [&](int kx, int ky, int64_t offset) {
      const auto row = contract_row<P, 1>(window, shape, q, mesh + offset);
      gx += window.x.slopes[kx] * window.y.weights[ky] * row.value;
      gy += window.x.weights[kx] * window.y.slopes[ky] * row.value;
      gz += window.x.weights[kx] * window.y.weights[ky] * row.slope;
    });
    gradient[3 * i] = gx;
    gradient[3 * i + 1] = gy;
    gradient[3 * i + 2] = gz;
  }
}

template <int P, class T>
void gradient_directional(const MeshCall &call, const T *mesh, const T *charges, double *gradient) {
  const MeshShape &shape = call.shape;
  for (int64_t i = 0; i < call.atoms; ++i) {
    const Window<P, T, 2> window(call.fractions + 3 * i, shape);
    const double *direction = call.directions + 3 * i;
    const T *q = charges + i * shape.channels;
    T xx = 0, xy = 0, xz = 0, yy = 0, yz = 0, zz = 0;
    window.for_each_row(shape, [&](int kx, int ky, int64_t offset) {
      const auto row = contract_row<P, 2>(window, shape, q, mesh + offset);
      const auto &x = window.x;
      const auto &y = window.y;
      xx += x.curvatures[kx] * y.weights[ky] * row.value;
      yy += x.weights[kx] * y.curvatures[ky] * row.value;
      zz += x.weights[kx] * y.weights[ky] * row.curvature;
      xy += x.slopes[kx] * y.slopes[ky] * row.value;
      xz += x.slopes[kx] * y.weights[ky] * row.slope;
      yz += x.weights[kx] * y.slopes[ky] * row.slope;
    });
    const double dx = direction[0], dy = direction[1], dz = direction[2];
    gradient[3 * i] = xx * dx + xy * dy + xz * dz;
    gradient[3 * i + 1] = xy * dx + yy * dy + yz * dz;
    gradient[3 * i + 2] = xz * dx + yz * dy + zz * dz;
  }
}

}  // namespace

template <class T>
void interpolate(const MeshCall &call, const T *mesh, T *values) {
  dispatch_order(call.order, [&](auto order) {
    check_mesh(call.shape.points, call.order);
    if (call.directions) {
      interpolate_directional<order()>(call, mesh, values);
    } else {
      interpolate_plain<order()>(call, mesh, values);
    }
  });
}

template <class T>
void interpolate_gradient(const MeshCall &call, const T *mesh, const T *charges, double *gradient) {
  dispatch_order(call.order, [&](auto order) {
    check_mesh(call.shape.points, call.order);
    if (call.directions) {
      gradient_directional<order()>(call, mesh, charges, gradient);
    } else {
      gradient_plain<order()>(call, mesh, charges, gradient);
    }
  });
}

template void interpolate(const MeshCall &, const float *, float *);
template void interpolate(const MeshCall &, const double *, double *);
template void interpolate_gradient(const MeshCall &, const float *, const float *, double *);
template void interpolate_gradient(const MeshCall &, const double *, const double *, double *);

}  // namespace loremd
