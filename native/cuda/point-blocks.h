// Points of the host as tiles need them on the device: all at once or, where that is too much, block after
// block, the next one on its way while one is worked on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "device.h"
#include "neighbor-kernels.h"
#include "staging.h"
#include "tiles.h"

namespace neural_lsh::cuda {

/// How points become operands of products; those of floats and of bytes (Value: std::int32_t) differ.
struct PointFormat {
  Operand operand;
  NlshMetric metric;
  std::size_t columns;
  const float* shift;  // on the device; null: none
  float unit;
  LargestMagnitudes* largest;

  std::size_t stride() const { return roundUpToOperands(columns); }
};

/// Of rows that are worked on: what is on the device.
template <typename Value>
struct PointBlock {
  Range rows;              // of all
  const float* originals;  // rows x columns; null for bytes
  const std::byte* operands;
  const Value* terms;
  const float* norms;  // null for bytes
};

/// Bytes of the device that a row of a block takes.
template <typename Value>
constexpr std::size_t blockRowBytes(std::size_t columns) {
  const std::size_t stride = roundUpToOperands(columns);
  if constexpr (std::is_integral_v<Value>) return stride + sizeof(Value);
  return (columns + stride + 2) * sizeof(float);
}

template <typename Value>
class PointBlocks {
 public:
  /// `slots`: how many blocks the device holds at once. `worker`: the stream whose work reads the blocks.
  PointBlocks(NlshMatrix points, const PointFormat& format, std::size_t rowsPerBlock, std::size_t slots,
              Staging& staging, const Stream& worker);

  std::size_t count() const { return divideUp(points_.rows, rowsPerBlock_); }
  std::size_t rowsPerBlock() const { return rowsPerBlock_; }

  /// What `reader` is told to do from now on comes after the block is there. It stays until as many others as
  /// there are slots were asked for.
  PointBlock<Value> get(std::size_t block, const Stream& reader);
  /// Starts to bring a block, piece by piece with each call of advance().
  void prefetch(std::size_t block);
  void advance();

  /// From now on the operands are others.
  void reformat(Operand operand, float unit);

 private:
  static constexpr std::size_t nothing = std::numeric_limits<std::size_t>::max();

  struct Slot {
    DeviceArray<float> originals, norms;
    DeviceArray<std::byte> operands;
    DeviceArray<Value> terms;
    Event ready;
    std::size_t block = nothing;
    std::size_t uploaded = 0;  // rows
    std::size_t lastUse = 0;
  };

  Range rowsOf(std::size_t block) const {
    return {block * rowsPerBlock_, std::min((block + 1) * rowsPerBlock_, points_.rows)};
  }
  Slot& slotFor(std::size_t block);
  bool isComplete(const Slot& slot) const {
    return slot.block != nothing && slot.uploaded == rowsOf(slot.block).size();
  }
  void uploadPiece(Slot& slot);
  void prepare(Slot& slot);

  NlshMatrix points_;
  PointFormat format_;
  std::size_t rowsPerBlock_;
  Staging& staging_;
  const Stream& worker_;
  Event workerDone_;
  std::size_t uses_ = 0;
  Slot* coming_ = nullptr;
  std::vector<Slot> slots_;
};

}  // namespace neural_lsh::cuda
