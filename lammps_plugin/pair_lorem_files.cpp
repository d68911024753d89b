// SPDX-License-Identifier: GPL-2.0-or-later
//
// pair_style lorem: its commands, the model file, the restart file.
#include "pair_lorem.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "pair_lorem_runner.h"
#include "update.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

using namespace LAMMPS_NS;

// ---- commands ------------------------------------------------------------------------------

void PairLorem::settings(int narg, char **arg) {
  if (std::strcmp(update->unit_style, "lj") == 0)
    error->all(
        FLERR,
        "pair_style lorem cannot run in units lj: the model knows eV and angstrom. Use metal, "
        "real or any other units with dimensions");
  const LoremSettings before = settings_;
  settings_ = LoremSettings::parse(lmp, narg, arg);
  planned_ = reported_ = false;
  // A style given again keeps its coefficients, as all styles do.
  const bool same =
      before.double_precision == settings_.double_precision && before.device == settings_.device;
  if (model_ && !same) read_model();
}

void PairLorem::coeff(int narg, char **arg) {
  const int types = atom->ntypes;
  if (narg < 3 || std::strcmp(arg[0], "*") != 0 || std::strcmp(arg[1], "*") != 0)
    error->all(FLERR,
               "pair_style lorem expects 'pair_coeff * * model.pt' and one element per atom type");
  if (narg != 3 + types)
    error->all(
        FLERR,
        "pair_coeff of pair_style lorem names {} elements, but there are {} atom types: name "
        "one element (or NULL) per type",
        narg - 3, types);
  check_kspace();
  use_model(arg[2], std::vector<std::string>(arg + 3, arg + narg), true);
}

void PairLorem::modify_params(int narg, char **arg) {
  const std::vector<std::string> refused = {"mix",        "shift",    "tail",         "table",
                                            "table/disp", "tabinner", "tabinner/disp"};
  for (int k = 0; k < narg; ++k)
    if (std::find(refused.begin(), refused.end(), arg[k]) != refused.end())
      error->all(FLERR, "pair_style lorem has no 'pair_modify {}': the model is complete as it is",
                 arg[k]);
  Pair::modify_params(narg, arg);
}

// ---- the model file ------------------------------------------------------------------------

void PairLorem::use_model(const std::string &file, const std::vector<std::string> &elements,
                          bool by_command) {
  if (!allocated) allocate();
  file_ = file;
  type_elements_ = elements;
  read_model();
  check_hash(by_command);
  map_types();
  memory->destroy(charges_out_.rows);  // another model may have another number of channels
  memory->destroy(potentials_out_.rows);
}

void PairLorem::close_model() {
  if (model_) runner_->close(model_);
  model_ = nullptr;
}

void PairLorem::read_model() {
  file_found_ = find_file(file_);
  if (file_found_.empty())
    error->all(FLERR,
               "pair_style lorem: model file '{}' was found neither here nor in a folder of "
               "LAMMPS_POTENTIALS",
               file_);
  const std::string bytes = broadcast_file(file_found_);
  close_model();
  planned_ = reported_ = false;
  exchange_.together([&] {
    runner_ = open_lorem_runner();
    exchange_.connect(runner_);
    device_ = choose_lorem_device(settings_.device, runner_, world);
    model_ = runner_->open(bytes.data(), static_cast<int64_t>(bytes.size()),
                           settings_.double_precision ? 1 : 0, device_.name.c_str());
    if (!model_) throw std::runtime_error("model file '" + file_ + "': " + runner_->last_error());
  });
}

// On rank 0 only: the other ranks may see other folders. Empty if there is no such file.
std::string PairLorem::find_file(const std::string &file) const {
  std::string found;
  if (comm->me == 0) found = utils::get_potential_file_path(file);
  return broadcast(found);
}

std::string PairLorem::broadcast_file(const std::string &path) const {
  std::string bytes;
  if (comm->me == 0) {
    if (FILE *file = std::fopen(path.c_str(), "rb")) {
      char block[1 << 16];
      for (size_t n; (n = std::fread(block, 1, sizeof(block), file)) > 0;) bytes.append(block, n);
      std::fclose(file);
    }
  }
  bytes = broadcast(bytes);
  if (bytes.empty())
    error->all(FLERR, "pair_style lorem: model file '{}' is empty or unreadable", path);
  return bytes;
}

