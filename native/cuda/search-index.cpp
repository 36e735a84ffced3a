#include "search-index.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "byte-norms.h"
#include "bytes.h"
#include "search-lane.h"

namespace neural_lsh::cuda {
namespace {

/// Of candidates by distances in single precision, so many beyond those that are wanted hold the nearest by
/// exact ones; the CPU's scans keep as many.
constexpr std::size_t roughMargin = 8;

/// Queries of a part of a batch: many, so that each bin that is read serves several of them, but not so many
/// that their scores, chosen bins, numbers and results take up the device.
std::size_t queriesTogetherFor(const StoredIndex& index, std::size_t k) {
  constexpr std::size_t most = 8192, mostNumbers = std::size_t{1} << 24;
  const std::size_t widest = std::max({index.bins, index.router->widest(), index.dimensions, k});
  return std::clamp(mostNumbers / widest / operandAlignment * operandAlignment, operandAlignment, most);
}

void require(bool isRight, const char* argument, const char* message) {
  if (!isRight) throw badArgument(argument, message);
}

void checkRequest(const NlshIndexRequest& request) {
  const NlshRouter& router = request.router;
  require(request.metric >= NLSH_EUCLIDEAN && request.metric <= NLSH_INNER_PRODUCT, "metric", "is not known");
  require(request.rows > 0 && request.dimensions > 0 && request.rows <= std::numeric_limits<Id>::max(),
          "vectors", "must have rows and dimensions, and no more rows than 32-bit ids");
  require((request.vectors != nullptr) != (request.bytes != nullptr), "vectors",
          "must be either floats or bytes");
  require(request.bins > 0 && request.offsets != nullptr && request.ids != nullptr, "offsets",
          "must be there, and ids");
  require(request.offsets[0] == 0 && request.offsets[request.bins] == static_cast<Id>(request.rows) &&
              std::is_sorted(request.offsets, request.offsets + request.bins + 1),
          "offsets", "must rise from 0 to the number of rows");
  require(router.layers > 0 && router.widths[0] == request.dimensions &&
              router.widths[router.layers] == request.bins &&
              *std::min_element(router.widths, router.widths + router.layers + 1) > 0,
          "router", "must lead from the dimensions to the bins");
  require(router.mean != nullptr && router.scale != nullptr && router.temperature > 0, "router",
          "must have a mean, a scale and a temperature above 0");
}

/// The row of each id; throws unless ids are a permutation.
std::vector<Id> invert(const Id* ids, std::size_t rows) {
  std::vector<Id> rowOfId(rows, -1);
  for (std::size_t row = 0; row < rows; ++row) {
    require(ids[row] >= 0 && static_cast<std::size_t>(ids[row]) < rows &&
                rowOfId[static_cast<std::size_t>(ids[row])] < 0,
            "ids", "must be a permutation of the rows' numbers");
    rowOfId[static_cast<std::size_t>(ids[row])] = static_cast<Id>(row);
  }
  return rowOfId;
}

template <typename T>
void upload(DeviceArray<T>& to, const T* from, std::size_t count, Staging& staging) {
  staging.copyRows(to.require(count), sizeof(T), from, sizeof(T), count);
}

/// Piece by piece, so that a job can be cancelled.
template <typename T>
void uploadRows(DeviceArray<T>& to, const T* from, std::size_t rows, std::size_t columns, std::size_t stride,
                Staging& staging, const Watch& watch) {
  const std::size_t together = std::max<std::size_t>(1, Staging::pieceBytes / (stride * sizeof(T)));
  to.require(rows * stride);
  for (std::size_t row = 0; row < rows; row += together) {
    watch.check();
    const std::size_t count = std::min(together, rows - row);
    staging.copyRows(to.data() + row * stride, stride * sizeof(T), from + row * columns, columns * sizeof(T),
                     count);
    watch.progress(row + count, rows);
  }
}

void checkRequest(const NlshSearchRequest& request, const StoredIndex& index) {
  require(request.queries.columns == index.dimensions, "queries", "must have the index's dimensions");
  require(request.k >= 1 && request.k <= index.rows, "k",
          "must be at least 1 and at most the number of rows");
  require((request.probes > 0) + (request.mass > 0) + (request.probability > 0) == 1, "probes",
          "exactly one of probes, mass and probability must be above 0");
}

}  // namespace

SearchIndex::SearchIndex(const NlshIndexRequest& request, const Watch& watch) {
  checkRequest(request);
  checkDevice(request.device);
  const DeviceGuard guard(request.device);
  stored_.device = request.device;
  stored_.metric = static_cast<NlshMetric>(request.metric);
  stored_.rows = request.rows;
  stored_.dimensions = request.dimensions;
  stored_.bins = request.bins;
  stored_.limits = deviceLimits(request.device);

  Staging staging;
  const std::vector<Id> rowOfId = invert(request.ids, request.rows);
  upload(stored_.offsets, request.offsets, request.bins + 1, staging);
  upload(stored_.ids, request.ids, request.rows, staging);
  upload(stored_.rowOfId, rowOfId.data(), request.rows, staging);
  stored_.router = std::make_unique<Router>(request.router, staging);
  if (request.bytes == nullptr) {
    uploadRows(stored_.floats, request.vectors, request.rows, request.dimensions, request.dimensions, staging,
               watch);
  } else {
    const std::size_t stride = roundUp(request.dimensions, sizeof(std::uint32_t));
    uploadRows(stored_.bytes, request.bytes, request.rows, request.dimensions, stride, staging, watch);
    squareBytes(stored_.bytes.data(), request.rows, stride, stored_.squaredNorms.require(request.rows),
                staging.stream());
  }
  staging.stream().synchronize();
}

SearchIndex::~SearchIndex() = default;

std::size_t SearchIndex::bytes() const {
  return stored_.floats.bytes() + stored_.bytes.bytes() + stored_.squaredNorms.bytes() +
         stored_.offsets.bytes() + stored_.ids.bytes() + stored_.rowOfId.bytes() + stored_.router->bytes();
}

std::unique_ptr<SearchLane> SearchIndex::takeLane() {
  {
    const std::lock_guard lock(mutex_);
    if (!lanes_.empty()) {
      std::unique_ptr<SearchLane> lane = std::move(lanes_.back());
      lanes_.pop_back();
      return lane;
    }
  }
  return std::make_unique<SearchLane>(stored_);
}

void SearchIndex::giveBack(std::unique_ptr<SearchLane> lane) {
  const std::lock_guard lock(mutex_);
  lanes_.push_back(std::move(lane));
}

void SearchIndex::search(const NlshSearchRequest& request, const Watch& watch) {
  checkRequest(request, stored_);
  if (request.queries.rows == 0) return;
  const DeviceGuard guard(stored_.device);
  std::size_t lanes = 2;
  for (std::size_t together = queriesTogetherFor(stored_, request.k);;
       together = roundUpToOperands(together / 2)) {
    try {
      return searchWith(request, together, lanes, watch);
    } catch (const Failure& failure) {
      if (failure.status() != NLSH_OUT_OF_MEMORY || together <= operandAlignment) throw;
      lanes = 1;  // and fewer queries: less memory is needed
      const std::lock_guard lock(mutex_);
      lanes_.clear();
    }
  }
}

void SearchIndex::searchWith(const NlshSearchRequest& request, std::size_t together, std::size_t laneCount,
                             const Watch& watch) {
  const std::size_t queries = request.queries.rows;
  const bool areBytesHere = stored_.bytes.data() != nullptr && stored_.metric == NLSH_EUCLIDEAN &&
                            stored_.dimensions <= maxByteColumns && areBytes(request.queries);
  const SearchJob job{request,
                      {request.probes, request.mass, request.probability, request.candidates, request.k},
                      static_cast<std::uint32_t>(std::min(stored_.rows, request.k + roughMargin)),
                      areBytesHere};
  std::size_t done = 0;
  const auto finish = [&](SearchLane& lane) {
    if (lane.isRouted()) lane.compare(job);
    lane.finish(job);
    watch.progress(done += lane.count(), queries);
  };

  // A lane that something was thrown on is not given back: its stream is waited for where it goes.
  std::array<std::unique_ptr<SearchLane>, 2> lanes;
  std::size_t turn = 0;
  for (std::size_t first = 0; first < queries; first += together, turn = (turn + 1) % laneCount) {
    watch.check();
    std::unique_ptr<SearchLane>&now = lanes[turn], &other = lanes[1 - turn];
    if (!now) now = takeLane();
    if (other && other->isRouted()) other->compare(job);
    if (now->isBusy()) finish(*now);
    now->route(job, first, std::min(together, queries - first));
  }
  for (std::size_t i = 0; i < lanes.size(); ++i, turn = 1 - turn) {
    std::unique_ptr<SearchLane>& lane = lanes[turn];  // the older one first
    if (!lane) continue;
    if (lane->isBusy()) finish(*lane);
    giveBack(std::move(lane));
  }
}

}  // namespace neural_lsh::cuda
