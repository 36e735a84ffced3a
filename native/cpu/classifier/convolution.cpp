// Layers over images: convolution as a matrix product of unrolled windows (Chellapilla, Puri & Simard, "High
// Performance Convolutional Neural Networks for Document Processing", IWFHR 2006), and pooling.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "../chunks.h"
#include "../sgemm.h"
#include "layer.h"

namespace neural_lsh::cpu {
namespace {

/// Half-open.
struct Range {
  std::size_t begin, end;
};

/// Those of `outputs` windows along one axis whose element number `tap` lies on the image of `inputs` pixels.
Range windowsOnImage(const LayerDescription& layer, std::size_t tap, std::size_t inputs,
                     std::size_t outputs) {
  // The first window whose tap lies at `pixel` or behind it.
  const auto firstAt = [&](std::size_t pixel) {
    const std::size_t padded = pixel + layer.padding;
    return padded <= tap ? 0 : std::min((padded - tap + layer.stride - 1) / layer.stride, outputs);
  };
  return {firstAt(0), firstAt(inputs)};
}

/// Those ranges for each row and each column of the window.
struct Taps {
  explicit Taps(const LayerDescription& layer) {
    for (std::size_t tap = 0; tap < layer.kernel; ++tap) {
      lines.push_back(windowsOnImage(layer, tap, layer.in.height, layer.out.height));
      columns.push_back(windowsOnImage(layer, tap, layer.in.width, layer.out.width));
    }
  }

  std::vector<Range> lines, columns;
};

/// Works on tiles of lines, a line being one row of pixels of one image that leaves the layer: large enough
/// for a matrix product, and small enough that the unrolled windows stay in the L2 cache.
template <typename Real>
class Convolution final : public Layer<Real> {
 public:
  explicit Convolution(const LayerDescription& layer)
      : layer_(layer),
        depth_(layer.in.channels * layer.kernel * layer.kernel),
        tileLines_(std::max<std::size_t>(1, tileNumbers / ((depth_ + 1) * layer.out.width))),
        taps_(layer) {}

  void infer(const Real* parameters, const Real*, const Real* in, std::size_t rows, Real* out,
             std::size_t threads) const override {
    const std::size_t channels = layer_.out.channels;
    const Real* const bias = layer_.bias ? parameters + channels * depth_ : nullptr;
    forChunks(rows * layer_.out.height, tileLines_, threads, [&](std::size_t begin, std::size_t end) {
      const std::size_t width = (end - begin) * layer_.out.width;
      thread_local AlignedBuffer<Real> windowsBuffer, productBuffer;
      Real* const windows = windowsBuffer.require(depth_ * width);
      Real* const product = productBuffer.require(channels * width);
      unroll(in, begin, end, windows);
      gemm(channels, width, depth_, Operand<Real>{parameters, depth_}, Operand<Real>{windows, width}, product,
           width, false, 1);
      forOutputs(begin, end,
                 [&](std::size_t channel, std::size_t column, std::size_t pixel, std::size_t count) {
                   const Real shift = bias ? bias[channel] : Real{0};
                   for (std::size_t i = 0; i < count; ++i) out[pixel + i] = product[column + i] + shift;
                 });
    });
  }

  /// Each chunk of images sums up a gradient of its own; these are then added in order.
  void backward(const Pass& pass, const Real* parameters, const Real* in, const Real*, Real* outGradient,
                Real* inGradient, Real* parameterGradient) override {
    const std::size_t chunkImages = (pass.rows + gradientChunks - 1) / gradientChunks;
    const std::size_t chunks = (pass.rows + chunkImages - 1) / chunkImages;
    chunkGradients_.require(chunks * layer_.out.channels * (depth_ + 1));
    forChunks(pass.rows, chunkImages, pass.threads, [&](std::size_t begin, std::size_t end) {
      Real* const gradient =
          chunkGradients_.data() + begin / chunkImages * layer_.out.channels * (depth_ + 1);
      if (inGradient) {
        std::fill(inGradient + begin * layer_.in.size(), inGradient + end * layer_.in.size(), Real{0});
      }
      const std::size_t firstLine = begin * layer_.out.height, lastLine = end * layer_.out.height;
      for (std::size_t line = firstLine; line < lastLine; line += tileLines_) {
        tileBackward(parameters, in, outGradient, line, std::min(line + tileLines_, lastLine), inGradient,
                     gradient, line > firstLine);
      }
    });
    addChunks(chunks, parameterGradient, pass.first > 0, pass.threads);
  }

 private:
  /// Numbers in the unrolled windows of a tile.
  static constexpr std::size_t tileNumbers = std::size_t{1} << 16;
  /// Enough to keep many threads busy, few enough that their gradients take little memory.
  static constexpr std::size_t gradientChunks = 32;

