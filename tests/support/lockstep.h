// CUDA's groups of lanes on the CPU: a thread a lane, which meet where lanes do something together.
#pragma once

#include <barrier>
#include <cstring>
#include <thread>
#include <vector>

namespace sllmr {

template <int Size>
class Lockstep {
 public:
  /// As CudaLanes, but for what the tests have no use for.
  struct Lanes {
    static constexpr int size = Size;
    static constexpr bool prefetches = false;

    int own;
    Lockstep* group;

    int lane() const { return own; }
    template <class Value>
    Value broadcast(Value x, int lane) const {
      static_assert(sizeof(Value) <= sizeof(group->slot_[0]));
      std::memcpy(group->slot_[own], &x, sizeof x);
      group->barrier_.arrive_and_wait();
      Value out;
      std::memcpy(&out, group->slot_[lane], sizeof out);
      group->barrier_.arrive_and_wait();  // all have read it
      return out;
    }
  };

  /// body(lanes) of every lane.
  template <class Body>
  static void run(const Body& body) {
    Lockstep group;
    std::vector<std::jthread> threads;
    for (int lane = 0; lane < Size; ++lane) {
      threads.emplace_back([&, lane] { body(Lanes{lane, &group}); });
    }
  }

 private:
  std::barrier<> barrier_{Size};
  alignas(8) char slot_[Size][8] = {};
};

}  // namespace sllmr
