// SPDX-License-Identifier: BSD-3-Clause
//
// How an op reaches other MPI ranks. The pair style fills a table of functions, registers it, and
// passes the handle through the model's forward as the integer `comm`; 0 means "this process
// alone". The table moves data and nothing else, so that this library never links MPI.
//
// All arrays are row-major doubles owned by the caller. Every function returns 0 on success; any
// other value makes the calling op throw. Every rank must reach every call in the same order.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct loremd_communicator {
  void *context;  // handed back as the first argument of each function

  // ghosts (n_ghost, channels) <- the rows of `owned` (n_owned, channels) they are images of
  int (*halo_forward)(void *context, const double *owned, double *ghosts, int channels);

  // the transpose: owned (n_owned, channels) += sum over the images in ghosts (n_ghost, channels)
  int (*halo_reverse)(void *context, const double *ghosts, double *owned, int channels);

  // values (count) <- sum over all ranks, in place
  int (*sum)(void *context, double *values, int64_t count);
} loremd_communicator;

// Copies the table and returns its handle (> 0). The context must outlive the registration.
int64_t loremd_register_communicator(const loremd_communicator *table);
void loremd_unregister_communicator(int64_t handle);

#ifdef __cplusplus
}
#endif
