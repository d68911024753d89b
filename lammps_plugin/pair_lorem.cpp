// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem.h"

#include "atom.h"
#include "citeme.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair_lorem_report.h"
#include "update.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>

using namespace LAMMPS_NS;

namespace {

// Extra values behind `compute pair`: energy units of the run, summed over ranks; the last one is
// a number of charges.
enum { kOffsets, kShortRange, kLongRange, kNetCharge, kExtras };

constexpr int kMinimisation = 2;  // Update::whichflag

constexpr double kTolerance = 1.05;  // on the accuracy, which a plan is made to just meet

double estimated_error(const loremd_plan &plan) {
  return std::hypot(plan.real_space_error, plan.mesh_error);
}

const char *citation =
    "pair_style lorem: arXiv:2507.19382\n\n"
    "@Article{Rumiantsev25,\n"
    " author =  {E. Rumiantsev and M. F. Langer and T.-E. Sodjargal and M. Ceriotti and P. "
    "Loche},\n"
    " title =   {Learning Long-Range Representations with Equivariant Messages},\n"
    " journal = {arXiv:2507.19382},\n"
    " year =    2025\n"
    "}\n\n";

}  // namespace

PairLorem::PairLorem(LAMMPS *lmp) : Pair(lmp), exchange_(lmp, this), atoms_(lmp) {
  single_enable = 0;
  one_coeff = 1;
  manybody_flag = 1;
  no_virial_fdotr_compute = 1;  // the mesh is not pairwise: own virial
  centroidstressflag = CENTROID_NOTAVAIL;
  reinitflag = 0;
  comm_forward = comm_reverse = LoremExchange::kColumns;
  nextra = kExtras;
  pvector = new double[kExtras]();
  if (lmp->citeme) lmp->citeme->add(citation);
}

PairLorem::~PairLorem() {
  if (copymode) return;
  close_model();
  delete[] pvector;
  memory->destroy(charges_out_.rows);
  memory->destroy(potentials_out_.rows);
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
    delete[] map;
    map = nullptr;
  }
}

void PairLorem::allocate() {
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  for (int i = 1; i < n; ++i) std::fill(setflag[i] + 1, setflag[i] + n, 0);
  map = new int[n];
  allocated = 1;
}

double PairLorem::energy_unit() const {
  constexpr double kBoltzmannInEv = 8.617343e-5;  // as LAMMPS has it in metal units
  return force->boltz / kBoltzmannInEv;
}

double PairLorem::real_space_cutoff() const {
  return settings_.rspace > 0.0 ? settings_.rspace / force->angstrom : info().cutoff;
}

double PairLorem::reach() const {
  const double network = info().cutoff, sum = info().long_range ? real_space_cutoff() : 0.0;
  return std::max(network, sum) * force->angstrom;
}

// ---- initialisation ------------------------------------------------------------------------

double PairLorem::init_one(int, int) {
  return reach();
}

void PairLorem::init_style() {
  check_run();
  check_boundary();
  check_neighbor_settings();
  neighbor->add_request(this, NeighConst::REQ_FULL);
  atoms_.forget();
}

void PairLorem::check_run() const {
  if (force->newton_pair == 0)
    error->all(FLERR, "pair_style lorem needs 'newton on': forces act on ghost atoms, too");
  if (atom->tag_enable == 0)
    error->all(FLERR, "pair_style lorem needs atom IDs: remove 'atom_modify id no'");
  if (domain->dimension != 3)
    error->all(FLERR, "pair_style lorem needs 'dimension 3', this run has dimension {}",
               domain->dimension);
  check_kspace();
  if (atom->molecular == Atom::ATOMIC) return;
  for (int k = 1; k <= 3; ++k)
    if (force->special_lj[k] != 1.0 || force->special_coul[k] != 1.0)
      error->all(
          FLERR,
          "pair_style lorem needs 'special_bonds lj/coul 1 1 1' (now lj {} {} {} coul {} {} {}): "
          "otherwise bonded neighbours are missing from the neighbour list",
          force->special_lj[1], force->special_lj[2], force->special_lj[3], force->special_coul[1],
          force->special_coul[2], force->special_coul[3]);
}