  /// The gradient with respect to a tile's inputs is added to inGradient, that with respect to the
  /// parameters, [out][depth + 1] with the bias behind each filter, to `gradient` (or it is written there).
  void tileBackward(const Real* parameters, const Real* in, const Real* outGradient, std::size_t begin,
                    std::size_t end, Real* inGradient, Real* gradient, bool accumulate) const {
    const std::size_t channels = layer_.out.channels, width = (end - begin) * layer_.out.width;
    thread_local AlignedBuffer<Real> windowsBuffer, deltaBuffer;
    Real* const windows = windowsBuffer.require((depth_ + 1) * width);
    Real* const delta = deltaBuffer.require(channels * width);
    forOutputs(begin, end, [&](std::size_t, std::size_t column, std::size_t pixel, std::size_t count) {
      std::copy_n(outGradient + pixel, count, delta + column);
    });
    unroll(in, begin, end, windows);
    std::fill_n(windows + depth_ * width, width, Real{1});  // what the bias is multiplied with
    gemm(channels, depth_ + 1, width, Operand<Real>{delta, width},
         Operand<Real>{windows, width, Transpose::yes}, gradient, depth_ + 1, accumulate, 1);
    if (!inGradient) return;
    gemm(depth_, width, channels, Operand<Real>{parameters, depth_, Transpose::yes},
         Operand<Real>{delta, width}, windows, width, false, 1);
    fold(windows, begin, end, inGradient);
  }

  void addChunks(std::size_t chunks, Real* parameterGradient, bool accumulate, std::size_t threads) const {
    const std::size_t channels = layer_.out.channels, size = channels * (depth_ + 1);
    forChunks(channels, chunkRows(chunks * depth_), threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t channel = begin; channel < end; ++channel) {
        Real* const sums = chunkGradients_.data() + channel * (depth_ + 1);
        for (std::size_t chunk = 1; chunk < chunks; ++chunk) {
          for (std::size_t i = 0; i <= depth_; ++i) sums[i] += sums[chunk * size + i];
        }
        const auto write = [&](std::size_t i, Real& gradient) {
          gradient = accumulate ? gradient + sums[i] : sums[i];
        };
        for (std::size_t i = 0; i < depth_; ++i) write(i, parameterGradient[channel * depth_ + i]);
        if (layer_.bias) write(depth_, parameterGradient[channels * depth_ + channel]);
      }
    });
  }

  /// Calls body(image, top, lines, column) for the part of each image that lies in the tile of lines
  /// [begin, end): its lines from `top` on, of which the first pixel is the tile's pixel number `column`.
  template <typename Body>
  void forImages(std::size_t begin, std::size_t end, const Body& body) const {
    const std::size_t height = layer_.out.height;
    for (std::size_t line = begin; line < end;) {
      const std::size_t top = line % height, lines = std::min(height - top, end - line);
      body(line / height, top, lines, (line - begin) * layer_.out.width);
      line += lines;
    }
  }

  /// Calls body(channel, column, pixel, count) for each run of numbers that leaves the layer as it stands in
  /// the tile's product [out][pixels of the tile], from `column` on, and in the batch, from `pixel` on.
  template <typename Body>
  void forOutputs(std::size_t begin, std::size_t end, const Body& body) const {
    const ImageShape& shape = layer_.out;
    const std::size_t width = (end - begin) * shape.width;
    forImages(begin, end, [&](std::size_t image, std::size_t top, std::size_t lines, std::size_t column) {
      for (std::size_t channel = 0; channel < shape.channels; ++channel) {
        body(channel, channel * width + column,
             image * shape.size() + channel * shape.pixels() + top * shape.width, lines * shape.width);
      }
    });
  }

  /// A row of the unrolled windows of one image's part of a tile. What lies in the padding is 0; the other
  /// entries are `lines` x `columns` numbers of the image.
  struct WindowRow {
    std::size_t begin, size;     // in the unrolled windows of the tile
    std::size_t entry;           // the first that lies on the image, there
    std::size_t pixel;           // and in the batch that enters the layer
    std::size_t lines, columns;  // from there on; out.width entries or `stride` lines of the image apart
  };

