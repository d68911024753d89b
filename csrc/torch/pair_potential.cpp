// SPDX-License-Identifier: BSD-3-Clause
//
// The real-space part of the potentials in one op, without tensors of the size of the pair list.
// Second derivatives go through pair_sum and the sharp parts as ops (edge_ops.cpp).
#include <ATen/Dispatch.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/TensorOperators.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/library.h>

#include <cmath>

#include "device_call.hpp"
#include "edges/cuda.hpp"
#include "edges/pair_potential.hpp"
#include "pair_rows.hpp"
#include "support.hpp"

namespace loremd_torch {

#define LOREMD_PAIR_ARGUMENTS                                                              \
  const Tensor &positions, const Tensor &charges, const Tensor &cell, const Tensor &pairs, \
      const Tensor &shifts, SymInt n_out, double cutoff, double exponent, double length,   \
      const OptionalTensor &splitting

Tensor pair_potential(LOREMD_PAIR_ARGUMENTS) {
  LOREMD_CALL(pair_potential, positions, charges, cell, pairs, shifts, n_out, cutoff, exponent,
              length, splitting);
}

std::tuple<Tensor, Tensor, Tensor> pair_potential_backward(LOREMD_PAIR_ARGUMENTS,
                                                           const Tensor &grad) {
  LOREMD_CALL(pair_potential_backward, positions, charges, cell, pairs, shifts, n_out, cutoff,
              exponent, length, splitting, grad);
}

namespace {

// What the core takes, from checked tensors that live as long as this.
struct PairCall {
  Tensor positions, charges, cell, pairs, shifts, shape;
  loremd::PairGeometry geometry;
  loremd::SharpPart part;

