// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <type_traits>

#include "error.hpp"

namespace loremd {

constexpr int smallest_order = 3;
constexpr int largest_order = 10;

inline void check_order(int order) {
  check(order >= smallest_order && order <= largest_order, "order is ", order,
        "; allowed: ", smallest_order, " to ", largest_order);
}

// Calls body(std::integral_constant<int, order>), the one place where a run-time order becomes a
// template argument.
template <class Body>
void dispatch_order(int order, Body &&body) {
  switch (order) {
    case 3:
      return body(std::integral_constant<int, 3>{});
    case 4:
      return body(std::integral_constant<int, 4>{});
    case 5:
      return body(std::integral_constant<int, 5>{});
    case 6:
      return body(std::integral_constant<int, 6>{});
    case 7:
      return body(std::integral_constant<int, 7>{});
    case 8:
      return body(std::integral_constant<int, 8>{});
    case 9:
      return body(std::integral_constant<int, 9>{});
    case 10:
      return body(std::integral_constant<int, 10>{});
    default:
      check_order(order);
  }
}

}  // namespace loremd
