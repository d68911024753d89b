// SPDX-License-Identifier: GPL-2.0-or-later
//
// The JSON document inside a model file (`loremd.json`): the facts the pair style needs before the
// network itself is read. No torch, no LAMMPS.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace loremd {

struct ModelMetadata {
  double cutoff = 0.0;
  int64_t message_passing = 0;
  int64_t channels = 0;
  bool long_range = false;
  std::vector<std::string> symbols;
  std::vector<int64_t> numbers;  // atomic numbers, one per symbol
  std::vector<double> offsets;   // eV, one per symbol
  std::string hash;
  std::string loremd_version;
};

// The newest layout of the document that this version reads.
constexpr int64_t kSchemaVersion = 1;

// Throws std::runtime_error: not JSON, a missing entry, a model of another kind, a newer schema.
ModelMetadata parse_metadata(const std::string &text);

}  // namespace loremd
