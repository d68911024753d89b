// SPDX-License-Identifier: GPL-2.0-or-later
//
// How the ranks of a run act together inside a pair style: the table of functions through which a
// model's ops exchange data (csrc/torch/communicator.hpp), and the rule that lets one rank fail
// without leaving the others waiting.
//
// The rule: before every exchange, and once at the end, all ranks agree that none has failed. A
// rank that fails joins the next agreement with "no"; then all ranks leave with the same message.
#ifndef LMP_PAIR_LOREM_EXCHANGE_H
#define LMP_PAIR_LOREM_EXCHANGE_H

#include "model_runner.hpp"
#include "pointers.h"

#include <exception>
#include <functional>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class LoremAtoms;
class Pair;

class LoremExchange : protected Pointers {
 public:
  // Columns sent at once; the comm_forward and comm_reverse of the pair style, which LAMMPS needs
  // to size its buffers before a model, and with it the number of channels, is known.
  static constexpr int kColumns = 16;

  LoremExchange(LAMMPS *lmp, Pair *pair) : Pointers(lmp), pair_(pair) {}
  ~LoremExchange() override;
  LoremExchange(const LoremExchange &) = delete;
  LoremExchange &operator=(const LoremExchange &) = delete;

  // Registers the table of functions with the ops library, this object behind it; once.
  void connect(const loremd_runner *runner);
  int64_t communicator() const { return handle_; }

  // The atoms that later exchanges speak of; not owned.
  void use(const LoremAtoms *atoms) { atoms_ = atoms; }

  // Runs `action` on all ranks; whatever any of them throws stops all of them with error->all.
  void together(const std::function<void()> &action);

  // Behind the Pair functions of the same names
  int pack_forward(int n, const int *list, double *buffer) const;
  void unpack_forward(int n, int first, const double *buffer);
  int pack_reverse(int n, int first, double *buffer) const;
  void unpack_reverse(int n, const int *list, const double *buffer);

 private:
  Pair *pair_;
  const loremd_runner *runner_ = nullptr;
  const LoremAtoms *atoms_ = nullptr;
  int64_t handle_ = 0;
  int width_ = 0;                // columns of the exchange under way
  std::vector<double> columns_;  // (all LAMMPS atoms, width)
  bool stopped_ = false;         // an agreement has failed
  std::exception_ptr abort_;     // thrown by LAMMPS inside an exchange

  bool agree(bool ok);
  [[noreturn]] void stop(const std::string &own_message);
  int exchange(const std::function<void()> &action);
  void forward(const double *owned, double *ghosts, int channels, int first);
  void reverse(const double *ghosts, double *owned, int channels, int first);
  void sum(double *values, int64_t count) const;
  void all_gather(const int64_t *mine, int64_t count, int64_t *all) const;
  void all_to_all(const char *send, const int64_t *send_bytes, char *receive,
                  const int64_t *receive_bytes) const;

  static int call_forward(void *context, const double *owned, double *ghosts, int channels);
  static int call_reverse(void *context, const double *ghosts, double *owned, int channels);
  static int call_sum(void *context, double *values, int64_t count);
  static int call_all_gather(void *context, const int64_t *mine, int64_t count, int64_t *all);
  static int call_all_to_all(void *context, const void *send, const int64_t *send_bytes,
                             void *receive, const int64_t *receive_bytes);
};

}  // namespace LAMMPS_NS

#endif
