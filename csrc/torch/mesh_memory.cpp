// SPDX-License-Identifier: BSD-3-Clause
#include "mesh_memory.hpp"

#include <ATen/EmptyTensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/Allocator.h>

#include <cstdlib>
#include <cstring>
#include <list>
#include <mutex>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include "mesh/layout.hpp"

namespace loremd_torch {
namespace {

constexpr size_t huge_page = size_t{1} << 21;
constexpr size_t smallest_block = size_t{1} << 16, largest_small_block = huge_page / 2;
constexpr size_t most_free_blocks = 10;  // what an evaluation and its results take

// Tensors begin some cache lines behind the start of their block, each somewhere else: the same row
// of two of them shall not fall into the same lines of the first-level cache.
constexpr size_t color_bytes = 320, colors = 12;

class BlockAllocator;

struct Block {
  BlockAllocator *owner = nullptr;
  void *address = nullptr;
  size_t bytes = 0, color = 0;
  size_t taken = 0;  // of the bytes, by the tensor that has it

  void *begin() const { return static_cast<char *>(address) + color * color_bytes; }
};

// Memory that is given back stays here for who next asks for about as much, as it is from step to
// step: to have fresh memory cleared by the system takes longer than a step does with it.
//
// Blocks are multiples of `unit` bytes. If these are huge pages, they are asked for before they are
// touched: the system clears them 6 times faster than small ones (90 MB: 7 instead of 40 ms), and
// transforms along x, which jump from plane to plane, miss fewer page addresses.
class BlockAllocator final : public c10::Allocator {
 public:
  explicit BlockAllocator(size_t unit) : unit_(unit) {}

  c10::DataPtr allocate(size_t bytes) override {
    auto *block = new Block(taken(bytes + colors * color_bytes));
    block->taken = bytes;
    block->owner = this;
    report(*block, static_cast<int64_t>(bytes));
    return {block->begin(), block, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  void copy_data(void *to, const void *from, size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

 private:
  Block taken(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto block = free_.begin(); block != free_.end(); ++block) {
      if (block->bytes < bytes || block->bytes > bytes + bytes / 4 + unit_) continue;
      const Block found = *block;
      free_.erase(block);
      return found;
    }
    Block fresh = fresh_block(bytes);
    if (!fresh.address) {
      while (!free_.empty()) release_oldest();
      fresh = fresh_block(bytes);
    }
    TORCH_CHECK_WITH(OutOfMemoryError, fresh.address, "loremd: ", bytes,
                     " bytes of memory cannot be allocated");
    ++fresh_;
    return fresh;
  }

  // Without an address where there is no memory.
  Block fresh_block(size_t bytes) const {
    Block block;
    block.bytes = (bytes + unit_ - 1) / unit_ * unit_;
    block.color = fresh_ % colors;
    block.address = std::aligned_alloc(unit_, block.bytes);
#ifdef __linux__
    // only a hint: whether it is followed does not matter
    if (block.address && unit_ == huge_page) madvise(block.address, block.bytes, MADV_HUGEPAGE);
#endif
    return block;
  }

  void release_oldest() {
    std::free(free_.back().address);
    free_.pop_back();
  }

  static void give_back(void *context) {
    auto *block = static_cast<Block *>(context);
    BlockAllocator &owner = *block->owner;
    report(*block, -static_cast<int64_t>(block->taken));
    const std::lock_guard<std::mutex> lock(owner.mutex_);
    owner.free_.push_front(*block);
    delete block;
    if (owner.free_.size() > most_free_blocks) owner.release_oldest();
  }

  // To torch's profiler.
  static void report(const Block &block, int64_t change) {
    if (!c10::memoryProfilingEnabled()) return;
    c10::reportMemoryUsageToProfiler(block.begin(), change, 0, 0,
                                     c10::Device(c10::DeviceType::CPU));
  }

  const size_t unit_;
  std::mutex mutex_;
  std::list<Block> free_;  // the last one given back first
  size_t fresh_ = 0;
};

// Never destroyed: tensors may outlive them at the end of the program.
BlockAllocator &blocks_for(size_t bytes) {
  static auto *small = new BlockAllocator(smallest_block), *large = new BlockAllocator(huge_page);
  return bytes < largest_small_block ? *small : *large;
}

}  // namespace

at::Tensor empty_large(at::IntArrayRef sizes, const at::TensorOptions &options) {
  const size_t bytes = c10::multiply_integers(sizes) * options.dtype().itemsize();
  if (!options.device().is_cpu() || bytes < smallest_block) return at::empty(sizes, options);
  return at::detail::empty_generic(sizes, &blocks_for(bytes),
                                   c10::DispatchKeySet(c10::DispatchKey::CPU),
                                   c10::typeMetaToScalarType(options.dtype()), std::nullopt);
}

at::Tensor empty_for_vectors(int64_t values, const at::TensorOptions &options) {
  const auto spare = loremd::line_bytes / static_cast<int64_t>(options.dtype().itemsize());
  at::Tensor tensor = empty_mesh(values + spare, options);
  tensor.narrow(0, values, spare).zero_();
  return tensor;
}

}  // namespace loremd_torch
