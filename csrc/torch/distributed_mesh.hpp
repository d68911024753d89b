// SPDX-License-Identifier: BSD-3-Clause
//
// A mesh of which every rank holds a part (mesh/boxes.hpp, mesh/remap.hpp): no rank ever holds all
// of it, nor of the influence function, and the work of the transforms is shared.
//
//   brick      the points around this rank's atoms: spread, interpolate
//   pencils    boxes with z, then y, then x whole, for the transforms along these axes
//   share      the frequencies that this rank has in the last of them: (nx, some y, some z) of the
//              full spectrum
#pragma once

#include <vector>

#include "convolution.hpp"
#include "mesh/boxes.hpp"
#include "mesh/remap.hpp"
#include "ranks.hpp"

namespace loremd_torch {

// This rank's share; on two ranks or more.
loremd::Box share_of_spectrum(const loremd_communicator &ranks, const loremd::MeshPoints &points);

// Influence functions (nx, ny, nz/2 + 1) of the whole mesh, which model files of the first versions
// make on every rank: this rank's share of one, and the transpose.
Tensor share_of_influence(const loremd::MeshPoints &points, const loremd::Box &share,
                          const Tensor &half);
Tensor half_spectrum_gradient(const loremd::MeshPoints &points, const loremd::Box &share,
                              const Tensor &by_share);

// The boxes and the memory of one call of an op. All ranks construct it and call it together.
template <class T>
class DistributedMesh {
 public:
  // `brick`: the box around the atoms; `shape`: the layout of a mesh with its points.
  DistributedMesh(const char *op, const loremd_communicator &ranks,
                  const loremd::MeshPoints &points, const loremd::Box &brick,
                  const loremd::MeshShape &shape, const at::TensorOptions &options);

  // The mesh of the brick, uninitialised, and again after convolve().
  const Tensor &brick() const { return here_; }

  // Adds the bricks of all ranks, convolves, and copies the result to the bricks; without halos.
  // `influence` and `correlation` of the call are those of the share, as is the spectrum returned.
  Tensor convolve(const Convolution &call);

 private:
  struct Move {
    loremd::Remap remap;
    loremd::MeshShape from, to;
    int64_t width;  // values of a point that travel
    bool add;
  };

  loremd::MeshShape pencil(const loremd::Box &box) const;
  std::vector<loremd::Box> gather(const loremd::Box &own) const;
  void plan_moves(const loremd::Box &brick, const loremd::MeshShape &shape);
  void allocate(const at::TensorOptions &options);
  void move(const Move &move);
  void transform(const loremd::MeshShape &shape, loremd::PlaneAxes axes, bool inverse);
  Tensor convolve_columns(const Convolution &call);

  const char *op_;
  loremd_communicator ranks_;
  loremd::PencilGrid grid_;
  int64_t channels_;
  loremd::MeshFft<T> fft_;
  std::vector<Move> moves_;  // brick to z, z to y unless these are the same, y to x, and back
  Tensor here_, there_;      // the mesh, and where the next one is made
};

}  // namespace loremd_torch
