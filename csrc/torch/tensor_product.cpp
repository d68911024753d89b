// SPDX-License-Identifier: BSD-3-Clause
//
// Tensor products. <grad, tensor_product(a, b, w)> = <w, tensor_product_weights(a, b, grad)> is
// linear in each of its four arguments and symmetric under the exchange of a or b with grad, if the
// weights are exchanged likewise. So the derivatives of the two ops are the two again, to any
// order.
#include <ATen/Dispatch.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "device_call.hpp"
#include "features/cuda.hpp"
#include "features/tensor_product.hpp"
#include "spherical_argument.hpp"

namespace loremd_torch {

Tensor tensor_product(const Tensor &a, const Tensor &b, const Tensor &weight) {
  LOREMD_CALL(tensor_product, a, b, weight);
}

std::tuple<Tensor, Tensor> tensor_product_gradient(const Tensor &a, const Tensor &b,
                                                   const Tensor &weight, const Tensor &grad) {
  LOREMD_CALL(tensor_product_gradient, a, b, weight, grad);
}

Tensor tensor_product_weights(const Tensor &a, const Tensor &b, const Tensor &grad) {
  LOREMD_CALL(tensor_product_weights, a, b, grad);
}

namespace {

// The coupling of some degrees on a device: copied there by the first call that needs it, and kept.
template <class T>
class CouplingOnDevice {
 public:
  static const CouplingOnDevice &of(const loremd::ProductShape &shape, at::Device device) {
    static std::mutex mutex;
    static std::map<std::tuple<int, int, int, int>, std::unique_ptr<const CouplingOnDevice>> made;
    const std::lock_guard<std::mutex> lock(mutex);
    auto &entry = made[{shape.degree_a, shape.degree_b, shape.degree_out, device.index()}];
    if (!entry) entry = std::make_unique<const CouplingOnDevice>(shape, device);
    return *entry;
  }

  CouplingOnDevice(const loremd::ProductShape &shape, at::Device device)
      : terms_(loremd::coupling_terms<T>(shape.degree_a, shape.degree_b, shape.degree_out)),
        by_pair_(copy(terms_.by_pair, device)),
        by_path_(copy(terms_.by_path, device)),
        first_of_pair_(copy(terms_.first_of_pair, device)),
        first_of_path_(copy(terms_.first_of_path, device)),
        weights_(copy(terms_.weights, device)) {}

  loremd::cuda::DeviceCoupling<T> view() const {
    return {data<loremd::CouplingTerm<T>>(by_pair_),
            data<loremd::CouplingTerm<T>>(by_path_),
            data<int32_t>(first_of_pair_),
            data<int32_t>(first_of_path_),
            data<int32_t>(weights_),
            terms_.paths()};
  }

 private:
  template <class V>
  static Tensor copy(const std::vector<V> &values, at::Device device) {
    const auto bytes = static_cast<int64_t>(values.size() * sizeof(V));
    const auto options = at::TensorOptions().dtype(at::kByte);
    return at::from_blob(const_cast<V *>(values.data()), {bytes}, options)
        .to(device, at::kByte, false, true);
  }
  template <class V>
  static const V *data(const Tensor &bytes) {
    return reinterpret_cast<const V *>(bytes.const_data_ptr<uint8_t>());
  }

