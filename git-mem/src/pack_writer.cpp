// SPDX-License-Identifier: MIT
// A delta is copied only where its base has been written, or is with the receiver: so no circle can
// come about, whatever copy of a base stands in which pack.

#include "commit_painter.hpp"
#include "costs.hpp"
#include "deflater.hpp"
#include "delta_base.hpp"

#include <fermata/git_mem/naming.hpp>
#include <fermata/git_mem/pack_writer.hpp>
#include <fermata/promise/pause.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace fermata::git_mem {

using detail::cost_ns;
using detail::entry_place;

namespace {

constexpr cost_ns entry_cost{400};  // look-ups of the base, and the header
constexpr std::uint64_t deepest = 4095;

// Where each object is in the new pack, and how deep: by its place in the snapshot.
class written_places {
public:
  explicit written_places(std::uint64_t places) : range_((places + 1) * sizeof(std::uint64_t)) {
    range_.extend(range_.limit());
  }
  struct spot {
    std::uint64_t offset = 0;  // 0: not written
    std::uint64_t depth = 0;
  };
  [[nodiscard]] spot at(object_set::place p) const noexcept {
    const std::uint64_t v = reinterpret_cast<const std::uint64_t*>(range_.data())[p];
    return {v >> 12, v & deepest};
  }
  void set(object_set::place p, spot s) noexcept {
    reinterpret_cast<std::uint64_t*>(range_.data())[p] = s.offset << 12 | s.depth;
  }
  bool release_slice() noexcept { return range_.release_slice(); }

private:
  growing_range range_;
};

struct writer {
  writer(snapshot_ptr f,
         std::shared_ptr<const object_set> o,
         const pack_sink& s,
         const pack_writer_options& how)
      : from(std::move(f)), objects(std::move(o)), sink(s), options(how), places(objects->end()) {
    out.reserve(written_piece_bytes);
  }

  // How the entry under way goes out.
  struct plan {
    bool copy = false;
    object_id base_id;          // of a delta
    written_places::spot base;  // of a delta on what is in the pack
    entry_header h;
  };

  [[nodiscard]] plan choose(const pack_entry& e, entry_place at) const;
  [[nodiscard]] std::uint64_t here() const noexcept { return result.bytes + out.size(); }
  void put(std::span<const std::uint8_t> bytes);
  void put_head(unsigned kind, std::uint64_t size);
  void put_start(const pack_entry& e, const plan& p, object_set::place at);
  promise<> flush();
  promise<> need_room(std::size_t n);
  promise<> copy(entry_place at, const plan& p);
  promise<> deflate(const object_id& id);
  promise<> write_entry(object_set::place at);
  promise<> write_all();

