// SPDX-License-Identifier: MIT
// The support library needs one source; what tests share is in headers.

#include "policy.hpp"
