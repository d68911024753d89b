// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem_report.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

using namespace LAMMPS_NS;

namespace {

std::string line(const std::string &name, const std::string &value) {
  return fmt::format("  {:<18}= {}\n", name, value);
}

std::string elements_of(const loremd_model_info &info) {
  std::string text;
  for (int64_t k = 0; k < info.num_elements; ++k)
    text += (k ? " " : "") + std::string(info.symbols[k]);
  return text;
}

std::string long_range_block(const loremd_model_info &info, const loremd_plan_request &request,
                             const loremd_plan &plan, bool open) {
  const double total = std::hypot(plan.real_space_error, plan.mesh_error);
  const bool gaussian = plan.splitting_bandlimit == 0.0;
  return line("long range",
              fmt::format("mesh, {} splitting, {} window, {} channels",
                          gaussian ? "gaussian" : "prolate",
                          plan.window_bandlimit == 0.0 ? "B-spline" : "prolate", info.channels)) +
         (gaussian ? line("smearing", fmt::format("{:.8g} angstrom", plan.smearing))
                   : line("bandlimit", fmt::format("{:.8g} / cutoff", plan.splitting_bandlimit))) +
         line("order", std::to_string(plan.order)) +
         line("mesh",
              fmt::format("{} {} {}{}", plan.mesh[0], plan.mesh[1], plan.mesh[2],
                          open ? " where the atoms are; it goes on along open directions" : "")) +
         line("real-space cutoff", fmt::format("{:.8g} angstrom", request.cutoff)) +
         line("estimated error",
              fmt::format("{:.2e} of the potentials, relative RMS (real space {:.2e}, "
                          "mesh {:.2e}; asked for {:.2e})",
                          total, plan.real_space_error, plan.mesh_error, request.accuracy));
}

// Largest resident size of this process so far, libraries included, in megabytes.
double peak_megabytes() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024.0 / 1e6;
}

// Bytes that are free on this node.
double free_on_node() {
  std::ifstream file("/proc/meminfo");
  std::string name, unit;
  double kilobytes = 0.0;
  while (file >> name >> kilobytes) {
    if (name == "MemAvailable:") return 1024.0 * kilobytes;
    std::getline(file, unit);
  }
  return HUGE_VAL;
}

// Bytes that this process may still map, if the user has set a limit.
double rest_of_address_space() {
  rlimit limit = {};
  getrlimit(RLIMIT_AS, &limit);
  double pages = 0.0;
  std::ifstream("/proc/self/statm") >> pages;
  return limit.rlim_cur == RLIM_INFINITY ? HUGE_VAL
                                         : limit.rlim_cur - pages * sysconf(_SC_PAGESIZE);
}

}  // namespace

std::string LAMMPS_NS::lorem_settings_block(const loremd_runner *runner,
                                            const loremd_model_info &info,
                                            const LoremSettings &settings,
                                            const loremd_plan_request &request,
                                            const loremd_plan &plan, bool open,
                                            const std::string &file, const std::string &device) {
  const std::string precision =
      settings.double_precision
          ? "double"
          : "mixed (network and mesh in float32; geometry and sums in float64)";
  return "LOREM potential\n" + line("model", file) +
         line("hash", fmt::format("{} (written by loremd {})", info.hash, info.loremd_version)) +
         line("elements", elements_of(info)) +
         line("cutoff", fmt::format("{:.8g} angstrom, {} message-passing layers", info.cutoff,
                                    info.message_passing)) +
         (info.long_range ? long_range_block(info, request, plan, open)
                          : line("long range", "none")) +
         line("precision", precision) +
         line("device", fmt::format("{}, {} threads per rank, torch {}", device, runner->threads(),
                                    runner->torch_version));
}