// LAMMPS asks the kspace style first, which says less.
void PairLorem::check_kspace() const {
  if (force->kspace)
    error->all(FLERR,
               "pair_style lorem sums its own long-range part and cannot run with a kspace_style; "
               "use 'kspace_style none'");
}

void PairLorem::check_boundary() const {
  const int open = 3 - domain->xperiodic - domain->yperiodic - domain->zperiodic;
  if (open == 0 || !info().long_range) return;
  if (settings_.mesh[0] > 0)
    error->all(FLERR,
               "pair_style lorem: 'mesh' needs 'boundary p p p'; along open directions the mesh "
               "follows the atoms and is chosen by the accuracy");
  if (open != 2) return;
  const char *kinds = "pfsm";
  std::string given;
  for (int d = 0; d < 3; ++d) {
    const int *b = domain->boundary[d];
    given += std::string(" ") + kinds[b[0]] + (b[0] == b[1] ? "" : std::string(1, kinds[b[1]]));
  }
  error->all(
      FLERR,
      "pair_style lorem: the long-range part of model {} cannot have one periodic direction, "
      "the box has 'boundary{}'. Supported: three, two or no periodic directions (give a "
      "wire enough vacuum), or a model without long range (lr = false), which runs with any "
      "boundary",
      file_, given);
}

void PairLorem::check_neighbor_settings() const {
  if (neighbor->nex_type || neighbor->nex_group || neighbor->nex_mol || neighbor->includegroup)
    error->all(FLERR,
               "pair_style lorem needs all pairs: remove 'neigh_modify exclude' and 'neigh_modify "
               "include' (to hold atoms still, leave them out of the integrating fix)");
  if (domain->nonperiodic != 0) return;
  const double radius = reach() + neighbor->skin;
  const double density =
      static_cast<double>(atom->natoms) / (domain->xprd * domain->yprd * domain->zprd);
  const double expected = density * 4.0 / 3.0 * M_PI * radius * radius * radius;
  if (expected <= neighbor->oneatom) return;
  const auto one = static_cast<bigint>(std::ceil(1.5 * expected / 100.0)) * 100;
  error->all(
      FLERR,
      "pair_style lorem: about {:.0f} neighbours per atom within {:.4g} (cutoff and skin), more "
      "than the {} that the neighbour list holds; use 'neigh_modify one {} page {}'",
      expected, radius, neighbor->oneatom, one, 20 * one);
}

// ---- the long-range plan -------------------------------------------------------------------

// The first evaluation, which LAMMPS makes right after this and outside of its loop time, is also
// the warm-up of torch.
void PairLorem::setup() {
  planned_ = warned_ = false;
  if (info().long_range) {
    measure_system();
    exchange_.together([&] { make_plan(); });
  }
  report();
  check_memory();
}

// Lists of pairs, the model, and the mesh: spread, transformed and kept for the virial; on several
// ranks with the margins of their parts.
double PairLorem::step_memory() const {
  bigint pairs = 0;
  for (int ii = 0; list && ii < list->inum; ++ii) pairs += list->numneigh[list->ilist[ii]];
  double bytes = 0.0;
  if (runner_->memory(model_, atom->nlocal, atom->nlocal + atom->nghost, pairs, &bytes) != 0)
    throw std::runtime_error(runner_->last_error());
  bytes += 2.0 * sizeof(int64_t) * pairs;
  if (!info().long_range) return bytes;
  const double points = static_cast<double>(plan_.mesh[0]) * plan_.mesh[1] * plan_.mesh[2];
  const double value = settings_.double_precision ? sizeof(double) : sizeof(float);
  const double copies = comm->nprocs == 1 ? 2.0 : 3.5 / comm->nprocs;
  return bytes + copies * points * info().channels * value;
}

