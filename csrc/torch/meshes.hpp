// SPDX-License-Identifier: BSD-3-Clause
//
// The meshes of one evaluation and the steps between atoms and them: on the CPU, whole or a rank's
// part, or on a device.
#pragma once

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <ATen/TensorOperators.h>

#include <optional>
#include <vector>

#include "convolution.hpp"
#include "device_call.hpp"
#include "device_mesh.hpp"
#include "distributed_mesh.hpp"
#include "mesh/interpolate.hpp"
#include "mesh/layout.hpp"
#include "mesh/spread.hpp"
#include "mesh_call.hpp"
#include "mesh_memory.hpp"
#include "mesh_points.hpp"
#include "support.hpp"

namespace loremd_torch {

inline bool is_half_spectrum(const Tensor &influence, const loremd::MeshPoints &points) {
  return influence.sizes() == at::IntArrayRef({points[0], points[1], points[2] / 2 + 1});
}

// On several ranks so many channels at a time: what their meshes take besides the spectra is then
// small, and an atom's window still fills vectors.
constexpr int64_t channels_together = 4;

// own charges(i, c) + background(c), added to what is interpolated, if there are charges.
struct Terms {
  Tensor charges{};  // (atoms, channels) contiguous
  double own = 0;
  Tensor background{};  // (channels), dtype of the charges

  explicit operator bool() const { return charges.defined(); }
};

// ---- CPU ----

// Atoms, window and meshes of one call. Profilers see the steps under the names of the ops.
template <class T>
class Meshes {
 public:
  // `visits`, those of the forward, may be undefined.
  Meshes(const char *op, const Tensor &fractions, const Tensor &charges, const Tensor &influence,
         at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm,
         const Tensor &visits)
      : options_(charges.options()),
        points_(mesh_points(op, mesh_shape)),
        distributed_(on_several_ranks(op, comm)),
        brick_(brick_of(fractions, order)),
        window_(series_of(op, "window", window)),
        call_(in_brick(fractions), {}, brick_.points, charges.size(1), order, window_, visits),
        shape_(call_.shape()),
        convolution_{shape_, influence.contiguous()} {
    if (!distributed_) {
      convolution_.halo = loremd::Halo::meets_windows;
      return;
    }
    const auto ranks = communicator_of(op, comm);
    share_ = share_of_spectrum(ranks, points_);
    if (is_half_spectrum(influence, points_)) {
      convolution_.influence = share_of_influence(points_, share_, influence);
    }
    std::vector<loremd::MeshShape> shapes;
    for (const Turn &turn : turns()) shapes.push_back(call_.layout(turn.channels));
    parts_.emplace(op, ranks, points_, brick_.box, shapes, convolution_.influence);
  }

  Convolution &convolution() { return convolution_; }

  // Calls body() for all channels, or for some after the others: what it spreads, convolves and
  // interpolates are then these channels of the whole tensors it gives.
  template <class Body>
  void for_each_turn(Body &&body) {
    for (const Turn &turn : turns()) {
      take(turn);
      body();
    }
  }

  // In one process with a halo that convolve folds.
  Tensor spread(const Tensor &charges) const {
    RECORD_FUNCTION("loremd::spread", {});
    const Tensor mesh =
        parts_ ? parts_->brick().narrow(0, 0, shape_.size()) : empty_mesh(shape_.size(), options_);
    T *to = mesh.template mutable_data_ptr<T>();
    const Tensor q = charges.contiguous();
    const T *from = q.const_data_ptr<T>() + turn_.first;
    call_.for_each_slab(to, [&](const auto &part) { loremd::spread(part, from, to); });
    if (parts_) fold_all_halos(shape_, to);
    return mesh;
  }

  // In place; fills the halo.
  void convolve(const Tensor &mesh) {
    RECORD_FUNCTION("loremd::convolve", {});
    if (parts_) return convolve_parts(mesh);
    spectrum_ = convolve_in_place(convolution_, mesh.mutable_data_ptr<T>());
  }