  loremd::CouplingTerms<T> terms_;
  Tensor by_pair_, by_path_, first_of_pair_, first_of_path_, weights_;
};

template <class T>
void product_on_device(const char *op, const loremd::ProductShape &shape, const Tensor &a,
                       const SphericalArgument &first, const SphericalArgument &second,
                       const Tensor &weight, const Tensor &out) {
  run_on_device(op, a, [&](loremd::cuda::Stream stream) {
    loremd::cuda::tensor_product<T>(
        shape, a.size(0), first.from<T>(0), second.from<T>(0), weight.const_data_ptr<T>(),
        CouplingOnDevice<T>::of(shape, a.device()).view(), result_from<T>(out, 0), stream);
  });
}

template <class T>
Tensor weights_on_device(const char *op, const loremd::ProductShape &shape, const Tensor &a,
                         const SphericalArgument &first, const SphericalArgument &second,
                         const SphericalArgument &grad) {
  Tensor sums =
      at::zeros({shape.degree_a + 1, shape.degree_b + 1, shape.degree_out + 1, shape.features},
                a.options().dtype(at::kDouble));
  run_on_device(op, a, [&](loremd::cuda::Stream stream) {
    const auto coupling = CouplingOnDevice<T>::of(shape, a.device()).view();
    const int64_t columns = int64_t{1} * coupling.paths * shape.features;
    const Tensor space = workspace(loremd::cuda::sum_size(a.size(0), columns), a);
    loremd::cuda::tensor_product_weights<T>(
        shape, a.size(0), first.from<T>(0), second.from<T>(0), grad.from<T>(0), coupling,
        space.mutable_data_ptr<double>(), sums.mutable_data_ptr<double>(), stream);
  });
  return sums.to(a.scalar_type());
}

void check_weight(const char *op, const Tensor &weight, const Tensor &a, int degree_a,
                  int degree_b) {
  TORCH_CHECK_VALUE(weight.dim() == 4 && weight.size(0) == degree_a + 1 &&
                        weight.size(1) == degree_b + 1 && weight.size(2) > 0 &&
                        weight.size(3) == a.size(2),
                    "loremd::", op, ": expected weight of shape (", degree_a + 1, ", ",
                    degree_b + 1, ", degree + 1, ", a.size(2), "), got ", weight.sizes());
  check_dtype(op, "weight", weight, a.scalar_type());
}

Tensor tensor_product_kernel(const Tensor &a, const Tensor &b, const Tensor &weight) {
  const char *op = "tensor_product";
  const SphericalArgument first(op, "a", a), second(op, "b", b, a);
  check_devices(op, {&a, &b, &weight});
  check_weight(op, weight, a, first.degree, second.degree);
  const int degree = static_cast<int>(weight.size(2)) - 1;
  const loremd::ProductShape shape{first.degree, second.degree, degree, first.features()};
  const Tensor w = weight.contiguous();
  Tensor out = at::empty({a.size(0), (degree + 1) * (degree + 1), a.size(2)}, a.options());
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "tensor_product", [&] {
    if constexpr (device_kernels) {
      if (on_device(a)) {
        return product_on_device<scalar_t>(op, shape, a, first, second, w, out);
      }
    }
    at::parallel_for(0, a.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        loremd::tensor_product<scalar_t>(shape, end - begin, first.from<scalar_t>(begin),
                                         second.from<scalar_t>(begin), w.const_data_ptr<scalar_t>(),
                                         result_from<scalar_t>(out, begin));
      });
    });
  });
  return out;
}

Tensor tensor_product_weights_kernel(const Tensor &a, const Tensor &b, const Tensor &grad) {
  const char *op = "tensor_product_weights";
  const SphericalArgument first(op, "a", a), second(op, "b", b, a), third(op, "grad", grad, a);
  check_devices(op, {&a, &b, &grad});
  const loremd::ProductShape shape{first.degree, second.degree, third.degree, first.features()};
  return AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "tensor_product_weights", [&] {
    if constexpr (device_kernels) {
      if (on_device(a)) return weights_on_device<scalar_t>(op, shape, a, first, second, third);
    }
    return sum_over_atoms(
        op, a.size(0),
        {shape.degree_a + 1, shape.degree_b + 1, shape.degree_out + 1, shape.features}, a.options(),
        [&](int64_t atom, int64_t atoms, double *sums) {
          loremd::tensor_product_weights<scalar_t>(shape, atoms, first.from<scalar_t>(atom),
                                                   second.from<scalar_t>(atom),
                                                   third.from<scalar_t>(atom), sums);
        });
  });
}

Tensor tensor_product_meta(const Tensor &a, const Tensor &, const Tensor &weight) {
  const SymInt degrees = weight.sym_size(2);
  return a.new_empty_symint({a.sym_size(0), degrees * degrees, a.sym_size(2)});
}

Tensor tensor_product_weights_meta(const Tensor &a, const Tensor &b, const Tensor &grad) {
  const char *op = "tensor_product_weights";
  const auto degrees = [&](const Tensor &t) { return SymInt(degree_of(op, "argument", t) + 1); };
  return a.new_empty_symint({degrees(a), degrees(b), degrees(grad), a.sym_size(2)});
}

// The weights for grad in the place of argument 0 or 1.
Tensor exchanged(const Tensor &weight, int argument) {
  const auto norms = [&](int axis) {
    std::array<int64_t, 4> shape{1, 1, 1, 1};
    shape[axis] = weight.size(axis);
    const auto options = weight.options().dtype(at::kDouble);
    return at::arange(shape[axis], options).mul(2).add(1).sqrt().reshape(shape);
  };
  const Tensor factors = norms(2).div(norms(argument)).to(weight.scalar_type());
  return weight.mul(factors).transpose(argument, 2);
}

// The gradients by both arguments as two products, which can be differentiated.
std::tuple<Tensor, Tensor> gradient_by_products(const Tensor &a, const Tensor &b,
                                                const Tensor &weight, const Tensor &grad) {
  return {tensor_product(grad, b, exchanged(weight, 0)),
          tensor_product(a, grad, exchanged(weight, 1))};
}

