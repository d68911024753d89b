// SPDX-License-Identifier: BSD-3-Clause
//
// The pairs of every centre (edges/cuda.hpp), found on the device without waiting for it.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

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

}  // namespace loremd_torch
