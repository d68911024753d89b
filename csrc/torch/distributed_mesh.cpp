// SPDX-License-Identifier: BSD-3-Clause
#include "distributed_mesh.hpp"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <ATen/TensorOperators.h>

#include "mesh/layout.hpp"
#include "mesh_memory.hpp"
#include "support.hpp"

namespace loremd_torch {

namespace {

double number_of_points(const loremd::MeshPoints &points) {
  return static_cast<double>(points[0]) * points[1] * points[2];
}

std::vector<int64_t> bytes_of(const std::vector<int64_t> &counts, int64_t bytes) {
  std::vector<int64_t> result;
  for (int64_t count : counts) result.push_back(count * bytes);
  return result;
}

// factor * the influence function, flat.
Tensor scaled(const Tensor &influence, double factor) {
  const int64_t values = influence.numel();
  const Tensor flat = empty_for_vectors(values, influence.options());
  flat.narrow(0, 0, values).view(influence.sizes()).copy_(influence).mul_(factor);
  return flat;
}

// The share within a full spectrum (nx, ny, nz).
Tensor part_of(const Tensor &full, const loremd::Box &share) {
  return full.narrow(1, share.begin[1], share.length(1)).narrow(2, share.begin[2], share.length(2));
}

}  // namespace

loremd::Box share_of_spectrum(const loremd_communicator &ranks, const loremd::MeshPoints &points) {
  return loremd::pencil_grid(points, ranks.size).box(0, ranks.rank);
}

Tensor share_of_influence(const loremd::MeshPoints &points, const loremd::Box &share,
                          const Tensor &half) {
  const Tensor full = at::empty(points, half.options()), source = half.contiguous();
  AT_DISPATCH_FLOATING_TYPES(half.scalar_type(), "share_of_influence", [&] {
    loremd::expand_influence(points, 1, source.const_data_ptr<scalar_t>(),
                             full.mutable_data_ptr<scalar_t>());
  });
  return part_of(full, share).contiguous();
}

Tensor half_spectrum_gradient(const loremd::MeshPoints &points, const loremd::Box &share,
                              const Tensor &by_share) {
  const Tensor full = at::zeros(points, by_share.options());
  Tensor half = at::zeros({points[0], points[1], points[2] / 2 + 1}, by_share.options());
  part_of(full, share).copy_(by_share);
  AT_DISPATCH_FLOATING_TYPES(half.scalar_type(), "half_spectrum_gradient", [&] {
    loremd::reduce_correlation(points, 1, full.const_data_ptr<scalar_t>(),
                               half.mutable_data_ptr<scalar_t>());
  });
  return half;
}

template <class T>
DistributedMesh<T>::DistributedMesh(const char *op, const loremd_communicator &ranks,
                                    const loremd::MeshPoints &points, const loremd::Box &brick,
                                    const std::vector<loremd::MeshShape> &shapes,
                                    const Tensor &influence)
    : op_(op),
      ranks_(ranks),
      grid_(loremd::pencil_grid(points, ranks.size)),
      fft_(points),
      influence_(scaled(influence, 1 / number_of_points(points))) {
  plan_moves(brick);
  allocate(shapes, influence.options());
}

template <class T>
std::vector<loremd::Box> DistributedMesh<T>::gather(const loremd::Box &own) const {
  RECORD_FUNCTION("loremd::remap", {});
  constexpr int count = 6;
  const int64_t mine[count] = {own.begin[0], own.begin[1], own.begin[2],
                               own.end[0],   own.end[1],   own.end[2]};
  std::vector<int64_t> all(count * ranks_.size);
  check_status(op_, ranks_.all_gather(ranks_.context, mine, count, all.data()));
  std::vector<loremd::Box> boxes;
  for (int r = 0; r < ranks_.size; ++r) {
    const int64_t *box = all.data() + count * r;
    boxes.push_back({{box[0], box[1], box[2]}, {box[3], box[4], box[5]}});
  }
  return boxes;
}

template <class T>
void DistributedMesh<T>::plan_moves(const loremd::Box &brick) {
  std::vector<std::vector<loremd::Box>> layouts{gather(brick)};
  for (int axis : {2, 1, 0}) {
    if (axis == 1 && grid_.slabs()) continue;
    layouts.emplace_back();
    for (int r = 0; r < ranks_.size; ++r) layouts.back().push_back(grid_.box(axis, r));
  }
  for (const auto &boxes : layouts) own_.push_back(boxes[ranks_.rank]);
  const auto add = [&](size_t from, size_t to) {
    moves_.push_back(
        {loremd::Remap(grid_.points, layouts[from], layouts[to], ranks_.rank), from, to});
  };
  const size_t last = layouts.size() - 1;
  for (size_t layout = 0; layout < last; ++layout) add(layout, layout + 1);
  for (size_t layout = last; layout > 0; --layout) add(layout, layout - 1);
}

// Pairs of channels are complex fields; one without a partner gets an empty one.
template <class T>
loremd::MeshShape DistributedMesh<T>::pencil(size_t layout, int64_t channels) const {
  return loremd::mesh_layout(own_[layout].lengths(), (channels + 1) / 2 * 2, sizeof(T));
}

template <class T>
void DistributedMesh<T>::take(const loremd::MeshShape &shape) {
  shapes_ = {shape};
  for (size_t layout = 1; layout < own_.size(); ++layout) {
    shapes_.push_back(pencil(layout, shape.channels));
  }
}

// The values of a point that travel.
template <class T>
int64_t DistributedMesh<T>::width(const Move &move) const {
  return shapes_[std::min(move.from, move.to)].channels;
}

// Two pieces of memory change roles with every move, of which there are an even number.
template <class T>
void DistributedMesh<T>::allocate(const std::vector<loremd::MeshShape> &shapes,
                                  const at::TensorOptions &options) {
  int64_t values[2] = {0, 0};
  for (const loremd::MeshShape &shape : shapes) {
    take(shape);
    for (size_t step = 0; step < moves_.size(); ++step) {
      const Move &move = moves_[step];
      const int64_t received = move.remap.total_received() * width(move);
      const int64_t sent = move.remap.total_sent() * width(move);
      int64_t &here = values[step % 2], &there = values[1 - step % 2];
      here = std::max({here, shapes_[move.from].size(), received});
      there = std::max({there, shapes_[move.to].size(), sent});
    }
  }
  here_ = empty_mesh(values[0], options);
  there_ = empty_mesh(values[1], options);
}

template <class T>
void DistributedMesh<T>::move(const Move &move) {
  RECORD_FUNCTION("loremd::remap", {});
  T *here = here_.mutable_data_ptr<T>(), *there = there_.mutable_data_ptr<T>();
  const loremd::MeshShape &from = shapes_[move.from], &to = shapes_[move.to];
  const int64_t values = width(move), bytes = values * static_cast<int64_t>(sizeof(T));
  const auto sent = bytes_of(move.remap.sent(), bytes);
  const auto received = bytes_of(move.remap.received(), bytes);
  move.remap.pack(from, values, here, there);
  check_status(op_, ranks_.all_to_all(ranks_.context, there, sent.data(), here, received.data()));
  // bricks overlap; and the empty partner of a channel is transformed, too, and correlated
  const bool add = move.from == 0, padded = to.stride > values;
  if (add || padded) std::fill_n(there, to.size(), T(0));
  move.remap.unpack(to, values, add, here, there);
  std::swap(here_, there_);
}

template <class T>
void DistributedMesh<T>::transform(const loremd::MeshShape &shape, loremd::PlaneAxes axes,
                                   bool inverse) {
  transform_planes(shape, fft_, inverse, axes, here_.mutable_data_ptr<T>());
}

template <class T>
void DistributedMesh<T>::convolve_columns(const Convolution &call, const Tensor &spectrum) {
  const auto data = [](const Tensor &t) { return t.defined() ? t.mutable_data_ptr<T>() : nullptr; };
  const loremd::MeshShape &shape = shapes_.back();
  const loremd::ColumnCall<T> columns{shape, influence_.const_data_ptr<T>(), data(spectrum),
                                      data(call.other), data(call.correlation)};
  loremd_torch::convolve_columns(columns, fft_, here_.mutable_data_ptr<T>());
}

template <class T>
void DistributedMesh<T>::convolve(const Convolution &call, const Tensor &spectrum) {
  using loremd::PlaneAxes;
  const size_t last = shapes_.size() - 1;
  // what is transformed in a layout between the brick and the last
  const auto axes = [&](size_t layout) {
    return last == 2 ? PlaneAxes::both : layout == 1 ? PlaneAxes::z : PlaneAxes::y;
  };
  for (const Move &step : moves_) {
    const bool back = step.to < step.from;
    if (step.from == last) convolve_columns(call, spectrum);
    if (back && step.from < last) transform(shapes_[step.from], axes(step.from), true);
    move(step);
    if (!back && step.to < last) transform(shapes_[step.to], axes(step.to), false);
  }
}

template class DistributedMesh<float>;
template class DistributedMesh<double>;

}  // namespace loremd_torch
