// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the pair style asks of a LOREM model: no LAMMPS, no MPI and no torch in this header. The
// library behind it, libloremd_runner.so, brings torch with it; it is opened by the first
// `pair_style lorem` of a process, so that every other LAMMPS run stays free of torch.
//
// Units: eV and angstrom. Arrays are row-major and belong to the caller. Functions return 0 on
// success; otherwise last_error() of the same thread is the reason, in words for the user.
#pragma once

#include <stdint.h>

#include "communicator.hpp"  // csrc/torch: how an op reaches other ranks

#define LOREMD_RUNNER_VERSION 5

extern "C" {

typedef struct loremd_model loremd_model;  // one model, loaded and placed on a device

typedef struct loremd_model_info {
  double cutoff;            // of the short-range part
  int64_t message_passing;  // number of message-passing layers
  int64_t channels;         // charges per atom; 0 without long range
  int long_range;           // 0 or 1
  int64_t num_elements;
  const char *const *symbols;  // (num_elements) "Mg", "O", ...
  const int64_t *numbers;      // (num_elements) atomic numbers
  const double *offsets;       // (num_elements) energy per element that the network does not learn
  const char *hash;            // of hyperparameters, parameters, offsets and elements
  const char *loremd_version;  // that wrote the file
} loremd_model_info;

typedef struct loremd_plan_request {
  double cell[9];         // rows are the cell vectors
  int64_t atoms;          // in the whole cell
  double cutoff;          // real-space sum: pairs are complete up to here
  double accuracy;        // relative error of the potentials
  double smearing;        // 0: chosen
  int64_t mesh[3];        // any 0: chosen
  int64_t order;          // 0: chosen
  const char *splitting;  // "auto", "gaussian", "prolate"
} loremd_plan_request;

typedef struct loremd_plan {
  double smearing;             // of a Gaussian splitting
  double splitting_bandlimit;  // of a prolate one; 0: Gaussian
  double window_bandlimit;     // of a prolate window; 0: B-spline
  int64_t mesh[3];
  int64_t order;
  double real_space_error;  // estimated, relative error of the potentials
  double mesh_error;
} loremd_plan;

typedef struct loremd_input {
  int64_t atoms;  // owned atoms first, then ghosts
  int64_t owned;
  const int64_t *numbers;   // (atoms) atomic numbers
  const double *positions;  // (atoms, 3)
  double cell[9];
  int periodic[3];
  int64_t pairs;             // directed: each of a bond's two directions is one pair
  const int64_t *pair_list;  // (2, pairs) centres, which are owned and ascend, then neighbours
  int64_t list;              // another number whenever `numbers` and `pair_list` have changed
  int64_t communicator;      // from register_communicator
} loremd_input;

typedef struct loremd_output {
  double *energies;             // (owned) eV, offsets included
  double *long_range_energies;  // (owned) eV, the share of the last, long-range readout
  double *charges;              // (owned, channels)
  double *potentials;           // (owned, channels) 1/angstrom
  double *gradient;             // (atoms, 3) dE/dR, of the owned atoms' energies on every rank
  double
      strain_gradient[9];  // dE/d(strain) for R -> R (1 + strain), cell likewise; this rank's share
} loremd_output;

// Seconds since reset_times(), forward and backward together: the kernels of the short-range part,
// those of the long-range part, communication, and what is left, the networks of every atom.
typedef struct loremd_times {
  double density, products, network, spread, convolve, interpolate, pair_sum, communication;
} loremd_times;

typedef struct loremd_runner {
  int version;                // LOREMD_RUNNER_VERSION
  const char *torch_version;  // this library was built with

  // `bytes`: the model file. Null on failure. device: "cpu" or "cuda:0", "cuda:1", ...
  loremd_model *(*open)(const char *bytes, int64_t size, int double_precision, const char *device);
  void (*close)(loremd_model *);
  const loremd_model_info *(*info)(const loremd_model *);
  int (*plan)(loremd_model *, const loremd_plan_request *, loremd_plan *);
  // Estimated relative error of the plan of now in the cell of the request.
  int (*plan_error)(loremd_model *, const loremd_plan_request *, double *error);
  // Bytes that evaluate() takes at most on this rank, an estimate; mesh and arguments not included.
  int (*memory)(loremd_model *, int64_t owned, int64_t atoms, int64_t pairs, double *bytes);
  int (*evaluate)(loremd_model *, const loremd_input *, loremd_output *);
  void (*reset_times)(loremd_model *);
  const loremd_times *(*times)(const loremd_model *);
  int64_t (*mesh_bytes)();  // memory for meshes on this rank in the last evaluation of this thread
  int (*threads)();
  // Number of GPUs that this process can use; *found, which stays, says in words what there is.
  int (*cuda_devices)(const char **found);
  const char *(*last_error)();

  int64_t (*register_communicator)(const loremd_communicator *);
  void (*unregister_communicator)(int64_t handle);
} loremd_runner;

// The only symbol looked up in libloremd_runner.so.
typedef const loremd_runner *(*loremd_runner_entry)();
#define LOREMD_RUNNER_ENTRY "loremd_runner_functions"

}  // extern "C"
