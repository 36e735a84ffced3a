// Tiles one after the other, on two streams: while what one has come to is selected from, the next is
// multiplied.
#pragma once

#include <array>
#include <cstddef>

#include "device.h"
#include "matrix-products.h"
#include "tiles.h"
#include "watch.h"

namespace neural_lsh::cuda {

/// How many tiles there are, and how many of them are done.
class TileCount {
 public:
  explicit TileCount(const Watch& watch) : watch_(watch) {}
  void add(std::size_t tiles) { total_ += tiles; }
  void next() {
    watch_.check();
    watch_.progress(++done_, total_);
  }

 private:
  const Watch& watch_;
  std::size_t done_ = 0, total_ = 0;
};

/// What the tiles of two blocks are made of: operands of so many numbers a row.
struct TileOperands {
  Operand operand;
  std::size_t dimensions;
  const std::byte *rows, *columns;
};

template <typename Value>
class TilePipeline {
 public:
  /// `largest`: of all tiles.
  TilePipeline(int device, TileShape largest, TileCount& count) : count_(count), products_(device) {
    for (Buffer& buffer : buffers_) buffer.products.require(largest.rows * largest.columns);
  }

  const Stream& multiplying() const { return multiply_; }
  const Stream& selecting() const { return select_; }
  TileCount& count() const { return count_; }

  /// Launches a tile's product and then, on the stream that selects, work(product, its stride).
  template <typename Work>
  void run(const TileOperands& of, const Tile& tile, const Work& work) {
    Buffer& buffer = buffers_[nextBuffer_];
    nextBuffer_ = (nextBuffer_ + 1) % buffers_.size();
    const std::size_t stride = roundUpToOperands(of.dimensions), bytes = stride * operandBytes(of.operand);
    const ProductShape shape{
        of.operand, roundUpToOperands(tile.rows.size()),   roundUpToOperands(tile.columns.size()), stride,
        stride,     roundUpToOperands(tile.columns.size())};
    multiply_.wait(buffer.selected);
    products_.multiply(shape, of.rows + tile.rows.begin * bytes, of.columns + tile.columns.begin * bytes,
                       buffer.products.data(), nullptr, multiply_);
    buffer.multiplied.record(multiply_);
    select_.wait(buffer.multiplied);
    work(buffer.products.data(), shape.outStride);
    buffer.selected.record(select_);
    throttle();
  }

 private:
  /// Launches that may wait on the device: more would only make a cancelled job end later.
  static constexpr std::size_t tilesAhead = 16;

  struct Buffer {
    DeviceArray<Value> products;
    Event multiplied, selected;
  };

  /// Waits until only few launches are ahead of the device.
  void throttle() {
    Event& event = launched_[nextLaunch_];
    nextLaunch_ = (nextLaunch_ + 1) % launched_.size();
    event.synchronize();
    event.record(select_);
    count_.next();
  }

  TileCount& count_;
  MatrixProducts products_;
  std::array<Buffer, 2> buffers_;
  std::size_t nextBuffer_ = 0, nextLaunch_ = 0;
  std::array<Event, tilesAhead> launched_;
  Stream multiply_, select_;
};

}  // namespace neural_lsh::cuda
