// SPDX-License-Identifier: BSD-3-Clause
//
// The convolution of meshes with an influence function, and its derivative by it.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/fft_irfftn.h>
#include <ATen/ops/fft_rfftn.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include "convolution.hpp"
#include "device_call.hpp"
#include "device_mesh.hpp"
#include "mesh/layout.hpp"
#include "mesh_memory.hpp"
#include "mesh_points.hpp"
#include "support.hpp"

namespace loremd_torch {

Tensor convolve(const Tensor &mesh, const Tensor &influence) {
  LOREMD_CALL(convolve, mesh, influence);
}

Tensor correlate(const Tensor &a, const Tensor &b) {
  LOREMD_CALL(correlate, a, b);
}

namespace {

template <class T>
std::complex<T> *complex_data(const Tensor &t) {
  return reinterpret_cast<std::complex<T> *>(t.mutable_data_ptr<c10::complex<T>>());
}

double points_of(const loremd::MeshShape &shape) {
  return static_cast<double>(shape.points[0]) * shape.points[1] * shape.points[2];
}

template <class T>
int64_t bytes_of(const loremd::MeshShape &shape) {
  return shape.size() * static_cast<int64_t>(sizeof(T));
}

bool wants_spectrum(const Convolution &c) {
  return c.keep_spectrum || c.correlation.defined();
}

// One channel, with its neighbours along z as complex numbers.
template <class T>
void convolve_pairs(const Convolution &c, T *mesh) {
  const loremd::MeshShape pairs = loremd::pairs_of_points(c.shape);
  const loremd::MeshFft<T> fft(pairs.points);
  const T *influence = c.influence.const_data_ptr<T>();
  count_mesh_bytes(bytes_of<T>(c.shape), {c.influence});
  transform_planes(pairs, fft, false, loremd::PlaneAxes::both, mesh, c.halo);
  for_each_piece(pairs.points[1] / 2 + 1, planes_per_task, [&](int64_t begin, int64_t end) {
    loremd::convolve_paired_columns(pairs, fft, influence, begin, end, mesh);
  });
  transform_planes(pairs, fft, true, loremd::PlaneAxes::both, mesh, c.halo);
}

// One channel: the real transforms of torch.
template <class T>
Tensor convolve_channel(const Convolution &c, T *mesh) {
  const auto [nx, ny, nz] = c.shape.points;
  Tensor field = empty_large({nx, ny, nz}, c.influence.options());
  if (c.halo == loremd::Halo::meets_windows) fold_all_halos(c.shape, mesh);
  loremd::take_channel(c.shape, mesh, field.mutable_data_ptr<T>());
  Tensor spectrum = at::fft_rfftn(field).contiguous();
  if (c.correlation.defined()) {
    loremd::correlate_half_spectra(c.shape.points, 1 / points_of(c.shape),
                                   complex_data<T>(c.other.defined() ? c.other : spectrum),
                                   complex_data<T>(spectrum), c.correlation.mutable_data_ptr<T>());
  }
  const Tensor kept = c.keep_spectrum ? spectrum.clone() : Tensor();
  count_mesh_bytes(bytes_of<T>(c.shape),
                   {c.influence, c.correlation, c.other, field, spectrum, kept});
  loremd::multiply_spectrum(c.influence.numel(), c.influence.const_data_ptr<T>(),
                            complex_data<T>(spectrum));
  field = at::fft_irfftn(spectrum, at::IntArrayRef(c.shape.points)).contiguous();
  loremd::put_channel(c.shape, field.const_data_ptr<T>(), mesh);
  if (c.halo == loremd::Halo::meets_windows) fill_all_halos(c.shape, mesh);
  return kept;
}

template <class T>
Tensor convolve_channels(const Convolution &c, T *mesh) {
  const auto [nx, ny, nz] = c.shape.points;
  loremd::MeshFft<T> fft(c.shape.points);
  if (!wants_spectrum(c)) {
    fft.zeros = loremd::vanishing_frequencies(c.shape.points, c.influence.const_data_ptr<T>());
  }
  const Tensor full = empty_for_vectors(nx * ny * nz, c.influence.options());
  loremd::expand_influence(c.shape.points, 1 / points_of(c.shape), c.influence.const_data_ptr<T>(),
                           full.mutable_data_ptr<T>());
  const Tensor kept =
      c.keep_spectrum ? empty_mesh(c.shape.size(), c.influence.options()) : Tensor();
  const Tensor products =
      c.correlation.defined() ? at::zeros({nx, ny, nz}, c.influence.options()) : Tensor();
  count_mesh_bytes(bytes_of<T>(c.shape),
                   {c.influence, c.correlation, c.other, full, kept, products});
  const loremd::ColumnCall<T> columns{
      c.shape, full.const_data_ptr<T>(), kept.defined() ? kept.mutable_data_ptr<T>() : nullptr,
      c.other.defined() ? c.other.const_data_ptr<T>() : nullptr,
      products.defined() ? products.mutable_data_ptr<T>() : nullptr};
  transform_planes(c.shape, fft, false, loremd::PlaneAxes::both, mesh, c.halo);
  convolve_columns(columns, fft, mesh);
  transform_planes(c.shape, fft, true, loremd::PlaneAxes::both, mesh, c.halo);
  if (products.defined()) {
    loremd::reduce_correlation(c.shape.points, 1 / points_of(c.shape), products.const_data_ptr<T>(),
                               c.correlation.mutable_data_ptr<T>());
  }
  return kept;
}

}  // namespace

template <class T>
Tensor convolve_in_place(const Convolution &convolution, T *mesh) {
  if (convolution.shape.channels > 1) return convolve_channels(convolution, mesh);
  if (wants_spectrum(convolution) || convolution.shape.points[2] % 2 != 0) {
    return convolve_channel(convolution, mesh);
  }
  convolve_pairs(convolution, mesh);
  return {};
}

template Tensor convolve_in_place(const Convolution &, float *);
template Tensor convolve_in_place(const Convolution &, double *);

namespace {

loremd::MeshShape shape_of(const char *op, const char *name, const Tensor &mesh) {
  TORCH_CHECK_VALUE(mesh.dim() == 4 && mesh.size(0) > 0 && mesh.size(1) > 0 && mesh.size(2) > 0,
                    "loremd::", op, ": expected ", name, " of shape (nx, ny, nz, channels), got ",
                    mesh.sizes());
  check_floating(op, name, mesh);
  const int64_t channels = mesh.size(3);
  const auto bytes = static_cast<int>(mesh.element_size());
  return loremd::mesh_layout({mesh.size(0), mesh.size(1), mesh.size(2)}, channels, bytes);
}

// A copy in the layout, its padding zero.
template <class T>
Tensor padded(const loremd::MeshShape &shape, const Tensor &mesh) {
  Tensor values = empty_mesh(shape.size(), mesh.options());
  pack_mesh<T>(shape, mesh, values);
  return values;
}

// Channels that follow each other, as a view.
Tensor fields_of(const Tensor &mesh) {
  return mesh.permute({3, 0, 1, 2});
}

Tensor convolve_kernel(const Tensor &mesh, const Tensor &influence) {
  const auto shape = shape_of("convolve", "mesh", mesh);
  const auto [nx, ny, nz] = shape.points;
  TORCH_CHECK_VALUE(influence.sizes() == at::IntArrayRef({nx, ny, nz / 2 + 1}),
                    "loremd::convolve: expected influence of shape (", nx, ", ", ny, ", ",
                    nz / 2 + 1, ") for this mesh, got ", influence.sizes());
  check_dtype("convolve", "influence", influence, mesh.scalar_type());
  Tensor result = at::empty_like(mesh, at::MemoryFormat::Contiguous);
  check_devices("convolve", {&mesh, &influence});
  if (shape.channels == 0) return result;
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "convolve", [&] {
    if constexpr (device_kernels) {
      if (on_device(mesh)) {
        const Convolution call{shape, influence.contiguous()};
        const auto [fields, none] = convolve_on_device<scalar_t>("convolve", call, fields_of(mesh));
        fields_of(result).copy_(fields);
        return;
      }
    }
    const Tensor values = padded<scalar_t>(shape, mesh);
    convolve_in_place(Convolution{shape, influence.contiguous()},
                      values.mutable_data_ptr<scalar_t>());
    loremd::copy_points(shape, values.const_data_ptr<scalar_t>(),
                        result.mutable_data_ptr<scalar_t>());
  });
  return result;
}

Tensor correlate_kernel(const Tensor &a, const Tensor &b) {
  const auto shape = shape_of("correlate", "a", a);
  TORCH_CHECK_VALUE(a.sizes() == b.sizes(), "loremd::correlate: the shapes ", a.sizes(), " and ",
                    b.sizes(), " must be equal");
  check_dtype("correlate", "b", b, a.scalar_type());
  const auto [nx, ny, nz] = shape.points;
  Tensor correlation = at::zeros({nx, ny, nz / 2 + 1}, a.options());
  if (shape.channels == 0) return correlation;
  const Tensor nothing = at::zeros_like(correlation);
  check_devices("correlate", {&a, &b});
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "correlate", [&] {
    if constexpr (device_kernels) {
      if (on_device(a)) {
        const Convolution first{shape, nothing, true};
        const Tensor spectrum =
            std::get<1>(convolve_on_device<scalar_t>("correlate", first, fields_of(a)));
        const Convolution second{shape, nothing, false, correlation, spectrum};
        convolve_on_device<scalar_t>("correlate", second, fields_of(b));
        return;
      }
    }
    const Tensor left = padded<scalar_t>(shape, a), right = padded<scalar_t>(shape, b);
    const Tensor spectrum =
        convolve_in_place(Convolution{shape, nothing, true}, left.mutable_data_ptr<scalar_t>());
    convolve_in_place(Convolution{shape, nothing, false, correlation, spectrum},
                      right.mutable_data_ptr<scalar_t>());
  });
  return correlation;
}

