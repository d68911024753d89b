// SPDX-License-Identifier: BSD-3-Clause
//
// How ops find the table behind `comm` (communicator.hpp).
#pragma once

#include "communicator.hpp"

namespace loremd_torch {

// Throws ValueError where no table has this handle.
loremd_communicator communicator_of(const char *op, int64_t comm);

// Whether there is anybody to talk to.
bool on_several_ranks(const char *op, int64_t comm);

// Throws unless a function of the table returned 0.
void check_status(const char *op, int status);

}  // namespace loremd_torch
