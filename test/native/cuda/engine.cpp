// The CUDA engine behind its interface, on an emulated device (emulation/emulator.h), compared with brute
// force.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "expect.h"
#include "whole-engine.h"

namespace {

std::mt19937 randomBits(3);

const NlshCudaTable& table() {
  return *neural_lsh_cuda(NLSH_CUDA_VERSION);
}

enum class Values { floats, bytes, few, unit };

std::vector<float> draw(std::size_t rows, std::size_t columns, Values values) {
  std::vector<float> numbers(rows * columns);
  std::normal_distribution<float> normal;
  for (float& number : numbers) {
    number = values == Values::bytes ? static_cast<float>(randomBits() % 256)
             : values == Values::few ? 0.5F * static_cast<float>(randomBits() % 2)
                                     : 3 + normal(randomBits);
  }
  for (std::size_t row = 0; row < rows && values == Values::unit; ++row) {
    float* const x = numbers.data() + row * columns;
    const float norm = std::sqrt(std::inner_product(x, x + columns, x, 0.0F));
    for (std::size_t c = 0; c < columns; ++c) x[c] /= norm;
  }
  return numbers;
}

double distanceOf(int metric, const float* a, const float* b, std::size_t columns) {
  double sum = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    const double x = a[c], y = b[c];
    sum += metric == NLSH_EUCLIDEAN ? (x - y) * (x - y) : x * y;
  }
  return metric == NLSH_EUCLIDEAN ? sum : metric == NLSH_COSINE ? 1 - sum : -sum;
}

using Nearest = std::vector<std::pair<double, std::int32_t>>;

/// Whether these are the k nearest. Sums of floats may be added up in another order: then what is nearly
/// equal may be in either order.
bool areNearest(Nearest all, std::size_t k, const std::int32_t* ids, const float* distances, bool isExact) {
  std::sort(all.begin(), all.end());
  std::set<std::int32_t> seen;
  for (std::size_t i = 0; i < k; ++i) {
    const double slack = isExact ? 0 : 1e-12 * (1 + std::abs(all[i].first));
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const auto& other) { return other.second == ids[i]; });
    if (found == all.end() || std::abs(found->first - all[i].first) > slack || !seen.insert(ids[i]).second)
      return false;
    if (isExact && ids[i] != all[i].second) return false;
    if (std::abs(distances[i] - found->first) > 1e-7 * std::abs(found->first) + 1e-12) return false;
  }
  return true;
}

struct Neighbors {
  std::size_t points, queries, columns, k;  // no queries: a graph
  Values values;
  int metric = NLSH_EUCLIDEAN, precision = NLSH_FP32;
  std::size_t freeBytes = std::size_t{1} << 30;
};

void findsNeighbors(const Neighbors& problem) {
  const bool isGraph = problem.queries == 0;
  const std::size_t rows = isGraph ? problem.points : problem.queries;
  const std::vector<float> points = draw(problem.points, problem.columns, problem.values);
  const std::vector<float> others = draw(problem.queries, problem.columns, problem.values);
  const std::vector<float>& queries = isGraph ? points : others;
  std::vector<std::int32_t> ids(rows * problem.k, -1);
  std::vector<float> distances(rows * problem.k, -1);
  const NlshNeighborsRequest request{0,
                                     problem.metric,
                                     problem.precision,
                                     {points.data(), problem.points, problem.columns},
                                     {isGraph ? nullptr : others.data(), problem.queries, problem.columns},
                                     problem.k,
                                     ids.data(),
                                     distances.data()};
  NlshFailure failure;
  struct Seen {
    std::size_t done = 0, total = 0;
  } seen;
  const NlshJob job{&seen, [](void*) { return 0; },
                    [](void* context, std::size_t done, std::size_t total) {
                      *static_cast<Seen*>(context) = {done, total};
                    }};
  emulation::Device::instance().freeBytes = problem.freeBytes;
  const int status = table().find_neighbors(&request, &job, &failure);
  if (status != NLSH_OK) std::fprintf(stderr, "%s\n", failure.message);
  EXPECT(status == NLSH_OK);
  EXPECT(emulation::Device::instance().freeBytes == problem.freeBytes);
  EXPECT(seen.done > 0 && seen.done == seen.total);
  for (std::size_t row = 0; row < rows; ++row) {
    Nearest all;
    for (std::size_t i = 0; i < problem.points; ++i) {
      if (isGraph && i == row) continue;
      all.push_back({distanceOf(problem.metric, &queries[row * problem.columns], &points[i * problem.columns],
                                problem.columns),
                     static_cast<std::int32_t>(i)});
    }
    EXPECT(areNearest(all, problem.k, &ids[row * problem.k], &distances[row * problem.k],
                      problem.values == Values::bytes || problem.values == Values::few));
  }
}

