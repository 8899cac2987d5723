// SPDX-License-Identifier: MIT
/// A callable that is moved and never copied, as std::move_only_function will be.
///
/// Thread: the owner's.
/// Cost:   one allocation for a callable of any size; a call is one indirect call.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace fermata {

template <typename Signature>
class unique_function;

/// Shape: empty after a move and when built from nothing; calling an empty one is undefined.
template <typename Result, typename... Args>
class unique_function<Result(Args...)> {
public:
  unique_function() noexcept = default;
  unique_function(std::nullptr_t) noexcept {}

  template <typename F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, unique_function> &&
           std::is_invocable_r_v<Result, std::decay_t<F>&, Args...>) unique_function(F&& f)
      : held_(std::make_unique<holder<std::decay_t<F>>>(std::forward<F>(f))) {}

  Result operator()(Args... args) { return held_->call(std::forward<Args>(args)...); }
  [[nodiscard]] explicit operator bool() const noexcept { return held_ != nullptr; }

private:
  struct base {
    virtual ~base() = default;
    virtual Result call(Args... args) = 0;
  };
  template <typename F>
  struct holder final : base {
    explicit holder(F&& f) : callable(std::move(f)) {}
    explicit holder(const F& f) : callable(f) {}
    Result call(Args... args) override { return callable(std::forward<Args>(args)...); }
    F callable;
  };
  std::unique_ptr<base> held_;
};

}  // namespace fermata
