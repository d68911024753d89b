// SPDX-License-Identifier: BSD-3-Clause
//
// From boxes to boxes: values of mesh points move from the ranks that hold them to those that need
// them, all channels of all points between two ranks in one message. This packs and unpacks; who
// carries the messages is not its business.
#pragma once

#include <vector>

#include "mesh/boxes.hpp"

namespace loremd {

// What one rank sends and receives when each rank r has from[r] and wants to[r], boxes of a
// periodic mesh that are no longer than it. Where source boxes overlap a point arrives several
// times, to be added; where target boxes do it goes to all of them.
class Remap {
 public:
  Remap(const MeshPoints &points, const std::vector<Box> &from, const std::vector<Box> &to,
        int rank);

  // Points sent to and received from each rank.
  const std::vector<int64_t> &sent() const { return outgoing_.counts; }
  const std::vector<int64_t> &received() const { return incoming_.counts; }
  int64_t total_sent() const { return outgoing_.total; }
  int64_t total_received() const { return incoming_.total; }

  // message <- the blocks for rank 0, 1, .. one behind the other: `width` values of each point, of
  // a mesh with the points of this rank's source box.
  template <class T>
  void pack(const MeshShape &source, int64_t width, const T *mesh, T *message) const;

  // A mesh with the points of this rank's target box <- such blocks from rank 0, 1, ..; `add` adds
  // to it. The other values of a point, and its halo, stay as they are.
  template <class T>
  void unpack(const MeshShape &target, int64_t width, bool add, const T *message, T *mesh) const;

 private:
  // Parts of a box in the order of the message, counted from the box's begin.
  struct Pieces {
    std::vector<Box> boxes;
    std::vector<int64_t> counts;
    int64_t total = 0;
    void add(const Box &box);
  };
  Pieces outgoing_, incoming_;
};

}  // namespace loremd
