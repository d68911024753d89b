// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "types.hpp"

namespace loremd {

// How spread, convolve and interpolate want a mesh in memory (MeshShape in types.hpp):
//
//   row (x, y):   point 0 | point 1 | ... | point nz-1 | halo: point 0 again, point 1, ...
//   point:        channel 0 | channel 1 | ... | one of padding if their number is odd
//
// The halo is as long as a window, so a window row is one contiguous run, and so are the whole
// vectors it ends in. The points are as close together as pairs of channels allow: vectors along a
// row have full lanes. A row is a whole number of cache lines. The padding belongs to nobody. Start
// the mesh at a multiple of 64 bytes.
//
// All functions below take part of a mesh as well: shape.planes(begin, end) and the addresses of
// its first plane.

// The longest vector and a cache line.
constexpr int line_bytes = 64;

// Points of a row that the kernels read or write with a window: its own, and some of weight zero
// that fill up vectors.
constexpr int window_lanes(int order) {
  return order <= 8 ? 8 : 16;
}

// From one point to the next, in values: pairs of channels are the complex numbers of convolve.
constexpr int channel_stride(int channels) {
  return channels <= 1 ? channels : (channels + 1) / 2 * 2;
}

// The layout of a mesh whose values take `bytes` each. Throws Error on an order out of range and on
// a mesh with fewer points than the order.
MeshShape mesh_layout(const std::array<int64_t, 3> &points, int64_t channels, int order, int bytes);

// The layout of a mesh that meets no window: any number of points.
MeshShape mesh_layout(const std::array<int64_t, 3> &points, int64_t channels, int bytes);

// Adds the halo, where windows ended, to the points it stands for: after spreading.
template <class T>
void fold_halo(const MeshShape &shape, T *mesh);

// Copies the first points of each row to its halo: before interpolating.
template <class T>
void fill_halo(const MeshShape &shape, T *mesh);

// mesh <- a compact mesh (nx, ny, nz, channels), with its halo filled; the padding becomes zero.
template <class T>
void pack_mesh(const MeshShape &shape, const T *compact, T *mesh);

// compact (nx, ny, nz, channels) <- a mesh, without its halo.
template <class T>
void copy_points(const MeshShape &shape, const T *mesh, T *compact);

}  // namespace loremd
