// SPDX-License-Identifier: BSD-3-Clause
//
// How an op reaches other MPI ranks. The pair style fills a table of functions, registers it, and
// passes the handle through the model's forward as the integer `comm`; 0 means "this process
// alone". The table moves data and nothing else, so that this library never links MPI.
//
// All arrays are row-major and owned by the caller. Every function returns 0 on success; any other
// value makes the calling op throw. Every rank must reach every call in the same order.
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

  int rank, size;  // this rank, 0 to size - 1, and their number

  // all (size, count) <- `mine` (count) of every rank
  int (*all_gather)(void *context, const int64_t *mine, int64_t count, int64_t *all);

  // One block of bytes to and from every rank r, in the order of the ranks and one behind the
  // other: send_bytes[r] and receive_bytes[r] long, which both ends know; 0 is no message.
  int (*all_to_all)(void *context, const void *send, const int64_t *send_bytes, void *receive,
                    const int64_t *receive_bytes);
} loremd_communicator;

// Copies the table and returns its handle (> 0). The context must outlive the registration.
int64_t loremd_register_communicator(const loremd_communicator *table);
void loremd_unregister_communicator(int64_t handle);

#ifdef __cplusplus
}
#endif