// On a GPU torch says at the first step whether its memory is enough.
void PairLorem::check_memory() {
  if (device_.name != "cpu") return;
  constexpr double kMegabyte = 1e6;
  double mine = 0.0;
  exchange_.together([&] { mine = step_memory(); });
  const LoremMemory memory = lorem_memory(mine, world);
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "pair_style lorem: a step needs about {:.0f} MB on a rank at most; where least "
                   "is left, {:.0f} of {:.0f} MB\n",
                   memory.largest / kMegabyte, memory.needed / kMegabyte, memory.free / kMegabyte);
  if (memory.needed > memory.free)
    error->all(FLERR,
               "pair_style lorem: a step would need about {:.0f} MB where {:.0f} MB are free; use "
               "more nodes, fewer atoms, a smaller skin ('neighbor') or 'rspace', or raise the "
               "limit of the process if it has one (ulimit -v)",
               memory.needed / kMegabyte, memory.free / kMegabyte);
}

void PairLorem::measure_system() {
  bigint mine = 0;
  for (int i = 0; i < atom->nlocal; ++i) mine += type_numbers_[atom->type[i]] != 0;
  MPI_Allreduce(&mine, &participants_, 1, MPI_LMP_BIGINT, MPI_SUM, world);
  atoms_.open_sizes(type_numbers_, open_sizes_);
}

// Along open directions the cell ends with the atoms, in the steps in which the model moves its
// end.
loremd_plan_request PairLorem::plan_request() const {
  loremd_plan_request request = {};
  LoremAtoms::cell_of(domain, force->angstrom, request.cell);
  double normals[9];
  lorem_normals(request.cell, normals);
  const double unit = 0.5 * real_space_cutoff();
  for (int k = 0; k < 9; ++k)
    if (!domain->periodicity[k / 3])
      request.cell[k] = normals[k] * unit * (std::floor(open_sizes_[k / 3] / unit) + 1.0);
  request.atoms = std::max<bigint>(participants_, 1);
  request.cutoff = real_space_cutoff();
  request.accuracy = settings_.accuracy;
  std::copy_n(settings_.mesh, 3, request.mesh);
  request.order = settings_.order;
  request.splitting = settings_.splitting.c_str();
  return request;
}

// From numbers that all ranks share, so that all come to the same plan.
void PairLorem::make_plan() {
  const loremd_plan before = plan_;
  const loremd_plan_request request = plan_request();
  if (runner_->plan(model_, &request, &plan_) != 0) throw std::runtime_error(runner_->last_error());
  planned_ = true;
  if (before.smearing != plan_.smearing || before.order != plan_.order ||
      before.splitting_bandlimit != plan_.splitting_bandlimit ||
      !std::equal(before.mesh, before.mesh + 3, plan_.mesh))
    reported_ = false;
}

// The mesh stays as it is while the box changes, for as long as its estimated error allows; one
// that the input gives stays for good, and any during a minimisation, whose line searches need one
// and the same energy.
bool PairLorem::plan_is_due() {
  if (!planned_) return true;
  const bool box_has_changed = neighbor->ago == 0 && domain->box_change;
  if (!box_has_changed || settings_.mesh[0] > 0) return false;
  const double estimate = plan_error();
  if (estimate <= kTolerance * settings_.accuracy) return false;
  if (update->whichflag != kMinimisation) return true;
  if (!warned_ && comm->me == 0)
    error->warning(FLERR,
                   "pair_style lorem: the box has changed, and the mesh, which stays the same "
                   "during a minimisation, has an estimated error of {:.2e} now (asked for "
                   "{}); minimise again for a new one",
                   estimate, settings_.accuracy);
  warned_ = true;
  return false;
}

// Estimated error of the plan of now in the box of now.
double PairLorem::plan_error() {
  const loremd_plan_request request = plan_request();
  double error = 0.0;
  if (runner_->plan_error(model_, &request, &error) != 0)
    throw std::runtime_error(runner_->last_error());
  return error;
}

double PairLorem::own_energy() const {
  return std::accumulate(energies_.begin(), energies_.end(), 0.0);
}

// All ranks: by how much another mesh has changed the energy.
void PairLorem::report_jump() {
  const double mine = own_energy() - energy_before_;
  double jump = 0.0;
  MPI_Allreduce(&mine, &jump, 1, MPI_DOUBLE, MPI_SUM, world);
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "pair_style lorem: the box has changed, step {}: new mesh, the energy jumps by "
                   "{:.3g} per atom\n",
                   update->ntimestep, energy_unit() * jump / std::max<bigint>(participants_, 1));
}

