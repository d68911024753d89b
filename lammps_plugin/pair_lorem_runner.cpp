// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem_runner.h"

#include <dlfcn.h>

#include <stdexcept>
#include <string>

namespace {

constexpr const char *kRebuild =
    "\nThe torch side of loremd is built for one version of torch; after changing torch, install "
    "loremd again: pip install --no-build-isolation --force-reinstall --no-deps loremd";

std::string beside_this_library(const std::string &name) {
  Dl_info info = {};
  if (!dladdr(reinterpret_cast<const void *>(&beside_this_library), &info) || !info.dli_fname)
    return name;
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1) + name;
}

const loremd_runner *open_library(const std::string &path) {
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    throw std::runtime_error(std::string("cannot open the torch side: ") + dlerror() + kRebuild);
  auto entry = reinterpret_cast<loremd_runner_entry>(dlsym(library, LOREMD_RUNNER_ENTRY));
  const loremd_runner *runner = entry ? entry() : nullptr;
  if (!runner || runner->version != LOREMD_RUNNER_VERSION)
    throw std::runtime_error(path + " belongs to another version of loremd than the plugin" +
                             kRebuild);
  return runner;
}

}  // namespace

const loremd_runner *LAMMPS_NS::open_lorem_runner() {
  static const loremd_runner *runner = nullptr;
  if (!runner) runner = open_library(beside_this_library("libloremd_runner.so"));
  return runner;
}
