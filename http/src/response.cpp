// SPDX-License-Identifier: MIT
// Responses that many handlers want.

#include <fermata/http/http_date.hpp>
#include <fermata/http/response.hpp>
#include <fermata/http/served_file.hpp>

#include <utility>

namespace fermata::http {
namespace {

// A 304 has what a 200 would have that tells versions apart, and nothing that describes the body.
void add_validators(response& out, const representation& what) {
  if (!what.etag.empty()) out.headers.add("ETag", what.etag);
  if (what.last_modified) out.headers.add("Last-Modified", to_http_date(*what.last_modified));
}

}  // namespace

response text_response(int status, std::string text) {
  response out(status);
  out.headers.add("Content-Type", "text/plain; charset=utf-8");
  out.body = shared_bytes(std::move(text));
  return out;
}

namespace {

// All but the body, which `part` is to give: from `first`, so many bytes.
template <typename Part>
response answer(const request& r,
                const representation& what,
                std::uint64_t size,
                std::chrono::sys_seconds now,
                Part part) {
  if (what.size != size)
    throw contract_error("cannot serve " + r.path() + ": the representation has another size");
  const decision d = evaluate(r, what, now);
  if (d.status == 412) return text_response(412, "precondition failed\n");
  response out =
      d.status == 416 ? text_response(416, "range not satisfiable\n") : response(d.status);
  if (d.status == 416) {
    out.headers.add("Content-Range", content_range(std::nullopt, what.size));
    return out;
  }
  add_validators(out, what);
  if (d.status == 304) return out;
  out.headers.add("Accept-Ranges", "bytes");
  if (!what.type.empty()) out.headers.add("Content-Type", what.type);
  if (d.status == 200) {
    part(out, std::uint64_t{0}, size);
    return out;
  }
  out.headers.add("Content-Range", content_range(d.range, what.size));
  part(out, d.range.first, d.range.size());
  return out;
}

}  // namespace

response serve(const request& r,
               const representation& what,
               const shared_bytes& whole,
               std::chrono::sys_seconds now) {
  return answer(r, what, whole.size(), now,
                [&](response& out, std::uint64_t first, std::uint64_t size) {
                  out.body = whole.part(first, size);
                });
}

response serve(const request& r,
               const representation& what,
               const served_file& file,
               std::chrono::sys_seconds now) {
  return answer(r, what, file.size(), now,
                [&](response& out, std::uint64_t first, std::uint64_t size) {
                  out.file = file.part(first, size);
                });
}

}  // namespace fermata::http
