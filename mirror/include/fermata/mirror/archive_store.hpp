// SPDX-License-Identifier: MIT
/// Archives on disk, each under all of its checksums.
///
/// Shape:    FOLDER/md5/ab/ab.., FOLDER/sha256/.. and FOLDER/sha512/.. are names of one file, so
///           that any web server can serve the folder. A name is made when the content is whole,
///           checked and synced: kill -9 or a power cut at any moment loses no archive that
///           `finish` has told of, and leaves none that is not whole. FOLDER/.new holds what is
///           being written, and what can be gone on with; FOLDER/damaged what failed a check,
///           FOLDER/unnamed since when archives are named by no package, FOLDER/sizes how long each
///           is: one that has another size is moved aside by `open`. Without that, as in a store
///           that an earlier version has written, they are taken as they are until a check.
/// Pauses:   may. All file I/O and hashing is on the pool, 64 KiB to 1 MiB a job.
/// Thread:   loop.
/// Rejects:  `error` that says what the disk said; `cancelled`.
/// Cost:     about 500 bytes of memory an archive; of a new one 4 syncs.
/// Lifetime: the store outlives its writers and promises.
#pragma once

#include <fermata/http/shared_bytes.hpp>
#include <fermata/loop/error.hpp>
#include <fermata/mirror/archive_hash.hpp>
#include <fermata/promise/promise.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fermata::mirror {

/// An archive that is whole, by the checksums that its bytes have.
struct stored_archive {
  std::array<archive_hash, 3> hashes;  ///< md5, sha256, sha512
  std::uint64_t size = 0;

  /// What stores and states know it by.
  [[nodiscard]] const archive_hash& key() const noexcept { return hashes[1]; }
};

/// The bytes that came are not those that were declared.
class archive_mismatch : public error {
public:
  using error::error;
};

/// There is no room.
class store_full : public error {
public:
  using error::error;
  /// In the quota for one archive that others may be smaller than.
  store_full(const std::string& what, std::uint64_t needed) : error(what), needed_bytes(needed) {}
  std::uint64_t needed_bytes = 0;  ///< by it, as far as is known; 0: the disk is full, for all
};

struct store_options {
  store_options() {}              // no aggregate: see STYLE.md, coroutines under g++ 12
  std::uint64_t quota_bytes = 0;  ///< of all archives; 0: no limit but the disk's
};

/// Where the bytes of an archive that is not whole come from.
struct archive_origin {
  std::string url;
  std::string
      validator;  ///< a strong ETag or a date: what tells that they are the same there still
  bool operator==(const archive_origin&) const = default;
};

struct store_counts {
  std::size_t archives = 0;
  std::uint64_t bytes = 0;
  std::uint64_t quota_bytes = 0;
  bool is_full = false;     ///< the last archive did not fit
  std::size_t partial = 0;  ///< that can be gone on with, and that nobody writes now
  std::uint64_t partial_bytes = 0;
  std::size_t unreadable = 0;       ///< at the start: files and folders that were left alone
  std::size_t refused_partial = 0;  ///< at the start: nobody knows where they come from
  std::size_t unnamed = 0;          ///< archives that no package names any more
  std::size_t unverified = 0;       ///< archives whose size was not kept, not checked yet
  std::size_t damaged = 0;          ///< found since the start, and moved aside
  std::size_t collected = 0;        ///< removed since the start
};

/// What a look through all archives has found.
struct check_report {
  std::size_t checked = 0;
  std::uint64_t bytes = 0;
  std::size_t missing = 0;            ///< files that somebody has removed
  std::size_t mended = 0;             ///< a name was missing
  std::vector<archive_hash> damaged;  ///< sha256 names of files that were moved aside
  std::size_t failed = 0;             ///< that the disk would not read, or mend
  std::string last_failure;
};

enum class check_of : std::uint8_t { all, unverified };

class archive_store {
public:
  /// Opens or makes a store: tidies `.new`, and looks at all names (about 50 ms for 10,000
  /// archives). An archive that lacks names, as after a crash, is checked and gets them.
  static promise<std::unique_ptr<archive_store>> open(std::string folder,
                                                      store_options options = {});
  archive_store(const archive_store&) = delete;
  archive_store& operator=(const archive_store&) = delete;
  ~archive_store();

