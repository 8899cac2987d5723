// SPDX-License-Identifier: MIT
// A transfer between the callbacks of libcurl and the loop of the client's thread.

#include "curl_transfer.hpp"

#include "text.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace fermata::http::detail {
namespace {

// libcurl's own limit must not be the shorter one where ours is "none".
constexpr long no_limit_ms = 24L * 3600 * 1000;

time_point end_of_limit(time_point from, std::chrono::nanoseconds d) {
  return d.count() <= 0 ? time_point::max() : later(from, d);
}

}  // namespace

curl_transfer::curl_transfer(client_engine& owner, hop h, resolver<hop_head> settle)
    : owner_(owner), hop_(std::move(h)), settle_(std::move(settle)) {
  channel<std::string> pieces(most_queued + 1);
  pieces_ = std::move(pieces.writer);
  reader_ = std::move(pieces.reader);
  channel<shared_bytes> fed(1);
  feed_ = std::move(fed.writer);
  fed_ = std::move(fed.reader);
  head_.began = hop_.began.value_or(owner_.loop().now());
  total_until_ = end_of_limit(head_.began, hop_.options.limits.total_time);
  arm();
}

curl_transfer::~curl_transfer() { stop_libcurl(); }

void curl_transfer::start() {
  try {
    easy_ = curl_easy_init();
    if (easy_ == nullptr) throw std::bad_alloc();
    set_options();
    set_security();
    set_body();
    set_fields();
    is_running_ = true;
    enter(phase::connecting);
    const CURLMcode code = curl_multi_add_handle(owner_.multi(), easy_);
    if (code != CURLM_OK)
      throw client_error(client_failure::protocol, described(curl_multi_strerror(code)));
    is_added_ = true;
  } catch (...) {
    is_running_ = true;  // it has a turn to give back
    fail(std::current_exception());
  }
}

template <typename T>
void curl_transfer::set(CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(easy_, option, value);
  if (code == CURLE_OK) return;
  throw client_error(client_failure::protocol, described(curl_easy_strerror(code)));
}

void curl_transfer::set_options() {
  const transfer_options& o = hop_.options;
  set(CURLOPT_PRIVATE, static_cast<void*>(this));
  set(CURLOPT_ERRORBUFFER, message_.data());
  set(CURLOPT_URL, hop_.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, o.allow_file ? "http,https,file" : "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // else a name that hangs would hold the thread at the end
  set(CURLOPT_BUFFERSIZE, static_cast<long>(piece_bytes));
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  const auto connect = o.limits.connect_time;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(connect).count();
  set(CURLOPT_CONNECTTIMEOUT_MS, connect.count() <= 0 ? no_limit_ms : static_cast<long>(ms));
  if (o.proxy) set(CURLOPT_PROXY, o.proxy->c_str());
  set(CURLOPT_HEADERFUNCTION, &curl_transfer::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(CURLOPT_WRITEFUNCTION, &curl_transfer::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(this));
  set(CURLOPT_PREREQFUNCTION, &curl_transfer::on_connected);
  set(CURLOPT_PREREQDATA, static_cast<void*>(this));
}

void curl_transfer::set_security() {
  const transfer_options& o = hop_.options;
  if (!o.ca_file.empty()) set(CURLOPT_CAINFO, o.ca_file.c_str());
  set(CURLOPT_SSL_VERIFYPEER, o.verify ? 1L : 0L);
  set(CURLOPT_SSL_VERIFYHOST, o.verify ? 2L : 0L);
  if (hop_.credentials && !hop_.credentials->token.empty()) return;  // it is among the fields
  set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
  if (hop_.credentials) {
    set(CURLOPT_USERNAME, hop_.credentials->user.c_str());
    set(CURLOPT_PASSWORD, hop_.credentials->password.c_str());
  } else if (o.use_netrc || !o.netrc_file.empty()) {
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_OPTIONAL));
    if (!o.netrc_file.empty()) set(CURLOPT_NETRC_FILE, o.netrc_file.c_str());
  }
}

void curl_transfer::set_body() {
  if (hop_.method == "HEAD") set(CURLOPT_NOBODY, 1L);
  const bool sends = hop_.is_streamed || !hop_.body.empty();
  if (sends) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_READFUNCTION, &curl_transfer::on_upload);
    set(CURLOPT_READDATA, static_cast<void*>(this));
    set(CURLOPT_SEEKFUNCTION, &curl_transfer::on_seek);
    set(CURLOPT_SEEKDATA, static_cast<void*>(this));
    upload_ = hop_.body;
    const std::optional<std::uint64_t> size =
        hop_.is_streamed ? hop_.stream_bytes : std::optional<std::uint64_t>(hop_.body.size());
    if (size) set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(*size));
  } else if (hop_.method == "POST" || hop_.method == "PUT" || hop_.method == "PATCH") {
    set(CURLOPT_POST, 1L);  // says Content-Length: 0
    set(CURLOPT_POSTFIELDS, "");
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(0));
  }
  if (hop_.method != "HEAD") set(CURLOPT_CUSTOMREQUEST, hop_.method.c_str());
}

