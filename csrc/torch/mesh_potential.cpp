// SPDX-License-Identifier: BSD-3-Clause
//
// The smooth part of the potentials in one op, charges to potentials, with everything between them
// on meshes that nobody else sees: in the layout of the kernels, and convolved in place. Equal to
// interpolate(convolve(spread(charges))), which its second derivatives go through.
//
// On several ranks, `convolve` is where they exchange meshes (distributed_mesh.hpp).
//
//   forward    spread charges | convolve | interpolate values and their field (n, 3, C)
//   backward   spread the gradient g | convolve | interpolate
//     by charges     the values interpolated: the map is symmetric
//     by fractions   g . field  +  gradient of the second mesh with the charges
//     by influence   correlation of both spectra
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/view_as_real.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/record_function.h>
#include <ATen/TensorOperators.h>
#include <torch/library.h>

#include "convolution.hpp"
#include "device_call.hpp"
#include "device_mesh.hpp"
#include "distributed_mesh.hpp"
#include "mesh/interpolate.hpp"
#include "mesh/layout.hpp"
#include "mesh/spread.hpp"
#include "mesh_call.hpp"
#include "mesh_memory.hpp"
#include "support.hpp"

namespace loremd_torch {

#define LOREMD_MESH_ARGUMENTS                                              \
  const Tensor &fractions, const Tensor &charges, const Tensor &influence, \
      SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm

Tensor mesh_potential(LOREMD_MESH_ARGUMENTS) {
  LOREMD_CALL(mesh_potential, fractions, charges, influence, mesh_shape, order, window, comm);
}

std::tuple<Tensor, Tensor, Tensor> mesh_potential_forward(LOREMD_MESH_ARGUMENTS, bool with_field,
                                                          bool with_spectrum) {
  LOREMD_CALL(mesh_potential_forward, fractions, charges, influence, mesh_shape, order, window,
              comm, with_field, with_spectrum);
}

std::tuple<Tensor, Tensor, Tensor> mesh_potential_backward(LOREMD_MESH_ARGUMENTS,
                                                           const Tensor &field,
                                                           const Tensor &spectrum,
                                                           const Tensor &grad) {
  LOREMD_CALL(mesh_potential_backward, fractions, charges, influence, mesh_shape, order, window,
              comm, field, spectrum, grad);
}

Tensor mesh_energy(LOREMD_MESH_ARGUMENTS) {
  LOREMD_CALL(mesh_energy, fractions, charges, influence, mesh_shape, order, window, comm);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_energy_forward(LOREMD_MESH_ARGUMENTS,
                                                               bool with_correlation) {
  LOREMD_CALL(mesh_energy_forward, fractions, charges, influence, mesh_shape, order, window, comm,
              with_correlation);
}

namespace {

bool is_half_spectrum(const Tensor &influence, const loremd::MeshPoints &points) {
  return influence.sizes() == at::IntArrayRef({points[0], points[1], points[2] / 2 + 1});
}

// On several ranks so many channels at a time: what their meshes take besides the spectra is then
// small, and an atom's window still fills vectors.
constexpr int64_t channels_together = 4;

// ---- CPU ----

// Atoms, window and meshes of one call. Profilers see the steps under the names of the ops.
template <class T>
class Meshes {
 public:
  Meshes(const char *op, const Tensor &fractions, const Tensor &charges, const Tensor &influence,
         at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm)
      : options_(charges.options()),
        points_(mesh_points(op, mesh_shape)),
        distributed_(on_several_ranks(op, comm)),
        brick_(brick_of(fractions, order)),
        window_(series_of(op, "window", window)),
        call_(in_brick(fractions), {}, brick_.points, charges.size(1), order, window_),
        shape_(call_.shape()),
        convolution_{shape_, influence.contiguous()} {
    if (!distributed_) return;
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

  Tensor spread(const Tensor &charges) const {
    RECORD_FUNCTION("loremd::spread", {});
    const Tensor mesh = parts_ ? parts_->brick().narrow(0, 0, shape_.size())
                               : workspace_mesh(shape_.size(), options_);
    mesh.zero_();
    T *to = mesh.template mutable_data_ptr<T>();
    const Tensor q = charges.contiguous();
    const T *from = q.const_data_ptr<T>() + turn_.first;
    call_.for_each_slab([&](const auto &part) { loremd::spread(part, from, to); });
    call_.for_each_planes([&](const loremd::MeshShape &planes, int64_t x) {
      loremd::fold_halo(planes, to + x * shape_.plane_size());
    });
    return mesh;
  }

  // In place.
  void convolve(const Tensor &mesh) {
    RECORD_FUNCTION("loremd::convolve", {});
    if (parts_) return convolve_parts();
    spectrum_ = convolve_in_place(convolution_, mesh.mutable_data_ptr<T>());
  }

  // What the convolutions kept, if they were to.
  const Tensor &spectrum() const { return spectrum_; }

  void interpolate(const Tensor &mesh, Tensor &values) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    const T *from = filled(mesh);
    call_.for_each_part(
        [&](const auto &part) { loremd::interpolate(part, from, in_turn(values)); });
  }

  void interpolate_field(const Tensor &mesh, Tensor &values, Tensor &field) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    const T *from = filled(mesh);
    call_.for_each_part([&](const auto &part) {
      loremd::interpolate_field(part, from, in_turn(values), in_turn(field));
    });
  }

  // Adds to `gradient`.
  void interpolate_gradient(const Tensor &mesh, const Tensor &charges, Tensor &values,
                            Tensor &gradient) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    const T *from = filled(mesh);
    const Tensor q = charges.contiguous();
    const T *with = q.const_data_ptr<T>() + turn_.first;
    call_.for_each_part([&](const auto &part) {
      loremd::interpolate_gradient(part, from, with, in_turn(values),
                                   gradient.mutable_data_ptr<double>());
    });
  }

  static void add_field_gradient(const Tensor &field, const Tensor &grad, Tensor &gradient) {
    const Tensor g = grad.contiguous();
    const int64_t channels = g.size(1);
    const T *from = field.const_data_ptr<T>(), *with = g.const_data_ptr<T>();
    double *to = gradient.mutable_data_ptr<double>();
    at::parallel_for(0, g.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      loremd::add_field_gradient(end - begin, static_cast<int>(channels),
                                 from + 3 * begin * channels, with + begin * channels,
                                 to + 3 * begin);
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

  void convolve_parts() {
    if (convolution_.keep_spectrum && !spectrum_.defined()) {
      const Turn last = turns().back();
      spectrum_ = empty_mesh(spectrum_begin(last) + parts_->spectrum_size(last.channels), options_);
    }
    Convolution call = convolution_;
    call.other = spectrum_in_turn(convolution_.other);
    parts_->convolve(call, spectrum_in_turn(spectrum_));
    count_mesh_bytes({convolution_.influence, parts_->influence(), convolution_.correlation,
                      convolution_.other, spectrum_});
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

  const T *filled(const Tensor &mesh) const {
    T *values = mesh.mutable_data_ptr<T>();
    call_.for_each_planes([&](const loremd::MeshShape &planes, int64_t x) {
      loremd::fill_halo(planes, values + x * shape_.plane_size());
    });
    return values;
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
               const OptionalTensor &window)
      : op_(op),
        mesh_(op, fractions, mesh_points(op, mesh_shape), charges.size(1), order,
              series_of(op, "window", window), 1),
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
    count_mesh_bytes({convolution_.influence, convolution_.correlation, convolution_.other, mesh,
                      fields, spectrum_});
  }

  const Tensor &spectrum() const { return spectrum_; }

  void interpolate(const Tensor &mesh, Tensor &values) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    mesh_.interpolate(mesh, {}, values);
  }

  void interpolate_field(const Tensor &mesh, Tensor &values, Tensor &field) const {
    RECORD_FUNCTION("loremd::interpolate", {});
    mesh_.interpolate_field(mesh, values, field);
  }

  void interpolate_gradient(const Tensor &mesh, const Tensor &charges, Tensor &values,
                            Tensor &gradient) const {
    Tensor field = at::empty({charges.size(0), 3, charges.size(1)}, charges.options());
    interpolate_field(mesh, values, field);
    add_field_gradient(field, charges, gradient);
  }

  void add_field_gradient(const Tensor &field, const Tensor &grad, Tensor &gradient) const {
    mesh_.add_field_gradient(op_, field, grad, gradient);
  }

  Tensor by_influence(const Tensor &) const { return convolution_.correlation; }
  void by_fractions(Tensor &) const {}

 private:
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

void check_arguments(const char *op, const Tensor &fractions, const Tensor &charges,
                     const Tensor &influence, at::IntArrayRef mesh_shape, int64_t comm) {
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

// Calls body(Meshes<T>& or DeviceMeshes<T>&) for the dtype of the charges.
template <class Body>
void with_meshes(const char *op, const Tensor &fractions, const Tensor &charges,
                 const Tensor &influence, at::IntArrayRef mesh_shape, int64_t order,
                 const OptionalTensor &window, int64_t comm, Body &&body) {
  check_arguments(op, fractions, charges, influence, mesh_shape, comm);
  if (charges.size(1) == 0) return;
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "mesh_potential", [&] {
    run_core(op, [&] {
      if constexpr (device_kernels) {
        if (on_device(charges) && !on_several_ranks(op, comm)) {
          DeviceMeshes<scalar_t> meshes(op, fractions, charges, influence, mesh_shape, order,
                                        window);
          return body(meshes);
        }
      }
      Meshes<scalar_t> meshes(op, fractions, charges, influence, mesh_shape, order, window, comm);
      body(meshes);
    });
  });
}

int64_t mesh_bytes_any() {
  return most_mesh_bytes();
}

// Parts that nobody wants are empty.
Tensor none(const Tensor &like) {
  return at::empty({0}, like.options());
}

// Several ranks exchange meshes through the memory of the host, and work on them there.
bool goes_through_host(const char *op, const Tensor &charges, int64_t comm) {
  return !charges.device().is_cpu() && on_several_ranks(op, comm);
}

std::tuple<Tensor, Tensor, Tensor> mesh_potential_forward_kernel(
    const Tensor &fractions, const Tensor &charges, const Tensor &influence,
    at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm,
    bool with_field, bool with_spectrum) {
  if (goes_through_host("mesh_potential", charges, comm)) {
    const auto [values, field, spectrum] =
        mesh_potential_forward_kernel(fractions.cpu(), charges.cpu(), influence.cpu(), mesh_shape,
                                      order, window, comm, with_field, with_spectrum);
    return {values.to(charges.device()), field.to(charges.device()), spectrum.to(charges.device())};
  }
  const int64_t n = charges.size(0), channels = charges.size(1);
  Tensor values = at::empty({n, channels}, charges.options());
  Tensor field = with_field ? empty_mesh(3 * n * channels, charges.options()).view({n, 3, channels})
                            : none(charges);
  Tensor spectrum;
  most_mesh_bytes() = 0;
  with_meshes("mesh_potential", fractions, charges, influence, mesh_shape, order, window, comm,
              [&](auto &meshes) {
                meshes.convolution().keep_spectrum = with_spectrum;
                meshes.for_each_turn([&] {
                  const Tensor mesh = meshes.spread(charges);
                  meshes.convolve(mesh);
                  if (with_field) {
                    meshes.interpolate_field(mesh, values, field);
                  } else {
                    meshes.interpolate(mesh, values);
                  }
                });
                spectrum = meshes.spectrum();
              });
  return {values, field, spectrum.defined() ? spectrum : none(charges)};
}

Tensor mesh_potential_kernel(const Tensor &fractions, const Tensor &charges,
                             const Tensor &influence, at::IntArrayRef mesh_shape, int64_t order,
                             const OptionalTensor &window, int64_t comm) {
  return std::get<0>(mesh_potential_forward_kernel(fractions, charges, influence, mesh_shape, order,
                                                   window, comm, false, false));
}

std::tuple<Tensor, Tensor, Tensor> mesh_potential_backward_kernel(
    const Tensor &fractions, const Tensor &charges, const Tensor &influence,
    at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm,
    const Tensor &field, const Tensor &spectrum, const Tensor &grad) {
  const char *op = "mesh_potential_backward";
  if (goes_through_host(op, charges, comm)) {
    const auto [by_fractions, by_charges, by_influence] = mesh_potential_backward_kernel(
        fractions.cpu(), charges.cpu(), influence.cpu(), mesh_shape, order, window, comm,
        field.cpu(), spectrum.cpu(), grad.cpu());
    return {by_fractions.to(charges.device()), by_charges.to(charges.device()),
            by_influence.to(charges.device())};
  }
  check_shape(op, "grad", grad, charges.size(0), charges.size(1));
  check_dtype(op, "grad", grad, charges.scalar_type());
  Tensor by_charges = at::empty(charges.sizes(), charges.options());
  Tensor by_fractions = field.dim() == 3 ? at::zeros_like(fractions) : none(fractions);
  Tensor by_influence = none(influence);
  with_meshes(op, fractions, charges, influence, mesh_shape, order, window, comm,
              [&](auto &meshes) {
                if (spectrum.numel() > 0) {
                  auto &convolution = meshes.convolution();
                  convolution.other = spectrum;
                  convolution.correlation = at::zeros_like(convolution.influence);
                }
                meshes.for_each_turn([&] {
                  const Tensor mesh = meshes.spread(grad);
                  meshes.convolve(mesh);
                  if (field.dim() == 3) {
                    meshes.interpolate_gradient(mesh, charges, by_charges, by_fractions);
                  } else {
                    meshes.interpolate(mesh, by_charges);
                  }
                });
                if (spectrum.numel() > 0) by_influence = meshes.by_influence(influence);
                if (field.dim() != 3) return;
                meshes.add_field_gradient(field, grad, by_fractions);
                meshes.by_fractions(by_fractions);
              });
  return {by_fractions, by_charges, by_influence};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_energy_forward_kernel(
    const Tensor &fractions, const Tensor &charges, const Tensor &influence,
    at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window, int64_t comm,
    bool with_correlation) {
  TORCH_CHECK_VALUE(comm == 0, "loremd::mesh_energy runs in one process: comm must be 0, got ",
                    comm, "; use mesh_potential");
  Tensor values = at::empty(charges.sizes(), charges.options());
  Tensor gradient = at::zeros(fractions.sizes(), fractions.options());
  Tensor correlation =
      with_correlation ? at::zeros(influence.sizes(), influence.options()) : none(influence);
  with_meshes("mesh_energy", fractions, charges, influence, mesh_shape, order, window, comm,
              [&](auto &meshes) {
                if (with_correlation) meshes.convolution().correlation = correlation;
                const Tensor mesh = meshes.spread(charges);
                meshes.convolve(mesh);
                meshes.interpolate_gradient(mesh, charges, values, gradient);
              });
  return {(charges * values).sum(at::kDouble), values, gradient, correlation};
}

Tensor mesh_energy_kernel(const Tensor &fractions, const Tensor &charges, const Tensor &influence,
                          at::IntArrayRef mesh_shape, int64_t order, const OptionalTensor &window,
                          int64_t comm) {
  return std::get<0>(mesh_energy_forward_kernel(fractions, charges, influence, mesh_shape, order,
                                                window, comm, false));
}

// ---- shapes without data ----

Tensor mesh_potential_meta(LOREMD_MESH_ARGUMENTS) {
  return at::empty_like(charges, at::MemoryFormat::Contiguous);
}

Tensor spectrum_meta(const Tensor &charges, SymIntArrayRef mesh_shape, int64_t order) {
  const auto points = mesh_points("mesh_potential", C10_AS_INTARRAYREF_SLOW(mesh_shape));
  const int64_t channels = charges.size(1);
  if (channels == 1) {
    return at::empty({points[0], points[1], points[2] / 2 + 1},
                     charges.options().dtype(c10::toComplexType(charges.scalar_type())));
  }
  const auto bytes = static_cast<int>(charges.element_size());
  const auto shape = loremd::mesh_layout(points, channels, static_cast<int>(order), bytes);
  return at::empty({shape.size()}, charges.options());
}

std::tuple<Tensor, Tensor, Tensor> mesh_potential_forward_meta(LOREMD_MESH_ARGUMENTS,
                                                               bool with_field,
                                                               bool with_spectrum) {
  return {at::empty_like(charges, at::MemoryFormat::Contiguous),
          with_field ? charges.new_empty_symint({charges.sym_size(0), 3, charges.sym_size(1)})
                     : none(charges),
          with_spectrum ? spectrum_meta(charges, mesh_shape, order) : none(charges)};
}

std::tuple<Tensor, Tensor, Tensor> mesh_potential_backward_meta(LOREMD_MESH_ARGUMENTS,
                                                                const Tensor &field,
                                                                const Tensor &spectrum,
                                                                const Tensor &) {
  return {field.dim() == 3 ? at::empty_like(fractions) : none(fractions),
          at::empty_like(charges, at::MemoryFormat::Contiguous),
          spectrum.dim() == 1 && spectrum.sym_size(0) == 0 ? none(influence)
                                                           : at::empty_like(influence)};
}

Tensor mesh_energy_meta(LOREMD_MESH_ARGUMENTS) {
  return at::empty({}, charges.options().dtype(at::kDouble));
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mesh_energy_forward_meta(LOREMD_MESH_ARGUMENTS,
                                                                    bool with_correlation) {
  return {at::empty({}, charges.options().dtype(at::kDouble)),
          at::empty_like(charges, at::MemoryFormat::Contiguous), at::empty_like(fractions),
          with_correlation ? at::empty_like(influence) : none(influence)};
}

// ---- derivatives ----

// The arguments without derivatives, as they travel to the backward.
struct MeshArguments {
  std::vector<SymInt> mesh_shape;
  int64_t order, comm;
  OptionalTensor window;

  MeshArguments(SymIntArrayRef mesh_shape, int64_t order, const OptionalTensor &window,
                int64_t comm)
      : mesh_shape(mesh_shape.begin(), mesh_shape.end()),
        order(order),
        comm(comm),
        window(window) {}
  explicit MeshArguments(AutogradContext *ctx)
      : order(ctx->saved_data["order"].toInt()),
        comm(ctx->saved_data["comm"].toInt()),
        window(ctx->saved_data["window"].toOptional<Tensor>()) {
    for (int a = 0; a < 3; ++a) {
      mesh_shape.push_back(ctx->saved_data["n" + std::to_string(a)].toSymInt());
    }
  }
  void save(AutogradContext *ctx) const {
    for (int a = 0; a < 3; ++a) ctx->saved_data["n" + std::to_string(a)] = mesh_shape.at(a);
    ctx->saved_data["order"] = order;
    ctx->saved_data["comm"] = comm;
    ctx->saved_data["window"] = window;
  }
};

#define LOREMD_PASS(a) (a).mesh_shape, (a).order, (a).window, (a).comm

Tensor wanted(AutogradContext *ctx, int input, const Tensor &gradient) {
  return ctx->needs_input_grad(input) ? gradient : Tensor();
}

struct MeshPotential : torch::autograd::Function<MeshPotential> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &charges,
                        const Tensor &influence, const MeshArguments &a) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [values, field, spectrum] =
        mesh_potential_forward(fractions, charges, influence, LOREMD_PASS(a),
                               fractions.requires_grad(), influence.requires_grad());
    ctx->save_for_backward({fractions, charges, influence, field, spectrum});
    a.save(ctx);
    return values;
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const MeshArguments a(ctx);
    const auto saved = ctx->get_saved_variables();
    if (at::GradMode::is_enabled()) return differentiable_backward(ctx, a, saved, grads[0]);
    auto [by_fractions, by_charges, by_influence] = mesh_potential_backward(
        saved[0], saved[1], saved[2], LOREMD_PASS(a), saved[3], saved[4], grads[0]);
    // a rank without frequencies has no spectrum, either
    if (ctx->needs_input_grad(2) && by_influence.dim() != saved[2].dim()) {
      by_influence = at::zeros_like(saved[2]);
    }
    return {wanted(ctx, 0, by_fractions), wanted(ctx, 1, by_charges), wanted(ctx, 2, by_influence),
            Tensor()};
  }

  // The same from ops that have derivatives of their own.
  static variable_list differentiable_backward(AutogradContext *ctx, const MeshArguments &a,
                                               const variable_list &saved, const Tensor &grad) {
    const char *op = "mesh_potential";
    TORCH_CHECK_NOT_IMPLEMENTED(!on_several_ranks(op, a.comm), "loremd::", op,
                                ": second derivatives run in one process, comm must be 0");
    const Tensor &fractions = saved[0], &charges = saved[1], &influence = saved[2];
    const Tensor spread_grad = spread(fractions, grad, a.mesh_shape, a.order, a.window);
    const Tensor mesh = spread(fractions, charges, a.mesh_shape, a.order, a.window);
    const Tensor grad_potential = convolve(spread_grad, influence);
    Tensor by_fractions, by_charges, by_influence;
    if (ctx->needs_input_grad(0)) {
      by_fractions =
          interpolate_gradient(fractions, convolve(mesh, influence), grad, a.order, a.window) +
          interpolate_gradient(fractions, grad_potential, charges, a.order, a.window);
    }
    if (ctx->needs_input_grad(1)) {
      by_charges = interpolate(fractions, grad_potential, a.order, a.window);
    }
    if (ctx->needs_input_grad(2)) by_influence = correlate(spread_grad, mesh);
    return {by_fractions, by_charges, by_influence, Tensor()};
  }
};

struct MeshEnergy : torch::autograd::Function<MeshEnergy> {
  static Tensor forward(AutogradContext *ctx, const Tensor &fractions, const Tensor &charges,
                        const Tensor &influence, const MeshArguments &a) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [energy, values, gradient, correlation] = mesh_energy_forward(
        fractions, charges, influence, LOREMD_PASS(a), influence.requires_grad());
    ctx->save_for_backward({fractions, charges, influence, values, gradient, correlation});
    a.save(ctx);
    return energy;
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const MeshArguments a(ctx);
    const auto saved = ctx->get_saved_variables();
    if (at::GradMode::is_enabled()) return differentiable_backward(ctx, a, saved, grads[0]);
    const Tensor twice = 2 * grads[0];
    return {wanted(ctx, 0, twice * saved[4]),
            wanted(ctx, 1, twice.to(saved[3].scalar_type()) * saved[3]),
            wanted(ctx, 2, grads[0].to(saved[5].scalar_type()) * saved[5]), Tensor()};
  }

  static variable_list differentiable_backward(AutogradContext *ctx, const MeshArguments &a,
                                               const variable_list &saved, const Tensor &grad) {
    const Tensor &fractions = saved[0], &charges = saved[1], &influence = saved[2];
    const Tensor mesh = spread(fractions, charges, a.mesh_shape, a.order, a.window);
    const Tensor potential = convolve(mesh, influence), twice = 2 * grad;
    Tensor by_fractions, by_charges, by_influence;
    if (ctx->needs_input_grad(0)) {
      by_fractions = twice * interpolate_gradient(fractions, potential, charges, a.order, a.window);
    }
    if (ctx->needs_input_grad(1)) {
      by_charges =
          twice.to(charges.scalar_type()) * interpolate(fractions, potential, a.order, a.window);
    }
    if (ctx->needs_input_grad(2)) {
      by_influence = grad.to(influence.scalar_type()) * correlate(mesh, mesh);
    }
    return {by_fractions, by_charges, by_influence, Tensor()};
  }
};

bool any_requires_grad(const Tensor &fractions, const Tensor &charges, const Tensor &influence) {
  return at::GradMode::is_enabled() &&
         (fractions.requires_grad() || charges.requires_grad() || influence.requires_grad());
}

// Without a graph nothing is kept for a backward.
Tensor mesh_potential_autograd(LOREMD_MESH_ARGUMENTS) {
  if (any_requires_grad(fractions, charges, influence)) {
    return MeshPotential::apply(fractions, charges, influence,
                                MeshArguments(mesh_shape, order, window, comm));
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return mesh_potential(fractions, charges, influence, mesh_shape, order, window, comm);
}

Tensor mesh_energy_autograd(LOREMD_MESH_ARGUMENTS) {
  if (any_requires_grad(fractions, charges, influence)) {
    return MeshEnergy::apply(fractions, charges, influence,
                             MeshArguments(mesh_shape, order, window, comm));
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return mesh_energy(fractions, charges, influence, mesh_shape, order, window, comm);
}

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("mesh_potential", mesh_potential_kernel);
  m.impl("mesh_potential_forward", mesh_potential_forward_kernel);
  m.impl("mesh_potential_backward", mesh_potential_backward_kernel);
  m.impl("mesh_energy", mesh_energy_kernel);
  m.impl("mesh_energy_forward", mesh_energy_forward_kernel);
}

TORCH_LIBRARY_IMPL(loremd, CompositeExplicitAutograd, m) {
  m.impl("mesh_bytes", mesh_bytes_any);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("mesh_potential", mesh_potential_meta);
  m.impl("mesh_potential_forward", mesh_potential_forward_meta);
  m.impl("mesh_potential_backward", mesh_potential_backward_meta);
  m.impl("mesh_energy", mesh_energy_meta);
  m.impl("mesh_energy_forward", mesh_energy_forward_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("mesh_potential", mesh_potential_autograd);
  m.impl("mesh_energy", mesh_energy_autograd);
}

#undef LOREMD_PASS
#undef LOREMD_MESH_ARGUMENTS

}  // namespace loremd_torch
