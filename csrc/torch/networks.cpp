// SPDX-License-Identifier: BSD-3-Clause
//
// Networks per atom: dense layers with silu between them, and the residual step that ends with a
// layer normalisation. Where a parameter may need a derivative they are made of differentiable ops
// of torch (networks_composite.cpp). Else, for inference, they work through the rows
// (networks_in_rows.cpp). For derivatives by the rows they keep the slopes of silu, residual_mlp
// the normalised rows, too. From these alone residual_mlp_again has its values a second time;
// without slopes its derivatives evaluate the hidden layers anew.
#include "networks.hpp"

#include <torch/library.h>

#include <algorithm>
#include <string>

namespace loremd_torch {

Tensor mlp(const Tensor &x, TensorList weights, TensorList biases) {
  LOREMD_CALL(mlp, x, weights, biases);
}

std::tuple<Tensor, Tensor> mlp_forward(const Tensor &x, TensorList weights, TensorList biases) {
  LOREMD_CALL(mlp_forward, x, weights, biases);
}

Tensor mlp_backward(const Tensor &grad, TensorList weights, const Tensor &slopes) {
  LOREMD_CALL(mlp_backward, grad, weights, slopes);
}

Tensor residual_mlp(const Tensor &x, const Tensor &y, TensorList weights, TensorList biases,
                    const Tensor &scale, const Tensor &shift) {
  LOREMD_CALL(residual_mlp, x, y, weights, biases, scale, shift);
}

std::tuple<Tensor, Tensor, Tensor> residual_mlp_forward(const Tensor &x, const Tensor &y,
                                                        TensorList weights, TensorList biases,
                                                        const Tensor &scale, const Tensor &shift) {
  LOREMD_CALL(residual_mlp_forward, x, y, weights, biases, scale, shift);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> residual_mlp_slopes(const Tensor &x, const Tensor &y,
                                                               TensorList weights,
                                                               TensorList biases,
                                                               const Tensor &scale,
                                                               const Tensor &shift) {
  LOREMD_CALL(residual_mlp_slopes, x, y, weights, biases, scale, shift);
}

Tensor residual_mlp_again(const Tensor &x, const Tensor &y, TensorList weights, TensorList biases,
                          const Tensor &scale, const Tensor &shift, const Tensor &normalised,
                          const Tensor &inverse, const OptionalTensor &slopes) {
  LOREMD_CALL(residual_mlp_again, x, y, weights, biases, scale, shift, normalised, inverse, slopes);
}

std::tuple<Tensor, Tensor> residual_mlp_backward(const Tensor &grad, const Tensor &y,
                                                 TensorList weights, TensorList biases,
                                                 const Tensor &scale, const Tensor &normalised,
                                                 const Tensor &inverse,
                                                 const OptionalTensor &slopes) {
  LOREMD_CALL(residual_mlp_backward, grad, y, weights, biases, scale, normalised, inverse, slopes);
}

// --- checks ---------------------------------------------------------------------------------

namespace {

void check_rows(const char *op, const char *name, const Tensor &t, const SymInt &columns) {
  TORCH_CHECK_VALUE(t.dim() == 2 && t.sym_size(1) == columns, "loremd::", op, ": expected ", name,
                    " of shape (n, ", columns, "), got ", t.sym_sizes());
}

// The slopes of every silu, layer after layer, in one array: how many for a row.
SymInt slopes_of_a_row(TensorList weights) {
  SymInt total = 0;
  for (const Tensor &weight : weights.slice(0, weights.size() - 1)) total += weight.sym_size(1);
  return total;
}

}  // namespace

void check_vector(const char *op, const char *name, const Tensor &t, const SymInt &size,
                  const Tensor &like) {
  TORCH_CHECK_VALUE(t.dim() == 1 && t.sym_size(0) == size, "loremd::", op, ": expected ", name,
                    " of shape (", size, "), got ", t.sym_sizes());
  check_dtype(op, name, t, like.scalar_type());
}

void check_weights(const char *op, TensorList weights, const Tensor &like) {
  TORCH_CHECK_VALUE(!weights.empty(), "loremd::", op, ": expected one weight at least, got 0");
  for (size_t k = 0; k < weights.size(); ++k) {
    const std::string weight = "weights[" + std::to_string(k) + "]";
    TORCH_CHECK_VALUE(weights[k].dim() == 2, "loremd::", op, ": expected ", weight,
                      " of shape (in, out), got ", weights[k].sym_sizes());
    TORCH_CHECK_VALUE(k == 0 || weights[k].sym_size(0) == weights[k - 1].sym_size(1),
                      "loremd::", op, ": expected ", weight, " of shape (",
                      weights[k == 0 ? 0 : k - 1].sym_size(1), ", out), got ",
                      weights[k].sym_sizes());
    check_dtype(op, weight.c_str(), weights[k], like.scalar_type());
  }
}

void check_network(const char *op, const char *name, const Tensor &x, TensorList weights,
                   TensorList biases) {
  check_floating(op, name, x);
  TORCH_CHECK_VALUE(!weights.empty() && weights.size() == biases.size(), "loremd::", op,
                    ": expected as many weights as biases, one at least, got ", weights.size(),
                    " and ", biases.size());
  check_weights(op, weights, x);
  for (size_t k = 0; k < biases.size(); ++k) {
    const std::string bias = "biases[" + std::to_string(k) + "]";
    check_vector(op, bias.c_str(), biases[k], weights[k].sym_size(1), x);
  }
  check_rows(op, name, x, weights[0].sym_size(0));
}

void check_residual(const char *op, const Tensor &x, const Tensor &y, TensorList weights,
                    TensorList biases, const Tensor &scale, const Tensor &shift) {
  check_network(op, "y", y, weights, biases);
  const SymInt width = weights.back().sym_size(1);
  check_rows(op, "x", x, width);
  check_dtype(op, "x", x, y.scalar_type());
  TORCH_CHECK_VALUE(x.sym_size(0) == y.sym_size(0), "loremd::", op, ": expected x and y with as ",
                    "many rows, got ", x.sym_sizes(), " and ", y.sym_sizes());
  TORCH_CHECK_VALUE(width > 0, "loremd::", op, ": expected a width above 0");
  check_vector(op, "scale", scale, width, y);
  check_vector(op, "shift", shift, width, y);
}

Tensor empty_slopes(const Tensor &x, TensorList weights) {
  return x.new_empty_symint({x.sym_size(0) * slopes_of_a_row(weights)});
}

void check_slopes(const char *op, const Tensor &slopes, TensorList weights, const Tensor &rows) {
  check_vector(op, "slopes", slopes, rows.sym_size(0) * slopes_of_a_row(weights), rows);
}

namespace {

// --- shapes ---------------------------------------------------------------------------------

Tensor mlp_meta(const Tensor &x, TensorList weights, TensorList biases) {
  check_network("mlp", "x", x, weights, biases);
  return x.new_empty_symint({x.sym_size(0), weights.back().sym_size(1)});
}

std::tuple<Tensor, Tensor> mlp_forward_meta(const Tensor &x, TensorList weights,
                                            TensorList biases) {
  return {mlp_meta(x, weights, biases), empty_slopes(x, weights)};
}

Tensor mlp_backward_meta(const Tensor &grad, TensorList weights, const Tensor &) {
  return grad.new_empty_symint({grad.sym_size(0), weights[0].sym_size(0)});
}

Tensor residual_mlp_meta(const Tensor &x, const Tensor &y, TensorList weights, TensorList biases,
                         const Tensor &scale, const Tensor &shift) {
  check_residual("residual_mlp", x, y, weights, biases, scale, shift);
  return x.new_empty_symint(x.sym_sizes());
}

std::tuple<Tensor, Tensor, Tensor> residual_mlp_forward_meta(const Tensor &x, const Tensor &y,
                                                             TensorList weights, TensorList biases,
                                                             const Tensor &scale,
                                                             const Tensor &shift) {
  return {residual_mlp_meta(x, y, weights, biases, scale, shift), x.new_empty_symint(x.sym_sizes()),
          x.new_empty_symint({x.sym_size(0)})};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> residual_mlp_slopes_meta(
    const Tensor &x, const Tensor &y, TensorList weights, TensorList biases, const Tensor &scale,
    const Tensor &shift) {
  auto [values, normalised, inverse] =
      residual_mlp_forward_meta(x, y, weights, biases, scale, shift);
  return {values, normalised, inverse, empty_slopes(y, weights)};
}

Tensor residual_mlp_again_meta(const Tensor &x, const Tensor &y, TensorList weights,
                               TensorList biases, const Tensor &scale, const Tensor &shift,
                               const Tensor &, const Tensor &, const OptionalTensor &) {
  return residual_mlp_meta(x, y, weights, biases, scale, shift);
}

std::tuple<Tensor, Tensor> residual_mlp_backward_meta(const Tensor &grad, const Tensor &y,
                                                      TensorList, TensorList, const Tensor &,
                                                      const Tensor &, const Tensor &,
                                                      const OptionalTensor &) {
  return {grad.new_empty_symint(grad.sym_sizes()), y.new_empty_symint(y.sym_sizes())};
}

// --- derivatives by the rows ----------------------------------------------------------------

// Lists of tensors after the others among saved variables, taken one by one.
class Saved {
 public:
  explicit Saved(AutogradContext *ctx) : variables_(ctx->get_saved_variables()) {}

  const Tensor &one() { return variables_[place_++]; }
  TensorList several(size_t count) {
    place_ += count;
    return TensorList(variables_).slice(place_ - count, count);
  }

 private:
  variable_list variables_;
  size_t place_ = 0;
};

void save(AutogradContext *ctx, variable_list single, std::initializer_list<TensorList> lists) {
  for (TensorList list : lists) single.insert(single.end(), list.begin(), list.end());
  ctx->save_for_backward(std::move(single));
  ctx->saved_data["layers"] = static_cast<int64_t>(lists.begin()->size());
}

struct Mlp : torch::autograd::Function<Mlp> {
  // The parameters are not differentiated, so they must not be seen as variables.
  struct Parameters {
    TensorList weights, biases;
  };

  static Tensor forward(AutogradContext *ctx, const Tensor &x, const Parameters &parameters) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    auto [values, slopes] = mlp_forward(x, parameters.weights, parameters.biases);
    save(ctx, {x, slopes}, {parameters.weights, parameters.biases});
    return values;
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const size_t layers = ctx->saved_data["layers"].toInt();
    Saved saved(ctx);
    const Tensor &x = saved.one(), &slopes = saved.one();
    const TensorList weights = saved.several(layers), biases = saved.several(layers);
    if (at::GradMode::is_enabled()) {
      return {composite_mlp_backward(grads[0], x, weights, biases), Tensor()};
    }
    return {mlp_backward(grads[0], weights, slopes), Tensor()};
  }
};

struct ResidualMlp : torch::autograd::Function<ResidualMlp> {
  // Undefined: not kept yet.
  struct Kept {
    Tensor normalised, inverse;
    OptionalTensor slopes;
  };
  struct Parameters {
    TensorList weights, biases;
    const Tensor &scale, &shift;
  };

  static Tensor forward(AutogradContext *ctx, const Tensor &x, const Tensor &y,
                        const Parameters &parameters, Kept kept) {
    const auto &[weights, biases, scale, shift] = parameters;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    Tensor values;
    if (kept.normalised.defined()) {
      values = residual_mlp_again(x, y, weights, biases, scale, shift, kept.normalised,
                                  kept.inverse, kept.slopes);
    } else {
      std::tie(values, kept.normalised, kept.inverse, kept.slopes) =
          residual_mlp_slopes(x, y, weights, biases, scale, shift);
    }
    save(ctx, {x, y, scale, shift, kept.normalised, kept.inverse, kept.slopes.value_or(Tensor())},
         {weights, biases});
    return values;
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const size_t layers = ctx->saved_data["layers"].toInt();
    Saved saved(ctx);
    const Tensor &x = saved.one(), &y = saved.one(), &scale = saved.one(), &shift = saved.one();
    const Tensor &normalised = saved.one(), &inverse = saved.one(), &slopes = saved.one();
    const TensorList weights = saved.several(layers), biases = saved.several(layers);
    const auto [by_x, by_y] =
        at::GradMode::is_enabled()
            ? composite_residual_mlp_backward(grads[0], x, y, weights, biases, scale, shift)
            : residual_mlp_backward(grads[0], y, weights, biases, scale, normalised, inverse,
                                    slopes.defined() ? OptionalTensor(slopes) : std::nullopt);
    return {by_x, by_y, Tensor(), Tensor()};
  }
};

Tensor mlp_autograd(const Tensor &x, TensorList weights, TensorList biases) {
  if (!x.is_cpu() || need_gradients(weights) || need_gradients(biases)) {
    return composite_mlp(x, weights, biases);
  }
  if (need_gradients(x)) return Mlp::apply(x, Mlp::Parameters{weights, biases});
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return mlp(x, weights, biases);
}

// By the ops of torch where a parameter may need a derivative, or not on the CPU.
bool composite(const Tensor &x, TensorList weights, TensorList biases, const Tensor &scale,
               const Tensor &shift) {
  return !x.is_cpu() || need_gradients(weights) || need_gradients(biases) ||
         need_gradients({scale, shift});
}

Tensor residual_mlp_autograd(const Tensor &x, const Tensor &y, TensorList weights,
                             TensorList biases, const Tensor &scale, const Tensor &shift) {
  if (composite(x, weights, biases, scale, shift)) {
    return composite_residual_mlp(x, y, weights, biases, scale, shift);
  }
  if (need_gradients({x, y})) {
    return ResidualMlp::apply(x, y, ResidualMlp::Parameters{weights, biases, scale, shift},
                              ResidualMlp::Kept{});
  }
  at::AutoDispatchBelowADInplaceOrView below_autograd;
  return residual_mlp(x, y, weights, biases, scale, shift);
}

Tensor residual_mlp_again_autograd(const Tensor &x, const Tensor &y, TensorList weights,
                                   TensorList biases, const Tensor &scale, const Tensor &shift,
                                   const Tensor &normalised, const Tensor &inverse,
                                   const OptionalTensor &slopes) {
  if (composite(x, weights, biases, scale, shift)) {
    return composite_residual_mlp(x, y, weights, biases, scale, shift);
  }
  return ResidualMlp::apply(x, y, ResidualMlp::Parameters{weights, biases, scale, shift},
                            ResidualMlp::Kept{normalised, inverse, slopes});
}

}  // namespace

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("mlp", mlp_meta);
  m.impl("mlp_forward", mlp_forward_meta);
  m.impl("mlp_backward", mlp_backward_meta);
  m.impl("residual_mlp", residual_mlp_meta);
  m.impl("residual_mlp_forward", residual_mlp_forward_meta);
  m.impl("residual_mlp_slopes", residual_mlp_slopes_meta);
  m.impl("residual_mlp_again", residual_mlp_again_meta);
  m.impl("residual_mlp_backward", residual_mlp_backward_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("mlp", mlp_autograd);
  m.impl("residual_mlp", residual_mlp_autograd);
  m.impl("residual_mlp_again", residual_mlp_again_autograd);
}

}  // namespace loremd_torch
