// SPDX-License-Identifier: MIT
// An archive on its way in, as a file below FOLDER/.new: blocking calls, for the pool.
//
// Throws: `error`, `store_full`, `archive_mismatch`.
#pragma once

#include "triple_digest.hpp"

#include <fermata/mirror/archive_store.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

/// Removed with this, unless it was committed, or is to be gone on with.
///
/// Shape:    .new/sha256-ab.. where it has a name, and beside it .new/sha256-ab...from where its
///           bytes come from. The file is locked: who comes while another is being closed waits for
///           that, so two of one name must not live at once.
class new_archive {
public:
  new_archive(const std::string& folder, const std::optional<archive_hash>& name);
  ~new_archive();
  new_archive(const new_archive&) = delete;
  new_archive& operator=(const new_archive&) = delete;

  /// Hashes the next MiB of what was there; gives its size, 0 at the end.
  std::size_t read_kept();
  /// Where that came from; nothing where there was none.
  [[nodiscard]] const archive_origin& origin() const noexcept { return origin_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

  void write(std::string_view bytes);
  void rewind();
  /// From now on it stays. False: it has no name.
  bool keep(const archive_origin& from);
  [[nodiscard]] stored_archive commit(const std::vector<archive_hash>& declared);

private:
  void open_named(const archive_hash& name);
  void forget_origin() noexcept;
  void check(const stored_archive& a, const std::vector<archive_hash>& declared) const;

  std::string folder_;
  std::string path_;
  int file_ = -1;
  bool is_named_ = false;
  bool stays_ = false;
  archive_origin origin_;
  std::uint64_t size_ = 0;
  triple_digest digest_;
};

/// What can be gone on with.
struct found_partials {
  std::map<archive_hash, std::uint64_t> sizes;
  std::size_t refused = 0;  ///< of them nobody knows where they come from
};

/// Removes from FOLDER/.new what cannot be gone on with.
[[nodiscard]] found_partials find_partials(const std::string& folder);
void remove_partial(const std::string& folder, const archive_hash& name) noexcept;

}  // namespace fermata::mirror