  PairCall(const char *op, const Tensor &any_positions, const Tensor &any_charges,
           const Tensor &any_cell, const Tensor &any_pairs, const Tensor &any_shifts, int64_t n_out,
           double cutoff, double exponent, double length, const OptionalTensor &splitting)
      : positions(any_positions.contiguous()),
        charges(any_charges.contiguous()),
        cell(any_cell.contiguous()),
        pairs(any_pairs.contiguous()),
        shifts(any_shifts.scalar_type() == at::kDouble ? any_shifts : any_shifts.to(at::kLong)),
        shape(series_of(op, "splitting", splitting)) {
    check_devices(op, {&positions, &charges, &cell, &pairs, &shifts});
    check_shape(op, "positions", positions, -1, 3);
    check_dtype(op, "positions", positions, at::kDouble);
    check_shape(op, "charges", charges, positions.size(0), -1);
    check_floating(op, "charges", charges);
    check_shape(op, "cell", cell, 3, 3);
    check_dtype(op, "cell", cell, at::kDouble);
    check_shape(op, "pairs", pairs, 2, -1);
    check_dtype(op, "pairs", pairs, at::kLong);
    check_shape(op, "shifts", shifts, pairs.size(1), 3);
    TORCH_CHECK_VALUE(n_out >= 0 && n_out <= positions.size(0), "loremd::", op, ": n_out is ",
                      n_out, "; allowed: 0 to the number of atoms, ", positions.size(0));
    TORCH_CHECK_VALUE(exponent > 0 && length > 0 && (exponent == 1 || !shape.defined()),
                      "loremd::", op, ": exponent ", exponent, " and length ", length,
                      " must be positive, and a compact splitting exists for exponent 1 only");
    const int64_t *list = pairs.const_data_ptr<int64_t>();
    geometry = {positions.const_data_ptr<double>(),
                cell.const_data_ptr<double>(),
                {shifts.scalar_type() == at::kDouble ? shifts.const_data_ptr<double>() : nullptr,
                 shifts.scalar_type() == at::kLong ? shifts.const_data_ptr<int64_t>() : nullptr,
                 shifts.stride(0), shifts.stride(1)},
                {list, list + pairs.size(1), pairs.size(1), n_out, positions.size(0)},
                cutoff};
    part = {exponent, length, even_series(shape)};
  }
  int channels() const { return static_cast<int>(charges.size(1)); }
};

Tensor pair_potential_kernel(const Tensor &positions, const Tensor &charges, const Tensor &cell,
                             const Tensor &pairs, const Tensor &shifts, int64_t n_out,
                             double cutoff, double exponent, double length,
                             const OptionalTensor &splitting) {
  const char *op = "pair_potential";
  const PairCall call(op, positions, charges, cell, pairs, shifts, n_out, cutoff, exponent, length,
                      splitting);
  Tensor sums = at::zeros({n_out, charges.size(1)}, charges.options());
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "pair_potential", [&] {
    if constexpr (device_kernels) {
      if (on_device(charges)) {
        const PairRowsOnDevice rows(op, call.pairs, n_out);
        return run_on_device(op, charges, [&](loremd::cuda::Stream stream) {
          loremd::cuda::pair_potential(call.geometry, rows.view(), call.part, call.channels(),
                                       call.charges.const_data_ptr<scalar_t>(),
                                       sums.mutable_data_ptr<scalar_t>(), stream);
        });
      }
    }
    run_core(op, [&] {
      loremd::pair_potential(call.geometry, call.part, call.channels(),
                             call.charges.const_data_ptr<scalar_t>(),
                             sums.mutable_data_ptr<scalar_t>());
    });
  });
  return sums;
}

template <class T>
void gradient_on_device(const char *op, const PairCall &call, const Tensor &weights,
                        const Tensor &by_positions, const Tensor &by_charges,
                        const Tensor &by_cell) {
  const int64_t n = call.positions.size(0), n_out = weights.size(0);
  const PairRowsOnDevice rows(op, call.pairs, n_out);
  const KeptVectors vectors(op, call.pairs, n);
  const Tensor space = workspace(loremd::cuda::cell_workspace(n_out), call.positions);
  Tensor values;
  if (vectors.wanted()) values = at::zeros({call.pairs.size(1)}, weights.options());
  const loremd::cuda::KeptPairs<T> kept{vectors.data(),
                                        values.defined() ? values.mutable_data_ptr<T>() : nullptr};
  T *const to_charges = by_charges.mutable_data_ptr<T>();
  run_on_device(op, weights, [&](loremd::cuda::Stream stream) {
    loremd::cuda::pair_potential_gradient(
        call.geometry, rows.view(), call.part, call.channels(), call.charges.const_data_ptr<T>(),
        weights.const_data_ptr<T>(), space.mutable_data_ptr<double>(),
        by_positions.mutable_data_ptr<double>(), to_charges, by_cell.mutable_data_ptr<double>(),
        kept, stream);
    if (!vectors.wanted()) return;
    const int64_t *list = vectors.exchanged().const_data_ptr<int64_t>();
    const int64_t pairs = call.pairs.size(1);
    // centres that do not count have no weights; their pairs have the value zero
    const Tensor all = at::zeros({n, weights.size(1)}, weights.options());
    all.narrow(0, 0, n_out).copy_(weights);
    loremd::cuda::pair_sum<T>({list, list + pairs, pairs, n, n}, vectors.by_neighbour().view(),
                              values.const_data_ptr<T>(), all.const_data_ptr<T>(), weights.size(1),
                              to_charges, stream);
  });
  vectors.collect(by_positions);
}

std::tuple<Tensor, Tensor, Tensor> pair_potential_backward_kernel(
    const Tensor &positions, const Tensor &charges, const Tensor &cell, const Tensor &pairs,
    const Tensor &shifts, int64_t n_out, double cutoff, double exponent, double length,
    const OptionalTensor &splitting, const Tensor &grad) {
  const char *op = "pair_potential_backward";
  const PairCall call(op, positions, charges, cell, pairs, shifts, n_out, cutoff, exponent, length,
                      splitting);
  check_shape(op, "grad", grad, n_out, charges.size(1));
  check_dtype(op, "grad", grad, charges.scalar_type());
  check_devices(op, {&charges, &grad});
  const Tensor weights = grad.contiguous();
  Tensor by_positions = at::zeros_like(call.positions), by_charges = at::zeros_like(call.charges),
         by_cell = at::zeros_like(call.cell);
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "pair_potential", [&] {
    if constexpr (device_kernels) {
      if (on_device(charges)) {
        return gradient_on_device<scalar_t>(op, call, weights, by_positions, by_charges, by_cell);
      }
    }
    run_core(op, [&] {
      loremd::pair_potential_gradient(
          call.geometry, call.part, call.channels(), call.charges.const_data_ptr<scalar_t>(),
          weights.const_data_ptr<scalar_t>(), by_positions.mutable_data_ptr<double>(),
          by_charges.mutable_data_ptr<scalar_t>(), by_cell.mutable_data_ptr<double>());
    });
  });
  return {by_positions, by_charges, by_cell};
}

