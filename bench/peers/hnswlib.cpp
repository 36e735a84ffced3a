// hnswlib without anything around it, as a runner of bench/peers.mjs (bench/peers/runner.mjs says how one
// speaks).
//
//     hnswlib build <base.f32> <rows> <dimensions> <l2 | ip> <index> <M> <efConstruction>
//     hnswlib serve <queries.f32> <count> <dimensions> <l2 | ip> <index> <k>
#include "hnswlib/hnswlib.h"

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

std::vector<float> readFloats(const std::string& path, std::size_t count) {
  std::vector<float> values(count);
  std::ifstream file(path, std::ios::binary);
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(float)));
  if (!file) throw std::runtime_error(path + ": cannot be read");
  return values;
}

std::unique_ptr<hnswlib::SpaceInterface<float>> makeSpace(const std::string& name, std::size_t dimensions) {
  if (name == "ip") return std::make_unique<hnswlib::InnerProductSpace>(dimensions);
  return std::make_unique<hnswlib::L2Space>(dimensions);
}

/// Resident pages that no file stands behind. Linux only; elsewhere 0.
std::size_t ownBytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  std::size_t ofFiles = 0;
  file >> total >> resident >> ofFiles;
  return (resident - ofFiles) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void build(char** arguments) {
  const std::size_t rows = std::stoul(arguments[1]);
  const std::size_t dimensions = std::stoul(arguments[2]);
  const auto space = makeSpace(arguments[3], dimensions);
  const std::vector<float> base = readFloats(arguments[0], rows * dimensions);

  const auto start = Clock::now();
  const std::clock_t processStart = std::clock();
  hnswlib::HierarchicalNSW<float> index(space.get(), rows, std::stoul(arguments[5]),
                                        std::stoul(arguments[6]));
  for (std::size_t row = 0; row < rows; row++) index.addPoint(&base[row * dimensions], row);
  const double processSeconds = static_cast<double>(std::clock() - processStart) / CLOCKS_PER_SEC;
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();

  index.saveIndex(arguments[4]);
  std::printf("{\"buildSeconds\":%.3f,\"buildCpuSeconds\":%.3f}\n", seconds, processSeconds);
}

template <typename Values>
void printArray(const char* name, const Values& values) {
  std::printf("\"%s\":[", name);
  for (std::size_t i = 0; i < values.size(); i++)
    std::printf(i == 0 ? "%lld" : ",%lld", static_cast<long long>(values[i]));
  std::printf("]");
}

void serve(char** arguments) {
  const std::size_t count = std::stoul(arguments[1]);
  const std::size_t dimensions = std::stoul(arguments[2]);
  const auto space = makeSpace(arguments[3], dimensions);
  const std::size_t k = std::stoul(arguments[5]);
  const std::vector<float> queries = readFloats(arguments[0], count * dimensions);

  const std::size_t before = ownBytes();
  hnswlib::HierarchicalNSW<float> index(space.get(), arguments[4]);
  const auto search = [&](std::size_t query) { return index.searchKnn(&queries[query * dimensions], k); };
  for (std::size_t query = 0; query < count; query++) search(query);
  std::printf("{\"memoryBytes\":%zu}\n", ownBytes() - before);
  std::fflush(stdout);

  for (std::string line; std::getline(std::cin, line);) {
    unsigned passes = 0;
    unsigned ef = 0;
    if (std::sscanf(line.c_str(), "{\"passes\":%u,\"ef\":%u}", &passes, &ef) != 2)
      throw std::runtime_error("not understood: " + line);
    index.setEf(ef);

    std::vector<std::int64_t> ids(count * k, -1);
    for (std::size_t query = 0; query < count; query++) {
      auto found = search(query);
      for (std::size_t i = found.size(); i-- > 0; found.pop())
        ids[query * k + i] = static_cast<std::int64_t>(found.top().second);
    }
    std::vector<std::int64_t> nanoseconds;
    nanoseconds.reserve(passes * count);
    for (unsigned pass = 0; pass < passes; pass++) {
      for (std::size_t query = 0; query < count; query++) {
        const auto start = Clock::now();
        const auto found = search(query);
        nanoseconds.push_back(
            std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
      }
    }
    std::printf("{");
    printArray("ids", ids);
    std::printf(",");
    printArray("nanoseconds", nanoseconds);
    std::printf("}\n");
    std::fflush(stdout);
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const std::string mode = count > 1 ? arguments[1] : "";
    if (mode == "build" && count == 9) {
      build(arguments + 2);
    } else if (mode == "serve" && count == 8) {
      serve(arguments + 2);
    } else {
      throw std::runtime_error("usage: hnswlib build | serve ...");
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hnswlib: %s\n", error.what());
    return 1;
  }
}
