// SPDX-License-Identifier: BSD-3-Clause
//
// The pairs of every centre (edges/cuda.hpp), found on the device without waiting for it.
#pragma once

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <optional>

#include "device_call.hpp"
#include "edges/cuda.hpp"

namespace loremd_torch {

class PairRowsOnDevice {
 public:
  // `pairs` (2, P) int64, contiguous.
  PairRowsOnDevice(const char *op, const Tensor &pairs, int64_t n_centres)
      : first_(at::zeros({n_centres + 1}, pairs.options())),
        order_(at::empty({pairs.size(1)}, pairs.options())),
        unsorted_(at::zeros({1}, pairs.options().dtype(at::kInt))) {
    run_on_device(op, pairs, [&](loremd::cuda::Stream stream) {
      const int64_t *centres = pairs.const_data_ptr<int64_t>(), count = pairs.size(1);
      loremd::cuda::count_pairs(centres, count, n_centres, first_.mutable_data_ptr<int64_t>() + 1,
                                unsorted_.mutable_data_ptr<int32_t>(), stream);
      first_ = first_.cumsum(0);
      const Tensor next = first_.clone();
      loremd::cuda::order_pairs(centres, count, n_centres, view(), next.mutable_data_ptr<int64_t>(),
                                order_.mutable_data_ptr<int64_t>(), stream);
    });
  }

  loremd::cuda::PairRows view() const {
    return {first_.const_data_ptr<int64_t>(), order_.const_data_ptr<int64_t>(),
            unsorted_.const_data_ptr<int32_t>()};
  }

 private:
  Tensor first_, order_, unsorted_;
};

// What pairs give to their neighbours, kept pair by pair where torch is asked for deterministic
// algorithms.
class KeptVectors {
 public:
  KeptVectors(const char *op, const Tensor &pairs, int64_t n_atoms) : op_(op), n_atoms_(n_atoms) {
    if (!at::globalContext().deterministicAlgorithms()) return;
    exchanged_ = pairs.flip(0).contiguous();
    rows_.emplace(op, exchanged_, n_atoms);
    vectors_ = at::zeros({pairs.size(1), 3}, pairs.options().dtype(at::kDouble));
  }

  bool wanted() const { return rows_.has_value(); }
  double *data() const { return wanted() ? vectors_.mutable_data_ptr<double>() : nullptr; }
  const PairRowsOnDevice &by_neighbour() const { return *rows_; }
  const Tensor &exchanged() const { return exchanged_; }  // the pairs, neighbours first

  void collect(const Tensor &by_positions) const {
    if (!wanted()) return;
    run_on_device(op_, vectors_, [&](loremd::cuda::Stream stream) {
      loremd::cuda::collect_vectors(rows_->view(), n_atoms_, vectors_.const_data_ptr<double>(),
                                    by_positions.mutable_data_ptr<double>(), stream);
    });
  }

 private:
  const char *op_;
  int64_t n_atoms_;
  Tensor exchanged_, vectors_;
  std::optional<PairRowsOnDevice> rows_;
};

}  // namespace loremd_torch