void findsAllNeighbors() {
  findsNeighbors({2, 0, 1, 1, Values::bytes});
  findsNeighbors({1, 1, 1, 1, Values::floats});
  findsNeighbors({33, 0, 3, 32, Values::floats});
  findsNeighbors({530, 0, 17, 10, Values::bytes});
  findsNeighbors({513, 0, 13, 10, Values::floats});
  findsNeighbors({300, 70, 5, 100, Values::floats});
  findsNeighbors({300, 20, 16, 5, Values::bytes});
  findsNeighbors({270, 0, 7, 10, Values::few});  // hundreds of equal distances: all rows are searched again
  findsNeighbors({280, 0, 12, 5, Values::few, NLSH_INNER_PRODUCT});
  findsNeighbors({300, 0, 20, 10, Values::unit, NLSH_COSINE});
  findsNeighbors({300, 40, 20, 10, Values::floats, NLSH_INNER_PRODUCT, NLSH_TF32});
  for (const int precision : {NLSH_TF32, NLSH_BF16, NLSH_FP16})
    findsNeighbors({300, 0, 40, 10, Values::floats, NLSH_EUCLIDEAN, precision});
}

/// More points than the device has memory for.
void findsNeighborsInBlocks() {
  constexpr std::size_t memory = std::size_t{10} << 20;
  findsNeighbors({930, 0, 700, 3, Values::floats, NLSH_EUCLIDEAN, NLSH_FP32, memory});
  findsNeighbors({620, 0, 1000, 3, Values::few, NLSH_EUCLIDEAN, NLSH_BF16, memory});
  findsNeighbors({1300, 20, 500, 3, Values::floats, NLSH_INNER_PRODUCT, NLSH_FP32, memory});
  findsNeighbors({930, 0, 6000, 3, Values::bytes, NLSH_EUCLIDEAN, NLSH_FP32, memory});
}

void saysWhatFailed() {
  NlshFailure failure;
  std::vector<float> points(64 * 1000, 1.5F), distances(64);
  std::vector<std::int32_t> ids(64);
  NlshNeighborsRequest request{0, NLSH_EUCLIDEAN, NLSH_FP32,       {points.data(), 64, 1000}, {},
                               1, ids.data(),     distances.data()};
  emulation::Device::instance().freeBytes = 1 << 20;
  EXPECT(table().find_neighbors(&request, nullptr, &failure) == NLSH_OUT_OF_MEMORY);
  EXPECT(emulation::Device::instance().freeBytes == 1 << 20);
  emulation::Device::instance().freeBytes = 1 << 30;
  const NlshJob cancelled{nullptr, [](void*) { return 1; }, nullptr};
  EXPECT(table().find_neighbors(&request, &cancelled, &failure) == NLSH_CANCELLED);
  EXPECT(emulation::Device::instance().freeBytes == 1 << 30);
  request.k = 64;
  EXPECT(table().find_neighbors(&request, nullptr, &failure) == NLSH_BAD_ARGUMENT &&
         failure.argument == std::string("k"));
  request.k = 1;
  request.device = 1;
  EXPECT(table().find_neighbors(&request, nullptr, &failure) == NLSH_BAD_ARGUMENT);
}

/// An index of random bins, whose router is one layer of random numbers or two.
struct Index {
  std::size_t rows, columns, bins, hidden;
  Values values;
  int metric;
  bool asBytes;
};

