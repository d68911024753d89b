// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem_atoms.h"

#include "atom.h"
#include "domain.h"
#include "force.h"
#include "neigh_list.h"

using namespace LAMMPS_NS;

void LoremAtoms::cell_of(const Domain *domain, double angstrom, double cell[9]) {
  const double rows[9] = {domain->xprd, 0.0,        0.0,        domain->xy,  domain->yprd,
                          0.0,          domain->xz, domain->yz, domain->zprd};
  for (int k = 0; k < 9; ++k) cell[k] = rows[k] / angstrom;
}

void LoremAtoms::collect(const NeighList *list, const std::vector<int64_t> &type_numbers,
                         const LoremReach &reach) {
  collect_atoms(type_numbers);
  collect_pairs(list, reach);

  input_.atoms = static_cast<int64_t>(local_.size());
  input_.numbers = numbers_.data();
  input_.positions = positions_.data();
  cell_of(domain, force->angstrom, input_.cell);
  for (int d = 0; d < 3; ++d) input_.periodic[d] = domain->periodicity[d];
  input_.pairs = static_cast<int64_t>(centers_.size());
  input_.centers = centers_.data();
  input_.neighbors = neighbors_.data();
}

void LoremAtoms::collect_atoms(const std::vector<int64_t> &type_numbers) {
  const int total = atom->nlocal + atom->nghost;
  local_.clear();
  numbers_.clear();
  positions_.clear();
  index_.assign(total, -1);
  input_.owned = 0;
  for (int i = 0; i < total; ++i) {
    const int64_t number = type_numbers[atom->type[i]];
    if (number == 0) continue;
    index_[i] = static_cast<int>(local_.size());
    local_.push_back(i);
    numbers_.push_back(number);
    for (int d = 0; d < 3; ++d)
      positions_.push_back((atom->x[i][d] - domain->boxlo[d]) / force->angstrom);
    if (i < atom->nlocal) ++input_.owned;
  }
}

void LoremAtoms::collect_pairs(const NeighList *list, const LoremReach &reach) {
  centers_.clear();
  neighbors_.clear();
  if (!list) return;
  const int centers = list->inum + (reach.ghosts > 0.0 ? list->gnum : 0);
  for (int ii = 0; ii < centers; ++ii) {
    const int i = list->ilist[ii];
    if (index_[i] < 0) continue;
    collect_pairs_of(i, list->firstneigh[i], list->numneigh[i],
                     i < atom->nlocal ? reach.owned : reach.ghosts);
  }
}

// The list also holds pairs of the skin.
void LoremAtoms::collect_pairs_of(int i, const int *neighbors, int count, double reach) {
  const double *xi = atom->x[i];
  for (int jj = 0; jj < count; ++jj) {
    const int j = neighbors[jj] & NEIGHMASK;
    if (index_[j] < 0) continue;
    const double *xj = atom->x[j];
    const double d[3] = {xj[0] - xi[0], xj[1] - xi[1], xj[2] - xi[2]};
    if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] >= reach * reach) continue;
    centers_.push_back(index_[i]);
    neighbors_.push_back(index_[j]);
  }
}

double LoremAtoms::memory_usage() const {
  return sizeof(int) * static_cast<double>(local_.capacity() + index_.capacity()) +
         sizeof(int64_t) * static_cast<double>(numbers_.capacity() + centers_.capacity() +
                                               neighbors_.capacity()) +
         sizeof(double) * static_cast<double>(positions_.capacity());
}
