// SPDX-License-Identifier: GPL-2.0-or-later
#include "model_memory.hpp"

#include <c10/core/CPUAllocator.h>

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace loremd {
namespace {

constexpr size_t huge_page = size_t{2} << 20;
// Smaller ones are left to malloc, which joins and splits larger ones at every call.
constexpr size_t large = size_t{64} << 10;
constexpr size_t cache_line = 64;

struct Block {
  void *data;
  size_t size;
  bool idle = false;  // not used in this step
};

// Without data where there is no memory. Large pages, where one is filled: a step reads and writes
// gigabytes, and their addresses are looked up less often.
Block fresh_block(size_t size) {
  const bool huge = size >= huge_page;
  const size_t unit = huge ? huge_page : large, whole = (size + unit - 1) / unit * unit;
  void *data = nullptr;
  if (posix_memalign(&data, huge ? huge_page : cache_line, whole) != 0) return {nullptr, 0};
#ifdef __linux__
  if (huge) madvise(data, whole, MADV_HUGEPAGE);  // a hint, which may be ignored
#endif
  return {data, whole};
}

class Pool : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t size) override {
    const Block found = size < large ? Block{nullptr, 0} : take(size);
    // torch's own allocator also says how much there was too little
    if (!found.data) return c10::GetDefaultCPUAllocator()->allocate(size);
    auto *block = new Block(found);
    return {block->data, block, give_back, c10::Device(c10::DeviceType::CPU)};
  }

  void copy_data(void *to, const void *from, size_t size) const override {
    default_copy_data(to, from, size);
  }

  // Ends a step: frees what lay idle through all of it.
  void end_step() {
    const std::lock_guard<std::mutex> lock(mutex_);
    release(
        std::partition(free_.begin(), free_.end(), [](const Block &block) { return !block.idle; }));
    for (Block &block : free_) block.idle = true;
  }

  // Never destroyed, because tensors may outlive everything else.
  static Pool &instance() {
    static Pool *const pool = new Pool;
    return *pool;
  }

 private:
  // The smallest free block that is large enough and not much too large, or a new one in the place
  // of one that is a little too small: sizes that vary must not pile up.
  Block take(size_t size) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto best = free_.end(), grown = free_.end();
    for (auto block = free_.begin(); block != free_.end(); ++block) {
      const size_t most = 2 * size + (size < huge_page ? 0 : huge_page);
      const bool fits = block->size >= size && block->size <= most;
      if (fits && (best == free_.end() || block->size < best->size)) best = block;
      const bool short_of_it = block->size < size && block->size >= size / 2;
      if (short_of_it && (grown == free_.end() || block->size > grown->size)) grown = block;
    }
    if (best != free_.end()) return remove(best);
    if (grown != free_.end()) std::free(remove(grown).data);
    const Block fresh = fresh_block(size);
    if (fresh.data) return fresh;
    release(free_.begin());  // what fits nothing now may be what is missing
    return fresh_block(size);
  }

  Block remove(std::vector<Block>::iterator block) {
    const Block found = *block;
    free_.erase(block);
    return found;
  }

  // Gives the blocks from `first` on back to the system.
  void release(std::vector<Block>::iterator first) {
    for (auto block = first; block != free_.end(); ++block) std::free(block->data);
    free_.erase(first, free_.end());
  }

  static void give_back(void *context) {
    auto *block = static_cast<Block *>(context);
    Pool &pool = instance();
    const std::lock_guard<std::mutex> lock(pool.mutex_);
    pool.free_.push_back({block->data, block->size});
    delete block;
  }

  std::mutex mutex_;
  std::vector<Block> free_;
};

}  // namespace

StepMemory::StepMemory() {
  c10::SetCPUAllocator(&Pool::instance());
}

StepMemory::~StepMemory() {
  c10::SetCPUAllocator(c10::GetDefaultCPUAllocator());
  Pool::instance().end_step();
}

}  // namespace loremd
