// SPDX-License-Identifier: GPL-2.0-or-later
//
// Where the model of each rank is evaluated.
#ifndef LMP_PAIR_LOREM_DEVICE_H
#define LMP_PAIR_LOREM_DEVICE_H

#include <mpi.h>

#include <string>

#include "model_runner.hpp"

namespace LAMMPS_NS {

struct LoremDevice {
  std::string name = "cpu";  // or "cuda:0", ..., of this rank
  std::string text = "cpu";  // of all ranks, for the log
};

// `asked`: auto, cpu or cuda. The ranks of a node take its GPUs in turn; auto falls back to the CPU
// unless every rank has one. All ranks call it together. Throws std::runtime_error, on all of them,
// where cuda is asked for and a rank has no GPU.
LoremDevice choose_lorem_device(const std::string &asked, const loremd_runner *runner,
                                MPI_Comm world);

}  // namespace LAMMPS_NS

#endif
