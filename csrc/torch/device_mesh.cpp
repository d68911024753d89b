// SPDX-License-Identifier: BSD-3-Clause
#include "device_mesh.hpp"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/fft_irfftn.h>
#include <ATen/ops/fft_rfftn.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>

namespace loremd_torch {
namespace {

const double *data_or_null(const Tensor &t) {
  return t.defined() ? t.const_data_ptr<double>() : nullptr;
}

// Complex numbers as pairs of numbers.
template <class T>
T *numbers(const Tensor &t) {
  return static_cast<T *>(t.mutable_data_ptr());
}

}  // namespace

template <class T>
DeviceMesh<T>::DeviceMesh(const char *op, const Tensor &fractions,
                          const std::array<int64_t, 3> &points, int64_t channels, int64_t order,
                          const Tensor &series, int derivatives, const Tensor &visit)
    : op_(op),
      fractions_(fractions.contiguous()),
      shape_(loremd::cuda::mesh_shape<T>(points, channels, static_cast<int>(order))),
      order_(static_cast<int>(order)),
      derivatives_(derivatives),
      options_(fractions.options().dtype(c10::CppTypeToScalarType<T>::value)) {
  const loremd::WindowTable<T> table(
      {order_, data_or_null(series), series.defined() ? static_cast<int>(series.numel()) : 0});
  const int64_t n = fractions_.size(0);
  Tensor bins = at::empty({n}, options_.dtype(at::kInt));
  run_on_device(op_, fractions_, [&](loremd::cuda::Stream stream) {
    loremd::cuda::window_bins(fractions_.const_data_ptr<double>(), n, shape_, order_,
                              bins.mutable_data_ptr<int32_t>(), stream);
  });
  if (visit.defined()) {
    atoms_sorted_ = visit.to(at::kLong);
    sorted_bins_ = bins.index_select(0, atoms_sorted_);
  } else {
    std::tie(sorted_bins_, atoms_sorted_) = at::sort(bins, /*stable=*/true, 0, false);
  }
  first_ = at::empty({n, 3}, options_.dtype(at::kInt));
  values_ = at::empty({n, 1 + derivatives, 3, order}, options_);
  run_on_device(op_, fractions_, [&](loremd::cuda::Stream stream) {
    loremd::cuda::set_windows(fractions_.const_data_ptr<double>(), shape_, table, windows(),
                              stream);
  });
}

template <class T>
loremd::cuda::Windows<T> DeviceMesh<T>::windows() const {
  return {
      atoms_sorted_.const_data_ptr<int64_t>(), fractions_.size(0),           order_, derivatives_,
      first_.mutable_data_ptr<int32_t>(),      values_.mutable_data_ptr<T>()};
}

template <class T>
Tensor DeviceMesh<T>::visiting_order() const {
  return atoms_sorted_.to(at::kInt);
}

template <class T>
Tensor DeviceMesh<T>::empty() const {
  return at::empty({shape_.size()}, options_);
}

template <class T>
Tensor DeviceMesh<T>::spread(const Tensor &charges, const Tensor &directions) const {
  const Tensor q = charges.contiguous(), mesh = empty();
  const auto [nx, ny, nz] = shape_.points;
  T *to = mesh.mutable_data_ptr<T>();
  if (!at::globalContext().deterministicAlgorithms()) {
    mesh.zero_();
    run_on_device(op_, mesh, [&](loremd::cuda::Stream stream) {
      loremd::cuda::spread(windows(), shape_, data_or_null(directions), q.const_data_ptr<T>(), to,
                           stream);
    });
    return mesh;
  }
  const Tensor starts = at::empty({nx * ny * nz + 1}, options_.dtype(at::kInt));
  run_on_device(op_, mesh, [&](loremd::cuda::Stream stream) {
    loremd::cuda::bin_starts(sorted_bins_.const_data_ptr<int32_t>(), fractions_.size(0),
                             nx * ny * nz, starts.mutable_data_ptr<int32_t>(), stream);
    loremd::cuda::spread_in_order(windows(), starts.const_data_ptr<int32_t>(), shape_,
                                  data_or_null(directions), q.const_data_ptr<T>(), to, stream);
  });
  return mesh;
}

template <class T>
void DeviceMesh<T>::interpolate(const Tensor &mesh, const Tensor &directions,
                                Tensor &values) const {
  run_on_device(op_, mesh, [&](loremd::cuda::Stream stream) {
    loremd::cuda::interpolate(windows(), shape_, data_or_null(directions), mesh.const_data_ptr<T>(),
                              values.mutable_data_ptr<T>(), stream);
  });
}

template <class T>
void DeviceMesh<T>::interpolate_field(const Tensor &mesh, Tensor &values, Tensor &field) const {
  run_on_device(op_, mesh, [&](loremd::cuda::Stream stream) {
    loremd::cuda::interpolate_field(windows(), shape_, mesh.const_data_ptr<T>(),
                                    values.mutable_data_ptr<T>(), field.mutable_data_ptr<T>(),
                                    stream);
  });
}

template <class T>
void DeviceMesh<T>::gradient_along_directions(const Tensor &mesh, const Tensor &directions,
                                              const Tensor &charges, Tensor &gradient) const {
  const Tensor q = charges.contiguous();
  run_on_device(op_, mesh, [&](loremd::cuda::Stream stream) {
    loremd::cuda::gradient_along_directions(windows(), shape_, directions.const_data_ptr<double>(),
                                            mesh.const_data_ptr<T>(), q.const_data_ptr<T>(),
                                            gradient.mutable_data_ptr<double>(), stream);
  });
}

template <class T>
void DeviceMesh<T>::add_field_gradient(const char *op, const Tensor &field, const Tensor &charges,
                                       Tensor &gradient) {
  const Tensor q = charges.contiguous();
  run_on_device(op, field, [&](loremd::cuda::Stream stream) {
    loremd::cuda::add_field_gradient(q.size(0), static_cast<int>(q.size(1)),
                                     field.const_data_ptr<T>(), q.const_data_ptr<T>(),
                                     gradient.mutable_data_ptr<double>(), stream);
  });
}

template <class T>
Tensor DeviceMesh<T>::points_of(const Tensor &mesh) const {
  const auto [nx, ny, nz] = shape_.points;
  return mesh.view({nx, ny, nz, shape_.stride}).narrow(3, 0, shape_.channels);
}

template <class T>
Tensor DeviceMesh<T>::pack(const Tensor &compact) const {
  constexpr uintptr_t pack_bytes = 16;
  if (shape_.stride == shape_.channels) {
    const Tensor whole = compact.contiguous().view({shape_.size()});
    const auto address = reinterpret_cast<uintptr_t>(whole.const_data_ptr());
    return address % pack_bytes == 0 ? whole : whole.clone();
  }
  Tensor mesh = empty();
  points_of(mesh).copy_(compact);
  return mesh;
}

template <class T>
std::tuple<Tensor, Tensor> convolve_on_device(const char *op, const Convolution &convolution,
                                              const Tensor &fields) {
  const auto &points = convolution.shape.points;
  const auto [nx, ny, nz] = points;
  const int64_t channels = convolution.shape.channels;
  const std::array<int64_t, 3> axes{1, 2, 3};
  const Tensor spectrum = at::fft_rfftn(fields, std::nullopt, at::IntArrayRef(axes)).contiguous();
  Tensor kept;
  if (convolution.keep_spectrum) kept = spectrum.clone();
  run_on_device(op, fields, [&](loremd::cuda::Stream stream) {
    if (convolution.correlation.defined()) {
      const Tensor &other = convolution.other.defined() ? convolution.other : spectrum;
      const double scale = 1 / (static_cast<double>(nx) * ny * nz);
      loremd::cuda::correlate_half_spectra(points, channels, scale, numbers<T>(other),
                                           numbers<T>(spectrum),
                                           convolution.correlation.mutable_data_ptr<T>(), stream);
    }
    loremd::cuda::multiply_spectrum(points, channels, 1, convolution.influence.const_data_ptr<T>(),
                                    numbers<T>(spectrum), stream);
  });
  return {at::fft_irfftn(spectrum, at::IntArrayRef(points), at::IntArrayRef(axes)), kept};
}

template class DeviceMesh<float>;
template class DeviceMesh<double>;
template std::tuple<Tensor, Tensor> convolve_on_device<float>(const char *, const Convolution &,
                                                              const Tensor &);
template std::tuple<Tensor, Tensor> convolve_on_device<double>(const char *, const Convolution &,
                                                               const Tensor &);

}  // namespace loremd_torch
