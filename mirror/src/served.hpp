// SPDX-License-Identifier: MIT
/// A generation that is being served, and what becomes of it afterwards.
///
/// Thread: loop.
#pragma once

#include <fermata/loop/event_loop.hpp>
#include <fermata/mirror/generation.hpp>
#include <fermata/promise/promise.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace fermata::mirror {

struct served_generation {
  generation what;
  std::string repo_etag;
  std::string version_etag;
};

using served_ptr = std::shared_ptr<const served_generation>;

/// Frees generations in slices after their last reader, who may be any connection of any loop, has
/// let go.
class graveyard {
public:
  /// Pauses: never. Lifetime: the yard outlives what it has adopted, by sharing.
  /// Thread: the last reader may be on any; what it leaves is sent to the loop that adopts.
  [[nodiscard]] static served_ptr adopt(const std::shared_ptr<graveyard>& yard,
                                        std::unique_ptr<served_generation> g);
  /// Frees what comes until it is cancelled; after that readers free at once.
  static promise<> tend(std::shared_ptr<graveyard> yard);

private:
  void bury(std::unique_ptr<served_generation> g) noexcept;

  mailbox_ptr home_ = event_loop::current().letters();
  std::vector<std::unique_ptr<served_generation>> dead_;
  resolver<> wake_;
  bool is_tended_ = false;
};

/// `"<SHA-1 of text>"`. Pauses: may, every 32 KiB. Lifetime: `text` outlives the promise.
promise<std::string> etag_of(const std::string& text);

}  // namespace fermata::mirror
