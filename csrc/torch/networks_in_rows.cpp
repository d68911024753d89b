// SPDX-License-Identifier: BSD-3-Clause
//
// Networks per atom in chunks of rows that stay in the cache, with one pass between two matrix
// products.
#include <ATen/Dispatch.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "features/matrix_product.hpp"
#include "features/residual_norm.hpp"
#include "features/silu.hpp"
#include "networks.hpp"

namespace loremd_torch {
namespace {

// These and their intermediate values stay in the cache, with a part of the weights.
constexpr int64_t rows_at_once = 96;

int64_t widest(TensorList weights) {
  int64_t width = 0;
  for (const Tensor &weight : weights) width = std::max(width, weight.size(1));
  return width;
}

TensorVector contiguous(TensorList tensors) {
  TensorVector result;
  for (const Tensor &tensor : tensors) result.push_back(tensor.contiguous());
  return result;
}

template <class T>
using Matrices = std::vector<loremd::PackedMatrix<T>>;

// The weights, or their transposes.
template <class T>
Matrices<T> packed(TensorList weights, bool transposed) {
  Matrices<T> matrices;
  for (const Tensor &weight : weights) {
    const Tensor matrix = transposed ? weight.t() : weight;
    matrices.emplace_back(matrix.const_data_ptr<T>(), static_cast<int>(matrix.size(0)),
                          static_cast<int>(matrix.size(1)), matrix.stride(0), matrix.stride(1));
  }
  return matrices;
}

// out (rows, of matrix) = values (rows, of matrix) times the matrix.
template <class T>
void multiply_rows(int64_t rows, const T *values, const loremd::PackedMatrix<T> &matrix, T *out) {
  loremd::matrix_product(rows, values, matrix.rows(), matrix, out, matrix.columns());
}

// Two blocks of memory in turn, what a product reads and what it writes; and one for each silu.
template <class T>
class Scratch {
 public:
  Scratch(int64_t width, int64_t silus)
      : size_(rows_at_once * width),
        memory_(at::empty({(2 + silus) * size_}, c10::CppTypeToScalarType<T>::value)) {}

  T *next() {
    turn_ = 1 - turn_;
    return block(turn_);
  }
  T *slopes(int64_t silu) { return block(2 + silu); }

 private:
  T *block(int64_t number) { return memory_.mutable_data_ptr<T>() + number * size_; }

  int64_t size_, turn_ = 0;
  Tensor memory_;
};

// Calls body(first row, their number, scratch). The chunks do not depend on the number of threads.
template <class T, class Body>
void for_each_chunk(int64_t rows, TensorList weights, Body &&body) {
  const int64_t width = widest(weights), silus = weights.size() - 1;
  const int64_t chunks = (rows + rows_at_once - 1) / rows_at_once;
  at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
    at::AutoDispatchBelowADInplaceOrView below_autograd;  // a thread does not inherit it
    Scratch<T> scratch(width, silus);
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * rows_at_once;
      body(first, std::min(rows_at_once, rows - first), scratch);
    }
  });
}

// The arguments of a network, contiguous, without the last matrix for the hidden layers alone;
// slopes(k) is where those of a silu are left, or null.
template <class T>
struct Network {
  Tensor input;
  TensorVector biases;
  Matrices<T> matrices;

  Network(const Tensor &x, TensorList weights, TensorList given_biases, bool hidden_alone = false)
      : input(x.contiguous()),
        biases(contiguous(given_biases)),
        matrices(packed<T>(weights.slice(0, weights.size() - hidden_alone), false)) {}

  // Returns what the last layer reads.
  template <class Slopes>
  const T *hidden(int64_t first, int64_t rows, Scratch<T> &scratch, Slopes &&slopes) const {
    const T *from = input.const_data_ptr<T>() + first * input.size(1);
    for (size_t k = 0; k + 1 < biases.size(); ++k) {
      T *const to = scratch.next();
      multiply_rows(rows, from, matrices[k], to);
      loremd::bias_silu(rows, matrices[k].columns(), biases[k].template const_data_ptr<T>(), to,
                        slopes(k));
      from = to;
    }
    return from;
  }

