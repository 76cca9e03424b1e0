// Ranks as threads of one process: what MPI does between processes, where sanitizers see it.
#pragma once

#include <barrier>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "kernels/exec/communicator.h"

namespace sllmr {

class ThreadRanks {
 public:
  explicit ThreadRanks(int size) : barrier_(size), shown_(static_cast<std::size_t>(size)), size_(size) {}

  /// Calls body(communicator) once for each rank, side by side.
  template <class Body>
  static void run(int size, const Body& body) {
    ThreadRanks ranks(size);
    std::vector<std::jthread> threads;
    for (int r = 0; r < size; ++r) {
      threads.emplace_back([&ranks, &body, r] {
        One own(ranks, r);
        body(own);
      });
    }
  }

 private:
  struct Shown {
    const void* memory = nullptr;
    std::span<const std::int64_t> bytes;
  };

  class One final : public Communicator {
   public:
    One(ThreadRanks& all, int rank) : all_(all), rank_(rank) {}
    int rank() const override { return rank_; }
    int size() const override { return all_.size_; }
    int local_rank() const override { return rank_; }
    void do_broadcast(void* data, std::size_t bytes, int root) override {
      exchange({data, {}}, [&] {
        if (rank_ != root) copy(data, shown(root).memory, bytes);
      });
    }
    void do_all_gather(const void* mine, std::size_t bytes, void* all) override {
      exchange({mine, {}}, [&] {
        for (int r = 0; r < size(); ++r)
          copy(static_cast<char*>(all) + static_cast<std::size_t>(r) * bytes, shown(r).memory, bytes);
      });
    }
    void do_all_gather_v(const void* mine, std::span<const std::int64_t> bytes, void* all) override {
      exchange({mine, {}}, [&] {
        auto* to = static_cast<char*>(all);
        for (int r = 0; r < size(); ++r) to = copy(to, shown(r).memory, of(bytes, r));
      });
    }
    void do_all_to_all_v(const void* send, std::span<const std::int64_t> send_bytes, void* receive,
                         std::span<const std::int64_t> receive_bytes) override {
      exchange({send, send_bytes}, [&] {
        auto* to = static_cast<char*>(receive);
        for (int r = 0; r < size(); ++r) {
          const auto* from = static_cast<const char*>(shown(r).memory);
          for (int before = 0; before < rank_; ++before) from += of(shown(r).bytes, before);
          if (of(shown(r).bytes, rank_) != of(receive_bytes, r)) std::abort();
          to = copy(to, from, of(receive_bytes, r));
        }
      });
    }
    [[noreturn]] void abort(int status) override { std::_Exit(status); }

   private:
    template <class Read>
    void exchange(const Shown& mine, const Read& read) {
      all_.shown_[static_cast<std::size_t>(rank_)] = mine;
      all_.barrier_.arrive_and_wait();
      read();
      all_.barrier_.arrive_and_wait();  // all have read it
    }
    const Shown& shown(int rank) const { return all_.shown_[static_cast<std::size_t>(rank)]; }
    static std::size_t of(std::span<const std::int64_t> bytes, int rank) {
      return static_cast<std::size_t>(bytes[static_cast<std::size_t>(rank)]);
    }
    static char* copy(void* to, const void* from, std::size_t bytes) {
      if (bytes != 0) std::memcpy(to, from, bytes);
      return static_cast<char*>(to) + bytes;
    }

    ThreadRanks& all_;
    int rank_;
  };

  std::barrier<> barrier_;
  std::vector<Shown> shown_;
  int size_;
};

}  // namespace sllmr
