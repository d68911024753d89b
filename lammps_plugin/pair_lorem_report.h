// SPDX-License-Identifier: GPL-2.0-or-later
//
// What pair_style lorem writes to screen and log: its settings when a run begins, where its time
// went when a run ends.
#ifndef LMP_PAIR_LOREM_REPORT_H
#define LMP_PAIR_LOREM_REPORT_H

#include "model_runner.hpp"
#include "pair_lorem_settings.h"
#include "pointers.h"

#include <string>
#include <utility>
#include <vector>

namespace LAMMPS_NS {

// Seconds of one rank in one kind of work.
using LoremSeconds = std::vector<std::pair<std::string, double>>;

// The block at the beginning of a run; rank 0 only. `open`: not all directions are periodic;
// `device`: LoremDevice::text.
std::string lorem_settings_block(const loremd_runner *runner, const loremd_model_info &info,
                                 const LoremSettings &settings, const loremd_plan_request &request,
                                 const loremd_plan &plan, bool open, const std::string &file,
                                 const std::string &device);

// The table at the end of a run: minimum, average, maximum over ranks, and the memory that the
// processes took at most. All ranks call it; rank 0 gets the text, the others an empty one.
std::string lorem_time_table(const LoremSeconds &seconds, double total, bigint steps,
                             MPI_Comm world);

// What a step will take, of all ranks, and what there is: MemAvailable of each node, and the limit
// of each process if it has one (ulimit -v). In bytes.
struct LoremMemory {
  double largest;  // of a rank
  double needed;   // of the ranks of the node that has least to spare
  double free;     // on that node
};

// Collective; `needed` by this rank.
LoremMemory lorem_memory(double needed, MPI_Comm world);

// Collective: the mesh memory of all ranks in a line, from that of this rank in bytes; on rank 0,
// elsewhere empty.
std::string lorem_memory_line(double bytes, MPI_Comm world);

}  // namespace LAMMPS_NS

#endif