  // The last product, without its bias, is written to `out`.
  template <class Slopes>
  void apply(int64_t first, int64_t rows, Scratch<T> &scratch, Slopes &&slopes, T *out) const {
    multiply_rows(rows, hidden(first, rows, scratch, slopes), matrices.back(), out);
  }
};

// The way back through a network, for some rows: from the gradient by the result to that by the
// input.
template <class T, class Slopes>
void apply_back(const Matrices<T> &transposed, int64_t rows, const T *grad, Scratch<T> &scratch,
                Slopes &&slopes, T *out) {
  const T *from = grad;
  for (size_t k = transposed.size() - 1; k > 0; --k) {
    const int width = transposed[k].columns();
    T *const to = scratch.next();
    multiply_rows(rows, from, transposed[k], to);
    loremd::multiply<T>(rows * width, slopes(k - 1), to);
    from = to;
  }
  multiply_rows(rows, from, transposed[0], out);
}

// Where the slopes of layer k are for the rows from `first` of n; null where none are kept.
template <class T>
auto slopes_from(T *slopes, TensorList weights, int64_t n, int64_t first) {
  return [=](size_t k) -> T * {
    if (!slopes) return nullptr;
    int64_t before = 0;
    for (const Tensor &weight : weights.slice(0, k)) before += weight.size(1);
    return slopes + n * before + first * weights[k].size(1);
  };
}

std::tuple<Tensor, Tensor> run_mlp(const char *op, const Tensor &x, TensorList weights,
                                   TensorList biases, bool with_slopes) {
  check_network(op, "x", x, weights, biases);
  const Tensor slopes = with_slopes ? empty_slopes(x, weights) : Tensor();
  const int64_t width = weights.back().size(1);
  Tensor out = at::empty({x.size(0), width}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "mlp", [&] {
    const Network<scalar_t> network(x, weights, biases);
    const scalar_t *const bias = network.biases.back().template const_data_ptr<scalar_t>();
    scalar_t *const kept = with_slopes ? slopes.mutable_data_ptr<scalar_t>() : nullptr;
    for_each_chunk<scalar_t>(
        x.size(0), weights, [&](int64_t first, int64_t rows, Scratch<scalar_t> &scratch) {
          scalar_t *const part = out.mutable_data_ptr<scalar_t>() + first * width;
          network.apply(first, rows, scratch, slopes_from(kept, weights, x.size(0), first), part);
          loremd::add_bias(rows, static_cast<int>(width), bias, part);
        });
  });
  return {out, slopes};
}

Tensor mlp_cpu(const Tensor &x, TensorList weights, TensorList biases) {
  return std::get<0>(run_mlp("mlp", x, weights, biases, false));
}

std::tuple<Tensor, Tensor> mlp_forward_cpu(const Tensor &x, TensorList weights, TensorList biases) {
  return run_mlp("mlp_forward", x, weights, biases, true);
}

Tensor mlp_backward_cpu(const Tensor &grad, TensorList weights, const Tensor &slopes) {
  const char *op = "mlp_backward";
  check_floating(op, "grad", grad);
  check_weights(op, weights, grad);
  check_shape(op, "grad", grad, -1, weights.back().size(1));
  check_slopes(op, slopes, weights, grad);
  const Tensor kept = slopes.contiguous(), by_out = grad.contiguous();
  const int64_t n = grad.size(0), width = weights[0].size(0);
  Tensor by_x = at::empty({n, width}, grad.options());
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "mlp_backward", [&] {
    const auto transposed = packed<scalar_t>(weights, true);
    const scalar_t *const all = kept.const_data_ptr<scalar_t>();
    for_each_chunk<scalar_t>(
        n, weights, [&](int64_t first, int64_t rows, Scratch<scalar_t> &scratch) {
          apply_back(transposed, rows, by_out.const_data_ptr<scalar_t>() + first * grad.size(1),
                     scratch, slopes_from(all, weights, n, first),
                     by_x.mutable_data_ptr<scalar_t>() + first * width);
        });
  });
  return by_x;
}