  [[nodiscard]] const std::string& folder() const noexcept;
  [[nodiscard]] std::optional<stored_archive> find(const archive_hash& hash) const;
  /// Where it is, whether or not it is there.
  [[nodiscard]] std::string path_of(const archive_hash& hash) const;
  [[nodiscard]] store_counts counts() const noexcept;
  /// What the quota has left for archives on their way in that have no room yet. What was kept of
  /// others counts as left: it can be dropped.
  [[nodiscard]] std::uint64_t room() const noexcept;

  /// An archive on its way in. Dropped before `finish` it leaves nothing, but for `keep`.
  class writer {
  public:
    writer(writer&&) noexcept;
    writer& operator=(writer&&) noexcept;
    ~writer();
    /// It will have so many bytes: room is kept for them.
    /// Throws: `store_full`.
    void expect(std::uint64_t size);
    /// One call at a time. Rejects: `store_full`.
    promise<> write(http::shared_bytes piece);
    [[nodiscard]] std::uint64_t size() const noexcept;
    /// Of the bytes that are there; empty where it is not known.
    [[nodiscard]] const archive_origin& origin() const noexcept;
    /// What is written stays, also over a restart, for the next `begin` of the same name, until
    /// `rewind` or `finish`. Nothing is kept of a writer without a name, nor without a validator.
    promise<> keep(archive_origin from);
    /// Begins anew.
    promise<> rewind();
    /// Compares with every declared checksum, syncs, and gives the archive its names. A cancel
    /// after the first name is made comes too late.
    /// Rejects: `archive_mismatch` (`sha256 is 3a.., declared is 4b..`), `store_full`.
    promise<stored_archive> finish(std::vector<archive_hash> declared);

  private:
    friend class archive_store;
    struct state;
    explicit writer(archive_store& store) : store_(&store) {}
    archive_store* store_;
    std::shared_ptr<state> state_;
    std::optional<archive_hash> name_;
    archive_origin origin_;
    std::uint64_t counted_ = 0;   // written, or being so
    std::uint64_t reserved_ = 0;  // of the store's bytes under way; not below `counted_`
  };
  /// With a name it begins with what was kept under that, which is hashed first, and is without one
  /// where another writer has it. The quota counts what is kept.
  promise<writer> begin(std::optional<archive_hash> name = std::nullopt);

  /// Reads every archive and compares; what is damaged is moved to FOLDER/damaged. At most
  /// `bytes_per_second`, 0 is no limit; `seen` is told after each. What cannot be read stays.
  promise<check_report> check(std::uint64_t bytes_per_second = 0,
                              std::function<void(const check_report&)> seen = {},
                              check_of which = check_of::all);
  /// The end of the last one of all, also before a restart; 1970: there was none.
  [[nodiscard]] std::chrono::sys_seconds last_check() const noexcept;

  /// Writes FOLDER/sizes where there is news, in whole.
  promise<> save();
  /// Why FOLDER/sizes could not be used; empty: it could, or there was none.
  [[nodiscard]] const std::string& refused() const noexcept;
  /// Why the first of `counts().unreadable` was left alone.
  [[nodiscard]] const std::string& fault() const noexcept;

  /// For one whose file cannot be opened, or is not as long as it was. Where another of its names
  /// has it, read through, it gets all of them again. If none has, the store forgets it, and what
  /// stands in its place is moved to FOLDER/damaged. Gives whether it is there.
  promise<bool> recover(archive_hash key);

  /// Removes archives that no package has named for `keep`, in the order they are stored; `named`
  /// is asked for each, by any of its checksums. Gives how many were removed.
  promise<std::size_t> collect(std::function<bool(const stored_archive&)> named,
                               std::chrono::seconds keep,
                               std::chrono::sys_seconds now);

  /// Removes what was kept under a name that nobody wants. Gives how many.
  promise<std::size_t> drop_partial(std::function<bool(const archive_hash&)> wanted);

private:
  struct parts;
  promise<> check_one(stored_archive a, std::uint64_t bytes_per_second, check_report& report);
  archive_store();
  std::unique_ptr<parts> parts_;
};

}  // namespace fermata::mirror
