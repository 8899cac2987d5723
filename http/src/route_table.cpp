// SPDX-License-Identifier: MIT
// Exact paths and prefixes in two ordered maps; a service has tens of routes.

#include "text.hpp"

#include <fermata/http/route_table.hpp>
#include <fermata/loop/error.hpp>

#include <algorithm>

namespace fermata::http {
namespace {

bool has_word(std::string_view list, std::string_view word) noexcept {
  while (!list.empty())
    if (detail::next_item(list) == word) return true;
  return false;
}

void add_word(std::string& list, std::string_view word) {
  if (has_word(list, word)) return;
  if (!list.empty()) list += ", ";
  list += word;
}

}  // namespace

void route_table::insert(paths& where,
                         std::string_view method,
                         std::string_view path,
                         std::size_t route) {
  const std::string text = "cannot add the route " + std::string(method) + " " + std::string(path);
  if (!detail::is_token(method)) throw contract_error(text + ": the method is no token");
  if (!path.starts_with('/')) throw contract_error(text + ": the path does not begin with a slash");
  entry& e = where[std::string(path)];
  for (const auto& [known, index] : e.methods)
    if (known == method) throw contract_error(text + ": it exists");
  e.methods.emplace_back(method, route);
  for (entry* to : {&e, &server_}) {
    add_word(to->allow, method);
    if (method == "GET") add_word(to->allow, "HEAD");
    add_word(to->allow, "OPTIONS");
  }
}

void route_table::add(std::string_view method, std::string_view path, std::size_t route) {
  insert(exact_, method, path, route);
}

void route_table::add_prefix(std::string_view method, std::string_view prefix, std::size_t route) {
  if (!prefix.ends_with('/'))
    throw contract_error("cannot add the route " + std::string(method) + " " + std::string(prefix) +
                         ": the prefix does not end with a slash");
  insert(prefixes_, method, prefix, route);
}

const route_table::entry* route_table::find_entry(std::string_view path) const {
  if (path == "*") return &server_;
  if (const auto at = exact_.find(path); at != exact_.end()) return &at->second;
  const paths::value_type* longest = nullptr;  // a scan: cutting the path costs O(its slashes)
  for (const paths::value_type& p : prefixes_)
    if (path.starts_with(p.first) && (longest == nullptr || p.first.size() > longest->first.size()))
      longest = &p;
  return longest == nullptr ? nullptr : &longest->second;
}

route_match route_table::find(std::string_view method, std::string_view path) const {
  using enum route_match::outcome;
  const entry* e = find_entry(path);
  if (e == nullptr) return {};
  const auto route_of = [e](std::string_view wanted) {
    return std::find_if(e->methods.begin(), e->methods.end(),
                        [wanted](const auto& m) { return m.first == wanted; });
  };
  auto at = route_of(method);
  if (at == e->methods.end() && method == "HEAD") at = route_of("GET");
  if (at != e->methods.end()) return {found, at->second, e->allow};
  return {method == "OPTIONS" ? options_request : wrong_method, 0, e->allow};
}

}  // namespace fermata::http