class OpenIndex {
 public:
  explicit OpenIndex(const Index& index)
      : index_(index),
        vectors_(draw(index.rows, index.columns, index.values)),
        bytes_(vectors_.begin(), vectors_.end()),
        offsets_(index.bins + 1),
        ids_(index.rows),
        mean_(index.columns, 0.25F),
        scale_(index.columns, 5) {
    std::iota(ids_.begin(), ids_.end(), 0);
    std::shuffle(ids_.begin(), ids_.end(), randomBits);
    for (std::size_t i = 1; i < index.bins; ++i)
      offsets_[i] = static_cast<std::int32_t>(randomBits() % (index.rows + 1));
    offsets_[index.bins] = static_cast<std::int32_t>(index.rows);
    std::sort(offsets_.begin(), offsets_.end());
    widths_ = index.hidden > 0 ? std::vector<std::size_t>{index.columns, index.hidden, index.bins}
                               : std::vector<std::size_t>{index.columns, index.bins};
    for (std::size_t i = 0; i + 1 < widths_.size(); ++i) {
      weights_.push_back(draw(widths_[i + 1], widths_[i], Values::floats));
      for (float& weight : weights_.back()) weight -= 3;
      biases_.push_back(draw(1, widths_[i + 1], Values::unit));
    }
    std::vector<const float*> weights, biases;
    for (const auto& layer : weights_) weights.push_back(layer.data());
    for (const auto& layer : biases_) biases.push_back(layer.data());
    biases.back() = nullptr;
    const NlshIndexRequest request{0,
                                   index.metric,
                                   index.rows,
                                   index.columns,
                                   index.bins,
                                   index.asBytes ? nullptr : vectors_.data(),
                                   index.asBytes ? bytes_.data() : nullptr,
                                   offsets_.data(),
                                   ids_.data(),
                                   {weights.size(), widths_.data(), weights.data(), biases.data(),
                                    mean_.data(), scale_.data(), 1, 0.5F}};
    NlshFailure failure;
    EXPECT(table().open_index(&request, &opened_, nullptr, &failure) == NLSH_OK);
    EXPECT(table().index_bytes(opened_) >= index.rows * index.columns);
  }
  ~OpenIndex() {
    EXPECT(compared_ > 10);
    table().close_index(opened_);
  }
  OpenIndex(const OpenIndex&) = delete;
  OpenIndex& operator=(const OpenIndex&) = delete;

  /// The logits of the bins, in double precision, of factors as tensor cores read them.
  std::vector<double> logits(const float* query) const {
    std::vector<double> x(query, query + index_.columns);
    const double norm = std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0));
    for (std::size_t c = 0; c < x.size(); ++c)
      x[c] = (static_cast<float>(x[c] / norm) - mean_[c]) * scale_[c];
    for (std::size_t layer = 0; layer < weights_.size(); ++layer) {
      const bool isLast = layer + 1 == weights_.size();
      std::vector<double> y(widths_[layer + 1]);
      for (std::size_t i = 0; i < y.size(); ++i) {
        y[i] = isLast ? 0 : biases_[layer][i];
        for (std::size_t c = 0; c < x.size(); ++c)
          y[i] += static_cast<double>(emulation::truncated(weights_[layer][i * x.size() + c])) *
                  emulation::truncated(static_cast<float>(x[c]));
        if (!isLast) y[i] = std::max(y[i], 0.0);
      }
      x = y;
    }
    for (double& logit : x) logit /= 0.5;
    return x;
  }

  struct Probing {
    std::size_t probes = 0;
    double mass = 0, probability = 0;
    std::size_t candidates = 0;
  };

  void answers(std::size_t queries, std::size_t k, const Probing& probing, Values values) {
    const std::vector<float> numbers = draw(queries, index_.columns, values);
    std::vector<std::int32_t> ids(queries * k), rows(queries), bins(queries);
    std::vector<float> distances(queries * k);
    const NlshSearchRequest request{{numbers.data(), queries, index_.columns},
                                    k,
                                    probing.probes,
                                    probing.mass,
                                    probing.probability,
                                    probing.candidates,
                                    ids.data(),
                                    distances.data(),
                                    rows.data(),
                                    bins.data()};
    NlshFailure failure;
    const int status = table().search(opened_, &request, nullptr, &failure);
    if (status != NLSH_OK) std::fprintf(stderr, "%s %s\n", failure.argument, failure.message);
    EXPECT(status == NLSH_OK);
    for (std::size_t query = 0; query < queries; ++query) {
      const float* const x = numbers.data() + query * index_.columns;
      const std::vector<double> scores = logits(x);
      std::vector<std::size_t> order(index_.bins);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
      double total = 0, mass = 0;
      for (const double score : scores) total += std::exp(score);
      Nearest all;
      std::size_t read = 0;
      for (; read < order.size(); ++read) {
        const std::size_t bin = order[read];
        const double probability = std::exp(scores[bin]) / total;
        const bool isWanted = probing.probes > 0 ? read < probing.probes
                              : probing.mass > 0
                                  ? mass < probing.mass
                                  : probability >= probing.probability && all.size() < probing.candidates;
        if (!isWanted && all.size() >= k) break;
        mass += probability;
        for (std::int32_t row = offsets_[bin]; row < offsets_[bin + 1]; ++row) {
          const auto r = static_cast<std::size_t>(row);
          all.push_back(
              {distanceOf(index_.metric, x, &vectors_[r * index_.columns], index_.columns), ids_[r]});
        }
      }
      // Scores are rounded: what is nearly equal may be in either order.
      const auto areClose = [&](std::size_t a, std::size_t b) { return scores[a] - scores[b] < 1e-5; };
      const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(read + 1, order.size()));
      if (std::adjacent_find(order.begin(), end, areClose) != end) continue;
      ++compared_;
      EXPECT(static_cast<std::size_t>(bins[query]) == read);
      EXPECT(static_cast<std::size_t>(rows[query]) == all.size());
      EXPECT(areNearest(all, k, &ids[query * k], &distances[query * k],
                        values == Values::bytes && index_.metric == NLSH_EUCLIDEAN));
    }
  }

 private:
  Index index_;
  std::vector<float> vectors_;
  std::vector<std::uint8_t> bytes_;
  std::vector<std::int32_t> offsets_, ids_;
  std::vector<float> mean_, scale_;
  std::vector<std::size_t> widths_;
  std::vector<std::vector<float>> weights_, biases_;
  std::size_t compared_ = 0;
  NlshIndex* opened_ = nullptr;
};

