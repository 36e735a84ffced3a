// Several threads with several indexes on an emulated device (emulation/emulator.h) at once, where memory
// runs out and jobs are cancelled: each gets what it gets alone, or an error, and all memory comes back. For
// sanitizers, which see what else is wrong.
#include <cstdio>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "expect.h"
#include "whole-engine.h"

namespace {

const NlshCudaTable& table() {
  return *neural_lsh_cuda(NLSH_CUDA_VERSION);
}

std::vector<float> draw(std::size_t count, unsigned seed, bool areBytes = false) {
  std::mt19937 random(seed);
  std::vector<float> numbers(count);
  for (float& number : numbers)
    number = areBytes ? random() % 256 : static_cast<float>(random() % 10'007) / 5000 - 1;
  return numbers;
}

struct Answer {
  int status;
  std::vector<std::int32_t> ids;
  std::vector<float> distances;
  friend bool operator==(const Answer&, const Answer&) = default;
};

constexpr std::size_t rows = 120, columns = 9, bins = 12, hidden = 17, k = 5, queryCount = 20;

/// What an index is made of.
struct Contents {
  explicit Contents(unsigned seed, bool asBytes)
      : vectors(draw(rows * columns, seed, asBytes)),
        bytes(asBytes ? std::vector<std::uint8_t>(vectors.begin(), vectors.end())
                      : std::vector<std::uint8_t>()),
        weights{draw(hidden * columns, seed + 1), draw(bins * hidden, seed + 2)} {
    std::iota(ids.begin(), ids.end(), 0);
    for (std::size_t i = 0; i <= bins; ++i) offsets[i] = static_cast<std::int32_t>(rows * i / bins);
  }

  std::vector<float> vectors;
  std::vector<std::uint8_t> bytes;
  std::vector<float> weights[2];
  std::vector<std::int32_t> ids = std::vector<std::int32_t>(rows),
                            offsets = std::vector<std::int32_t>(bins + 1);
  std::vector<float> mean = std::vector<float>(columns, 0.25F), scale = std::vector<float>(columns, 1.5F);
};

int open(const Contents& contents, NlshIndex** index) {
  const std::size_t widths[] = {columns, hidden, bins};
  const float* const weights[] = {contents.weights[0].data(), contents.weights[1].data()};
  const float* const biases[] = {nullptr, nullptr};
  const bool asBytes = !contents.bytes.empty();
  const NlshIndexRequest request{
      0,
      NLSH_EUCLIDEAN,
      rows,
      columns,
      bins,
      asBytes ? nullptr : contents.vectors.data(),
      asBytes ? contents.bytes.data() : nullptr,
      contents.offsets.data(),
      contents.ids.data(),
      {2, widths, weights, biases, contents.mean.data(), contents.scale.data(), 0, 1}};
  NlshFailure failure;
  return table().open_index(&request, index, nullptr, &failure);
}

Answer search(NlshIndex* index, const std::vector<float>& queries, const NlshJob* job = nullptr) {
  Answer answer{0, std::vector<std::int32_t>(queryCount * k), std::vector<float>(queryCount * k)};
  std::vector<std::int32_t> visited(2 * queryCount);
  const NlshSearchRequest request{{queries.data(), queryCount, columns},
                                  k,
                                  3,
                                  0,
                                  0,
                                  0,
                                  answer.ids.data(),
                                  answer.distances.data(),
                                  visited.data(),
                                  visited.data() + queryCount};
  NlshFailure failure;
  answer.status = table().search(index, &request, job, &failure);
  return answer;
}

Answer findGraph(const std::vector<float>& points, std::int32_t precision) {
  Answer answer{0, std::vector<std::int32_t>(rows * k), std::vector<float>(rows * k)};
  const NlshNeighborsRequest request{0,
                                     NLSH_EUCLIDEAN,
                                     precision,
                                     {points.data(), rows, columns},
                                     {},
                                     k,
                                     answer.ids.data(),
                                     answer.distances.data()};
  NlshFailure failure;
  answer.status = table().find_neighbors(&request, nullptr, &failure);
  return answer;
}

/// What is to be had in the end: the right answer or, where memory is short, none for that reason.
bool isRight(const Answer& answer, const Answer& right, bool mayBeFull) {
  return answer == right || (mayBeFull && answer.status == NLSH_OUT_OF_MEMORY);
}

/// Two threads use each index, and each one of its own.
void useTogether(std::size_t freeBytes, bool mayBeFull) {
  emulation::Device::instance().freeBytes = freeBytes;
  const Contents contents[] = {Contents(1, false), Contents(2, true)};
  const std::vector<float> queries = draw(queryCount * columns, 7, true);
  NlshIndex* indexes[2] = {};
  Answer found[2], graphs[2];
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT(open(contents[i], &indexes[i]) == NLSH_OK);
    found[i] = search(indexes[i], queries);
    graphs[i] = findGraph(contents[i].vectors, NLSH_FP16);
    EXPECT(found[i].status == NLSH_OK && graphs[i].status == NLSH_OK);
  }
  std::vector<std::thread> threads;
  for (std::size_t number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      const NlshJob cancelled{nullptr, [](void*) { return 1; }, nullptr};
      const std::size_t i = number % 2;
      EXPECT(isRight(search(indexes[i], queries), found[i], mayBeFull));
      if (number < 2) {
        EXPECT(isRight(findGraph(contents[i].vectors, NLSH_BF16), graphs[i], mayBeFull));
      } else {
        EXPECT(search(indexes[i], queries, &cancelled).status == NLSH_CANCELLED);
      }
      NlshIndex* own = nullptr;
      const int status = open(contents[i], &own);
      EXPECT(status == NLSH_OK || (mayBeFull && status == NLSH_OUT_OF_MEMORY));
      if (status == NLSH_OK) EXPECT(isRight(search(own, queries), found[i], mayBeFull));
      table().close_index(own);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (NlshIndex* const index : indexes) table().close_index(index);
  EXPECT(emulation::Device::instance().freeBytes == freeBytes);
}

}  // namespace

int main() {
  useTogether(std::size_t{1} << 30, false);
  useTogether(std::size_t{40} << 20, true);
  std::printf("several threads are right on an emulated device (%zu launches)\n",
              emulation::Device::instance().launches);
}
