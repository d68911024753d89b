// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "types.hpp"

namespace loremd {

// How spread and interpolate want a mesh in memory (MeshShape in types.hpp):
//
//   row (x, y):   point 0 | point 1 | ... | point nz-1 | halo: point 0 again, point 1, ...
//   point:        channel 0 | channel 1 | ... | padding up to `stride`
//
// The halo is at least as long as a window but for its first point, so a window row is one
// contiguous run; the stride makes a point whole cache lines where that pays, and its padding
// belongs to nobody. Start the mesh at a multiple of 64 bytes.
//
// All functions below take part of a mesh as well: shape.planes(begin, end) and the addresses of
// its first plane.

// Points of a row that the kernels read or write with a window: its own, and some of weight zero
// that fill up vectors.
constexpr int window_lanes(int order) {
  return order <= 8 ? 8 : 16;
}

// From one point to the next, in values of `bytes` each: a point of several channels is a whole
// number of vectors of 16, 32 or 64 bytes, which convolve needs and which makes rows aligned. Above
// 64 bytes it is one of 32: whole cache lines would let spread and interpolate touch more memory.
constexpr int channel_stride(int channels, int bytes) {
  if (channels <= 1) return channels;
  const int size = channels * bytes;
  const int unit = size <= 16 ? 16 : size <= 32 || size > 64 ? 32 : 64;
  return (size + unit - 1) / unit * unit / bytes;
}

// The layout of a mesh whose values take `bytes` each. Throws Error on an order out of range and on
// a mesh with fewer points than the order.
MeshShape mesh_layout(const std::array<int64_t, 3> &points, int64_t channels, int order, int bytes);

// Adds the halo, where windows ended, to the points it stands for: after spreading.
template <class T>
void fold_halo(const MeshShape &shape, T *mesh);

// Copies the first points of each row to its halo: before interpolating.
template <class T>
void fill_halo(const MeshShape &shape, T *mesh);

// mesh <- a compact mesh (nx, ny, nz, channels), with its halo filled; the padding becomes zero.
template <class T>
void pack_mesh(const MeshShape &shape, const T *compact, T *mesh);

// compact (nx, ny, nz, channels) <- a mesh, folding its halo on the way.
template <class T>
void unpack_mesh(const MeshShape &shape, const T *mesh, T *compact);

}  // namespace loremd