std::string PairLorem::broadcast(std::string text) const {
  bigint size = static_cast<bigint>(text.size());
  MPI_Bcast(&size, 1, MPI_LMP_BIGINT, 0, world);
  text.resize(size);
  constexpr bigint kLargest = 1 << 30;  // MPI counts are ints
  for (bigint done = 0; done < size; done += kLargest)
    MPI_Bcast(&text[done], static_cast<int>(std::min(kLargest, size - done)), MPI_CHAR, 0, world);
  return text;
}

void PairLorem::map_types() {
  std::vector<char *> words;
  for (auto &element : type_elements_) words.push_back(&element[0]);
  map_element2type(static_cast<int>(words.size()), words.data());

  const loremd_model_info &model = info();
  const std::vector<std::string> known(model.symbols, model.symbols + model.num_elements);
  type_numbers_.assign(atom->ntypes + 1, 0);
  type_offsets_.assign(atom->ntypes + 1, 0.0);
  for (int type = 1; type <= atom->ntypes; ++type) {
    const std::string &element = type_elements_[type - 1];
    if (element == "NULL" && !utils::strmatch(force->pair_style, "^hybrid"))
      error->all(
          FLERR,
          "pair_style lorem: atom type {} has the element NULL; leave atoms out of the model "
          "with pair_style hybrid/overlay only",
          type);
    if (element == "NULL") continue;
    const auto found = std::find(known.begin(), known.end(), element) - known.begin();
    if (found == model.num_elements)
      error->all(
          FLERR,
          "pair_style lorem: model {} does not know element '{}' of atom type {}; it knows: {}",
          file_, element, type, utils::join_words(known, " "));
    type_numbers_[type] = model.numbers[found];
    type_offsets_[type] = model.offsets[found];
  }
}

// ---- restart -------------------------------------------------------------------------------

// A model that a command names is the user's choice; one that a restart file names must be the
// same.
void PairLorem::check_hash(bool by_command) {
  const std::string hash = info().hash;
  if (!expected_hash_.empty() && hash != expected_hash_) {
    const std::string text = fmt::format(
        "pair_style lorem: model file {} has hash {}, the restart file was written with {}",
        file_found_, hash, expected_hash_);
    if (!by_command)
      error->all(FLERR, text +
                            ". Put the right file in its place, or rename this one and name a "
                            "model with pair_coeff after read_restart");
    if (comm->me == 0) error->warning(FLERR, text);
  }
  expected_hash_ = hash;
}

namespace {

void write_text(const std::string &text, FILE *file) {
  const int size = static_cast<int>(text.size());
  std::fwrite(&size, sizeof(int), 1, file);
  std::fwrite(text.data(), 1, text.size(), file);
}

}  // namespace

// Rank 0 reads, all get it.
std::string PairLorem::read_text(FILE *file) const {
  std::string text;
  if (comm->me == 0) {
    int size = 0;
    utils::sfread(FLERR, &size, sizeof(int), 1, file, nullptr, error);
    text.resize(size);
    if (size > 0) utils::sfread(FLERR, &text[0], 1, size, file, nullptr, error);
  }
  return broadcast(text);
}

void PairLorem::write_restart_settings(FILE *file) {
  write_text(settings_.words(), file);
  write_text(model_ ? info().hash : expected_hash_, file);
}

void PairLorem::read_restart_settings(FILE *file) {
  auto words = utils::split_words(read_text(file));
  std::vector<char *> arg;
  for (auto &word : words) arg.push_back(&word[0]);
  settings(static_cast<int>(arg.size()), arg.data());
  expected_hash_ = read_text(file);
}

void PairLorem::write_restart(FILE *file) {
  write_restart_settings(file);
  write_text(file_, file);
  write_text(utils::join_words(type_elements_, " "), file);
}

void PairLorem::read_restart(FILE *file) {
  read_restart_settings(file);
  const std::string model = read_text(file);
  const auto elements = utils::split_words(read_text(file));
  if (!find_file(model).empty()) {
    use_model(model, elements, false);
    return;
  }
  if (!allocated) allocate();
  if (comm->me == 0)
    error->warning(
        FLERR,
        "pair_style lorem: model file {} of the restart file was not found; name it with "
        "'pair_coeff * * <file> {}'",
        model, utils::join_words(elements, " "));
}
