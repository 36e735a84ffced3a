// How fast this machine multiplies at best: the register tile of the matrix product, over and over on the
// same two panels in the nearest caches, on one thread and on all of them. Prints one line of JSON:
//     {"kernels":"avx512","peakGflops":[{"threads":1,"gflops":110.9},{"threads":2,"gflops":221.1}]}
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <set>
#include <thread>
#include <vector>

#include "../native/core/aligned-buffer.h"
#include "../native/core/thread-pool.h"
#include "../native/cpu/kernels/kernels.h"

using neural_lsh::AlignedBuffer;
using neural_lsh::cpu::kernels;
using Clock = std::chrono::steady_clock;

namespace {

// Depths of the panels: shallow ones leave room in the L1 cache, deep ones spend less on the tile of C.
constexpr std::size_t depths[] = {96, 128, 192, 256, 512};
constexpr auto duration = std::chrono::milliseconds(20);
constexpr int rounds = 15;

/// Tiles multiplied a second by one thread until `stop`.
double tileRate(std::size_t depth, const std::atomic<bool>& stop) {
  const std::size_t rows = kernels().tileRows, columns = kernels().tileColumns;
  AlignedBuffer<float> a(rows * depth), b(columns * depth), c(rows * columns);
  std::fill_n(a.data(), a.size(), 1.0F);
  std::fill_n(b.data(), b.size(), 1.0F);
  const auto start = Clock::now();
  double tiles = 0;
  for (; !stop; tiles += 100) {
    for (int i = 0; i < 100; ++i) {
      kernels().sgemmTile(rows, columns, depth, a.data(), b.data(), columns, c.data(), columns, false);
    }
  }
  return tiles / std::chrono::duration<double>(Clock::now() - start).count();
}

double gigaflops(std::size_t threads, std::size_t depth) {
  std::atomic<bool> stop = false;
  std::vector<double> rates(threads);
  std::vector<std::thread> workers;
  for (double& rate : rates) workers.emplace_back([&] { rate = tileRate(depth, stop); });
  std::this_thread::sleep_for(duration);
  stop = true;
  for (std::thread& worker : workers) worker.join();
  double tiles = 0;
  for (const double rate : rates) tiles += rate;
  return tiles * 2e-9 * static_cast<double>(kernels().tileRows * kernels().tileColumns * depth);
}

}  // namespace

int main() {
  std::printf("{\"kernels\":\"%s\",\"peakGflops\":[", kernels().name);
  const char* separator = "";
  for (const std::size_t threads : std::set<std::size_t>{1, neural_lsh::hardwareThreads()}) {
    double best = 0;
    for (int round = 0; round < rounds; ++round) {
      for (const std::size_t depth : depths) best = std::max(best, gigaflops(threads, depth));
    }
    std::printf("%s{\"threads\":%zu,\"gflops\":%.1f}", separator, threads, best);
    separator = ",";
  }
  std::puts("]}");
}
