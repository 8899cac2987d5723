// SPDX-License-Identifier: MIT
#include "serve_data.hpp"

#include <fermata/mirror/index_builder.hpp>

namespace fermata::mirror {
namespace {

// May be kept, but must be asked about: whoever keeps it follows a new commit at once.
constexpr std::string_view ask_each_time = "no-cache";
constexpr std::string_view text_type = "text/plain; charset=utf-8";

// The bytes live as long as somebody reads them.
http::response serve_part(const http::request& r,
                          const served_ptr& from,
                          std::string_view bytes,
                          const std::string& etag,
                          std::string_view type) {
  http::representation what;
  what.etag = etag;
  what.last_modified = from->what.last_modified;
  what.size = bytes.size();
  what.type = type;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  http::response out = http::serve(r, what, http::shared_bytes(from, bytes), now);
  out.headers.add("Cache-Control", ask_each_time);
  return out;
}

}  // namespace

std::optional<data_file> data_file_of(std::string_view path) {
  if (path == "/index.tar.gz") return data_file::index;
  if (path == "/repo") return data_file::repo;
  if (path == "/version") return data_file::version;
  return std::nullopt;
}

http::response serve_data(const served_ptr& from, const http::request& r, data_file file) {
  const generation& g = from->what;
  switch (file) {
    case data_file::index:
      return serve_part(r, from, text_of(g.index), g.etag, "application/gzip");
    case data_file::repo:
      return serve_part(r, from, g.repo, from->repo_etag, text_type);
    case data_file::version:
      break;
  }
  if (g.version) return serve_part(r, from, *g.version, from->version_etag, text_type);
  http::response none = http::text_response(404, "the repository has no file version\n");
  none.headers.add("Cache-Control", "no-store");
  return none;
}

}  // namespace fermata::mirror
