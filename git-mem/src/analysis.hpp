// SPDX-License-Identifier: MIT
// The first half of the analysis: entries as they arrive. What must wait goes to the forest.

#pragma once

#include "analysis_context.hpp"
#include "base_cache.hpp"
#include "delta_forest.hpp"

namespace fermata::git_mem {

class analysis {
public:
  analysis(pack_limits limits, snapshot_ptr bases);

  void feed(std::span<const std::byte> piece);
  void finish_input() { input_ended_ = true; }
  step_result step(std::chrono::nanoseconds budget);
  [[nodiscard]] const pack_progress& progress() const noexcept { return context_.progress; }
  [[nodiscard]] const failure& error() const;
  [[nodiscard]] detail::pack_links& links() noexcept { return context_.links; }
  [[nodiscard]] std::unique_ptr<pack> take();
  bool release_slice() noexcept;

  // Names are computed by `crew` meanwhile, until one of the others is called; null: here.
  void share_names(std::shared_ptr<detail::naming_crew> crew);
  // All get their names. False: there is an error.
  [[nodiscard]] bool settle_names();
  void give_up_names() noexcept;

private:
  enum class phase { header, entry, inflate, apply, name, trailer, forest, end, release, done };
  enum class fate { keep, stream, delta, skip };  // what becomes of the entry's content

  [[nodiscard]] bool unit(detail::cost_ns& cost);  // false: needs input
  [[nodiscard]] bool do_phase(detail::cost_ns& cost);
  [[nodiscard]] bool names_are_due() const noexcept;
  void fail(failure why);
  [[nodiscard]] bool read_header();
  [[nodiscard]] bool read_entry();
  void plan_object();
  void plan_delta();
  [[nodiscard]] std::optional<std::uint32_t> find_base();
  [[nodiscard]] bool inflate(detail::cost_ns& cost);
  void inflated();
  void start_apply();
  void start_naming(std::span<const std::uint8_t> content);
  void named(const object_id& id);
  void wait_for_base();
  void next_entry();
  void hash_slice(std::uint64_t end, detail::cost_ns& cost);
  [[nodiscard]] bool check_trailer(detail::cost_ns& cost);
  [[nodiscard]] bool check_end();
  [[nodiscard]] bool starve(const char* what) const;
  [[nodiscard]] std::string place() const;

  analysis_context context_;
  detail::base_cache cache_;
  delta_forest forest_;
  phase phase_ = phase::header;
  bool input_ended_ = false;
  bool wants_names_ = false;  // the entry in work needs those that are pending
  std::optional<failure> error_;

  std::uint64_t at_ = 0;      // first byte not analysed
  std::uint64_t hashed_ = 0;  // first byte not in the checksum
  checksum checksum_;

  entry_header header_;
  std::uint32_t number_ = 0;  // of the entry in work
  fate fate_ = fate::keep;
  std::uint8_t* target_ = nullptr;
  std::optional<object_namer> namer_;  // of a streamed object
  std::vector<std::uint8_t> head_;     // of a streamed commit or tag
  std::size_t head_left_ = 0;          // may be added to it
  const std::uint8_t* base_ = nullptr;
  std::uint32_t base_number_ = 0;
  object_type type_ = object_type::blob;
  std::uint64_t size_ = 0;
  std::uint32_t depth_ = 0;
  byte_block delta_bytes_;  // an inflated delta
};

}  // namespace fermata::git_mem
