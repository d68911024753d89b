// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem_device.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

using namespace LAMMPS_NS;

namespace {

constexpr int kLongestName = MPI_MAX_PROCESSOR_NAME;
constexpr int kListedRanks = 32;

// Number of this rank among those of its node.
int local_rank(MPI_Comm world) {
  int me = 0, ranks = 1, length = 0;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &ranks);
  char own[kLongestName] = {};
  MPI_Get_processor_name(own, &length);
  std::vector<char> all(static_cast<size_t>(ranks) * kLongestName);
  MPI_Allgather(own, kLongestName, MPI_CHAR, all.data(), kLongestName, MPI_CHAR, world);
  int before = 0;
  for (int r = 0; r < me; ++r)
    before += std::strncmp(&all[static_cast<size_t>(r) * kLongestName], own, kLongestName) == 0;
  return before;
}

// "0:0 1:1 2:0 3:1": rank and its GPU.
std::string map_of_ranks(int gpu, MPI_Comm world) {
  int ranks = 1;
  MPI_Comm_size(world, &ranks);
  std::vector<int> all(ranks);
  MPI_Allgather(&gpu, 1, MPI_INT, all.data(), 1, MPI_INT, world);
  std::string text;
  for (int r = 0; r < std::min(ranks, kListedRanks); ++r)
    text += (r ? " " : "") + std::to_string(r) + ":" + std::to_string(all[r]);
  return text + (ranks > kListedRanks ? " ..." : "");
}

}  // namespace

LoremDevice LAMMPS_NS::choose_lorem_device(const std::string &asked, const loremd_runner *runner,
                                           MPI_Comm world) {
  if (asked == "cpu") return {};
  const char *found = "";
  const int gpus = runner->cuda_devices(&found);
  int least = 0;
  MPI_Allreduce(&gpus, &least, 1, MPI_INT, MPI_MIN, world);
  if (least == 0 && asked == "cuda")
    throw std::runtime_error(
        std::string("'device cuda' needs a GPU for every rank: ") + found +
        "; use 'cpu' or 'auto', or install loremd where torch has CUDA, nvcc is found and the "
        "driver works (loremd check)");
  if (least == 0) return {"cpu", std::string("cpu, chosen because ") + found};
  const int gpu = local_rank(world) % gpus;
  return {"cuda:" + std::to_string(gpu), "cuda, rank:GPU of its node " + map_of_ranks(gpu, world)};
}