Tensor convolve_meta(const Tensor &mesh, const Tensor &influence) {
  return at::empty_like(mesh, at::MemoryFormat::Contiguous);
}

Tensor correlate_meta(const Tensor &a, const Tensor &b) {
  return a.new_empty_symint({a.sym_size(0), a.sym_size(1), a.sym_size(2) / 2 + 1});
}

// <grad, convolve(mesh, influence)> is trilinear and symmetric in grad and mesh, so the derivatives
// of convolve and correlate are these two again, to any order.
struct Convolve : torch::autograd::Function<Convolve> {
  static Tensor forward(AutogradContext *ctx, const Tensor &mesh, const Tensor &influence) {
    ctx->save_for_backward({mesh, influence});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return convolve(mesh, influence);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    return {ctx->needs_input_grad(0) ? convolve(grads[0], saved[1]) : Tensor(),
            ctx->needs_input_grad(1) ? correlate(grads[0], saved[0]) : Tensor()};
  }
};

struct Correlate : torch::autograd::Function<Correlate> {
  static Tensor forward(AutogradContext *ctx, const Tensor &a, const Tensor &b) {
    ctx->save_for_backward({a, b});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return correlate(a, b);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    return {ctx->needs_input_grad(0) ? convolve(saved[1], grads[0]) : Tensor(),
            ctx->needs_input_grad(1) ? convolve(saved[0], grads[0]) : Tensor()};
  }
};

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("convolve", convolve_kernel);
  m.impl("correlate", correlate_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("convolve", convolve_meta);
  m.impl("correlate", correlate_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("convolve", [](const Tensor &mesh, const Tensor &influence) {
    return Convolve::apply(mesh, influence);
  });
  m.impl("correlate", [](const Tensor &a, const Tensor &b) { return Correlate::apply(a, b); });
}

}  // namespace loremd_torch
