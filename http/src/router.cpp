// SPDX-License-Identifier: MIT
// What is answered where no handler is asked.

#include <fermata/http/router.hpp>

#include <utility>

namespace fermata::http {
namespace {

response with_allow(response out, std::string_view allow) {
  out.headers.add("Allow", allow);
  return out;
}

}  // namespace

router& router::on(std::string_view method, std::string_view path, handler h) {
  table_.add(method, path, handlers_.size());
  handlers_.push_back(std::move(h));
  return *this;
}

router& router::on_prefix(std::string_view method, std::string_view prefix, handler h) {
  table_.add_prefix(method, prefix, handlers_.size());
  handlers_.push_back(std::move(h));
  return *this;
}

promise<response> router::operator()(const request& r) const {
  const route_match m = table_.find(r.method(), r.path());
  switch (m.result) {
    case route_match::outcome::found:
      return handlers_[m.route](r);
    case route_match::outcome::options_request:
      return ready(with_allow(response(204), m.allow));
    case route_match::outcome::wrong_method:
      return ready(with_allow(text_response(405, "method not allowed\n"), m.allow));
    case route_match::outcome::not_found:
      break;
  }
  return ready(text_response(404, "not found\n"));
}

}  // namespace fermata::http
