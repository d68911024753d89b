// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem_settings.h"

#include "error.h"
#include "pointers.h"
#include "utils.h"

#include <algorithm>
#include <vector>

using namespace LAMMPS_NS;

namespace {

constexpr int64_t kSmallestOrder = 3, kLargestOrder = 10;
constexpr double kSmallestAccuracy = 1e-12, kLargestAccuracy = 0.1;

// The words of one pair_style command, taken from the front.
class Words {
 public:
  Words(LAMMPS *lmp, int narg, char **arg) : lmp_(lmp), words_(arg, arg + narg) {}

  bool empty() const { return at_ == words_.size(); }
  const std::string &next() { return words_[at_++]; }
  bool next_is(const std::string &word) const { return !empty() && words_[at_] == word; }

  const std::string &value_of(const std::string &keyword) {
    if (empty()) stop("keyword '" + keyword + "' needs a value");
    return next();
  }

  double number(const std::string &keyword) {
    return utils::numeric(FLERR, value_of(keyword), false, lmp_);
  }

  int integer(const std::string &keyword) {
    return utils::inumeric(FLERR, value_of(keyword), false, lmp_);
  }

  std::string one_of(const std::string &keyword, const std::vector<std::string> &choices) {
    const std::string &value = value_of(keyword);
    if (std::find(choices.begin(), choices.end(), value) == choices.end())
      stop("keyword '" + keyword + "' cannot be '" + value + "'; allowed: " + joined(choices));
    return value;
  }

  [[noreturn]] void stop(const std::string &reason) {
    lmp_->error->all(FLERR, "pair_style lorem: " + reason);
  }

  static std::string joined(const std::vector<std::string> &words) {
    std::string text;
    for (const auto &word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
  }

 private:
  LAMMPS *lmp_;
  std::vector<std::string> words_;
  size_t at_ = 0;
};

void parse_mesh(Words &words, int64_t mesh[3]) {
  std::fill_n(mesh, 3, 0);
  if (words.next_is("auto")) {
    words.next();
    return;
  }
  for (int d = 0; d < 3; ++d) {
    mesh[d] = words.integer("mesh");
    if (mesh[d] < 1)
      words.stop("keyword 'mesh' takes 'auto' or three positive numbers of points, not " +
                 std::to_string(mesh[d]));
  }
}

int64_t parse_order(Words &words) {
  if (words.next_is("auto")) return words.next(), 0;
  const int order = words.integer("order");
  if (order < kSmallestOrder || order > kLargestOrder)
    words.stop(fmt::format("keyword 'order' is {}; allowed: auto, or {} to {}", order,
                           kSmallestOrder, kLargestOrder));
  return order;
}

double parse_rspace(Words &words) {
  if (words.next_is("auto")) return words.next(), 0.0;
  const double rspace = words.number("rspace");
  if (rspace <= 0.0)
    words.stop(fmt::format("keyword 'rspace' is {}; allowed: auto, or a positive length", rspace));
  return rspace;
}

double parse_accuracy(Words &words) {
  const double accuracy = words.number("accuracy");
  if (!(accuracy >= kSmallestAccuracy && accuracy <= kLargestAccuracy))
    words.stop(fmt::format("keyword 'accuracy' is {}; allowed: a relative error from {} to {}",
                           accuracy, kSmallestAccuracy, kLargestAccuracy));
  return accuracy;
}

}  // namespace

LoremSettings LoremSettings::parse(LAMMPS *lmp, int narg, char **arg) {
  LoremSettings settings;
  Words words(lmp, narg, arg);
  while (!words.empty()) {
    const std::string keyword = words.next();
    if (keyword == "accuracy")
      settings.accuracy = parse_accuracy(words);
    else if (keyword == "mesh")
      parse_mesh(words, settings.mesh);
    else if (keyword == "order")
      settings.order = parse_order(words);
    else if (keyword == "splitting")
      settings.splitting = words.one_of("splitting", {"auto", "gaussian", "prolate"});
    else if (keyword == "rspace")
      settings.rspace = parse_rspace(words);
    else if (keyword == "precision")
      settings.double_precision = words.one_of("precision", {"mixed", "double"}) == "double";
    else if (keyword == "device")
      settings.device = words.one_of("device", {"auto", "cpu", "cuda"});
    else
      words.stop("unknown keyword '" + keyword +
                 "'; allowed: accuracy, mesh, order, splitting, rspace, precision, device");
  }
  return settings;
}

std::string LoremSettings::words() const {
  const bool chosen = mesh[0] == 0;
  return fmt::format(
      "accuracy {:.17g} mesh {} order {} splitting {} rspace {} precision {} device {}", accuracy,
      chosen ? "auto" : fmt::format("{} {} {}", mesh[0], mesh[1], mesh[2]),
      order ? std::to_string(order) : "auto", splitting,
      rspace > 0.0 ? fmt::format("{:.17g}", rspace) : "auto", double_precision ? "double" : "mixed",
      device);
}