std::string LAMMPS_NS::lorem_time_table(const LoremSeconds &seconds, double total, bigint steps,
                                        MPI_Comm world) {
  int me = 0, ranks = 1;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &ranks);
  const int n = static_cast<int>(seconds.size());
  std::vector<double> mine, lowest(n), sum(n), highest(n);
  for (const auto &entry : seconds) mine.push_back(entry.second);
  MPI_Reduce(mine.data(), lowest.data(), n, MPI_DOUBLE, MPI_MIN, 0, world);
  MPI_Reduce(mine.data(), sum.data(), n, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(mine.data(), highest.data(), n, MPI_DOUBLE, MPI_MAX, 0, world);
  double all = 0.0;
  MPI_Reduce(&total, &all, 1, MPI_DOUBLE, MPI_SUM, 0, world);
  const double peak = peak_megabytes();
  double peaks = 0.0, largest = 0.0;
  MPI_Reduce(&peak, &peaks, 1, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(&peak, &largest, 1, MPI_DOUBLE, MPI_MAX, 0, world);
  if (me != 0) return "";

  std::string text = fmt::format(
      "\nLOREM time split over {} steps (seconds; share of {:.4g} per rank):\n"
      "{:<14}|  min time  |  avg time  |  max time  | % of lorem\n{}\n",
      steps, all / ranks, "Section", std::string(66, '-'));
  for (int k = 0; k < n; ++k)
    text +=
        fmt::format("{:<14}| {:<10.5g} | {:<10.5g} | {:<10.5g} | {:6.2f}\n", seconds[k].first,
                    lowest[k], sum[k] / ranks, highest[k], all > 0.0 ? 100.0 * sum[k] / all : 0.0);
  return text + fmt::format("Peak memory of all ranks: {:.1f} MB, of one at most: {:.1f} MB\n",
                            peaks, largest);
}

std::string LAMMPS_NS::lorem_memory_line(double bytes, MPI_Comm world) {
  constexpr double kMegabyte = 1 << 20;
  int me = 0, ranks = 1;
  MPI_Comm_rank(world, &me);
  MPI_Comm_size(world, &ranks);
  double lowest = 0.0, sum = 0.0, highest = 0.0;
  MPI_Reduce(&bytes, &lowest, 1, MPI_DOUBLE, MPI_MIN, 0, world);
  MPI_Reduce(&bytes, &sum, 1, MPI_DOUBLE, MPI_SUM, 0, world);
  MPI_Reduce(&bytes, &highest, 1, MPI_DOUBLE, MPI_MAX, 0, world);
  if (me != 0) return "";
  return fmt::format("Mesh memory per rank (min/avg/max) = {:.4g} | {:.4g} | {:.4g} Mbytes\n",
                     lowest / kMegabyte, sum / ranks / kMegabyte, highest / kMegabyte);
}

LoremMemory LAMMPS_NS::lorem_memory(double needed, MPI_Comm world) {
  MPI_Comm node = MPI_COMM_NULL;
  MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  double of_node = 0.0;
  MPI_Allreduce(&needed, &of_node, 1, MPI_DOUBLE, MPI_SUM, node);
  MPI_Comm_free(&node);
  // a process at its own limit counts as a node of its own
  const double own = rest_of_address_space(), shared = free_on_node();
  const bool at_limit = own - needed < shared - of_node;
  const double mine[2] = {at_limit ? needed : of_node, at_limit ? own : shared};

  struct {
    double spare;
    int rank;
  } place = {mine[1] - mine[0], 0}, least;
  MPI_Comm_rank(world, &place.rank);
  MPI_Allreduce(&place, &least, 1, MPI_DOUBLE_INT, MPI_MINLOC, world);
  double worst[2] = {mine[0], mine[1]};
  MPI_Bcast(worst, 2, MPI_DOUBLE, least.rank, world);
  LoremMemory result = {0.0, worst[0], worst[1]};
  MPI_Allreduce(&needed, &result.largest, 1, MPI_DOUBLE, MPI_MAX, world);
  return result;
}