std::tuple<Tensor, Tensor> tensor_product_gradient_cpu(const Tensor &a, const Tensor &b,
                                                       const Tensor &weight, const Tensor &grad) {
  const char *op = "tensor_product_gradient";
  const SphericalArgument first(op, "a", a), second(op, "b", b, a), third(op, "grad", grad, a);
  check_weight(op, weight, a, first.degree, second.degree);
  TORCH_CHECK_VALUE(weight.size(2) == third.degree + 1, "loremd::", op, ": expected weight of ",
                    "shape (", first.degree + 1, ", ", second.degree + 1, ", ", third.degree + 1,
                    ", ", a.size(2), "), got ", weight.sizes());
  const loremd::ProductShape shape{first.degree, second.degree, third.degree, first.features()};
  const Tensor w = weight.contiguous();
  Tensor by_a = at::empty(a.sizes(), a.options()), by_b = at::empty(b.sizes(), b.options());
  AT_DISPATCH_FLOATING_TYPES(a.scalar_type(), "tensor_product_gradient", [&] {
    at::parallel_for(0, a.size(0), atoms_per_task, [&](int64_t begin, int64_t end) {
      run_core(op, [&] {
        loremd::tensor_product_gradient<scalar_t>(
            shape, end - begin, first.from<scalar_t>(begin), second.from<scalar_t>(begin),
            w.const_data_ptr<scalar_t>(), third.from<scalar_t>(begin),
            result_from<scalar_t>(by_a, begin), result_from<scalar_t>(by_b, begin));
      });
    });
  });
  return {by_a, by_b};
}

std::tuple<Tensor, Tensor> tensor_product_gradient_meta(const Tensor &a, const Tensor &b,
                                                        const Tensor &, const Tensor &) {
  return {a.new_empty_symint(a.sym_sizes()), b.new_empty_symint(b.sym_sizes())};
}

std::tuple<Tensor, Tensor> tensor_product_gradient_autograd(const Tensor &a, const Tensor &b,
                                                            const Tensor &weight,
                                                            const Tensor &grad) {
  if (need_gradients({a, b, weight, grad})) return gradient_by_products(a, b, weight, grad);
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return tensor_product_gradient(a, b, weight, grad);
}

struct TensorProduct : torch::autograd::Function<TensorProduct> {
  static Tensor forward(AutogradContext *ctx, const Tensor &a, const Tensor &b,
                        const Tensor &weight) {
    ctx->save_for_backward({a, b, weight});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return tensor_product(a, b, weight);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1], &weight = saved[2], &grad = grads[0];
    Tensor by_a, by_b;
    if (ctx->needs_input_grad(0) && ctx->needs_input_grad(1)) {
      std::tie(by_a, by_b) = tensor_product_gradient(a, b, weight, grad);
    } else if (ctx->needs_input_grad(0)) {
      by_a = tensor_product(grad, b, exchanged(weight, 0));
    } else if (ctx->needs_input_grad(1)) {
      by_b = tensor_product(a, grad, exchanged(weight, 1));
    }
    return {by_a, by_b, ctx->needs_input_grad(2) ? tensor_product_weights(a, b, grad) : Tensor()};
  }
};

struct TensorProductWeights : torch::autograd::Function<TensorProductWeights> {
  static Tensor forward(AutogradContext *ctx, const Tensor &a, const Tensor &b,
                        const Tensor &grad) {
    ctx->save_for_backward({a, b, grad});
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return tensor_product_weights(a, b, grad);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &a = saved[0], &b = saved[1], &grad = saved[2], &weight = grads[0];
    return {ctx->needs_input_grad(0) ? tensor_product(grad, b, exchanged(weight, 0)) : Tensor(),
            ctx->needs_input_grad(1) ? tensor_product(a, grad, exchanged(weight, 1)) : Tensor(),
            ctx->needs_input_grad(2) ? tensor_product(a, b, weight) : Tensor()};
  }
};

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CPU, m) {
  m.impl("tensor_product_gradient", tensor_product_gradient_cpu);
}

TORCH_LIBRARY_IMPL(loremd, CUDA, m) {
  m.impl("tensor_product_gradient", gradient_by_products);
}

LOREMD_KERNELS(m) {
  m.impl("tensor_product", tensor_product_kernel);
  m.impl("tensor_product_weights", tensor_product_weights_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("tensor_product", tensor_product_meta);
  m.impl("tensor_product_gradient", tensor_product_gradient_meta);
  m.impl("tensor_product_weights", tensor_product_weights_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("tensor_product", [](const Tensor &a, const Tensor &b, const Tensor &weight) {
    return TensorProduct::apply(a, b, weight);
  });
  m.impl("tensor_product_gradient", tensor_product_gradient_autograd);
  m.impl("tensor_product_weights", [](const Tensor &a, const Tensor &b, const Tensor &grad) {
    return TensorProductWeights::apply(a, b, grad);
  });
}

}  // namespace loremd_torch
