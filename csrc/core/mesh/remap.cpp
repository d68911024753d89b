// SPDX-License-Identifier: BSD-3-Clause
#include "mesh/remap.hpp"

#include <algorithm>

namespace loremd {
namespace {

// What two boxes have in common when the first is moved by `shift`, in indices of the second.
Box overlap(const Box &first, const MeshPoints &shift, const Box &second) {
  Box common;
  for (int a = 0; a < 3; ++a) {
    common.begin[a] = std::max(first.begin[a] + shift[a], second.begin[a]);
    common.end[a] = std::min(first.end[a] + shift[a], second.end[a]);
    if (common.end[a] <= common.begin[a]) return {};
  }
  return common;
}

Box moved(const Box &box, const MeshPoints &by) {
  Box result = box;
  for (int a = 0; a < 3; ++a) result.begin[a] += by[a], result.end[a] += by[a];
  return result;
}

// Calls body(part in indices of `to`, shift) for the parts of `to` that `from` or an image of it
// covers; in the same order for whoever asks. Boxes begin and end within three periods.
template <class Body>
void for_each_overlap(const MeshPoints &points, const Box &from, const Box &to, Body &&body) {
  for (int64_t x = -1; x <= 1; ++x) {
    for (int64_t y = -1; y <= 1; ++y) {
      for (int64_t z = -1; z <= 1; ++z) {
        const MeshPoints shift{x * points[0], y * points[1], z * points[2]};
        const Box common = overlap(from, shift, to);
        if (common.points() > 0) body(common, shift);
      }
    }
  }
}

MeshPoints opposite(const MeshPoints &shift) {
  return {-shift[0], -shift[1], -shift[2]};
}

// Calls body(first point of a row in the mesh, number of points) for the rows of a box.
template <class Body>
void for_each_row(const Box &box, const MeshShape &shape, Body &&body) {
  for (int64_t x = box.begin[0]; x < box.end[0]; ++x) {
    for (int64_t y = box.begin[1]; y < box.end[1]; ++y) {
      body(x * shape.plane_size() + y * shape.row_size() + box.begin[2] * shape.stride,
           box.length(2));
    }
  }
}

// Calls body(width) with the width as a constant where it is that of LOREM's channels.
template <class Body>
void dispatch_width(int64_t width, Body &&body) {
  if (width == 4) return body(std::integral_constant<int64_t, 4>{});
  if (width == 2) return body(std::integral_constant<int64_t, 2>{});
  body(width);
}

}  // namespace

void Remap::Pieces::add(const Box &box) {
  boxes.push_back(box);
  counts.back() += box.points();
  total += box.points();
}

Remap::Remap(const MeshPoints &points, const std::vector<Box> &from, const std::vector<Box> &to,
             int rank) {
  for (size_t other = 0; other < to.size(); ++other) {
    outgoing_.counts.push_back(0);
    incoming_.counts.push_back(0);
    for_each_overlap(points, from[rank], to[other], [&](const Box &part, const MeshPoints &shift) {
      outgoing_.add(moved(moved(part, opposite(shift)), opposite(from[rank].begin)));
    });
    for_each_overlap(points, from[other], to[rank], [&](const Box &part, const MeshPoints &) {
      incoming_.add(moved(part, opposite(to[rank].begin)));
    });
  }
}

template <class T>
void Remap::pack(const MeshShape &source, int64_t width, const T *mesh, T *message) const {
  dispatch_width(width, [&](auto values) {
    for (const Box &piece : outgoing_.boxes) {
      for_each_row(piece, source, [&](int64_t first, int64_t points) {
        const T *from = mesh + first;
        for (int64_t z = 0; z < points; ++z, from += source.stride, message += values) {
          for (int64_t c = 0; c < values; ++c) message[c] = from[c];
        }
      });
    }
  });
}

template <class T>
void Remap::unpack(const MeshShape &target, int64_t width, bool add, const T *message,
                   T *mesh) const {
  dispatch_width(width, [&](auto values) {
    for (const Box &piece : incoming_.boxes) {
      for_each_row(piece, target, [&](int64_t first, int64_t points) {
        T *to = mesh + first;
        for (int64_t z = 0; z < points; ++z, to += target.stride, message += values) {
          for (int64_t c = 0; c < values; ++c) to[c] = add ? to[c] + message[c] : message[c];
        }
      });
    }
  });
}

#define LOREMD_INSTANTIATE(T)                                                  \
  template void Remap::pack(const MeshShape &, int64_t, const T *, T *) const; \
  template void Remap::unpack(const MeshShape &, int64_t, bool, const T *, T *) const;
LOREMD_INSTANTIATE(float)
LOREMD_INSTANTIATE(double)
#undef LOREMD_INSTANTIATE

}  // namespace loremd