void PairLorem::report() {
  if (reported_) return;
  reported_ = true;
  if (comm->me != 0) return;
  utils::logmesg(lmp, lorem_settings_block(runner_, info(), settings_, plan_request(), plan_,
                                           domain->nonperiodic != 0, file_found_, device_.text));
  if (info().long_range && estimated_error(plan_) > kTolerance * settings_.accuracy)
    error->warning(FLERR,
                   "pair_style lorem: the mesh or order given does not reach the accuracy {}: the "
                   "estimated error is {:.2e}",
                   settings_.accuracy, estimated_error(plan_));
}

// ---- evaluation ----------------------------------------------------------------------------

void PairLorem::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  if (vflag_atom || cvflag_atom)
    error->all(
        FLERR,
        "pair_style lorem has no per-atom virial: its long-range part has no unique share per "
        "atom. Use the virial of the whole system (thermo press, compute pressure) in place "
        "of compute stress/atom, heat/flux and the like");
  if (info().long_range && !planned_) measure_system();

  const double start = platform::walltime();
  exchange_.together([&] { evaluate(); });
  if (renewed_) report_jump();
  add_forces();
  add_energies();
  add_virial();
  if (charges_out_.rows) fill(charges_out_, charges_);
  if (potentials_out_.rows) fill(potentials_out_, potentials_);

  total_seconds_ += platform::walltime() - start;
  ++steps_;
  if (update->setupflag) reset_times();  // outside of LAMMPS's loop time, too
}

void PairLorem::evaluate() {
  const double start = platform::walltime();
  atoms_.collect(list, type_numbers_);
  loremd_input input = atoms_.input();
  input.communicator = exchange_.communicator();
  exchange_.use(&atoms_);
  const size_t owned = input.owned, channels = info().channels;
  energies_.resize(owned);
  long_range_energies_.resize(owned);
  charges_.resize(owned * channels);
  potentials_.resize(owned * channels);
  gradient_.resize(3 * input.atoms);
  output_ = {energies_.data(), long_range_energies_.data(),
             charges_.data(),  potentials_.data(),
             gradient_.data(), {}};
  neighbor_seconds_ += platform::walltime() - start;

  const auto run = [&] {
    if (runner_->evaluate(model_, &input, &output_) != 0)
      throw std::runtime_error(runner_->last_error());
  };
  renewed_ = false;
  if (info().long_range && plan_is_due()) {
    renewed_ = planned_;
    if (renewed_) run();  // for the jump of the energy
    energy_before_ = own_energy();
    make_plan();
    report();
  }
  run();
}

void PairLorem::add_forces() {
  const double unit = energy_unit() / force->angstrom;
  const auto &local = atoms_.local_index();
  for (size_t a = 0; a < local.size(); ++a)
    for (int d = 0; d < 3; ++d) atom->f[local[a]][d] -= unit * gradient_[3 * a + d];
}

void PairLorem::add_energies() {
  std::fill_n(pvector, kExtras, 0.0);
  const double unit = energy_unit();
  const auto &local = atoms_.local_index();
  const int64_t channels = info().channels;
  for (int a = 0; a < atoms_.owned(); ++a) {
    pvector[kOffsets] += unit * type_offsets_[atom->type[local[a]]];
    pvector[kLongRange] += unit * long_range_energies_[a];
    pvector[kShortRange] += unit * (energies_[a] - long_range_energies_[a]);
    if (channels) pvector[kNetCharge] += charges_[a * channels];
    if (eflag_atom) eatom[local[a]] += unit * energies_[a];
  }
  if (eflag_global) {
    eng_vdwl += pvector[kShortRange];
    eng_coul += pvector[kLongRange];
  }
  pvector[kShortRange] -= pvector[kOffsets];
}

// LAMMPS's virial is -dE/d(strain), in the order xx yy zz xy xz yz.
void PairLorem::add_virial() {
  if (!vflag_global) return;
  constexpr int kRow[6] = {0, 1, 2, 0, 0, 1}, kColumn[6] = {0, 1, 2, 1, 2, 2};
  const double *g = output_.strain_gradient;
  for (int k = 0; k < 6; ++k)
    virial[k] -= energy_unit() * 0.5 * (g[3 * kRow[k] + kColumn[k]] + g[3 * kColumn[k] + kRow[k]]);
}

