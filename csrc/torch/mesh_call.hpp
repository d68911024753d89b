// SPDX-License-Identifier: BSD-3-Clause
//
// What the kernels of spread and interpolate get from tensors, whole or in parts for torch's
// threads.
#pragma once

#include <thread>
#include <vector>

#include "mesh/layout.hpp"
#include "mesh/visiting_order.hpp"
#include "mesh/window.hpp"
#include "mesh_memory.hpp"
#include "support.hpp"
#include "tasks.hpp"

namespace loremd_torch {

// Of an atom in a tensor of visits, the first of which is the atom.
template <class T>
constexpr int64_t visit_integers = sizeof(loremd::Visit<T>) / sizeof(int32_t);

constexpr int64_t windows_per_task = 2048;

// Calls what it holds when it goes out of scope, also when something is thrown.
template <class Body>
struct Finally {
  Body body;
  ~Finally() { body(); }
};
template <class Body>
Finally(Body) -> Finally<Body>;

// Positions (n, 3) float64, sorted, and the layout of the mesh with values of type T.
template <class T>
class Call {
 public:
  // `directions` and `series`, the Legendre terms of the window (none: B-spline), may be undefined,
  // and so may `visits`, the visits() of an earlier call for the same positions. Throws
  // loremd::Error on positions that are not finite, and on an order, a mesh and a window that do
  // not fit each other.
  Call(const Tensor &fractions, const Tensor &directions, const std::array<int64_t, 3> &points,
       int64_t channels, int64_t order, const Tensor &series, const Tensor &visits = {})
      : fractions_(fractions.contiguous()),
        directions_(directions.defined() ? directions.contiguous() : Tensor()),
        shape_(loremd::mesh_layout(points, channels, static_cast<int>(order), sizeof(T))),
        window_(spec_of(static_cast<int>(order), series)),
        visits_(visits.defined() ? visits : sorted()),
        slab_starts_(loremd::slab_starts(visit(0), atoms(), shape_.points[0], window_.order)) {}

  const loremd::MeshShape &shape() const { return shape_; }

  // The same for a mesh of so many channels; and from now on for that, in arrays of `columns`.
  loremd::MeshShape layout(int64_t channels) const {
    return loremd::mesh_layout(shape_.points, channels, window_.order, sizeof(T));
  }
  void take(int64_t channels, int64_t columns) {
    shape_ = layout(channels);
    columns_ = columns;
  }
  int64_t atoms() const { return fractions_.size(0); }
  // (atoms, visit_integers) int32: the atoms in the order of the visit, as Visit<T>.
  const Tensor &visits() const { return visits_; }

  // Sets the mesh to zero and calls body(part) for the slabs of atoms, each of odd number once its
  // neighbours are done: no two windows that are worked on at the same time touch. What the windows
  // of a slab of even number touch, up to the next one, is set to zero just before, so that it is
  // still in the cache.
  template <class Body>
  void for_each_slab(T *mesh, Body &&body) const {
    const auto begins = loremd::slab_begins(shape_.points[0], window_.order);
    const auto slabs = static_cast<int64_t>(begins.size()) - 1;
    const bool alone = at::get_num_threads() == 1 || at::in_parallel_region();
    std::vector<std::atomic<bool>> done(slabs);
    for_each_task(slabs, [&](int64_t task) {
      const int64_t s = alone ? slab_soon(task, slabs) : slab_without_waiting(task, slabs);
      const auto await = [&](int64_t neighbour) {
        while (!done[neighbour].load(std::memory_order_acquire)) std::this_thread::yield();
      };
      if (s % 2 == 1) {
        await(s - 1);
        await((s + 1) % slabs);
      } else {
        const int64_t begin = begins[s], end = begins[std::min(s + 2, slabs)];
        std::fill_n(mesh + begin * shape_.plane_size(), (end - begin) * shape_.plane_size(), T(0));
      }
      const Finally finished{[&] { done[s].store(true, std::memory_order_release); }};
      body(part(slab_starts_[s], slab_starts_[s + 1]));
    });
  }

  // Calls body(part) for parts of the atoms.
  template <class Body>
  void for_each_part(Body &&body) const {
    for_each_piece(atoms(), windows_per_task,
                   [&](int64_t begin, int64_t end) { body(part(begin, end)); });
  }

 private:
  static loremd::WindowSpec spec_of(int order, const Tensor &series) {
    if (!series.defined()) return {order};
    return {order, series.const_data_ptr<double>(), static_cast<int>(series.numel())};
  }

  // The slabs in an order in which one of odd number follows its neighbours, for one thread, which
  // finds their planes in the cache: 0, 2, 1, 4, 3, ...
  static int64_t slab_soon(int64_t task, int64_t slabs) {
    if (task % 2 == 1) return std::min(task + 1, slabs - 1);
    return std::max<int64_t>(task - 1, 0);
  }
  // Those of even number first.
  static int64_t slab_without_waiting(int64_t task, int64_t slabs) {
    const int64_t even = (slabs + 1) / 2;
    return task < even ? 2 * task : 2 * (task - even) + 1;
  }

  Tensor sorted() const {
    const auto options = fractions_.options().dtype(at::kInt);
    const Tensor order = empty_large({atoms()}, options);
    Tensor visits = empty_large({atoms(), visit_integers<T>}, options);
    const double *positions = fractions_.const_data_ptr<double>();
    loremd::visiting_order(positions, atoms(), shape_, window_.order,
                           order.mutable_data_ptr<int32_t>());
    const auto *from = order.const_data_ptr<int32_t>();
    auto *to = static_cast<loremd::Visit<T> *>(visits.mutable_data_ptr());
    for_each_piece(atoms(), windows_per_task, [&](int64_t begin, int64_t end) {
      loremd::set_visits(positions, from + begin, end - begin, shape_, window_.order, to + begin);
    });
    return visits;
  }

  const loremd::Visit<T> *visit(int64_t place) const {
    return static_cast<const loremd::Visit<T> *>(visits_.const_data_ptr()) + place;
  }

  loremd::MeshCall<T> part(int64_t begin, int64_t end) const {
    return {visit(begin), directions_.defined() ? directions_.const_data_ptr<double>() : nullptr,
            end - begin,  shape_,
            &window_,     columns_,
            begin};
  }

  Tensor fractions_, directions_;
  loremd::MeshShape shape_;
  int64_t columns_ = 0;
  loremd::WindowTable<T> window_;
  Tensor visits_;
  std::vector<int64_t> slab_starts_;
};

}  // namespace loremd_torch