enum class Keep { nothing, rows, rows_and_slopes };

std::tuple<Tensor, Tensor, Tensor, Tensor> run_residual_mlp(const char *op, const Tensor &x,
                                                            const Tensor &y, TensorList weights,
                                                            TensorList biases, const Tensor &scale,
                                                            const Tensor &shift, Keep keep) {
  check_residual(op, x, y, weights, biases, scale, shift);
  const Tensor residual = x.contiguous(), scales = scale.contiguous(), shifts = shift.contiguous();
  const bool with_rows = keep != Keep::nothing, with_slopes = keep == Keep::rows_and_slopes;
  const int64_t n = x.size(0), width = x.size(1), kept = with_rows ? n : 0;
  const Tensor slopes = with_slopes ? empty_slopes(y, weights) : Tensor();
  Tensor out = at::empty({n, width}, x.options());
  Tensor normalised = at::empty({kept, width}, x.options());
  Tensor inverse = at::empty({kept}, x.options());
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "residual_mlp", [&] {
    const Network<scalar_t> network(y, weights, biases);
    const loremd::ResidualNorm<scalar_t> norm{
        static_cast<int>(width), network.biases.back().template const_data_ptr<scalar_t>(),
        scales.const_data_ptr<scalar_t>(), shifts.const_data_ptr<scalar_t>()};
    scalar_t *const own_slopes = with_slopes ? slopes.mutable_data_ptr<scalar_t>() : nullptr;
    const auto place = [&](Tensor &t, int64_t offset) {
      return with_rows ? t.mutable_data_ptr<scalar_t>() + offset : nullptr;
    };
    for_each_chunk<scalar_t>(
        n, weights, [&](int64_t first, int64_t rows, Scratch<scalar_t> &scratch) {
          scalar_t *const part = out.mutable_data_ptr<scalar_t>() + first * width;
          network.apply(first, rows, scratch, slopes_from(own_slopes, weights, n, first), part);
          loremd::residual_norm(rows, norm, residual.const_data_ptr<scalar_t>() + first * width,
                                part, place(normalised, first * width), place(inverse, first));
        });
  });
  return {out, normalised, inverse, slopes};
}

Tensor residual_mlp_cpu(const Tensor &x, const Tensor &y, TensorList weights, TensorList biases,
                        const Tensor &scale, const Tensor &shift) {
  return std::get<0>(
      run_residual_mlp("residual_mlp", x, y, weights, biases, scale, shift, Keep::nothing));
}

std::tuple<Tensor, Tensor, Tensor> residual_mlp_forward_cpu(const Tensor &x, const Tensor &y,
                                                            TensorList weights, TensorList biases,
                                                            const Tensor &scale,
                                                            const Tensor &shift) {
  auto [values, normalised, inverse, none] =
      run_residual_mlp("residual_mlp_forward", x, y, weights, biases, scale, shift, Keep::rows);
  return {values, normalised, inverse};
}

std::tuple<Tensor, Tensor, Tensor, Tensor> residual_mlp_slopes_cpu(const Tensor &x, const Tensor &y,
                                                                   TensorList weights,
                                                                   TensorList biases,
                                                                   const Tensor &scale,
                                                                   const Tensor &shift) {
  return run_residual_mlp("residual_mlp_slopes", x, y, weights, biases, scale, shift,
                          Keep::rows_and_slopes);
}

