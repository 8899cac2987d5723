// SPDX-License-Identifier: MIT
/// Who may ask for an update, and how often.
///
/// Pauses: never; a signature takes 1 us a KiB.
/// Thread: the owner's.
#pragma once

#include <fermata/http/request.hpp>
#include <fermata/loop/time_source.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace fermata::mirror {

/// Why a request may not ask; empty if it may. Compares in a time that says nothing of the secret.
/// A form of another site may never ask, and one of ours carries the secret as its field `secret`.
[[nodiscard]] std::string_view hook_fault(const http::request& r, const std::string& secret);

/// A field of a form or of a query, decoded; empty where there is none.
[[nodiscard]] std::string form_field(std::string_view form, std::string_view name);

/// Whether its body is a form's.
[[nodiscard]] bool is_form(const http::request& r);

/// Whether a page of ours sends this form, whose answer a person looks at.
[[nodiscard]] bool is_page_form(const http::request& r);

/// GitHub's and Gitea's first call, which only tries the address.
[[nodiscard]] bool is_hook_ping(const http::request& r);

/// `burst` requests at once, then one each `refill`.
class hook_budget {
public:
  static constexpr std::chrono::seconds refill{2};
  static constexpr int burst = 30;

  /// How long to wait for the next one; 0 s: there is one.
  [[nodiscard]] std::chrono::seconds wait(time_point now) const;
  /// Takes one that is there.
  void take(time_point now);

private:
  time_point full_at_{};  // when all will be there again
};

}  // namespace fermata::mirror
