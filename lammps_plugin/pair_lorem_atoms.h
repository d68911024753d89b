// SPDX-License-Identifier: GPL-2.0-or-later
//
// From the atoms and the neighbour list of LAMMPS to the input of a model: only atoms whose type
// has an element, lengths in angstrom. Atoms and pairs are listed again when LAMMPS has rebuilt its
// neighbour list, so pairs of its skin are in; the model leaves out what is beyond its cutoffs.
#ifndef LMP_PAIR_LOREM_ATOMS_H
#define LMP_PAIR_LOREM_ATOMS_H

#include "model_runner.hpp"
#include "pointers.h"

#include <vector>

namespace LAMMPS_NS {

class NeighList;

class LoremAtoms : protected Pointers {
 public:
  explicit LoremAtoms(LAMMPS *lmp) : Pointers(lmp) {}

  // type_numbers[type]: atomic number, 0 for types without element. `list` is a full list of the
  // owned atoms; null means no pairs. Positions are counted from the lower corner of the box, so
  // that the mesh moves with a box that changes its size.
  void collect(const NeighList *list, const std::vector<int64_t> &type_numbers);

  // To be called when type_numbers has changed.
  void forget() { listed_ = false; }

  // The arrays stay valid until the next collect(); `communicator` is left to the caller.
  const loremd_input &input() const { return input_; }

  // LAMMPS index of each atom of the model, owned ones first.
  const std::vector<int> &local_index() const { return local_; }
  int owned() const { return static_cast<int>(input_.owned); }

  static void cell_of(const class Domain *domain, double angstrom, double cell[9]);
  double memory_usage() const;

 private:
  bool listed_ = false;
  int lammps_atoms_ = 0;    // when it was listed, with ghosts
  std::vector<int> local_;  // model index -> LAMMPS index
  std::vector<int> index_;  // LAMMPS index -> model index, -1 without element
  std::vector<int64_t> numbers_, pairs_;
  std::vector<double> positions_;
  loremd_input input_ = {};

  bool is_current() const;
  void list_atoms(const std::vector<int64_t> &type_numbers);
  void list_pairs(const NeighList *list);
  void update_positions();
};

}  // namespace LAMMPS_NS

#endif