// What residual_mlp_forward or residual_mlp_slopes kept; x has the size of the result.
void check_kept(const char *op, const Tensor &normalised, const Tensor &inverse,
                const OptionalTensor &slopes, TensorList weights, const Tensor &x) {
  check_shape(op, "normalised", normalised, x.size(0), x.size(1));
  check_dtype(op, "normalised", normalised, x.scalar_type());
  check_vector(op, "inverse", inverse, x.size(0), x);
  if (slopes) check_slopes(op, *slopes, weights, x);
}

Tensor residual_mlp_again_cpu(const Tensor &x, const Tensor &y, TensorList weights,
                              TensorList biases, const Tensor &scale, const Tensor &shift,
                              const Tensor &normalised, const Tensor &inverse,
                              const OptionalTensor &slopes) {
  const char *op = "residual_mlp_again";
  check_residual(op, x, y, weights, biases, scale, shift);
  check_kept(op, normalised, inverse, slopes, weights, x);
  return at::addcmul(shift, normalised, scale);
}

std::tuple<Tensor, Tensor> residual_mlp_backward_cpu(const Tensor &grad, const Tensor &y,
                                                     TensorList weights, TensorList biases,
                                                     const Tensor &scale, const Tensor &normalised,
                                                     const Tensor &inverse,
                                                     const OptionalTensor &slopes) {
  const char *op = "residual_mlp_backward";
  check_residual(op, grad, y, weights, biases, scale, scale);
  check_kept(op, normalised, inverse, slopes, weights, grad);
  const int64_t n = grad.size(0), width = grad.size(1), columns = y.size(1);
  Tensor by_x = at::empty({n, width}, grad.options());
  Tensor by_y = at::empty({n, columns}, grad.options());
  const Tensor by_out = grad.contiguous(), scales = scale.contiguous();
  const Tensor units = normalised.contiguous(), inverses = inverse.contiguous();
  const Tensor kept = slopes ? slopes->contiguous() : Tensor();
  AT_DISPATCH_FLOATING_TYPES(grad.scalar_type(), "residual_mlp_backward", [&] {
    const scalar_t *const all = slopes ? kept.const_data_ptr<scalar_t>() : nullptr;
    std::optional<Network<scalar_t>> again;
    if (!slopes) again.emplace(y, weights, biases, true);
    const auto transposed = packed<scalar_t>(weights, true);
    const auto from = [](const Tensor &t) { return t.const_data_ptr<scalar_t>(); };
    for_each_chunk<scalar_t>(
        n, weights, [&](int64_t first, int64_t rows, Scratch<scalar_t> &scratch) {
          const int64_t offset = first * width;
          scalar_t *const part = by_x.mutable_data_ptr<scalar_t>() + offset;
          loremd::residual_norm_gradient(rows, static_cast<int>(width), from(scales),
                                         from(units) + offset, from(inverses) + first,
                                         from(by_out) + offset, part);
          scalar_t *const to = by_y.mutable_data_ptr<scalar_t>() + first * columns;
          if (!again) {
            return apply_back(transposed, rows, part, scratch, slopes_from(all, weights, n, first),
                              to);
          }
          const auto anew = [&](size_t k) { return scratch.slopes(k); };
          again->hidden(first, rows, scratch, anew);
          apply_back(transposed, rows, part, scratch, anew, to);
        });
  });
  return {by_x, by_y};
}

}  // namespace

TORCH_LIBRARY_IMPL(loremd, CPU, m) {
  m.impl("mlp", mlp_cpu);
  m.impl("mlp_forward", mlp_forward_cpu);
  m.impl("mlp_backward", mlp_backward_cpu);
  m.impl("residual_mlp", residual_mlp_cpu);
  m.impl("residual_mlp_forward", residual_mlp_forward_cpu);
  m.impl("residual_mlp_slopes", residual_mlp_slopes_cpu);
  m.impl("residual_mlp_again", residual_mlp_again_cpu);
  m.impl("residual_mlp_backward", residual_mlp_backward_cpu);
}

}  // namespace loremd_torch