void curl_transfer::set_fields() {
  for (const std::string& f : hop_.fields) {
    curl_slist* const longer = curl_slist_append(fields_, f.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    fields_ = longer;
  }
  set(CURLOPT_HTTPHEADER, fields_);
}

// ---- callbacks ----

std::size_t curl_transfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  auto& t = *static_cast<curl_transfer*>(self);
  try {
    return t.take_header({data, size * count}) ? size * count : 0;
  } catch (...) {
    t.failure_ = std::current_exception();
    return 0;
  }
}

std::size_t curl_transfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  auto& t = *static_cast<curl_transfer*>(self);
  try {
    return t.take_body({data, size * count});
  } catch (...) {
    t.failure_ = std::current_exception();
    return 0;
  }
}

std::size_t curl_transfer::on_upload(char* into, std::size_t size, std::size_t count, void* self) {
  auto& t = *static_cast<curl_transfer*>(self);
  try {
    return t.give_body({into, size * count});
  } catch (...) {
    t.failure_ = std::current_exception();
    return CURL_READFUNC_ABORT;
  }
}

// A reused connection was gone, and all is sent again.
int curl_transfer::on_seek(void* self, curl_off_t offset, int origin) {
  auto& t = *static_cast<curl_transfer*>(self);
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  const auto to = static_cast<std::uint64_t>(offset);
  if (t.hop_.is_streamed) return to == t.consumed_ ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
  if (to > t.upload_.size()) return CURL_SEEKFUNC_FAIL;
  t.uploaded_ = to;
  return CURL_SEEKFUNC_OK;
}

int curl_transfer::on_connected(void* self, char*, char*, int, int) {
  static_cast<curl_transfer*>(self)->enter(phase::asking);
  return CURL_PREREQFUNC_OK;
}

bool curl_transfer::take_header(std::string_view line) {
  if (!settle_) return true;  // trailers
  head_bytes_ += line.size();
  if (head_bytes_ > hop_.options.limits.head_bytes) {
    failure_ = std::make_exception_ptr(
        client_error(client_failure::too_large,
                     described("the head has more than " +
                               std::to_string(hop_.options.limits.head_bytes) + " bytes")));
    return false;
  }
  if (line.substr(0, 5) == "HTTP/") {  // also after an interim response
    head_.headers = header_fields();
    return true;
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.empty()) {
    long status = 0;
    curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) head_is_there();
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  head_.headers.add(std::string(trim(line.substr(0, colon))),
                    std::string(trim(line.substr(colon + 1))));
  return true;
}

void curl_transfer::head_is_there() {
  long status = 0;
  curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &status);
  head_.status = status == 0 ? 200 : static_cast<int>(status);  // 0: a file
  enter(phase::receiving);
  settle_.resolve(std::move(head_));
}

std::size_t curl_transfer::take_body(std::string_view bytes) {
  if (settle_) head_is_there();
  if (gathered_.size() + bytes.size() > piece_bytes) flush();
  if (gathered_.size() + bytes.size() > piece_bytes) {
    paused_ |= CURLPAUSE_RECV;
    return CURL_WRITEFUNC_PAUSE;
  }
  if (gathered_.empty()) gathered_.reserve(piece_bytes);
  gathered_ += bytes;
  moved_ += bytes.size();
  if (!std::exchange(is_touched_, true)) owner_.touch(hop_.id);
  return bytes.size();
}

std::size_t curl_transfer::give_body(std::span<char> into) {
  if (hop_.is_streamed && uploaded_ == upload_.size()) {
    std::optional<shared_bytes> next = fed_.try_receive();
    if (!next) {
      if (fed_.is_finished()) return 0;
      paused_ |= CURLPAUSE_SEND;
      return CURL_READFUNC_PAUSE;
    }
    upload_ = std::move(*next);
    uploaded_ = 0;
  }
  const std::size_t n = std::min(into.size(), upload_.size() - uploaded_);
  std::copy_n(upload_.view().data() + uploaded_, n, into.data());
  uploaded_ += n;
  consumed_ += n;
  moved_ += n;
  if (phase_ == phase::asking) enter(phase::asking);  // the wait begins with the last byte
  return n;
}