  /// Calls body(WindowRow) for each row of a tile's unrolled windows, [depth][pixels of the tile].
  template <typename Body>
  void forWindows(std::size_t begin, std::size_t end, const Body& body) const {
    const ImageShape &in = layer_.in, &out = layer_.out;
    const std::size_t kernel = layer_.kernel, stride = layer_.stride, padding = layer_.padding;
    const std::size_t width = (end - begin) * out.width;
    forImages(begin, end, [&](std::size_t image, std::size_t top, std::size_t lines, std::size_t column) {
      for (std::size_t row = 0; row < depth_; ++row) {
        const std::size_t channel = row / (kernel * kernel), ky = row / kernel % kernel, kx = row % kernel;
        const auto [left, right] = taps_.columns[kx];
        const std::size_t first = std::max(taps_.lines[ky].begin, top);
        const std::size_t last = std::max(std::min(taps_.lines[ky].end, top + lines), first);
        const std::size_t start = row * width + column;
        const std::size_t y = first * stride + ky - padding, x = left * stride + kx - padding;
        body(WindowRow{start, lines * out.width, start + (first - top) * out.width + left,
                       image * in.size() + channel * in.pixels() + y * in.width + x, last - first,
                       right - left});
      }
    });
  }

  void unroll(const Real* in, std::size_t begin, std::size_t end, Real* windows) const {
    const std::size_t stride = layer_.stride;
    forWindows(begin, end, [&](const WindowRow& row) {
      if (row.lines * row.columns < row.size) std::fill_n(windows + row.begin, row.size, Real{0});
      for (std::size_t line = 0; line < row.lines; ++line) {
        const Real* const source = in + row.pixel + line * stride * layer_.in.width;
        Real* const target = windows + row.entry + line * layer_.out.width;
        if (stride == 1) {
          std::copy_n(source, row.columns, target);
        } else {
          for (std::size_t i = 0; i < row.columns; ++i) target[i] = source[i * stride];
        }
      }
    });
  }

  /// The other way: adds every entry of the unrolled windows to the number that it came from.
  void fold(const Real* windows, std::size_t begin, std::size_t end, Real* in) const {
    const std::size_t stride = layer_.stride;
    forWindows(begin, end, [&](const WindowRow& row) {
      for (std::size_t line = 0; line < row.lines; ++line) {
        const Real* const source = windows + row.entry + line * layer_.out.width;
        Real* const target = in + row.pixel + line * stride * layer_.in.width;
        if (stride == 1) {  // so that the loop is vectorized
          for (std::size_t i = 0; i < row.columns; ++i) target[i] += source[i];
        } else {
          for (std::size_t i = 0; i < row.columns; ++i) target[i * stride] += source[i];
        }
      }
    });
  }

  LayerDescription layer_;
  std::size_t depth_;  // numbers in a window, and weights of a filter
  std::size_t tileLines_;
  Taps taps_;
  AlignedBuffer<Real> chunkGradients_;  // [chunk][out][depth + 1]
};

/// What the two pools share: they work plane by plane, a plane being one channel of one image, and line by
/// line of what leaves it.
template <typename Real>
class Pool : public Layer<Real> {
 protected:
  explicit Pool(const LayerDescription& layer) : layer_(layer), taps_(layer) {}

  template <typename Body>
  void forPlanes(std::size_t rows, std::size_t threads, const Body& body) const {
    forChunks(rows * layer_.in.channels, chunkRows(layer_.in.pixels()), threads,
              [&](std::size_t begin, std::size_t end) {
                for (std::size_t plane = begin; plane < end; ++plane) body(plane);
              });
  }

  /// Calls body(line, pixel, count) for each element of the windows, line by line: `count` of them have it on
  /// the image, the first as its pixel number `pixel`, the next `stride` further. `line` is the number of the
  /// first of these windows in the plane that leaves the layer.
  template <typename Body>
  void forTaps(const Body& body) const {
    for (std::size_t y = 0; y < layer_.out.height; ++y) {
      for (std::size_t ky = 0; ky < layer_.kernel; ++ky) {
        if (y < taps_.lines[ky].begin || y >= taps_.lines[ky].end) continue;
        const std::size_t line = (y * layer_.stride + ky - layer_.padding) * layer_.in.width;
        for (std::size_t kx = 0; kx < layer_.kernel; ++kx) {
          const auto [left, right] = taps_.columns[kx];
          body(y * layer_.out.width + left, line + left * layer_.stride + kx - layer_.padding, right - left);
        }
      }
    }
  }

  LayerDescription layer_;
  Taps taps_;
};

template <typename Real>
class MaxPool final : public Pool<Real> {
 public:
  explicit MaxPool(const LayerDescription& layer) : Pool<Real>(layer) {}

  void infer(const Real*, const Real*, const Real* in, std::size_t rows, Real* out,
             std::size_t threads) const override {
    const std::size_t pixels = layer_.out.pixels();
    this->forPlanes(rows, threads, [&](std::size_t plane) {
      thread_local AlignedBuffer<std::uint32_t> winners;
      pool(in + plane * layer_.in.pixels(), out + plane * pixels, winners.require(pixels));
    });
  }

