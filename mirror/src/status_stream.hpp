// SPDX-License-Identifier: MIT
// The status page, live: server-sent events with the parts that have changed.
#pragma once

#include "service_core.hpp"

namespace fermata::mirror {

/// Answers `/status/events`; 503 where too many look already.
[[nodiscard]] http::response stream_status(const std::shared_ptr<service_core>& core,
                                           const http::request& r);

/// What a visitor of the status page sees.
[[nodiscard]] page_view view_of(const service_core& core, const http::request& r);

}  // namespace fermata::mirror
