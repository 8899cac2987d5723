// SPDX-License-Identifier: MIT
// Our `repo` file by cutting items out of upstream's text and adding ours behind it. They must
// stand behind: `opam-version` has to be the first item.

#include "opam_items.hpp"
#include "opam_lexer.hpp"

#include <fermata/mirror/repo_file.hpp>

#include <algorithm>
#include <vector>

namespace fermata::mirror {
namespace {

bool is_absolute(const std::string& address) { return address.find("://") != std::string::npos; }

// `upstream_mirrors` follow ours.
std::string our_fields(const repo_settings& settings,
                       const std::vector<std::string>& upstream_mirrors = {}) {
  std::string mirrors;
  for (const auto* list : {&settings.archive_mirrors, &upstream_mirrors}) {
    for (const std::string& m : *list) mirrors += (mirrors.empty() ? "" : " ") + opam_quoted(m);
  }
  return (mirrors.empty() ? "" : "archive-mirrors: [" + mirrors + "]\n") +
         "upstream: " + opam_quoted(settings.upstream) + "\nstamp: " + opam_quoted(settings.stamp) +
         "\n";
}

std::string minimal(const repo_settings& settings) {
  return "opam-version: \"2.0\"\n" + our_fields(settings);
}

// Behind an item that is cut out: the rest of its line too, where nothing else stands on it.
std::size_t end_of_cut(std::string_view text, const opam_item& item) {
  if (item.begin != 0 && text[item.begin - 1] != '\n') return item.end;
  std::size_t end = std::min(text.find_first_not_of(" \t\r", item.end), text.size());
  if (end < text.size() && text[end] != '\n') return item.end;
  return std::min(end + 1, text.size());
}

std::string rewritten(std::string_view text, const repo_settings& settings) {
  std::string kept;
  std::vector<std::string> mirrors;
  std::size_t at = 0;
  for (const opam_item& item : opam_items(text)) {
    if (item.is_section) continue;
    bool drop = item.name == "upstream" || item.name == "stamp" || item.name == "redirect";
    if (item.name == "archive-mirrors") {
      drop = true;
      for (const std::string& address : item.strings) {
        if (is_absolute(address)) mirrors.push_back(address);
      }
    }
    if (!drop) continue;
    kept += text.substr(at, item.begin - at);
    at = end_of_cut(text, item);
  }
  kept += text.substr(at);
  if (!kept.empty() && kept.back() != '\n') kept += '\n';
  return kept + our_fields(settings, mirrors);
}

}  // namespace

repo_file make_repo_file(std::optional<std::string_view> upstream_text,
                         const repo_settings& settings) {
  if (!upstream_text.has_value()) return {minimal(settings), std::nullopt};
  if (upstream_text->size() > longest_repo_file_bytes) {
    return {minimal(settings), "repo: over " + std::to_string(longest_repo_file_bytes) + " bytes"};
  }
  try {
    return {rewritten(*upstream_text, settings), std::nullopt};
  } catch (const opam_syntax_error& e) {
    return {minimal(settings), std::string("repo:") + e.what()};
  }
}

}  // namespace fermata::mirror