  void forward(const Pass& pass, const Real*, Real*, const Real* in, Real* out) override {
    const std::size_t pixels = layer_.out.pixels();
    winners_.require(pass.rows * layer_.out.size());
    this->forPlanes(pass.rows, pass.threads, [&](std::size_t plane) {
      pool(in + plane * layer_.in.pixels(), out + plane * pixels, winners_.data() + plane * pixels);
    });
  }

  void backward(const Pass& pass, const Real*, const Real*, const Real*, Real* outGradient, Real* inGradient,
                Real*) override {
    if (!inGradient) return;
    const std::size_t inPixels = layer_.in.pixels(), outPixels = layer_.out.pixels();
    this->forPlanes(pass.rows, pass.threads, [&](std::size_t plane) {
      Real* const gradient = inGradient + plane * inPixels;
      std::fill_n(gradient, inPixels, Real{0});
      for (std::size_t i = plane * outPixels; i < (plane + 1) * outPixels; ++i) {
        gradient[winners_[i]] += outGradient[i];
      }
    });
  }

 private:
  using Pool<Real>::layer_;

  /// The largest number of each window of a plane, and which pixel it is: the first of equal ones. NaN is
  /// larger than any number, so that divergence does not go unnoticed.
  void pool(const Real* values, Real* largest, std::uint32_t* winners) const {
    const auto first = [&](std::size_t window) {
      const std::size_t begin = window * layer_.stride;
      return begin - std::min(begin, layer_.padding);
    };
    for (std::size_t y = 0, i = 0; y < layer_.out.height; ++y) {
      for (std::size_t x = 0; x < layer_.out.width; ++x, ++i) {
        winners[i] = static_cast<std::uint32_t>(first(y) * layer_.in.width + first(x));
      }
    }
    const auto stride = static_cast<std::uint32_t>(layer_.stride);
    this->forTaps([&](std::size_t line, std::size_t pixel, std::size_t count) {
      auto at = static_cast<std::uint32_t>(pixel);
      for (std::uint32_t* winner = winners + line; winner != winners + line + count; ++winner, at += stride) {
        const bool wins = (values[at] > values[*winner]) | (values[at] != values[at]);
        *winner ^= (*winner ^ at) & (0U - wins);  // a branch could not be foreseen
      }
    });
    for (std::size_t i = 0; i < layer_.out.pixels(); ++i) largest[i] = values[winners[i]];
  }

  AlignedBuffer<std::uint32_t> winners_;  // of the forward pass, for each number that left
};

/// The padding counts as zeros.
template <typename Real>
class AveragePool final : public Pool<Real> {
 public:
  explicit AveragePool(const LayerDescription& layer)
      : Pool<Real>(layer), share_(Real{1} / static_cast<Real>(layer.kernel * layer.kernel)) {}

  void infer(const Real*, const Real*, const Real* in, std::size_t rows, Real* out,
             std::size_t threads) const override {
    this->forPlanes(rows, threads, [&](std::size_t plane) {
      const Real* const values = in + plane * layer_.in.pixels();
      Real* const averages = out + plane * layer_.out.pixels();
      std::fill_n(averages, layer_.out.pixels(), Real{0});
      this->forTaps([&](std::size_t line, std::size_t pixel, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
          averages[line + i] += share_ * values[pixel + i * layer_.stride];
        }
      });
    });
  }

  void backward(const Pass& pass, const Real*, const Real*, const Real*, Real* outGradient, Real* inGradient,
                Real*) override {
    if (!inGradient) return;
    this->forPlanes(pass.rows, pass.threads, [&](std::size_t plane) {
      const Real* const behind = outGradient + plane * layer_.out.pixels();
      Real* const gradient = inGradient + plane * layer_.in.pixels();
      std::fill_n(gradient, layer_.in.pixels(), Real{0});
      this->forTaps([&](std::size_t line, std::size_t pixel, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
          gradient[pixel + i * layer_.stride] += share_ * behind[line + i];
        }
      });
    });
  }

 private:
  using Pool<Real>::layer_;

  Real share_;  // of a pixel in its window's average
};

}  // namespace

template <typename Real>
std::unique_ptr<Layer<Real>> makeConvolution(const LayerDescription& description) {
  return std::make_unique<Convolution<Real>>(description);
}

template <typename Real>
std::unique_ptr<Layer<Real>> makePool(const LayerDescription& description) {
  if (description.type == LayerType::maxPool2d) return std::make_unique<MaxPool<Real>>(description);
  return std::make_unique<AveragePool<Real>>(description);
}

template std::unique_ptr<Layer<float>> makeConvolution(const LayerDescription&);
template std::unique_ptr<Layer<double>> makeConvolution(const LayerDescription&);
template std::unique_ptr<Layer<float>> makePool(const LayerDescription&);
template std::unique_ptr<Layer<double>> makePool(const LayerDescription&);

}  // namespace neural_lsh::cpu
