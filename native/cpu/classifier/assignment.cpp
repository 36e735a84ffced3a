#include "assignment.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "../../core/aligned-buffer.h"
#include "../chunks.h"
#include "router.h"

namespace neural_lsh::cpu {
namespace {

/// Kept of each row's choices: hardly a row finds all of so many bins full.
constexpr std::size_t mostChoices = 8;
constexpr std::size_t blockNumbers = std::size_t{1} << 22;

/// The bins of the largest logits, largest first, ties to the smaller bin.
void rank(std::span<const float> logits, std::span<Id> choices) {
  std::size_t kept = 0;
  for (std::size_t bin = 0; bin < logits.size(); ++bin) {
    const auto larger = [&](std::size_t place) {
      return logits[bin] > logits[static_cast<std::size_t>(choices[place])];
    };
    if (kept == choices.size() && !larger(kept - 1)) continue;
    std::size_t place = kept < choices.size() ? kept++ : kept - 1;
    for (; place > 0 && larger(place - 1); --place) choices[place] = choices[place - 1];
    choices[place] = static_cast<Id>(bin);
  }
}

/// The softmax's probability of the largest.
float sureness(std::span<const float> logits, float largest) {
  float sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return 1 / sum;
}

struct Choices {
  std::size_t each;         // of a row
  std::vector<Id> bins;     // rows x each, most probable first
  std::vector<float> sure;  // probability of each row's first
};

/// Calls visit(row, logits) for all rows, from several threads.
template <typename Visit>
void forLogits(const Router& router, const Matrix& rows, const Job& job, const Visit& visit) {
  const std::size_t bins = router.bins();
  const std::size_t blockRows = std::clamp<std::size_t>(blockNumbers / bins, 1, 4096);
  AlignedBuffer<float> logits(blockRows * bins);
  for (std::size_t first = 0; first < rows.rows; first += blockRows) {
    job.check();
    job.progress(first, rows.rows);
    const std::size_t count = std::min(blockRows, rows.rows - first);
    router.logits(rows.data + first * rows.columns, count, logits.data(), job.threads);
    forChunks(count, chunkRows(bins), job.threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) visit(first + i, std::span(logits.data() + i * bins, bins));
    });
  }
  job.progress(rows.rows, rows.rows);
}

Choices chooseBins(const Router& router, const Matrix& rows, const Job& job) {
  const std::size_t each = std::min(mostChoices, router.bins());
  Choices choices{each, std::vector<Id>(rows.rows * each), std::vector<float>(rows.rows)};
  forLogits(router, rows, job, [&](std::size_t row, std::span<const float> logits) {
    const std::span<Id> chosen(choices.bins.data() + row * each, each);
    rank(logits, chosen);
    choices.sure[row] = sureness(logits, logits[static_cast<std::size_t>(chosen.front())]);
  });
  return choices;
}

/// The most probable of all bins with room, for a row whose choices are full.
Id chooseAnyBin(const Router& router, const float* row, std::span<const std::size_t> room,
                std::span<float> logits) {
  router.logits(row, 1, logits.data(), 1);
  std::size_t best = room.size();
  for (std::size_t bin = 0; bin < room.size(); ++bin) {
    if (room[bin] > 0 && (best == room.size() || logits[bin] > logits[best])) best = bin;
  }
  return static_cast<Id>(best);
}

}  // namespace

std::vector<Id> assignToBins(const Classifier& classifier, const Matrix& rows, std::size_t largest,
                             const Job& job) {
  const Router router(classifier, {.bytes = false});
  const Choices choices = chooseBins(router, rows, job);
  std::vector<Id> order(rows.rows), labels(rows.rows);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](Id a, Id b) {
    return choices.sure[static_cast<std::size_t>(a)] > choices.sure[static_cast<std::size_t>(b)];
  });
  std::vector<std::size_t> room(router.bins(), largest);
  std::vector<float> logits(router.bins());
  const auto hasRoom = [&](Id bin) { return room[static_cast<std::size_t>(bin)] > 0; };
  for (const Id id : order) {
    const auto row = static_cast<std::size_t>(id);
    const std::span<const Id> wanted(choices.bins.data() + row * choices.each, choices.each);
    const auto found = std::find_if(wanted.begin(), wanted.end(), hasRoom);
    if (found == wanted.end()) job.check();
    labels[row] =
        found != wanted.end() ? *found : chooseAnyBin(router, rows.data + row * rows.columns, room, logits);
    --room[static_cast<std::size_t>(labels[row])];
  }
  return labels;
}

}  // namespace neural_lsh::cpu