  // What the convolutions kept, if they were to.
  const Tensor &spectrum() const { return spectrum_; }
  // (atoms, visit_integers) int32, for the backward.
  const Tensor &visits() const { return call_.visits(); }

  void interpolate(const Tensor &mesh, const Terms &terms, Tensor &values) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    const T *from = mesh.const_data_ptr<T>();
    call_.for_each_part([&](const auto &part) {
      loremd::interpolate(part, from, in_turn(values), in_turn(terms));
    });
  }

  void interpolate_field(const Tensor &mesh, const Terms &terms, Tensor &values,
                         Tensor &field) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    const T *from = mesh.const_data_ptr<T>();
    call_.for_each_part([&](const auto &part) {
      loremd::interpolate_field(part, from, in_turn(values), in_turn(field), in_turn(terms));
    });
  }

  // `gradient` is that of all turns so far; `field`, from interpolate_field for the mesh of other
  // charges, and the charges it is multiplied with may be undefined.
  void interpolate_gradient(const Tensor &mesh, const Tensor &charges, const Terms &terms,
                            Tensor &values, Tensor &gradient, const Tensor &field = {},
                            const Tensor &field_charges = {}) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    const T *from = mesh.const_data_ptr<T>();
    const Tensor q = charges.contiguous();
    const Tensor p = field.defined() ? field_charges.contiguous() : Tensor();
    loremd::KeptField<T> kept;
    if (field.defined()) {
      kept = {field.const_data_ptr<T>() + turn_.first, p.const_data_ptr<T>() + turn_.first};
    }
    call_.for_each_part([&](const auto &part) {
      loremd::interpolate_gradient(part, from, q.const_data_ptr<T>() + turn_.first, in_turn(values),
                                   gradient.mutable_data_ptr<double>(), turn_.first > 0, kept,
                                   in_turn(terms));
    });
  }

  // The derivative by `influence` <- that by what the convolution got.
  Tensor by_influence(const Tensor &influence) const {
    const Tensor &gradient = convolution_.correlation;
    if (!distributed_) return gradient;
    gradient.div_(static_cast<double>(points_[0]) * points_[1] * points_[2]);
    if (!is_half_spectrum(influence, points_)) return gradient;
    return half_spectrum_gradient(points_, share_, gradient);
  }

  // What is a derivative by positions in units of the brick becomes one by fractions.
  void by_fractions(Tensor &gradient) const {
    if (!distributed_) return;
    for (int a = 0; a < 3; ++a) {
      gradient.select(1, a).mul_(static_cast<double>(points_[a]) / brick_.points[a]);
    }
  }

 private:
  // Channels that follow each other.
  struct Turn {
    int64_t first, channels;
  };

  std::vector<Turn> turns() const {
    const int64_t all = convolution_.shape.channels, most = distributed_ ? channels_together : all;
    std::vector<Turn> result;
    for (int64_t first = 0; first < all; first += most) {
      result.push_back({first, std::min(most, all - first)});
    }
    return result;
  }

  void take(const Turn &turn) {
    if (!distributed_) return;
    turn_ = turn;
    call_.take(turn.channels, convolution_.shape.channels);
    shape_ = call_.shape();
    parts_->take(shape_);
  }

  // The first channel of the turn in a tensor of values.
  T *in_turn(Tensor &values) const { return values.mutable_data_ptr<T>() + turn_.first; }
  loremd::ChargeTerms<T> in_turn(const Terms &terms) const {
    if (!terms) return {};
    return {terms.charges.template const_data_ptr<T>() + turn_.first, static_cast<T>(terms.own),
            terms.background.template const_data_ptr<T>() + turn_.first};
  }

  void convolve_parts(const Tensor &mesh) {
    if (convolution_.keep_spectrum && !spectrum_.defined()) {
      const Turn last = turns().back();
      spectrum_ = empty_mesh(spectrum_begin(last) + parts_->spectrum_size(last.channels), options_);
    }
    Convolution call = convolution_;
    call.other = spectrum_in_turn(convolution_.other);
    parts_->convolve(call, spectrum_in_turn(spectrum_));
    fill_all_halos(shape_, mesh.mutable_data_ptr<T>());
    count_mesh_bytes(parts_->bytes(), {convolution_.influence, parts_->influence(),
                                       convolution_.correlation, convolution_.other, spectrum_});
  }

  // The spectra of the turns are kept one behind the other.
  int64_t spectrum_begin(const Turn &turn) const {
    return turn.first / channels_together * parts_->spectrum_size(channels_together);
  }
  Tensor spectrum_in_turn(const Tensor &spectrum) const {
    if (!spectrum.defined()) return spectrum;
    return spectrum.narrow(0, spectrum_begin(turn_), parts_->spectrum_size(turn_.channels));
  }

  loremd::Brick brick_of(const Tensor &fractions, int64_t order) const {
    if (!distributed_) return {{{}, points_}, points_};
    const Tensor positions = fractions.contiguous();
    return loremd::brick_around(positions.const_data_ptr<double>(), positions.size(0), points_,
                                static_cast<int>(order));
  }

  Tensor in_brick(const Tensor &fractions) const {
    if (!distributed_) return fractions;
    const Tensor positions = fractions.contiguous();
    Tensor local = at::empty_like(positions);
    loremd::to_brick(brick_, positions.const_data_ptr<double>(), positions.size(0), points_,
                     local.mutable_data_ptr<double>());
    return local;
  }

  at::TensorOptions options_;
  loremd::MeshPoints points_;
  bool distributed_;
  loremd::Brick brick_;  // in one process the whole mesh
  Tensor window_;
  Call<T> call_;
  loremd::MeshShape shape_;
  Convolution convolution_;
  loremd::Box share_{};
  Turn turn_{};
  Tensor spectrum_;
  std::optional<DistributedMesh<T>> parts_;
};

