// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem_atoms.h"

#include "atom.h"
#include "domain.h"
#include "force.h"
#include "neigh_list.h"
#include "neighbor.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;

void LAMMPS_NS::lorem_normals(const double cell[9], double normals[9]) {
  for (int a = 0; a < 3; ++a) {
    const double *u = cell + 3 * ((a + 1) % 3), *v = cell + 3 * ((a + 2) % 3);
    double *n = normals + 3 * a;
    n[0] = u[1] * v[2] - u[2] * v[1];
    n[1] = u[2] * v[0] - u[0] * v[2];
    n[2] = u[0] * v[1] - u[1] * v[0];
    const double length = std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    for (int d = 0; d < 3; ++d) n[d] /= length;
  }
}

void LoremAtoms::cell_of(const Domain *domain, double angstrom, double cell[9]) {
  const double rows[9] = {domain->xprd, 0.0,        0.0,        domain->xy,  domain->yprd,
                          0.0,          domain->xz, domain->yz, domain->zprd};
  for (int k = 0; k < 9; ++k) cell[k] = rows[k] / angstrom;
}

// ends: the largest and the largest negative component along each normal, on this rank.
void LoremAtoms::find_ends(const std::vector<int64_t> &type_numbers, const double normals[9],
                           double ends[6]) const {
  std::fill_n(ends, 6, -HUGE_VAL);
  for (int i = 0; i < atom->nlocal; ++i) {
    if (type_numbers[atom->type[i]] == 0) continue;
    const double *x = atom->x[i];
    for (int a = 0; a < 3; ++a) {
      const double *n = normals + 3 * a;
      const double height = (n[0] * x[0] + n[1] * x[1] + n[2] * x[2]) / force->angstrom;
      ends[a] = std::max(ends[a], height);
      ends[3 + a] = std::max(ends[3 + a], -height);
    }
  }
}

void LoremAtoms::open_sizes(const std::vector<int64_t> &type_numbers, double sizes[3]) const {
  std::fill_n(sizes, 3, 0.0);
  if (domain->nonperiodic == 0) return;
  double cell[9], normals[9], mine[6], ends[6];
  cell_of(domain, force->angstrom, cell);
  lorem_normals(cell, normals);
  find_ends(type_numbers, normals, mine);
  MPI_Allreduce(mine, ends, 6, MPI_DOUBLE, MPI_MAX, world);
  for (int a = 0; a < 3; ++a)
    if (!domain->periodicity[a]) sizes[a] = std::max(0.0, ends[a] + ends[3 + a]);
}

void LoremAtoms::collect(const NeighList *list, const std::vector<int64_t> &type_numbers) {
  if (!is_current()) {
    list_atoms(type_numbers);
    list_pairs(list);
    lammps_atoms_ = atom->nlocal + atom->nghost;
    listed_ = true;
    ++input_.list;
  }
  update_positions();
  input_.atoms = static_cast<int64_t>(local_.size());
  input_.numbers = numbers_.data();
  input_.positions = positions_.data();
  cell_of(domain, force->angstrom, input_.cell);
  for (int d = 0; d < 3; ++d) input_.periodic[d] = domain->periodicity[d];
  input_.pairs = static_cast<int64_t>(pairs_.size() / 2);
  input_.pair_list = pairs_.data();
}

bool LoremAtoms::is_current() const {
  return listed_ && neighbor->ago > 0 && lammps_atoms_ == atom->nlocal + atom->nghost;
}

void LoremAtoms::list_atoms(const std::vector<int64_t> &type_numbers) {
  const int total = atom->nlocal + atom->nghost;
  local_.clear();
  numbers_.clear();
  index_.assign(total, -1);
  input_.owned = 0;
  for (int i = 0; i < total; ++i) {
    const int64_t number = type_numbers[atom->type[i]];
    if (number == 0) continue;
    index_[i] = static_cast<int>(local_.size());
    local_.push_back(i);
    numbers_.push_back(number);
    if (i < atom->nlocal) ++input_.owned;
  }
}

// Centres in the first half, neighbours in the second.
void LoremAtoms::list_pairs(const NeighList *list) {
  pairs_.clear();
  if (!list) return;
  const auto for_each_pair = [&](const auto &action) {
    for (int ii = 0; ii < list->inum; ++ii) {
      const int i = list->ilist[ii];
      if (index_[i] < 0) continue;
      for (int jj = 0; jj < list->numneigh[i]; ++jj) {
        const int j = list->firstneigh[i][jj] & NEIGHMASK;
        if (index_[j] >= 0) action(index_[i], index_[j]);
      }
    }
  };
  size_t count = 0;
  for_each_pair([&](int, int) { ++count; });
  pairs_.resize(2 * count);
  size_t k = 0;
  for_each_pair([&](int i, int j) {
    pairs_[k] = i;
    pairs_[count + k++] = j;
  });
}

void LoremAtoms::update_positions() {
  positions_.resize(3 * local_.size());
  for (size_t a = 0; a < local_.size(); ++a)
    for (int d = 0; d < 3; ++d)
      positions_[3 * a + d] = (atom->x[local_[a]][d] - domain->boxlo[d]) / force->angstrom;
}

double LoremAtoms::memory_usage() const {
  return sizeof(int) * static_cast<double>(local_.capacity() + index_.capacity()) +
         sizeof(int64_t) * static_cast<double>(numbers_.capacity() + pairs_.capacity()) +
         sizeof(double) * static_cast<double>(positions_.capacity());
}
