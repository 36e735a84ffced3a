// Rows of which the ranking could not be certain: many equal or nearly equal distances, or coarse products.
// They are searched again, in full precision, with what is known of each row's k-th distance.
#pragma once

#include <vector>

#include "neighbor-plan.h"
#include "neighbor-problem.h"
#include "point-blocks.h"
#include "tile-pipeline.h"

namespace neural_lsh::cuda {

class OpenRowSearch {
 public:
  /// `points`: all of the problem's, whose operands are floats from now on. `largest`: theirs, and room for
  /// another on the device.
  OpenRowSearch(const Problem& problem, const Plan& plan, const DeviceLimits& limits,
                const PointFormat& format, PointBlocks<float>& points, Staging& staging,
                TilePipeline<float>& pipeline);

  /// Writes the rows' neighbors into the problem's results.
  void run(std::vector<OpenRow> open);

 private:
  using Rows = std::vector<OpenRow>;
  struct Gathered;
  void searchTogether(const Rows& open);
  Gathered gather(const Rows& open) const;
  void selectFromBlock(std::size_t block, const Rows& open, PointBlocks<float>& openBlock,
                       const DeviceArray<float>& limits, const DeviceArray<std::int32_t>& rowIds,
                       const DeviceArray<RankedPoint>& nearest);
  float limitOf(const float* row, double bound, const LargestMagnitudes& largest) const;

  const Problem& problem_;
  const Plan& plan_;
  PointFormat format_;  // of the rows
  PointBlocks<float>& points_;
  Staging& staging_;
  TilePipeline<float>& pipeline_;
  LargestMagnitudes largest_;  // of the points
  WarpMemory memory_;
};

}  // namespace neural_lsh::cuda