  snapshot_ptr from;
  std::shared_ptr<const object_set> objects;
  const pack_sink& sink;
  const pack_writer_options& options;
  written_places places;
  std::vector<std::byte> out;
  checksum sum;
  written_pack result;
  std::optional<object_cache> recent;
  std::optional<detail::deflater> deflater;
};

writer::plan writer::choose(const pack_entry& e, entry_place at) const {
  plan p;
  p.h = from->packs[at.pack_number]->get_header(at.entry_number);
  if (!p.h.is_delta()) {
    p.copy = true;
    return p;
  }
  const entry_place base = detail::get_base(*from, at, p.h);
  p.base_id = from->packs[base.pack_number]->entry(base.entry_number).id;
  const std::optional<object_header> found = from->find_object(p.base_id);
  const object_set::place place = objects->place_of(*found);
  p.base = places.at(place);
  const bool is_here = p.base.offset > 0 && p.base.depth < deepest;
  p.copy = is_here || (options.thin_bases && options.thin_bases->contains(place));
  if (!is_here) p.base = {0, std::max<std::uint64_t>(e.depth, 1) - 1};
  return p;
}

void writer::put(std::span<const std::uint8_t> bytes) {
  const auto raw = std::as_bytes(bytes);
  out.insert(out.end(), raw.begin(), raw.end());
  sum.update(bytes);
}

void writer::put_head(unsigned kind, std::uint64_t size) {
  std::array<std::uint8_t, 10> head{};
  std::size_t n = 0;
  auto byte = static_cast<std::uint8_t>(kind << 4 | (size & 15));
  for (size >>= 4; size > 0; size >>= 7) {
    head[n++] = byte | 128;
    byte = size & 127;
  }
  head[n++] = byte;
  put(std::span(head).first(n));
}

// The header of an entry, and what is known of it from now on.
void writer::put_start(const pack_entry& e, const plan& p, object_set::place at) {
  const std::uint64_t offset = here();
  const bool delta = p.copy && p.h.is_delta();
  pack_entry made = e;
  made.offset = offset;
  made.delta = delta ? 1 : 0;
  made.depth = delta ? p.base.depth + 1 : 0;
  made.duplicate = 0;
  made.marked = 0;
  if (options.on_entry) options.on_entry(made);
  places.set(at, {offset, made.depth});
  ++result.objects;
  if (!delta) return put_head(static_cast<unsigned>(e.type()), e.size);
  ++result.copied_deltas;
  if (p.base.offset == 0 || !options.ofs_delta) {
    put_head(entry_header::ref_delta, p.h.size);
    return put({p.base_id.data(), object_id::size_bytes});
  }
  put_head(entry_header::ofs_delta, p.h.size);
  std::array<std::uint8_t, 10> digits{};
  std::size_t first = digits.size();
  std::uint64_t back = offset - p.base.offset;
  digits[--first] = back & 127;
  while ((back >>= 7) > 0) digits[--first] = static_cast<std::uint8_t>(128 | (--back & 127));
  put(std::span(digits).subspan(first));
}

promise<> writer::flush() {
  promise<> taken = sink(out);
  co_await taken;
  result.bytes += out.size();
  out.clear();
}

promise<> writer::need_room(std::size_t n) {
  if (out.size() + n <= written_piece_bytes) co_return;
  promise<> flushed = flush();
  co_await flushed;
}

promise<> writer::copy(entry_place at, const plan& p) {
  const pack& source = *from->packs[at.pack_number];
  const std::uint64_t end = at.entry_number + 1 < source.entry_count()
                                ? source.entry(at.entry_number + 1).offset
                                : source.end_offset();
  std::uint64_t done = p.h.data_offset;
  for (;;) {
    const std::size_t n = std::min<std::uint64_t>(end - done, written_piece_bytes - out.size());
    put(source.bytes().subspan(done, n));
    done += n;
    co_await maybe_pause(entry_cost + detail::checksum_cost(n) + detail::copy_cost(n));
    if (done == end) co_return;
    promise<> flushed = flush();
    co_await flushed;
  }
}

promise<> writer::deflate(const object_id& id) {
  ++result.deflated;
  if (!recent) recent.emplace(*from);
  if (!deflater) deflater.emplace();
  promise<object> reading = get_object(from, id, any_size, &*recent);
  const object whole = co_await std::move(reading);
  deflater->start(whole.bytes());
  for (bool more = true; more;) {
    promise<> room = need_room(detail::deflater::piece_bytes);
    co_await room;
    cost_ns cost{};
    const std::span<const std::uint8_t> made = deflater->step(cost, more);
    put(made);
    co_await maybe_pause(cost + detail::checksum_cost(made.size()));
  }
}

promise<> writer::write_entry(object_set::place at) {
  const auto [pack_number, entry_number] = objects->entry_at(at);
  const entry_place place{pack_number, entry_number};
  const pack_entry& e = from->packs[pack_number]->entry(entry_number);
  promise<> room = need_room(64);
  co_await room;
  const plan p = choose(e, place);
  put_start(e, p, at);
  promise<> written = p.copy ? copy(place, p) : deflate(e.id);
  co_await written;
}

promise<> writer::write_all() {
  std::array<std::uint8_t, 12> head = {'P', 'A', 'C', 'K', 0, 0, 0, 2};
  if (objects->size() > 0xffffffff) throw failure(reason::limit, "too many objects for one pack");
  for (unsigned i = 0; i < 4; ++i) {
    head[8 + i] = static_cast<std::uint8_t>(objects->size() >> (24 - 8 * i));
  }
  put(head);
  for (object_set::place at = 0; at < objects->end();) {
    const object_set::search next = objects->find_next(at);
    at = next.at;
    if (next.found) {
      promise<> written = write_entry(at++);
      co_await written;
    }
    co_await maybe_pause();
  }
  promise<> room = need_room(object_id::size_bytes);
  co_await room;
  result.checksum = sum.finish();
  const auto trailer = std::as_bytes(std::span(result.checksum.data(), object_id::size_bytes));
  out.insert(out.end(), trailer.begin(), trailer.end());
  promise<> flushed = flush();
  co_await flushed;
}

}  // namespace

promise<written_pack> write_pack(snapshot_ptr from,
                                 std::shared_ptr<const object_set> objects,
                                 pack_sink sink,
                                 pack_writer_options options) {
  writer w(std::move(from), std::move(objects), sink, options);
  promise<> all = w.write_all();
  co_await all;
  while (w.places.release_slice() || (w.recent && w.recent->release_slice())) {
    co_await maybe_pause(std::chrono::microseconds(50));
  }
  co_return w.result;
}

}  // namespace fermata::git_mem