Tensor pair_potential_meta(LOREMD_PAIR_ARGUMENTS) {
  return charges.new_empty_symint({n_out, charges.sym_size(1)});
}

std::tuple<Tensor, Tensor, Tensor> pair_potential_backward_meta(LOREMD_PAIR_ARGUMENTS,
                                                                const Tensor &) {
  return {at::empty_like(positions, at::MemoryFormat::Contiguous),
          at::empty_like(charges, at::MemoryFormat::Contiguous),
          at::empty_like(cell, at::MemoryFormat::Contiguous)};
}

// The same from ops that have derivatives of their own.
Tensor pair_potential_in_steps(LOREMD_PAIR_ARGUMENTS) {
  const auto vectors = [&](const Tensor &list, const Tensor &images) {
    return positions.index_select(0, list.select(0, 1)) -
           positions.index_select(0, list.select(0, 0)) + images.to(at::kDouble).matmul(cell);
  };
  const Tensor all = vectors(pairs, shifts).detach().square().sum(1);
  const Tensor inside = (all < cutoff * cutoff).logical_and(pairs.select(0, 0) < n_out);
  const Tensor kept = inside.nonzero().squeeze(1);
  const Tensor list = pairs.index_select(1, kept);
  const Tensor squared = vectors(list, shifts.index_select(0, kept)).square().sum(1);
  const Tensor sharp = splitting ? compact_sharp(squared, length, *splitting, 0)
                                 : gamma_tail(squared, 0.5 * exponent, 0.5 / (length * length), 0) /
                                       std::tgamma(0.5 * exponent);
  return pair_sum(sharp.to(charges.scalar_type()), charges, list, n_out);
}

struct PairPotential : torch::autograd::Function<PairPotential> {
  static Tensor forward(AutogradContext *ctx, LOREMD_PAIR_ARGUMENTS) {
    ctx->save_for_backward({positions, charges, cell, pairs, shifts});
    ctx->saved_data["n_out"] = n_out;
    ctx->saved_data["cutoff"] = cutoff;
    ctx->saved_data["exponent"] = exponent;
    ctx->saved_data["length"] = length;
    ctx->saved_data["splitting"] = splitting;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return pair_potential(positions, charges, cell, pairs, shifts, n_out, cutoff, exponent, length,
                          splitting);
  }

  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    const auto saved = ctx->get_saved_variables();
    const auto evaluate = [&](auto &&function, auto &&...more) {
      return function(saved[0], saved[1], saved[2], saved[3], saved[4],
                      ctx->saved_data["n_out"].toSymInt(), ctx->saved_data["cutoff"].toDouble(),
                      ctx->saved_data["exponent"].toDouble(), ctx->saved_data["length"].toDouble(),
                      ctx->saved_data["splitting"].template toOptional<Tensor>(), more...);
    };
    variable_list result(10);
    if (!at::GradMode::is_enabled()) {
      const auto [by_positions, by_charges, by_cell] = evaluate(pair_potential_backward, grads[0]);
      result[0] = by_positions, result[1] = by_charges, result[2] = by_cell;
    } else {
      variable_list inputs;
      for (int k = 0; k < 3; ++k) {
        if (saved[k].requires_grad()) inputs.push_back(saved[k]);
      }
      const auto found = torch::autograd::grad({evaluate(pair_potential_in_steps)}, inputs,
                                               {grads[0]}, true, true, true);
      for (int k = 0, next = 0; k < 3; ++k) {
        if (saved[k].requires_grad()) result[k] = found[next++];
      }
    }
    for (int k = 0; k < 3; ++k) {
      if (!ctx->needs_input_grad(k)) result[k] = Tensor();
    }
    return result;
  }
};

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("pair_potential", pair_potential_kernel);
  m.impl("pair_potential_backward", pair_potential_backward_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("pair_potential", pair_potential_meta);
  m.impl("pair_potential_backward", pair_potential_backward_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("pair_potential", [](LOREMD_PAIR_ARGUMENTS) {
    return PairPotential::apply(positions, charges, cell, pairs, shifts, n_out, cutoff, exponent,
                                length, splitting);
  });
}

#undef LOREMD_PAIR_ARGUMENTS

}  // namespace loremd_torch