// ---- pieces ----

void curl_transfer::flush() {
  is_touched_ = false;
  if (gathered_.empty() || queued_ >= most_queued || phase_ == phase::over) return;
  if (pieces_.try_send(std::exchange(gathered_, {}))) ++queued_;
}

promise<std::optional<std::string>> curl_transfer::read(std::shared_ptr<curl_transfer> t) {
  const channel_reader<std::string> from = t->reader_;
  std::optional<std::string> piece = co_await from.receive();
  if (piece) --t->queued_;
  t->go_on_receiving();
  co_return piece;
}

// Once half of the room is free, so that libcurl is not woken for each piece.
void curl_transfer::go_on_receiving() {
  if (phase_ == phase::over) return;
  if (gathered_.size() > 0) flush();
  if ((paused_ & CURLPAUSE_RECV) == 0 || queued_ > most_queued / 2) return;
  if (phase_ == phase::receiving) enter(phase::receiving);  // the window begins anew
  unpause(CURLPAUSE_RECV);
}

promise<bool> curl_transfer::feed(std::shared_ptr<curl_transfer> t, shared_bytes piece) {
  if (t->phase_ == phase::over) co_return false;
  const channel_writer<shared_bytes> to = t->feed_;
  if (piece.empty()) {
    to.close();
  } else {
    try {
      co_await to.send(std::move(piece));
    } catch (const channel_closed&) {
      co_return false;
    }
  }
  if ((t->paused_ & CURLPAUSE_SEND) != 0) t->unpause(CURLPAUSE_SEND);
  co_return true;
}

void curl_transfer::unpause(int what) {
  paused_ &= ~what;
  if (!is_added_) return;
  curl_easy_pause(easy_, paused_);
  owner_.settle();
}

// ---- ends ----

void curl_transfer::finish(CURLcode code) {
  if (phase_ == phase::over) return;
  if (code != CURLE_OK || failure_) {
    fail(failure_ ? failure_ : failure_of(code));
    return;
  }
  if (settle_) head_is_there();  // an empty file
  if (!gathered_.empty()) static_cast<void>(pieces_.try_send(std::exchange(gathered_, {})));
  pieces_.close();
  fed_ = {};
  enter(phase::over);
  stop_libcurl();
}

void curl_transfer::fail(std::exception_ptr e) {
  if (phase_ == phase::over) return;
  if (!gathered_.empty()) static_cast<void>(pieces_.try_send(std::exchange(gathered_, {})));
  enter(phase::over);
  stop_libcurl();
  pieces_.fail(e);
  fed_ = {};
  if (settle_) settle_.reject(std::move(e));
}

void curl_transfer::stop_libcurl() noexcept {
  stop();
  if (std::exchange(is_added_, false)) curl_multi_remove_handle(owner_.multi(), easy_);
  curl_easy_cleanup(std::exchange(easy_, nullptr));
  curl_slist_free_all(std::exchange(fields_, nullptr));
  if (std::exchange(is_running_, false)) owner_.left(*this);
}

// ---- time ----

void curl_transfer::enter(phase p) {
  phase_ = p;
  const client_limits& l = hop_.options.limits;
  const time_point now = owner_.loop().now();
  moved_ = 0;
  switch (p) {
    case phase::waiting:
    case phase::connecting:
    case phase::over:
      phase_until_ = time_point::max();
      break;
    case phase::asking:
      phase_until_ = end_of_limit(now, l.first_byte_time);
      break;
    case phase::receiving:
      phase_until_ = end_of_limit(now, l.rate_time);
      break;
  }
  arm();
}

void curl_transfer::arm() {
  const time_point next = std::min(total_until_, phase_until_);
  stop();
  if (next != time_point::max() && phase_ != phase::over) owner_.loop().start(*this, next);
}

void curl_transfer::run() noexcept {
  const time_point now = owner_.loop().now();
  const client_limits& l = hop_.options.limits;
  if (now >= total_until_) return owner_.fail(hop_.id, late(client_time::total));
  if (now >= phase_until_) {
    if (phase_ == phase::asking) return owner_.fail(hop_.id, late(client_time::first_byte));
    const bool waits_for_us = (paused_ & CURLPAUSE_RECV) != 0;
    if (!waits_for_us && moved_ < l.rate_bytes)
      return owner_.fail(hop_.id, late(client_time::rate));
    return enter(phase_);
  }
  arm();
}

}  // namespace fermata::http::detail
