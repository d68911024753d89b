// SPDX-License-Identifier: GPL-2.0-or-later
//
// pair_style lorem: energies and forces from a LOREM model (docs/pair_lorem.md). This class is the
// LAMMPS side: commands, checks, units, bookkeeping. The model itself is behind model_runner.hpp.
#ifndef LMP_PAIR_LOREM_H
#define LMP_PAIR_LOREM_H

#include "pair.h"

#include "model_runner.hpp"
#include "pair_lorem_atoms.h"
#include "pair_lorem_device.h"
#include "pair_lorem_exchange.h"
#include "pair_lorem_settings.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {

class PairLorem : public Pair {
 public:
  explicit PairLorem(LAMMPS *lmp);
  ~PairLorem() override;

  void settings(int narg, char **arg) override;
  void coeff(int narg, char **arg) override;
  void modify_params(int narg, char **arg) override;
  void init_style() override;
  double init_one(int i, int j) override;
  void setup() override;
  void compute(int eflag, int vflag) override;
  void finish() override;

  void write_restart(FILE *file) override;
  void read_restart(FILE *file) override;
  void write_restart_settings(FILE *file) override;
  void read_restart_settings(FILE *file) override;

  void *extract(const char *name, int &dimensions) override;
  void *extract_peratom(const char *name, int &columns) override;
  double memory_usage() override;

  int pack_forward_comm(int n, int *list, double *buffer, int, int *) override;
  void unpack_forward_comm(int n, int first, double *buffer) override;
  int pack_reverse_comm(int n, int first, double *buffer) override;
  void unpack_reverse_comm(int n, int *list, double *buffer) override;

 private:
  // An array that `fix pair` copies: one row per owned atom, filled after it was asked for.
  struct PerAtom {
    double **rows = nullptr;
    int allocated = 0;
    int trigger = 0;
  };

  LoremSettings settings_;
  LoremDevice device_;
  const loremd_runner *runner_ = nullptr;
  loremd_model *model_ = nullptr;
  std::string file_, file_found_;           // as given, as found
  std::vector<std::string> type_elements_;  // as given, per type
  std::string expected_hash_;               // of the model a restart file was written with
  std::vector<int64_t> type_numbers_;       // [type] atomic number, 0 = none
  std::vector<double> type_offsets_;        // [type] eV

  LoremExchange exchange_;
  LoremAtoms atoms_;
  loremd_plan plan_ = {};
  bool planned_ = false;
  bool renewed_ = false;        // in this evaluation
  double energy_before_ = 0.0;  // of this rank's atoms, with the plan before
  bool warned_ = false;         // that the plan of now does not meet the accuracy
  bool reported_ = false;       // the plan of now is in the log
  bigint participants_ = 0;     // atoms with an element, on all ranks
  double open_sizes_[3] = {};   // how far they reach along open directions, angstrom

  std::vector<double> energies_, long_range_energies_, charges_, potentials_, gradient_;
  loremd_output output_ = {};  // points at the vectors above
  PerAtom charges_out_, potentials_out_;
  double neighbor_seconds_ = 0.0, total_seconds_ = 0.0;
  bigint steps_ = 0;

  const loremd_model_info &info() const { return *runner_->info(model_); }
  double energy_unit() const;        // 1 eV in the units of the run
  double real_space_cutoff() const;  // angstrom
  double reach() const;              // of the pairs, in the distance units of the run
  double mesh_memory() const;        // bytes

  void allocate();

  // pair_lorem_files.cpp
  void use_model(const std::string &file, const std::vector<std::string> &elements,
                 bool by_command);
  void read_model();
  void close_model();
  void map_types();
  void check_hash(bool by_command);
  std::string find_file(const std::string &file) const;
  std::string broadcast_file(const std::string &path) const;
  std::string broadcast(std::string text) const;
  std::string read_text(FILE *file) const;

  void check_run() const;
  void check_kspace() const;
  void check_boundary() const;
  void check_neighbor_settings() const;

  void measure_system();
  loremd_plan_request plan_request() const;
  void make_plan();
  bool plan_is_due();
  double plan_error();
  double own_energy() const;  // eV, of this rank's atoms
  void report_jump();
  void report();
  double step_memory() const;  // bytes that a step takes on this rank, about
  void check_memory();

  void evaluate();
  void add_forces();
  void add_energies();
  void add_virial();
  void fill(PerAtom &array, const std::vector<double> &values);
  double **rows_of(PerAtom &array, const char *name);
  void reset_times();
};

}  // namespace LAMMPS_NS

#endif
