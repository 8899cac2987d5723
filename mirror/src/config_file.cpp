// SPDX-License-Identifier: MIT
// The configuration file: TOML, read by toml++, with the option table's names as keys.

#include "option_table.hpp"

#include <fermata/loop/error.hpp>

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace fermata::mirror {
namespace {

// Where something is in the file, as compilers say it.
std::string place(const std::string& name, const toml::source_region& where) {
  return fmt::format("{}:{}:{}: ", name, where.begin.line, where.begin.column);
}

std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* s = node.as_string()) return s->get();
  if (const auto* b = node.as_boolean()) return b->get() ? "true" : "false";
  if (const auto* n = node.as_integer()) return std::to_string(n->get());
  if (const auto* f = node.as_floating_point()) return fmt::format("{:g}", f->get());
  return std::nullopt;
}

// A value as the texts that the command line would have given; nothing for a table or a date.
std::optional<std::vector<std::string>> value_texts(const toml::node& node, value_kind kind) {
  const toml::array* list = node.as_array();
  if (list == nullptr) {
    auto text = scalar_text(node);
    if (!text) return std::nullopt;
    return std::vector<std::string>{std::move(*text)};
  }
  if (kind != value_kind::list) return std::nullopt;
  std::vector<std::string> all;
  for (const toml::node& item : *list) {
    auto text = scalar_text(item);
    if (!text) return std::nullopt;
    all.push_back(std::move(*text));
  }
  return all;
}

std::string without_dashes(std::string text) {
  return text.starts_with("--") ? text.substr(2) : text;
}

std::string toml_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_value(const option_row& r, const std::vector<std::string>& texts) {
  if (r.kind == value_kind::flag || r.kind == value_kind::number) return texts.front();
  if (r.kind == value_kind::text) return toml_string(texts.empty() ? "" : texts.front());
  std::string out = "[";
  for (const std::string& t : texts) out += (out.size() > 1 ? ", " : "") + toml_string(t);
  return out + "]";
}

}  // namespace

void read_config(mirror_options& options, std::string_view text, const std::string& name) {
  toml::table table;
  try {
    table = toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    throw error(place(name, e.source()) + std::string(e.description()));
  }
  for (const auto& [key, node] : table) {
    const auto& rows = option_table();
    const auto row = std::find_if(rows.begin(), rows.end(), [&key = key](const option_row& r) {
      return r.name == std::string_view(key.str());
    });
    if (row == rows.end()) {
      throw error(place(name, key.source()) + "no such option: " + std::string(key.str()));
    }
    const auto texts = value_texts(node, row->kind);
    if (!texts) {
      throw error(
          place(name, node.source()) + std::string(key.str()) +
          (row->kind == value_kind::list ? " is no list of strings" : " is no single value"));
    }
    const std::string complaint = row->set(options, *texts);
    if (!complaint.empty()) throw error(place(name, node.source()) + without_dashes(complaint));
  }
}

std::string config_text(const mirror_options& options) {
  std::string text =
      "# fermata-mirror: every option, with the value that is in force. Remove what may be the "
      "default.\n"
      "# The command line wins over this file: fermata-mirror --config FILE [options]\n";
  std::string_view section;
  for (const option_row& r : option_table()) {
    if (r.section != section) {
      section = r.section;
      text += fmt::format("\n# {}\n", section);
    }
    const auto now = r.get(options);
    const auto usual = r.get(mirror_options());
    text += fmt::format("\n# {}{}{}\n", r.help, r.value.empty() ? "" : ": ", r.value);
    text += fmt::format("{}{} = {}\n", now.empty() && usual.empty() ? "#" : "", r.name,
                        toml_value(r, now));
  }
  return text;
}

}  // namespace fermata::mirror
