// SPDX-License-Identifier: GPL-2.0-or-later
//
// The keywords of `pair_style lorem`.
#ifndef LMP_PAIR_LOREM_SETTINGS_H
#define LMP_PAIR_LOREM_SETTINGS_H

#include "lammps.h"

#include <cstdint>
#include <string>

namespace LAMMPS_NS {

struct LoremSettings {
  double accuracy = 1e-5;       // relative RMS error of the potentials
  int64_t mesh[3] = {0, 0, 0};  // 0: chosen
  int64_t order = 0;            // 0: chosen
  std::string splitting = "auto";
  double rspace = 0.0;  // distance units of the run; 0: the cutoff of the model
  bool double_precision = false;
  std::string device = "auto";  // pair_lorem_device.h decides

  // From the words behind `pair_style lorem`; stops with error->all on bad ones.
  static LoremSettings parse(LAMMPS *lmp, int narg, char **arg);

  // The same words again, as the restart file keeps them.
  std::string words() const;
};

}  // namespace LAMMPS_NS

#endif
