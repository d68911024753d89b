// SPDX-License-Identifier: GPL-2.0-or-later
//
// Opens the torch side. It is a library of its own, so that LAMMPS, which loads the plugin in every
// run, maps torch only where `pair_style lorem` is used.
#ifndef LMP_PAIR_LOREM_RUNNER_H
#define LMP_PAIR_LOREM_RUNNER_H

#include "model_runner.hpp"

namespace LAMMPS_NS {

// The functions of libloremd_runner.so, which lies beside this plugin; opened once per process and
// never closed. Throws std::runtime_error with what the loader says and the cure.
const loremd_runner *open_lorem_runner();

}  // namespace LAMMPS_NS

#endif
