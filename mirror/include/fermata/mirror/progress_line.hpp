// SPDX-License-Identifier: MIT
/// Progress on a terminal, or in a log.
///
/// Shape:  `update` gives the text to write now, often none. On a terminal that is one line that
///         overwrites itself; elsewhere log lines, at most one a second, and one for each tenth:
///         `info mirror: progress phase=walk files=8`.
///         A new phase ends the line of the one before, unless that had no bar: then it takes the
///         line over.
/// Pauses: never.
/// Thread: the owner's.
#pragma once

#include <fermata/mirror/service_status.hpp>

#include <chrono>
#include <string>

namespace fermata::mirror {

/// `receive  [########------------]  42%  17,345 of 42,156 objects  4.4 MB  21.6 MB/s  1.7 s left`,
/// shortened, and without what does not fit in `width` columns even then.
[[nodiscard]] std::string progress_bar(const progress_status& progress, std::size_t width);

/// The same without a bar, for people.
[[nodiscard]] std::string progress_text(const progress_status& progress);

class progress_line {
public:
  /// `width` 0: no terminal.
  explicit progress_line(std::size_t width) : width_(width) {}

  /// `now` is any clock that goes on steadily.
  [[nodiscard]] std::string update(const progress_status& progress, std::chrono::milliseconds now);
  /// Ends a line that is begun: what else is written stands below it.
  [[nodiscard]] std::string end();

private:
  [[nodiscard]] std::string update_bar(const progress_status& progress,
                                       std::chrono::milliseconds now);
  [[nodiscard]] std::string update_text(const progress_status& progress,
                                        std::chrono::milliseconds now);

  std::size_t width_;
  std::string phase_;
  std::string shown_;
  std::chrono::milliseconds last_{0};
  int tenth_ = -1;
  bool had_share_ = false;
};

}  // namespace fermata::mirror