void answersSearches() {
  {
    OpenIndex index({1000, 19, 40, 24, Values::floats, NLSH_EUCLIDEAN, false});
    index.answers(1, 1, {1, 0, 0, 0}, Values::floats);
    index.answers(70, 10, {4, 0, 0, 0}, Values::floats);
    index.answers(33, 10, {0, 0.31, 0, 0}, Values::floats);
    index.answers(20, 10, {0, 0, 0.021, 150}, Values::floats);
    index.answers(5, 10, {40, 0, 0, 0}, Values::floats);
    index.answers(3, 1000, {1, 0, 0, 0}, Values::floats);  // all bins are read
    index.answers(40, 300, {2, 0, 0, 0}, Values::floats);
  }
  {
    // Room for neither two parts at once nor one of all queries, nor for all blocks' long lists.
    OpenIndex index({600, 19, 40, 24, Values::floats, NLSH_EUCLIDEAN, false});
    const std::size_t left = std::exchange(emulation::Device::instance().freeBytes, std::size_t{4'700} << 10);
    index.answers(700, 10, {4, 0, 0, 0}, Values::floats);
    emulation::Device::instance().freeBytes += std::size_t{700} << 10;
    index.answers(20, 500, {2, 0, 0, 0}, Values::floats);
    emulation::Device::instance().freeBytes += left - (std::size_t{5'400} << 10);
  }
  {
    OpenIndex index({700, 30, 9, 0, Values::bytes, NLSH_EUCLIDEAN, true});
    index.answers(50, 10, {3, 0, 0, 0}, Values::bytes);
    index.answers(20, 10, {3, 0, 0, 0}, Values::floats);
  }
  {
    OpenIndex index({500, 12, 200, 0, Values::unit, NLSH_COSINE, false});
    index.answers(50, 10, {3, 0, 0, 0}, Values::unit);
  }
  {
    OpenIndex index({300, 12, 1, 0, Values::bytes, NLSH_INNER_PRODUCT, true});
    index.answers(40, 10, {1, 0, 0, 0}, Values::bytes);
  }
  {
    OpenIndex index(
        {400, 3, 2100, 0, Values::floats, NLSH_EUCLIDEAN, false});  // most bins are empty, and parts small
    index.answers(30, 10, {5, 0, 0, 0}, Values::floats);
  }
}

}  // namespace

int main() {
  findsAllNeighbors();
  findsNeighborsInBlocks();
  saysWhatFailed();
  answersSearches();
  std::printf("the CUDA engine is right on an emulated device (%zu launches)\n",
              emulation::Device::instance().launches);
}