// ---- on a device, in one process ----

template <class T>
class DeviceMeshes {
 public:
  DeviceMeshes(const char *op, const Tensor &fractions, const Tensor &charges,
               const Tensor &influence, at::IntArrayRef mesh_shape, int64_t order,
               const OptionalTensor &window, const Tensor &visits)
      : op_(op),
        mesh_(op, fractions, mesh_points(op, mesh_shape), charges.size(1), order,
              series_of(op, "window", window), 1, visits.defined() ? visits.select(1, 0) : visits),
        layout_(loremd::mesh_layout(mesh_points(op, mesh_shape), charges.size(1),
                                    static_cast<int>(order), sizeof(T))),
        convolution_{mesh_.shape(), influence.contiguous()} {}

  Convolution &convolution() { return convolution_; }

  template <class Body>
  void for_each_turn(Body &&body) {
    body();
  }

  Tensor spread(const Tensor &charges) const {
    RECORD_FUNCTION("loremd::spread", {});
    return mesh_.spread(charges, {});
  }

  void convolve(const Tensor &mesh) {
    RECORD_FUNCTION("loremd::convolve", {});
    const Tensor points = mesh_.points_of(mesh).permute({3, 0, 1, 2});
    const auto [fields, spectrum] = convolve_on_device<T>(op_, convolution_, points);
    points.copy_(fields);
    spectrum_ = spectrum.defined() ? as_on_the_cpu(spectrum) : spectrum;
    count_mesh_bytes(0, {convolution_.influence, convolution_.correlation, convolution_.other, mesh,
                         fields, spectrum_});
  }

  const Tensor &spectrum() const { return spectrum_; }
  // As on the CPU, but of the integers the atom alone has a meaning.
  Tensor visits() const {
    const Tensor order = mesh_.visiting_order();
    const Tensor visits = at::zeros({order.size(0), visit_integers<T>}, order.options());
    visits.select(1, 0).copy_(order);
    return visits;
  }

