// SPDX-License-Identifier: GPL-2.0-or-later
#include "model_metadata.hpp"

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <utility>

namespace loremd {
namespace {

// One JSON value. Numbers and literals keep their text; strings are unescaped.
struct Json {
  enum Kind { kScalar, kString, kArray, kObject } kind = kScalar;
  std::string text;
  std::vector<Json> items;
  std::map<std::string, Json> members;
};

// Recursive descent over RFC 8259 without \u surrogate pairs (the files are written as ASCII).
class JsonReader {
 public:
  explicit JsonReader(const std::string &text) : text_(text) {}

  Json document() {
    Json value = read();
    skip_space();
    if (at_ != text_.size()) fail("nothing after the document");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string &expected) const {
    throw std::runtime_error("loremd.json is damaged: expected " + expected + " at byte " +
                             std::to_string(at_));
  }

  void skip_space() {
    while (at_ < text_.size() && std::string(" \t\r\n").find(text_[at_]) != std::string::npos)
      ++at_;
  }

  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  void take(char expected) {
    if (peek() != expected) fail(std::string(1, expected));
    ++at_;
  }

  bool take_if(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }

  Json read() {
    switch (peek()) {
      case '{':
        return object();
      case '[':
        return array();
      case '"':
        return string();
      default:
        return scalar();
    }
  }

  Json object() {
    Json value;
    value.kind = Json::kObject;
    take('{');
    if (take_if('}')) return value;
    do {
      if (peek() != '"') fail("a name in quotes");
      const std::string name = string().text;
      take(':');
      value.members[name] = read();
    } while (take_if(','));
    take('}');
    return value;
  }

  Json array() {
    Json value;
    value.kind = Json::kArray;
    take('[');
    if (take_if(']')) return value;
    do {
      value.items.push_back(read());
    } while (take_if(','));
    take(']');
    return value;
  }

  Json string() {
    Json value;
    value.kind = Json::kString;
    take('"');
    while (at_ < text_.size() && text_[at_] != '"') {
      value.text += text_[at_] == '\\' ? escaped() : std::string(1, text_[at_]);
      ++at_;
    }
    if (at_ >= text_.size()) fail("a closing quote");
    ++at_;
    return value;
  }

  // At the backslash; leaves the position on the last character of the escape.
  std::string escaped() {
    const std::string names = "\"\\/bfnrt", values = "\"\\/\b\f\n\r\t";
    if (++at_ >= text_.size()) fail("an escape");
    const size_t which = names.find(text_[at_]);
    if (which != std::string::npos) return std::string(1, values[which]);
    if (text_[at_] != 'u' || at_ + 4 >= text_.size()) fail("an escape");
    const long code = std::strtol(text_.substr(at_ + 1, 4).c_str(), nullptr, 16);
    at_ += 4;
    return code < 128 ? std::string(1, static_cast<char>(code)) : "?";
  }

  Json scalar() {
    Json value;
    while (at_ < text_.size() && std::string(",]} \t\r\n").find(text_[at_]) == std::string::npos) {
      value.text += text_[at_++];
    }
    if (value.text.empty()) fail("a value");
    return value;
  }

  const std::string &text_;
  size_t at_ = 0;
};

const Json &entry(const Json &document, const std::string &name, Json::Kind kind) {
  const auto found = document.members.find(name);
  if (found == document.members.end() || found->second.kind != kind) {
    throw std::runtime_error("loremd.json has no valid entry '" + name +
                             "': the file was not written by loremd.export");
  }
  return found->second;
}

double number(const Json &document, const std::string &name) {
  const std::string &text = entry(document, name, Json::kScalar).text;
  char *end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (*end != '\0') {
    throw std::runtime_error("loremd.json: '" + name + "' is '" + text + "', expected a number");
  }
  return value;
}

std::string word(const Json &document, const std::string &name) {
  return entry(document, name, Json::kString).text;
}

void check_schema(const Json &document) {
  if (document.kind != Json::kObject) throw std::runtime_error("loremd.json is not an object");
  const auto version = static_cast<int64_t>(number(document, "schema_version"));
  if (version < 1 || version > kSchemaVersion) {
    throw std::runtime_error("the file has schema version " + std::to_string(version) +
                             "; this loremd reads versions 1 to " + std::to_string(kSchemaVersion) +
                             ". Update loremd, or export the model again with this version");
  }
  if (word(document, "model") != "Lorem") {
    throw std::runtime_error("the file holds a model of kind '" + word(document, "model") +
                             "'; the pair style runs 'Lorem'");
  }
}

// Per-element energies are keyed by symbol; an element without one has offset 0.
std::vector<double> offsets_of(const Json &document, const std::vector<std::string> &symbols) {
  const Json &table = entry(document, "per_element_energies", Json::kObject);
  std::vector<double> offsets;
  for (const std::string &symbol : symbols) {
    offsets.push_back(table.members.count(symbol) ? number(table, symbol) : 0.0);
  }
  return offsets;
}

}  // namespace

ModelMetadata parse_metadata(const std::string &text) {
  const Json document = JsonReader(text).document();
  check_schema(document);
  ModelMetadata data;
  data.cutoff = number(document, "cutoff");
  data.message_passing = static_cast<int64_t>(number(document, "num_message_passing"));
  data.channels = static_cast<int64_t>(number(document, "num_channels"));
  data.long_range = entry(document, "lr", Json::kScalar).text == "true";
  for (const Json &item : entry(document, "elements", Json::kArray).items) {
    data.symbols.push_back(item.text);
  }
  for (const Json &item : entry(document, "atomic_numbers", Json::kArray).items) {
    data.numbers.push_back(std::strtoll(item.text.c_str(), nullptr, 10));
  }
  if (data.symbols.empty() || data.symbols.size() != data.numbers.size()) {
    throw std::runtime_error("loremd.json: 'elements' and 'atomic_numbers' do not match");
  }
  data.offsets = offsets_of(document, data.symbols);
  data.hash = word(document, "content_hash");
  data.loremd_version = word(document, "loremd_version");
  return data;
}

}  // namespace loremd
