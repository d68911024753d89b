// SPDX-License-Identifier: BSD-3-Clause
#include "distributed_mesh.hpp"

#include <ATen/Dispatch.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/Parallel.h>
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
                                    const loremd::MeshShape &shape,
                                    const at::TensorOptions &options)
    : op_(op),
      ranks_(ranks),
      grid_(loremd::pencil_grid(points, ranks.size)),
      channels_(shape.channels),
      fft_(points) {
  plan_moves(brick, shape);
  allocate(options);
}

// Pairs of channels are complex fields; one without a partner gets an empty one.
template <class T>
loremd::MeshShape DistributedMesh<T>::pencil(const loremd::Box &box) const {
  const int64_t channels = (channels_ + 1) / 2 * 2;
  return loremd::mesh_layout(box.lengths(), channels, sizeof(T));
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
void DistributedMesh<T>::plan_moves(const loremd::Box &brick, const loremd::MeshShape &shape) {
  struct Layout {
    std::vector<loremd::Box> boxes;
    loremd::MeshShape shape;
  };
  std::vector<Layout> layouts{{gather(brick), shape}};
  for (int axis : {2, 1, 0}) {
    if (axis == 1 && grid_.slabs()) continue;
    Layout layout;
    for (int r = 0; r < ranks_.size; ++r) layout.boxes.push_back(grid_.box(axis, r));
    layout.shape = pencil(layout.boxes[ranks_.rank]);
    layouts.push_back(layout);
  }
  const size_t last = layouts.size() - 1;
  for (size_t step = 0; step < 2 * last; ++step) {
    const bool back = step >= last;
    const Layout &from = layouts[back ? 2 * last - step : step];
    const Layout &to = layouts[back ? 2 * last - step - 1 : step + 1];
    const bool brick_involved = step == 0 || step + 1 == 2 * last;
    moves_.push_back({loremd::Remap(grid_.points, from.boxes, to.boxes, ranks_.rank), from.shape,
                      to.shape, brick_involved ? channels_ : (channels_ + 1) / 2 * 2, step == 0});
  }
}

// Two pieces of memory change roles with every move, of which there are an even number.
template <class T>
void DistributedMesh<T>::allocate(const at::TensorOptions &options) {
  int64_t values[2] = {0, 0};
  for (size_t step = 0; step < moves_.size(); ++step) {
    const Move &move = moves_[step];
    int64_t &here = values[step % 2], &there = values[1 - step % 2];
    here = std::max({here, move.from.size(), move.remap.total_received() * move.width});
    there = std::max({there, move.to.size(), move.remap.total_sent() * move.width});
  }
  here_ = workspace_mesh(values[0], options, 0);
  there_ = workspace_mesh(values[1], options, 1);
}

template <class T>
void DistributedMesh<T>::move(const Move &move) {
  RECORD_FUNCTION("loremd::remap", {});
  T *here = here_.mutable_data_ptr<T>(), *there = there_.mutable_data_ptr<T>();
  const auto bytes = static_cast<int64_t>(move.width * sizeof(T));
  const auto sent = bytes_of(move.remap.sent(), bytes);
  const auto received = bytes_of(move.remap.received(), bytes);
  move.remap.pack(move.from, move.width, here, there);
  check_status(op_, ranks_.all_to_all(ranks_.context, there, sent.data(), here, received.data()));
  // the empty partner of a channel is transformed, too, and correlated
  const bool padded = move.to.stride > move.width;
  if (move.add || padded) std::fill_n(there, move.to.size(), T(0));
  move.remap.unpack(move.to, move.width, move.add, here, there);
  std::swap(here_, there_);
}

template <class T>
void DistributedMesh<T>::transform(const loremd::MeshShape &shape, loremd::PlaneAxes axes,
                                   bool inverse) {
  T *mesh = here_.mutable_data_ptr<T>();
  at::parallel_for(0, shape.points[0], 1, [&](int64_t begin, int64_t end) {
    loremd::transform_planes(shape.planes(begin, end), fft_, inverse,
                             mesh + begin * shape.plane_size(), axes);
  });
}

template <class T>
Tensor DistributedMesh<T>::convolve_columns(const Convolution &call) {
  const loremd::MeshShape &shape = moves_[moves_.size() / 2].from;
  const double scale = 1 / number_of_points(grid_.points);
  constexpr int64_t spare = loremd::line_bytes / sizeof(T);  // for vectors that read beyond the end
  const Tensor influence = at::constant_pad_nd((call.influence * scale).flatten(), {0, spare});
  const Tensor kept = call.keep_spectrum ? empty_mesh(shape.size(), influence.options()) : Tensor();
  const loremd::ColumnCall<T> columns{
      shape, influence.const_data_ptr<T>(), kept.defined() ? kept.mutable_data_ptr<T>() : nullptr,
      call.other.defined() ? call.other.const_data_ptr<T>() : nullptr,
      call.correlation.defined() ? call.correlation.mutable_data_ptr<T>() : nullptr};
  at::parallel_for(0, shape.points[1], 1, [&](int64_t begin, int64_t end) {
    loremd::convolve_columns(columns, fft_, begin, end, here_.mutable_data_ptr<T>());
  });
  if (call.correlation.defined()) call.correlation.mul_(scale);
  return kept;
}

template <class T>
Tensor DistributedMesh<T>::convolve(const Convolution &call) {
  using loremd::PlaneAxes;
  Tensor spectrum;
  const size_t half = moves_.size() / 2;
  // what is transformed in the layout that move `step` ends, or on the way back begins, in
  const auto axes = [&](size_t step) {
    return half == 2 ? PlaneAxes::both : step == 0 ? PlaneAxes::z : PlaneAxes::y;
  };
  for (size_t step = 0; step < half; ++step) {
    move(moves_[step]);
    if (step + 1 < half) transform(moves_[step].to, axes(step), false);
  }
  spectrum = convolve_columns(call);
  for (size_t step = half; step-- > 0;) {
    const Move &back = moves_[2 * half - 1 - step];
    if (step + 1 < half) transform(back.from, axes(step), true);
    move(back);
  }
  return spectrum;
}

template class DistributedMesh<float>;
template class DistributedMesh<double>;

}  // namespace loremd_torch
