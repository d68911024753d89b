// SPDX-License-Identifier: BSD-3-Clause
//
// A mesh of which every rank holds a part (mesh/boxes.hpp, mesh/remap.hpp): no rank ever holds all
// of it, nor of the influence function, and the work of the transforms is shared.
//
//   brick      the points around this rank's atoms: spread, interpolate
//   pencils    boxes with z, then y, then x whole, for the transforms along these axes
//   share      the frequencies that this rank has in the last of them: (nx, some y, some z) of the
//              full spectrum
//
// Of many channels a few at a time go all the way, through the same memory.
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
  // `brick`: the box around the atoms; `shapes`: the layouts of meshes with its points that take()
  // will get; `influence`: the share of the influence function.
  DistributedMesh(const char *op, const loremd_communicator &ranks,
                  const loremd::MeshPoints &points, const loremd::Box &brick,
                  const std::vector<loremd::MeshShape> &shapes, const Tensor &influence);

  // From now on the mesh of the brick has this layout, and its channels.
  void take(const loremd::MeshShape &shape);

  // That mesh: uninitialised, and convolved after convolve().
  const Tensor &brick() const { return here_; }

  // That the memory of meshes takes.
  int64_t bytes() const { return static_cast<int64_t>(here_.nbytes() + there_.nbytes()); }

  // Values of the share of a spectrum of so many channels.
  int64_t spectrum_size(int64_t channels) const { return pencil(own_.size() - 1, channels).size(); }

  // The share of the influence function as it is kept here.
  const Tensor &influence() const { return influence_; }

  // Adds the bricks of all ranks, convolves, and copies the result to the bricks; without halos.
  // Of `call` are used `other`, a share as well, and `correlation`, the share without the factor 1
  // / (points of the mesh). `spectrum` may be undefined, and gets the share of the mesh's spectrum.
  void convolve(const Convolution &call, const Tensor &spectrum);

 private:
  // All ranks' boxes of one layout to those of the next; the layouts are numbered from 0 in the
  // order of the way there: brick, z, y unless that is the same as z, x.
  struct Move {
    loremd::Remap remap;
    size_t from, to;
  };

  loremd::MeshShape pencil(size_t layout, int64_t channels) const;
  std::vector<loremd::Box> gather(const loremd::Box &own) const;
  void plan_moves(const loremd::Box &brick);
  void allocate(const std::vector<loremd::MeshShape> &shapes, const at::TensorOptions &options);
  int64_t width(const Move &move) const;
  void move(const Move &move);
  void transform(const loremd::MeshShape &shape, loremd::PlaneAxes axes, bool inverse);
  void convolve_columns(const Convolution &call, const Tensor &spectrum);

  const char *op_;
  loremd_communicator ranks_;
  loremd::PencilGrid grid_;
  loremd::MeshFft<T> fft_;
  Tensor influence_;                       // times 1 / (points of the mesh)
  std::vector<loremd::Box> own_;           // this rank's boxes, layout by layout
  std::vector<loremd::MeshShape> shapes_;  // of the meshes in them
  std::vector<Move> moves_;                // there and back
  Tensor here_, there_;                    // the mesh, and where the next one is made
};

}  // namespace loremd_torch