// ---- what other commands ask for -----------------------------------------------------------

void *PairLorem::extract(const char *name, int &dimensions) {
  dimensions = 0;
  if (std::strcmp(name, "charges_flag") == 0) return &charges_out_.trigger;
  if (std::strcmp(name, "potentials_flag") == 0) return &potentials_out_.trigger;
  return nullptr;
}

void *PairLorem::extract_peratom(const char *name, int &columns) {
  if (!model_ || info().channels == 0) return nullptr;
  columns = static_cast<int>(info().channels);
  if (std::strcmp(name, "charges") == 0) return rows_of(charges_out_, "pair:charges");
  if (std::strcmp(name, "potentials") == 0) return rows_of(potentials_out_, "pair:potentials");
  return nullptr;
}

double **PairLorem::rows_of(PerAtom &array, const char *name) {
  if (array.rows && array.allocated >= atom->nlocal) return array.rows;
  memory->destroy(array.rows);
  array.allocated = std::max(1, atom->nmax);
  const int columns = static_cast<int>(info().channels);
  memory->create(array.rows, array.allocated, columns, name);
  std::fill_n(array.rows[0], static_cast<size_t>(array.allocated) * columns, 0.0);
  return array.rows;
}

void PairLorem::fill(PerAtom &array, const std::vector<double> &values) {
  double **rows = rows_of(array, "pair:peratom");
  const size_t columns = info().channels;
  std::fill_n(rows[0], static_cast<size_t>(array.allocated) * columns, 0.0);
  const auto &local = atoms_.local_index();
  for (int a = 0; a < atoms_.owned(); ++a)
    std::copy_n(values.data() + a * columns, columns, rows[local[a]]);
}

double PairLorem::memory_usage() {
  const size_t doubles = energies_.capacity() + long_range_energies_.capacity() +
                         charges_.capacity() + potentials_.capacity() + gradient_.capacity();
  return Pair::memory_usage() + atoms_.memory_usage() +
         static_cast<double>(doubles) * sizeof(double) + mesh_memory();
}

double PairLorem::mesh_memory() const {
  return model_ && info().long_range ? static_cast<double>(runner_->mesh_bytes()) : 0.0;
}

int PairLorem::pack_forward_comm(int n, int *list, double *buffer, int, int *) {
  return exchange_.pack_forward(n, list, buffer);
}

void PairLorem::unpack_forward_comm(int n, int first, double *buffer) {
  exchange_.unpack_forward(n, first, buffer);
}

int PairLorem::pack_reverse_comm(int n, int first, double *buffer) {
  return exchange_.pack_reverse(n, first, buffer);
}

void PairLorem::unpack_reverse_comm(int n, int *list, double *buffer) {
  exchange_.unpack_reverse(n, list, buffer);
}

// ---- times ---------------------------------------------------------------------------------

void PairLorem::reset_times() {
  runner_->reset_times(model_);
  neighbor_seconds_ = total_seconds_ = 0.0;
  steps_ = 0;
}

void PairLorem::finish() {
  if (!model_ || steps_ == 0) return;
  const loremd_times &t = *runner_->times(model_);
  LoremSeconds seconds = {
      {"Pairs", neighbor_seconds_},   {"Density", t.density},     {"Products", t.products},
      {"Networks", t.network},        {"Spread", t.spread},       {"FFT", t.convolve},
      {"Interpolate", t.interpolate}, {"Real space", t.pair_sum}, {"Exchange", t.communication}};
  double rest = total_seconds_;
  for (const auto &entry : seconds) rest -= entry.second;
  seconds.emplace_back("Other", rest);
  const std::string table = lorem_time_table(seconds, total_seconds_, steps_, world);
  const std::string mesh = info().long_range ? lorem_memory_line(mesh_memory(), world) : "";
  if (comm->me == 0) utils::logmesg(lmp, table + mesh);
  reset_times();
}
