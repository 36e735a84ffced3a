#include "bin-auction.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <vector>

#include "kernels/kernels.h"
#include "knn-graph.h"
#include "nearest-centroids.h"

namespace neural_lsh::cpu {
namespace {

constexpr std::size_t mostCandidates = 16;  // bins that a row looks at
constexpr std::size_t mostRounds = 20;      // later ones only pass the last rows to and fro

/// What it costs a row to go to another bin.
struct Offer {
  double loss;
  Id row;
  Id bin;
  friend bool operator<(const Offer& a, const Offer& b) {
    return a.loss < b.loss || (a.loss == b.loss && a.row < b.row);
  }
  friend bool operator>(const Offer& a, const Offer& b) { return b < a; }
};

constexpr Offer nowhere{std::numeric_limits<double>::infinity(), -1, -1};

class Auction {
 public:
  Auction(const Matrix& points, const Matrix& centroids, std::size_t capacity, std::span<Id> labels,
          const Job& job)
      : points_(points),
        centroids_(centroids),
        capacity_(capacity),
        labels_(labels),
        job_(job),
        candidates_(std::min(mostCandidates, centroids.rows)),
        ids_(points.rows * candidates_),
        distances_(points.rows * candidates_),
        members_(centroids.rows),
        prices_(centroids.rows, 0.0) {
    exactSearch(centroids, points, Metric::euclidean, candidates_, ids_, distances_,
                {job.cancelFlag, {}, job.threads});
    for (std::size_t row = 0; row < points.rows; ++row) {
      labels_[row] = ids_[row * candidates_];
      members_[index(labels_[row])].push_back(static_cast<Id>(row));
    }
  }

  void run() {
    bool raised = true;
    for (std::size_t round = 0; raised && round < mostRounds; ++round) {
      raised = false;
      for (std::size_t bin = 0; bin < members_.size(); ++bin) {
        if (members_[bin].size() > capacity_) raised |= raisePrice(bin);
      }
    }
    for (std::size_t bin = 0; bin < members_.size(); ++bin) {
      if (members_[bin].size() > capacity_) settle(bin);
    }
  }

 private:
  /// The candidate, other than its own bin, for which price(bin) + distance is least.
  template <typename Price>
  Offer bestOffer(Id row, const Price& price) const {
    const Id own = labels_[index(row)];
    Offer best = nowhere;
    double ownDistance = 0;
    for (std::size_t i = index(row) * candidates_; i < (index(row) + 1) * candidates_; ++i) {
      if (ids_[i] == own) {
        ownDistance = distances_[i];
        continue;
      }
      const double cost = price(ids_[i]) + distances_[i];
      if (cost < best.loss) best = {cost, row, ids_[i]};
    }
    best.loss -= ownDistance;
    return best;
  }

  /// Lets those go whom it costs least, at the price at which they do; returns whether there were any.
  bool raisePrice(std::size_t bin) {
    job_.check();
    offers_.clear();
    for (const Id row : members_[bin]) {
      const Offer offer = bestOffer(row, [&](Id other) { return prices_[index(other)]; });
      if (offer.bin >= 0) offers_.push_back(offer);
    }
    const std::size_t leaving = std::min(members_[bin].size() - capacity_, offers_.size());
    if (leaving == 0) return false;
    const auto last = offers_.begin() + static_cast<std::ptrdiff_t>(leaving - 1);
    std::nth_element(offers_.begin(), last, offers_.end());
    prices_[bin] = last->loss;
    offers_.resize(leaving);
    std::sort(offers_.begin(), offers_.end());
    for (const Offer& offer : offers_) move(offer);
    std::erase_if(members_[bin], [&](Id row) { return index(labels_[index(row)]) != bin; });
    return true;
  }

  /// The same without prices, only to bins with room.
  void settle(std::size_t bin) {
    std::priority_queue<Offer, std::vector<Offer>, std::greater<>> offers;
    for (const Id row : members_[bin]) offers.push(bestWithRoom(row));
    for (std::size_t leaving = members_[bin].size() - capacity_; leaving > 0;) {
      const Offer offer = offers.top();
      offers.pop();
      if (hasRoom(offer.bin)) {
        move(offer);
        --leaving;
      } else {
        offers.push(bestWithRoom(offer.row));
      }
    }
    std::erase_if(members_[bin], [&](Id row) { return index(labels_[index(row)]) != bin; });
  }

  bool hasRoom(Id bin) const { return members_[index(bin)].size() < capacity_; }

  /// Among the candidates or, if all of these are full, among all bins.
  Offer bestWithRoom(Id row) const {
    job_.check();
    const Offer near = bestOffer(row, [&](Id bin) { return hasRoom(bin) ? 0 : nowhere.loss; });
    if (near.bin >= 0) return near;
    const float* const point = points_.row(index(row));
    const auto distanceTo = [&](Id bin) {
      return kernels().exactSquaredDistance(point, centroids_.row(index(bin)), points_.columns);
    };
    Offer best = nowhere;
    for (Id bin = 0; index(bin) < centroids_.rows; ++bin) {
      if (!hasRoom(bin)) continue;
      const double distance = distanceTo(bin);
      if (distance < best.loss) best = {distance, row, bin};
    }
    best.loss -= distanceTo(labels_[index(row)]);
    return best;
  }

  void move(const Offer& offer) {
    labels_[index(offer.row)] = offer.bin;
    members_[index(offer.bin)].push_back(offer.row);
  }

  const Matrix& points_;
  const Matrix& centroids_;
  const std::size_t capacity_;
  const std::span<Id> labels_;
  const Job& job_;
  const std::size_t candidates_;
  std::vector<Id> ids_;           // of each row the nearest centroids
  std::vector<float> distances_;  // and how far they are, squared
  std::vector<std::vector<Id>> members_;
  std::vector<double> prices_;
  std::vector<Offer> offers_;
};

}  // namespace

void assignWithinCapacity(const Matrix& points, const Matrix& centroids, std::size_t capacity,
                          std::span<Id> labels, const Job& job) {
  Auction(points, centroids, capacity, labels, job).run();
}

}  // namespace neural_lsh::cpu
