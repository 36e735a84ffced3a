// One pass of a search for neighbors: all of the problem's queries at once, among all points.
#pragma once

#include <memory>
#include <type_traits>
#include <vector>

#include "neighbor-plan.h"
#include "neighbor-problem.h"
#include "point-blocks.h"
#include "tile-pipeline.h"

namespace neural_lsh::cuda {

/// Value: what products are summed up in. Of bytes (std::int32_t) the lists that the tiles are selected into
/// are the answer; of floats they are ranked in double precision, and what that leaves open is searched
/// again.
template <typename Value>
class NeighborSearch {
 public:
  NeighborSearch(const Problem& problem, const Plan& plan, const DeviceLimits& limits, int device,
                 TileCount& count);
  void run();

 private:
  PointFormat format(LargestMagnitudes* largest) const;
  PointBlocks<Value>& rowBlocks() { return problem_.isGraph ? *points_ : *queries_; }
  template <typename Body>
  void forEachPair(const Body& body);
  std::vector<Tile> tilesOf(std::size_t rowBlock, std::size_t columnBlock);
  void select(std::size_t rowBlock, std::size_t columnBlock);
  void selectFromTile(const PointBlock<Value>& rows, const PointBlock<Value>& columns, const Tile& tile,
                      const Value* products, std::size_t stride);
  void writeResults();
  void rank()
    requires std::is_floating_point_v<Value>;
  std::vector<OpenRow> rankAll()
    requires std::is_floating_point_v<Value>;
  void rankBlock(std::size_t block, double* distances, OpenRow* open, std::uint32_t* openCount,
                 const WarpMemory& memory)
    requires std::is_floating_point_v<Value>;

  const Problem& problem_;
  const Plan& plan_;
  const DeviceLimits& limits_;
  ListSizes sizes_;
  WarpMemory mergeMemory_;
  DeviceArray<Key> keys_, waiting_;
  DeviceArray<Value> listLimits_;
  DeviceArray<std::uint32_t> waitingCounts_;
  DeviceArray<std::int32_t> ids_;
  DeviceArray<float> nearest_, shift_;
  DeviceArray<LargestMagnitudes> largest_;  // of the points, of the queries
  std::unique_ptr<PointBlocks<Value>> points_, queries_;
  Staging staging_;
  TilePipeline<Value> pipeline_;  // has the streams
};

}  // namespace neural_lsh::cuda