  void interpolate(const Tensor &mesh, const Terms &terms, Tensor &values) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    mesh_.interpolate(mesh, {}, values);
    add(terms, values);
  }

  void interpolate_field(const Tensor &mesh, const Terms &terms, Tensor &values,
                         Tensor &field) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    mesh_.interpolate_field(mesh, values, field);
    add(terms, values);
  }

  void interpolate_gradient(const Tensor &mesh, const Tensor &charges, const Terms &terms,
                            Tensor &values, Tensor &gradient, const Tensor &field = {},
                            const Tensor &field_charges = {}) const {
    Tensor own = at::empty({charges.size(0), 3, charges.size(1)}, charges.options());
    interpolate_field(mesh, terms, values, own);
    gradient.zero_();
    mesh_.add_field_gradient(op_, own, charges, gradient);
    if (field.defined()) mesh_.add_field_gradient(op_, field, field_charges, gradient);
  }

  Tensor by_influence(const Tensor &) const { return convolution_.correlation; }
  void by_fractions(Tensor &) const {}

 private:
  static void add(const Terms &terms, Tensor &values) {
    if (terms) values.add_(terms.charges, terms.own).add_(terms.background);
  }

  // As long as what the CPU keeps, so that shapes do not depend on the device.
  Tensor as_on_the_cpu(const Tensor &spectrum) const {
    if (layout_.channels == 1) return spectrum.squeeze(0);
    const Tensor kept = at::empty({layout_.size()}, convolution_.influence.options());
    kept.narrow(0, 0, 2 * spectrum.numel()).copy_(at::view_as_real(spectrum).flatten());
    return kept;
  }

  const char *op_;
  DeviceMesh<T> mesh_;
  loremd::MeshShape layout_;
  Convolution convolution_;
  Tensor spectrum_;
};

// ---- on any ----

inline void check_mesh_arguments(const char *op, const Tensor &fractions, const Tensor &charges,
                                 const Tensor &influence, at::IntArrayRef mesh_shape,
                                 int64_t comm) {
  check_shape(op, "fractions", fractions, -1, 3);
  check_dtype(op, "fractions", fractions, at::kDouble);
  check_shape(op, "charges", charges, fractions.size(0), -1);
  check_floating(op, "charges", charges);
  check_dtype(op, "influence", influence, charges.scalar_type());
  check_devices(op, {&fractions, &charges, &influence});
  const auto points = mesh_points(op, mesh_shape);
  if (is_half_spectrum(influence, points)) return;
  std::array<int64_t, 3> expected{points[0], points[1], points[2] / 2 + 1};
  if (on_several_ranks(op, comm)) {
    expected = share_of_spectrum(communicator_of(op, comm), points).lengths();
  }
  TORCH_CHECK_VALUE(influence.sizes() == at::IntArrayRef(expected), "loremd::", op,
                    ": expected influence of shape (", expected[0], ", ", expected[1], ", ",
                    expected[2], ") for this mesh, got ", influence.sizes());
}

// Calls body(Meshes<T>& or DeviceMeshes<T>&) for the dtype of the charges. `visits`, those of the
// forward, may be undefined.
template <class Body>
void with_meshes(const char *op, const Tensor &fractions, const Tensor &charges,
                 const Tensor &influence, at::IntArrayRef mesh_shape, int64_t order,
                 const OptionalTensor &window, int64_t comm, const Tensor &visits, Body &&body) {
  check_mesh_arguments(op, fractions, charges, influence, mesh_shape, comm);
  if (charges.size(1) == 0) return;
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "mesh_potential", [&] {
    run_core(op, [&] {
      if constexpr (device_kernels) {
        if (on_device(charges) && !on_several_ranks(op, comm)) {
          DeviceMeshes<scalar_t> meshes(op, fractions, charges, influence, mesh_shape, order,
                                        window, visits);
          return body(meshes);
        }
      }
      Meshes<scalar_t> meshes(op, fractions, charges, influence, mesh_shape, order, window, comm,
                              visits);
      body(meshes);
    });
  });
}

}  // namespace loremd_torch
