// What encoding and scanning share: how a vector is taken apart into its bin's mean and what is left.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../kernels/four-bit-kernels.h"
#include "scan.h"

namespace neural_lsh::cpu {

inline std::size_t fourBitParts(std::size_t columns) {
  return (columns + fourBitWidth - 1) / fourBitWidth;
}

/// The bins' means as the scan reads them: 16 bits a number (the upper half of a float), counted from a
/// center that makes the numbers small.
class BinMeans {
 public:
  BinMeans() = default;
  /// means: bins x columns; the center is their mean over all vectors. `columns`: the order of the columns
  /// here.
  BinMeans(const StoredBins& bins, std::span<const float> means, std::span<const Id> columns);

  /// Numbers in a row of differences(): columns rounded up, zeros behind.
  static std::size_t stride(std::size_t columns) { return (columns + 15) / 16 * 16; }

  /// The vector's column at each place.
  std::span<const Id> columns() const { return columns_; }
  std::span<const float> center() const { return center_; }
  const std::uint16_t* differences(std::size_t bin) const { return differences_.data() + bin * stride_; }
  static float number(std::uint16_t difference) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(difference) << 16);
  }
  /// The mean itself, as residuals are taken from it.
  float mean(std::size_t bin, std::size_t column) const {
    return center_[column] + number(differences(bin)[column]);
  }

 private:
  std::size_t stride_ = 0;
  std::vector<Id> columns_;
  std::vector<float> center_;
  std::vector<std::uint16_t> differences_;
};

/// 16 numbers, one of each vector of a block.
using FourBitLane = std::array<float, fourBitVectors>;

/// What is left of rows begin .. begin + count (at most 16; zeros for those that are not there), column by
/// column in the codes' order, from `column` on; columns that are not there are zeros.
void residualsOf(const StoredBins& bins, const BinMeans& means, std::size_t bin, std::size_t begin,
                 std::size_t count, std::size_t column, std::span<FourBitLane> residuals);

}  // namespace neural_lsh::cpu
