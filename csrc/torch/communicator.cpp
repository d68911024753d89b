// SPDX-License-Identifier: BSD-3-Clause
//
// Ops that need other ranks. halo_exchange and halo_reduce are transposes of each other, the sum
// over ranks is its own: what every rank holds a copy of has gradients that are partial sums.
#include "communicator.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <map>
#include <mutex>

#include "device_call.hpp"
#include "ranks.hpp"
#include "support.hpp"

namespace {

std::mutex table_mutex;
std::map<int64_t, loremd_communicator> table;
int64_t next_handle = 1;

}  // namespace

extern "C" __attribute__((visibility("default"))) int64_t
loremd_register_communicator(const loremd_communicator *communicator) {
  const std::lock_guard<std::mutex> lock(table_mutex);
  table[next_handle] = *communicator;
  return next_handle++;
}

extern "C" __attribute__((visibility("default"))) void loremd_unregister_communicator(
    int64_t handle) {
  const std::lock_guard<std::mutex> lock(table_mutex);
  table.erase(handle);
}

namespace loremd_torch {

Tensor halo_exchange(const Tensor &owned, SymInt n, int64_t comm) {
  LOREMD_CALL(halo_exchange, owned, n, comm);
}

Tensor halo_reduce(const Tensor &all, SymInt n_owned, int64_t comm) {
  LOREMD_CALL(halo_reduce, all, n_owned, comm);
}

Tensor sum_over_ranks(const Tensor &values, int64_t comm) {
  LOREMD_CALL(sum_over_ranks, values, comm);
}

loremd_communicator communicator_of(const char *op, int64_t comm) {
  const std::lock_guard<std::mutex> lock(table_mutex);
  const auto found = table.find(comm);
  TORCH_CHECK_VALUE(
      found != table.end(), "loremd::", op, ": no communicator has the handle ", comm,
      "; 0 means this process alone, others come from the program that runs the model");
  return found->second;
}

bool on_several_ranks(const char *op, int64_t comm) {
  return comm != 0 && communicator_of(op, comm).size > 1;
}

void check_status(const char *op, int status) {
  TORCH_CHECK(status == 0, "loremd::", op, ": communication failed with status ", status);
}

namespace {

// What is exchanged goes through the memory of the host, whatever device it is on.
Tensor on_host(const Tensor &t) {
  return t.to(at::kCPU, at::kDouble);
}

void check_rows(const char *op, const Tensor &t, int64_t n, int64_t n_owned) {
  TORCH_CHECK_VALUE(t.dim() == 2, "loremd::", op,
                    ": expected a tensor of shape (atoms, channels), got ", t.sizes());
  check_floating(op, "its input", t);
  TORCH_CHECK_VALUE(n_owned >= 0 && n >= n_owned, "loremd::", op, ": ", n, " atoms cannot have ",
                    n_owned, " owned ones");
}

Tensor halo_exchange_kernel(const Tensor &owned, int64_t n, int64_t comm) {
  const char *op = "halo_exchange";
  check_rows(op, owned, n, owned.size(0));
  if (comm == 0) {
    TORCH_CHECK_VALUE(n == owned.size(0), "loremd::", op, ": ", n - owned.size(0),
                      " ghost atoms, but no communicator (comm = 0) to fill them");
    return owned.clone();
  }
  const auto communicator = communicator_of(op, comm);
  const Tensor source = on_host(owned).contiguous();
  Tensor ghosts = at::empty({n - owned.size(0), owned.size(1)}, source.options());
  check_status(op, communicator.halo_forward(communicator.context, source.const_data_ptr<double>(),
                                             ghosts.mutable_data_ptr<double>(),
                                             static_cast<int>(owned.size(1))));
  return at::cat({owned, ghosts.to(owned.options())});
}

Tensor halo_reduce_kernel(const Tensor &all, int64_t n_owned, int64_t comm) {
  const char *op = "halo_reduce";
  check_rows(op, all, all.size(0), n_owned);
  if (comm == 0) {
    TORCH_CHECK_VALUE(n_owned == all.size(0), "loremd::", op, ": ", all.size(0) - n_owned,
                      " ghost atoms, but no communicator (comm = 0) to collect them");
    return all.clone();
  }
  const auto communicator = communicator_of(op, comm);
  Tensor owned = on_host(all.slice(0, 0, n_owned)).clone().contiguous();
  const Tensor ghosts = on_host(all.slice(0, n_owned)).contiguous();
  check_status(op, communicator.halo_reverse(communicator.context, ghosts.const_data_ptr<double>(),
                                             owned.mutable_data_ptr<double>(),
                                             static_cast<int>(all.size(1))));
  return owned.to(all.options());
}

Tensor sum_over_ranks_kernel(const Tensor &values, int64_t comm) {
  const char *op = "sum_over_ranks";
  check_floating(op, "values", values);
  if (comm == 0) return values.clone();
  const auto communicator = communicator_of(op, comm);
  Tensor sums = on_host(values).clone(at::MemoryFormat::Contiguous);
  check_status(
      op, communicator.sum(communicator.context, sums.mutable_data_ptr<double>(), sums.numel()));
  return sums.to(values.options());
}

// Compared as doubles, and gathered as the integers that have the same bits.
Tensor max_over_ranks_kernel(const Tensor &values, int64_t comm) {
  const char *op = "max_over_ranks";
  check_dtype(op, "values", values, at::kDouble);
  if (!on_several_ranks(op, comm)) return values.clone();
  const auto communicator = communicator_of(op, comm);
  const Tensor mine = on_host(values).contiguous().view(at::kLong);
  Tensor all = at::empty({communicator.size, mine.numel()}, mine.options());
  check_status(op, communicator.all_gather(communicator.context, mine.const_data_ptr<int64_t>(),
                                           mine.numel(), all.mutable_data_ptr<int64_t>()));
  return all.view(at::kDouble).amax(0).view(values.sizes()).to(values.options());
}

Tensor halo_exchange_meta(const Tensor &owned, SymInt n, int64_t comm) {
  return owned.new_empty_symint({n, owned.sym_size(1)});
}

Tensor halo_reduce_meta(const Tensor &all, SymInt n_owned, int64_t comm) {
  return all.new_empty_symint({n_owned, all.sym_size(1)});
}

Tensor sum_over_ranks_meta(const Tensor &values, int64_t comm) {
  return at::empty_like(values);
}

struct HaloExchange : torch::autograd::Function<HaloExchange> {
  static Tensor forward(AutogradContext *ctx, const Tensor &owned, SymInt n, int64_t comm) {
    ctx->saved_data["n_owned"] = owned.sym_size(0);
    ctx->saved_data["comm"] = comm;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return halo_exchange(owned, n, comm);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    return {halo_reduce(grads[0], ctx->saved_data["n_owned"].toSymInt(),
                        ctx->saved_data["comm"].toInt()),
            Tensor(), Tensor()};
  }
};

struct HaloReduce : torch::autograd::Function<HaloReduce> {
  static Tensor forward(AutogradContext *ctx, const Tensor &all, SymInt n_owned, int64_t comm) {
    ctx->saved_data["n"] = all.sym_size(0);
    ctx->saved_data["comm"] = comm;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return halo_reduce(all, n_owned, comm);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    return {
        halo_exchange(grads[0], ctx->saved_data["n"].toSymInt(), ctx->saved_data["comm"].toInt()),
        Tensor(), Tensor()};
  }
};

struct SumOverRanks : torch::autograd::Function<SumOverRanks> {
  static Tensor forward(AutogradContext *ctx, const Tensor &values, int64_t comm) {
    ctx->saved_data["comm"] = comm;
    at::AutoDispatchBelowADInplaceOrView below_autograd;
    return sum_over_ranks(values, comm);
  }
  static variable_list backward(AutogradContext *ctx, const variable_list &grads) {
    return {sum_over_ranks(grads[0], ctx->saved_data["comm"].toInt()), Tensor()};
  }
};

}  // namespace

LOREMD_KERNELS(m) {
  m.impl("halo_exchange", halo_exchange_kernel);
  m.impl("halo_reduce", halo_reduce_kernel);
  m.impl("sum_over_ranks", sum_over_ranks_kernel);
  m.impl("max_over_ranks", max_over_ranks_kernel);
}

TORCH_LIBRARY_IMPL(loremd, Meta, m) {
  m.impl("halo_exchange", halo_exchange_meta);
  m.impl("halo_reduce", halo_reduce_meta);
  m.impl("sum_over_ranks", sum_over_ranks_meta);
  m.impl("max_over_ranks", sum_over_ranks_meta);
}

TORCH_LIBRARY_IMPL(loremd, Autograd, m) {
  m.impl("halo_exchange", [](const Tensor &owned, SymInt n, int64_t comm) {
    return HaloExchange::apply(owned, n, comm);
  });
  m.impl("halo_reduce", [](const Tensor &all, SymInt n_owned, int64_t comm) {
    return HaloReduce::apply(all, n_owned, comm);
  });
  m.impl("sum_over_ranks",
         [](const Tensor &values, int64_t comm) { return SumOverRanks::apply(values, comm); });
}

}  // namespace loremd_torch
