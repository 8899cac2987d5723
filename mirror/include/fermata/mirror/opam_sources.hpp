// SPDX-License-Identifier: MIT
/// What an opam file says is to be downloaded.
///
/// Shape:  from the section `url`, the sections `extra-source`, and the older field
///         `extra-sources`; a file `url` beside `opam` holds the same fields at its top. A bad line
///         is a fault and the rest is read.
/// Pauses: never: 3 ns a byte. Cut files over `opam_bytes_on_loop` off to a thread.
/// Thread: any.
#pragma once

#include <fermata/mirror/archive_hash.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

inline constexpr std::size_t opam_bytes_on_loop = 32 * 1024;  ///< about 100 us
inline constexpr std::size_t longest_opam_bytes = std::size_t{4} << 20;
inline constexpr std::size_t most_opam_faults = 16;  ///< of a file; then the rest is not read

/// Where a source's bytes come from.
enum class source_kind : std::uint8_t {
  archive,          ///< http, https or ftp
  file,             ///< `file://`
  version_control,  ///< git, hg, darcs: nothing that could be stored
  other,            ///< a local path, rsync
};

[[nodiscard]] source_kind kind_of_url(std::string_view url) noexcept;

struct opam_source {
  std::string url;  ///< as declared, without a fragment
  std::vector<std::string> mirrors;
  std::vector<archive_hash> hashes;  ///< sorted, each once
  source_kind kind = source_kind::archive;
  bool is_extra = false;

  friend bool operator==(const opam_source&, const opam_source&) = default;
};

struct opam_sources {
  bool has_version = false;  ///< there is a field `opam-version`
  bool is_available = true;  ///< false only where `available` is literally false
  std::vector<opam_source> sources;
  std::vector<std::string> faults;  ///< `12:3: why`, in bytes from 1
};

[[nodiscard]] opam_sources read_opam_sources(std::string_view text);

}  // namespace fermata::mirror
