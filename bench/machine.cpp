// What this machine can do at best, on one thread and on all of them: multiplications and additions of the
// register tiles, in float and in bytes, over and over on the same panels in the nearest caches, and how fast
// the vectors of a scan are read from the L2 caches and from memory. Prints one line of JSON:
//     {"kernels":"avx512","byteKernels":"vnni",
//      "peakGflops":[{"threads":1,"gflops":110.9},...],"peakByteGops":[{"threads":1,"gops":460.1},...],
//      "memoryGBs":[{"threads":1,"gbs":25.1},...],"l2GBs":[{"threads":1,"gbs":101.2},...]}
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "../native/core/aligned-buffer.h"
#include "../native/core/thread-pool.h"
#include "../native/cpu/kernels/byte-products.h"
#include "../native/cpu/kernels/kernels.h"

using neural_lsh::AlignedBuffer;
using neural_lsh::cpu::bytePanels;
using neural_lsh::cpu::kernels;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto duration = std::chrono::milliseconds(20);
constexpr int rounds = 15;

/// Repeats `step` until `stop`; steps a second.
double rate(const std::atomic<bool>& stop, const std::function<void()>& step) {
  const auto start = Clock::now();
  double steps = 0;
  for (; !stop; ++steps) step();
  return steps / std::chrono::duration<double>(Clock::now() - start).count();
}

/// The sum over the threads of what each measures until it is stopped, in the best of several rounds.
using Measure = std::function<double(std::size_t thread, const std::atomic<bool>& stop)>;

double best(std::size_t threads, const Measure& measure) {
  double most = 0;
  for (int round = 0; round < rounds; ++round) {
    std::atomic<bool> stop = false;
    std::vector<double> rates(threads);
    std::vector<std::thread> workers;
    for (std::size_t t = 0; t < threads; ++t) workers.emplace_back([&, t] { rates[t] = measure(t, stop); });
    std::this_thread::sleep_for(duration);
    stop = true;
    for (std::thread& worker : workers) worker.join();
    double sum = 0;
    for (const double r : rates) sum += r;
    most = std::max(most, sum);
  }
  return most;
}

/// Floating-point operations a second of the tile of the matrix product.
double floatTiles(std::size_t depth, const std::atomic<bool>& stop) {
  const std::size_t rows = kernels().tileRows, columns = kernels().tileColumns;
  AlignedBuffer<float> a(rows * depth), b(columns * depth), c(rows * columns);
  std::fill_n(a.data(), a.size(), 1.0F);
  std::fill_n(b.data(), b.size(), 1.0F);
  const double steps = rate(stop, [&] {
    for (int i = 0; i < 100; ++i) {
      kernels().sgemmTile(rows, columns, depth, a.data(), 0, b.data(), columns, c.data(), columns, false);
    }
  });
  return steps * 100 * 2 * static_cast<double>(rows * columns * depth);
}

/// Operations a second of the tile of bytes.
double byteTiles(std::size_t depth, const std::atomic<bool>& stop) {
  const std::size_t rows = bytePanels().tileRows, columns = bytePanels().panelWidth;
  AlignedBuffer<std::uint32_t> panel(bytePanels().panelWords(depth));
  AlignedBuffer<std::int32_t> c(rows * columns);
  std::fill_n(panel.data(), panel.size(), 0x01010101U);
  const double steps = rate(stop, [&] {
    for (int i = 0; i < 100; ++i) {
      bytePanels().multiply(bytePanels().steps(depth), panel.data(), panel.data(), c.data(), columns);
    }
  });
  return steps * 100 * 2 * static_cast<double>(rows * columns * depth);
}

/// Bytes a second that are read from `count` floats, again and again, as the exact scan of a bin reads them.
double read(const float* floats, std::size_t count, const std::atomic<bool>& stop) {
  constexpr std::size_t dimensions = 1024, rows = 16;
  const std::vector<float> query(dimensions, 1.0F);
  std::vector<float> products(rows);
  std::size_t next = 0;
  const double steps = rate(stop, [&] {
    kernels().dotProducts(query.data(), floats + next, rows, dimensions, products.data());
    next = next + 2 * rows * dimensions <= count ? next + rows * dimensions : 0;
  });
  return steps * rows * dimensions * sizeof(float);
}

std::size_t l2Bytes() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
  if (bytes > 0) return static_cast<std::size_t>(bytes);
#endif
  return std::size_t{1} << 20;
}

template <typename Figure>
void print(const char* title, const char* unit, const Figure& figure) {
  std::printf(",\"%s\":[", title);
  const char* separator = "";
  for (const std::size_t threads : std::set<std::size_t>{1, neural_lsh::hardwareThreads()}) {
    std::printf("%s{\"threads\":%zu,\"%s\":%.1f}", separator, threads, unit, figure(threads) / 1e9);
    separator = ",";
  }
  std::printf("]");
}

/// The best over several depths of the panels: shallow ones leave room in the L1 cache, deep ones spend less
/// on the tile of the result.
template <typename Tiles>
double peak(std::size_t threads, std::initializer_list<std::size_t> depths, const Tiles& tiles) {
  double most = 0;
  for (const std::size_t depth : depths) {
    const auto measure = [&](std::size_t, const std::atomic<bool>& stop) { return tiles(depth, stop); };
    most = std::max(most, best(threads, measure));
  }
  return most;
}

}  // namespace

int main() {
  std::printf("{\"kernels\":\"%s\",\"byteKernels\":\"%s\"", kernels().name, bytePanels().name);
  print("peakGflops", "gflops",
        [](std::size_t threads) { return peak(threads, {96, 128, 192, 256, 512}, floatTiles); });
  print("peakByteGops", "gops",
        [](std::size_t threads) { return peak(threads, {128, 256, 512}, byteTiles); });
  {
    AlignedBuffer<float> memory(std::size_t{1} << 28);  // a gigabyte: more than any cache
    std::fill_n(memory.data(), memory.size(), 1.0F);
    print("memoryGBs", "gbs", [&](std::size_t threads) {
      const std::size_t slice = memory.size() / threads;
      return best(threads, [&](std::size_t thread, const std::atomic<bool>& stop) {
        return read(memory.data() + thread * slice, slice, stop);
      });
    });
  }
  print("l2GBs", "gbs", [](std::size_t threads) {
    return best(threads, [](std::size_t, const std::atomic<bool>& stop) {
      const AlignedBuffer<float> buffer(l2Bytes() / 2 / sizeof(float));
      std::fill_n(buffer.data(), buffer.size(), 1.0F);
      return read(buffer.data(), buffer.size(), stop);
    });
  });
  std::puts("}");
}
