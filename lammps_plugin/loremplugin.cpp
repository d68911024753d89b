// SPDX-License-Identifier: GPL-2.0-or-later
//
// What LAMMPS loads in every run: registers `pair_style lorem`, or says why it cannot.
#include "pair_lorem.h"

#include "error.h"
#include "force.h"
#include "lammps.h"

#include <mpi.h>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

using namespace LAMMPS_NS;

// From the library interface of LAMMPS, which is stable where its classes are not.
extern "C" int lammps_version(void *handle);
extern "C" int lammps_extract_setting(void *handle, const char *name);

// Layout of LAMMPS's lammpsplugin_t, whose header is not installed with LAMMPS.
struct LoremPlugin {
  const char *version, *style, *name, *info, *author;
  union {
    void *v1;
    void *v2;
  } creator;
  void *handle;
};
using Register = void (*)(LoremPlugin *, void *);

// In the data section, to be read at run time: the LAMMPS this file was compiled for.
extern "C" {
extern char loremd_built_for[];
char loremd_built_for[] = "loremd built for LAMMPS " LOREMD_LAMMPS_VERSION;
}

namespace {

constexpr size_t kVersionAt = sizeof("loremd built for LAMMPS ") - 1;
constexpr const char *kRebuild =
    ". Rebuild loremd with the LAMMPS it shall run in (README, section LAMMPS)";

#if defined(OPEN_MPI)
constexpr const char *kBuiltWithMpi = "Open MPI";
#else
constexpr const char *kBuiltWithMpi = "MPICH";
#endif

std::string running_mpi() {
  std::string text(1 << 16, '\0');  // larger than the limit of any MPI, not only of ours
  int size = 0;
  MPI_Get_library_version(&text[0], &size);
  return text.substr(0, size);
}

// MPICH and its relatives share one binary interface, which Open MPI does not.
bool mpi_fits() {
  const bool running_open_mpi = running_mpi().find("Open MPI") != std::string::npos;
  return running_open_mpi == (std::strcmp(kBuiltWithMpi, "Open MPI") == 0);
}

// Why this build cannot run in this LAMMPS; empty if it can.
std::string mismatch(void *lmp) {
  const int built = std::atoi(loremd_built_for + kVersionAt), running = lammps_version(lmp);
  const int tag_bytes = lammps_extract_setting(lmp, "tagint");
  if (built != running)
    return "loremd was built for LAMMPS version " + std::to_string(built) + ", this is version " +
           std::to_string(running) + kRebuild;
  if (tag_bytes != static_cast<int>(sizeof(tagint)))
    return "loremd was built for atom IDs of " + std::to_string(sizeof(tagint)) +
           " bytes, this LAMMPS has " + std::to_string(tag_bytes) + kRebuild;
  if (!mpi_fits())
    return std::string("loremd was built with ") + kBuiltWithMpi + ", this LAMMPS runs with " +
           running_mpi() + kRebuild;
  return "";
}

// Once per process: LAMMPS calls the functions below without arguments of ours, and keeps the
// pointers of a registration beyond the life of an instance.
std::string reason, info = "pair style lorem";

Pair *create(LAMMPS *lmp) {
  return new PairLorem(lmp);
}

// Stands in for the style where the build does not fit: the run stops where it is used. The place
// of `error` in the LAMMPS class is the same in all versions.
Pair *refuse(LAMMPS *lmp) {
  lmp->error->all(FLERR, "pair_style lorem: " + reason);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *handle_of_lammps,
                                                                         void *library,
                                                                         void *regfunc) {
  auto *lmp = static_cast<LAMMPS *>(handle_of_lammps);
  if (reason.empty()) {
    reason = mismatch(lmp);
    if (!reason.empty()) info = "pair style lorem, which cannot be used: " + reason;
  }
  const bool fits = reason.empty();
  const Force::PairCreator creator = fits ? create : refuse;
  LoremPlugin plugin = {fits ? lmp->version : loremd_built_for + kVersionAt,
                        "pair",
                        "lorem",
                        info.c_str(),
                        "the loremd developers",
                        {reinterpret_cast<void *>(creator)},
                        library};
  reinterpret_cast<Register>(regfunc)(&plugin, lmp);

  // LAMMPS keeps one list of plugins per process and skips a style that another instance has
  // already registered, but each instance has its own table of styles.
  if (fits) (*lmp->force->pair_map)["lorem"] = create;
}
