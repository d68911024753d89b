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

// The block at the beginning of a run; rank 0 only.
std::string lorem_settings_block(const loremd_runner *runner, const loremd_model_info &info,
                                 const LoremSettings &settings, const loremd_plan_request &request,
                                 const loremd_plan &plan, const std::string &file);

// The table at the end of a run: minimum, average, maximum over ranks, and the memory that the
// processes took at most. All ranks call it; rank 0 gets the text, the others an empty one.
std::string lorem_time_table(const LoremSeconds &seconds, double total, bigint steps,
                             MPI_Comm world);

}  // namespace LAMMPS_NS

#endif
