#include "point-blocks.h"

#include <algorithm>

#include "byte-norms.h"

namespace neural_lsh::cuda {

template <typename Value>
PointBlocks<Value>::PointBlocks(NlshMatrix points, const PointFormat& format, std::size_t rowsPerBlock,
                                std::size_t slots, Staging& staging, const Stream& worker)
    : points_(points),
      format_(format),
      rowsPerBlock_(std::min(rowsPerBlock, points.rows)),
      staging_(staging),
      worker_(worker),
      slots_(std::min(slots, count())) {
  const std::size_t padded = roundUpToOperands(rowsPerBlock_);
  const std::size_t widest = std::is_integral_v<Value> ? sizeof(std::int8_t) : sizeof(float);
  for (Slot& slot : slots_) {
    slot.operands.require(padded * format.stride() * widest);
    slot.terms.require(rowsPerBlock_);
    if constexpr (std::is_integral_v<Value>) continue;
    slot.originals.require(rowsPerBlock_ * format.columns);
    slot.norms.require(rowsPerBlock_);
  }
}

template <typename Value>
typename PointBlocks<Value>::Slot& PointBlocks<Value>::slotFor(std::size_t block) {
  const auto held =
      std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.block == block; });
  if (held != slots_.end()) {
    held->lastUse = ++uses_;
    return *held;
  }
  Slot& slot = *std::min_element(slots_.begin(), slots_.end(),
                                 [](const Slot& a, const Slot& b) { return a.lastUse < b.lastUse; });
  if (coming_ == &slot) coming_ = nullptr;
  workerDone_.record(worker_);
  staging_.stream().wait(workerDone_);
  slot.block = block;
  slot.uploaded = 0;
  slot.lastUse = ++uses_;
  return slot;
}

template <typename Value>
void PointBlocks<Value>::uploadPiece(Slot& slot) {
  const Range rows = rowsOf(slot.block);
  const std::size_t stride = std::is_integral_v<Value> ? format_.stride() : format_.columns * sizeof(float);
  const std::size_t count =
      std::min(rows.size() - slot.uploaded, std::max<std::size_t>(1, Staging::pieceBytes / stride));
  const float* const from = points_.data + (rows.begin + slot.uploaded) * format_.columns;
  if constexpr (std::is_integral_v<Value>) {
    // 0 .. 255 as -128 .. 127: distances are the same. Zeros fill up the rows of all points alike.
    staging_.copy(slot.operands.data() + slot.uploaded * stride, count * stride, [&](std::byte* memory) {
      for (std::size_t row = 0; row < count; ++row) {
        std::byte* const out = memory + row * stride;
        for (std::size_t c = 0; c < format_.columns; ++c)
          out[c] = static_cast<std::byte>(static_cast<std::uint8_t>(from[row * format_.columns + c]) ^ 0x80U);
        std::fill(out + format_.columns, out + stride, std::byte{0});
      }
    });
  } else {
    staging_.copyRows(slot.originals.data() + slot.uploaded * format_.columns, stride, from, stride, count);
  }
  slot.uploaded += count;
  if (isComplete(slot)) prepare(slot);
}

template <typename Value>
void PointBlocks<Value>::prepare(Slot& slot) {
  const std::size_t rows = rowsOf(slot.block).size(), padded = roundUpToOperands(rows);
  if constexpr (std::is_integral_v<Value>) {
    const std::size_t stride = format_.stride();
    fillZeros(slot.operands.data() + rows * stride, (padded - rows) * stride, staging_.stream());
    squareBytes(reinterpret_cast<const std::int8_t*>(slot.operands.data()), rows, stride, slot.terms.data(),
                staging_.stream());
  } else {
    prepareFloats({slot.originals.data(), rows, format_.columns, format_.metric, format_.shift},
                  format_.operand, format_.unit,
                  {slot.operands.data(), padded, format_.stride(), slot.terms.data(), slot.norms.data(),
                   format_.largest},
                  staging_.stream());
  }
  slot.ready.record(staging_.stream());
}

template <typename Value>
PointBlock<Value> PointBlocks<Value>::get(std::size_t block, const Stream& reader) {
  Slot& slot = slotFor(block);
  while (!isComplete(slot)) uploadPiece(slot);
  if (coming_ == &slot) coming_ = nullptr;
  reader.wait(slot.ready);
  return {rowsOf(block), slot.originals.data(), slot.operands.data(), slot.terms.data(), slot.norms.data()};
}

template <typename Value>
void PointBlocks<Value>::prefetch(std::size_t block) {
  Slot& slot = slotFor(block);
  coming_ = isComplete(slot) ? nullptr : &slot;
}

template <typename Value>
void PointBlocks<Value>::advance() {
  if (coming_ == nullptr) return;
  uploadPiece(*coming_);
  if (isComplete(*coming_)) coming_ = nullptr;
}

template <typename Value>
void PointBlocks<Value>::reformat(Operand operand, float unit) {
  if (format_.operand == operand && format_.unit == unit) return;
  format_.operand = operand;
  format_.unit = unit;
  workerDone_.record(worker_);
  staging_.stream().wait(workerDone_);
  for (Slot& slot : slots_) {
    if (isComplete(slot)) prepare(slot);
  }
}

template class PointBlocks<float>;
template class PointBlocks<std::int32_t>;

}  // namespace neural_lsh::cuda
