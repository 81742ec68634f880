// The engine of a cell: its forward and backward functions.
#pragma once

#include "backward.hpp"
#include "elementwise.hpp"

namespace recurra {
namespace RECURRA_ISA {

template <class Cell, class T>
struct Engine {
  static int forward(const Call* call, Parallel parallel) {
    if constexpr (Cell::mixes_units)
      return Forward<Cell, T>::call(call, parallel);
    else
      return Elementwise<Cell, T>::forward(call, parallel);
  }

  static int backward(const Call* call, Parallel parallel) {
    if constexpr (Cell::mixes_units)
      return Backward<Cell, T>::call(call, parallel);
    else
      return Elementwise<Cell, T>::backward(call, parallel);
  }
};

}  // namespace RECURRA_ISA
}  // namespace recurra
