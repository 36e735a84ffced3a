// The layers over plain rows, and batch norm over images too.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

#include "../../core/aligned-buffer.h"
#include "../../core/random.h"
#include "../chunks.h"
#include "../kernels/kernels.h"
#include "../packed-product.h"
#include "../sgemm.h"
#include "element-wise.h"
#include "layer.h"

namespace neural_lsh::cpu {
namespace {

/// A batch cut into pieces whose sums are taken each by itself and then put together in order: where the cuts
/// lie depends on the batch alone.
struct SummedPieces {
  static constexpr std::size_t most = 64;

  SummedPieces(std::size_t allRows, std::size_t columns)
      : rows(allRows),
        size(std::max(chunkRows(columns), (allRows + most - 1) / most)),
        count((allRows + size - 1) / size) {}

  std::size_t rowsOf(std::size_t piece) const { return std::min(size, rows - piece * size); }

  template <typename Body>
  void forEach(std::size_t threads, const Body& body) const {
    parallelFor(count, threads, [&](std::size_t piece) { body(piece, piece * size, rowsOf(piece)); });
  }

  std::size_t rows, size, count;
};

/// Sums of the columns of rows x columns values, to be added to what is there or not.
template <typename Real>
void sumRows(const Real* values, std::size_t rows, std::size_t columns, Real* sums, bool add = false) {
  if (!add) std::fill_n(sums, columns, Real{0});
  if constexpr (std::is_same_v<Real, float>) {
    kernels().sumRows(values, rows, columns, sums);
  } else {
    for (std::size_t row = 0; row < rows; ++row, values += columns) {
      for (std::size_t c = 0; c < columns; ++c) sums[c] += values[c];
    }
  }
}

/// To each row of rows x columns values.
void addToRows(const float* added, std::size_t rows, std::size_t columns, float* values) {
  kernels().addToRows(added, rows, columns, values);
}
void addToRows(const double* added, std::size_t rows, std::size_t columns, double* values) {
  for (double* const end = values + rows * columns; values != end; values += columns) {
    for (std::size_t c = 0; c < columns; ++c) values[c] += added[c];
  }
}

// Up to this many rows the weights are read once, as they lie, rather than packed for a matrix product.
constexpr std::size_t fewRows = 4;

void multiply(std::size_t rows, std::size_t outputs, std::size_t inputs, const float* in, const float* weight,
              float* out, std::size_t threads) {
  if (rows > fewRows) {
    gemm(rows, outputs, inputs, {in, inputs}, {weight, inputs, Transpose::yes}, out, outputs, false, threads);
    return;
  }
  forChunks(outputs, chunkRows(inputs), threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t row = 0; row < rows; ++row) {
      kernels().dotProducts(in + row * inputs, weight + begin * inputs, end - begin, inputs,
                            out + row * outputs + begin);
    }
  });
}

void multiply(std::size_t rows, std::size_t outputs, std::size_t inputs, const double* in,
              const double* weight, double* out, std::size_t threads) {
  gemm(rows, outputs, inputs, {in, inputs}, {weight, inputs, Transpose::yes}, out, outputs, false, threads);
}

/// out = in weight^T + bias.
template <typename Real>
class Linear final : public Layer<Real> {
 public:
  explicit Linear(const LayerDescription& layer)
      : inputs_(layer.in.size()), outputs_(layer.outputs), bias_(layer.bias) {}

  Work work(Phase phase) const override {
    return bias_ && phase != Phase::backward ? Work::batchThenRows : Work::batch;
  }

  void infer(const Real* parameters, const Real*, const Real* in, std::size_t rows, Real* out,
             std::size_t threads) const override {
    multiply(rows, outputs_, inputs_, in, parameters, out, threads);
  }

  void forwardRows(const Piece& piece, const Real* parameters, const Real*, const Real*,
                   Real* out) const override {
    addToRows(parameters + inputs_ * outputs_, piece.end - piece.begin, outputs_,
              out + piece.begin * outputs_);
  }

  void forward(const Pass& pass, const Real* parameters, Real* buffers, const Real* in, Real* out) override {
    if (!packsWeights(pass)) return infer(parameters, buffers, in, pass.rows, out, pass.threads);
    if (pass.first == 0) {
      packedWeights_.pack(outputs_, inputs_, {parameters, inputs_, Transpose::yes}, pass.threads,
                          pass.precision);
    }
    packedWeights_.multiply(pass.rows, {in, inputs_}, out, outputs_, false, pass.threads);
  }

  void backward(const Pass& pass, const Real* parameters, const Real* in, const Real*, Real* outGradient,
                Real* inGradient, Real* parameterGradient) override {
    if (inGradient != nullptr) multiplyBack(pass, parameters, outGradient, inGradient);
    multiplyWeightGradient(pass, 0, outputs_, in, outGradient, parameterGradient, pass.threads);
    if (bias_) sumOfRows(pass, outGradient, parameterGradient + inputs_ * outputs_);
  }

  bool backwardUpdating(const Pass& pass, const Real* parameters, const Real* in, Real* outGradient,
                        Real* inGradient, const Update<Real>& update) override {
    if (packsWeights(pass)) return false;  // against so many products the optimizer hardly counts
    if (inGradient != nullptr) multiplyBack(pass, parameters, outGradient, inGradient);
    const std::size_t grain = roundUp(chunkRows(inputs_), kernels().tileRows);
    forChunks(outputs_, grain, pass.threads, [&](std::size_t begin, std::size_t end) {
      thread_local AlignedBuffer<Real> buffer;
      Real* const gradient = buffer.require((end - begin) * inputs_);
      multiplyWeightGradient(pass, begin, end, in, outGradient, gradient, 1);
      update(begin * inputs_, (end - begin) * inputs_, gradient);
    });
    if (!bias_) return true;
    Real* const sums = biasGradient_.require(outputs_);
    sumOfRows(pass, outGradient, sums);
    update(inputs_ * outputs_, outputs_, sums);
    return true;
  }

 private:
  /// With many rows: for all passes of a batch. They are as many in each, give or take one.
  static bool packsWeights(const Pass& pass) { return pass.rows > blockRows; }

  void multiplyBack(const Pass& pass, const Real* parameters, const Real* outGradient,
                    Real* inGradient) const {
    gemm(pass.rows, inputs_, outputs_, Operand<Real>{outGradient, outputs_},
         Operand<Real>{parameters, inputs_}, inGradient, inputs_, false, pass.threads, pass.precision);
  }

  /// Of the weights of outputs [begin, end).
  void multiplyWeightGradient(const Pass& pass, std::size_t begin, std::size_t end, const Real* in,
                              const Real* outGradient, Real* gradient, std::size_t threads) const {
    gemm(end - begin, inputs_, pass.rows, {outGradient + begin, outputs_, Transpose::yes},
         Operand<Real>{in, inputs_}, gradient, inputs_, pass.first > 0, threads, pass.precision);
  }

  void sumOfRows(const Pass& pass, const Real* values, Real* sums) {
    const SummedPieces pieces(pass.rows, outputs_);
    Real* const partial = partialSums_.require(pieces.count * outputs_);
    pieces.forEach(pass.threads, [&](std::size_t piece, std::size_t row, std::size_t rows) {
      sumRows(values + row * outputs_, rows, outputs_, partial + piece * outputs_);
    });
    sumRows(partial, pieces.count, outputs_, sums, pass.first > 0);
  }

  std::size_t inputs_, outputs_;
  bool bias_;
  AlignedBuffer<Real> partialSums_, biasGradient_;
  Factor<Real> packedWeights_;
};

/// Ioffe & Szegedy, ICML 2015. Each channel is normalized over the batch and the channel's pixels.
template <typename Real>
class BatchNorm final : public Layer<Real> {
 public:
  explicit BatchNorm(const LayerDescription& layer)
      : layer_(layer),
        channels_(layer.in.channels),
        columns_(layer.in.size()),
        inverseDeviations_(channels_),
        center_(columns_),
        scale_(columns_),
        shift_(columns_),
        slope_(columns_),
        constant_(columns_) {}

  Work work(Phase phase) const override { return phase == Phase::infer ? Work::rows : Work::batchThenRows; }

  void infer(const Real*, const Real*, const Real*, std::size_t, Real*, std::size_t) const override {}

  void forward(const Pass& pass, const Real* parameters, Real* buffers, const Real* in, Real*) override {
    const std::vector<Moments> moments = momentsOfBatch(pass, in);
    const auto count = static_cast<double>(pass.rows * layer_.in.pixels()), momentum = layer_.momentum;
    for (std::size_t c = 0; c < channels_; ++c) {
      const auto [mean, squares] = moments[c];
      const double variance = squares / count, unbiased = count > 1 ? squares / (count - 1) : variance;
      Real &runningMean = buffers[c], &runningVariance = buffers[channels_ + c];
      runningMean = static_cast<Real>((1 - momentum) * runningMean + momentum * mean);
      runningVariance = static_cast<Real>((1 - momentum) * runningVariance + momentum * unbiased);
      inverseDeviations_[c] = 1 / std::sqrt(variance + layer_.epsilon);
      spread(c, mean, center_.data());
      spread(c, parameters[c] * inverseDeviations_[c], scale_.data());
      spread(c, parameters[channels_ + c], shift_.data());
    }
  }

  void forwardRows(const Piece& piece, const Real* parameters, const Real* buffers, const Real* in,
                   Real* out) const override {
    if (piece.training) {
      normalize(piece, center_.data(), scale_.data(), shift_.data(), in, out);
      return;
    }
    thread_local AlignedBuffer<Real> scratch;
    Real* const center = scratch.require(3 * columns_);
    Real *const scale = center + columns_, *const shift = scale + columns_;
    const auto epsilon = static_cast<Real>(layer_.epsilon);
    for (std::size_t c = 0; c < channels_; ++c) {
      spread(c, buffers[c], center);
      spread(c, parameters[c] / std::sqrt(buffers[channels_ + c] + epsilon), scale);
      spread(c, parameters[channels_ + c], shift);
    }
    normalize(piece, center, scale, shift, in, out);
  }

  void backward(const Pass& pass, const Real* parameters, const Real* in, const Real*, Real* outGradient,
                Real*, Real* parameterGradient) override {
    const std::vector<GradientSums> sums = gradientSums(pass, in, outGradient);
    const auto count = static_cast<double>(pass.rows * layer_.in.pixels());
    for (std::size_t c = 0; c < channels_; ++c) {
      const double inverse = inverseDeviations_[c], scale = parameters[c] * inverse;
      parameterGradient[c] = static_cast<Real>(sums[c].products * inverse);
      parameterGradient[channels_ + c] = static_cast<Real>(sums[c].gradients);
      spread(c, -scale * inverse * inverse * sums[c].products / count, slope_.data());
      spread(c, -scale * sums[c].gradients / count, constant_.data());
    }
  }

  void backwardRows(const Piece& piece, const Real* in, const Real*, const Real* outGradient,
                    Real* inGradient) const override {
    const Real *const center = center_.data(), *const scale = scale_.data();
    const Real *const slope = slope_.data(), *const constant = constant_.data();
    for (std::size_t i = piece.begin * columns_; i < piece.end * columns_; i += columns_) {
      const Real* const row = in + i;
      mapNumbers(outGradient + i, columns_, inGradient + i, [=](Real gradient, std::size_t c) {
        return gradient * scale[c] + (row[c] - center[c]) * slope[c] + constant[c];
      });
    }
  }

 private:
  /// Of a channel: its mean, and the sum of squared deviations from it.
  struct Moments {
    double mean = 0, squares = 0;
  };

  /// Of a channel: of the gradients behind it, and of their products with the deviations from the mean.
  struct GradientSums {
    double gradients = 0, products = 0;
  };

  /// A channel's value to its columns.
  void spread(std::size_t channel, double value, Real* columns) const {
    const std::size_t pixels = layer_.in.pixels();
    std::fill_n(columns + channel * pixels, pixels, static_cast<Real>(value));
  }

  /// The sum over a channel's columns.
  double gather(std::size_t channel, const Real* columns) const {
    const std::size_t pixels = layer_.in.pixels();
    double sum = 0;
    for (std::size_t i = channel * pixels; i < (channel + 1) * pixels; ++i) sum += columns[i];
    return sum;
  }

  void normalize(const Piece& piece, const Real* center, const Real* scale, const Real* shift, const Real* in,
                 Real* out) const {
    for (std::size_t i = piece.begin * columns_; i < piece.end * columns_; i += columns_) {
      mapNumbers(in + i, columns_, out + i,
                 [=](Real value, std::size_t c) { return (value - center[c]) * scale[c] + shift[c]; });
    }
  }

  /// In two passes over a piece, the second of which finds it in the cache; the pieces' moments are combined
  /// by Chan, Golub & LeVeque 1983, eq. 2.1.
  std::vector<Moments> momentsOfBatch(const Pass& pass, const Real* in) const {
    const SummedPieces pieces(pass.rows, columns_);
    std::vector<Moments> partial(pieces.count * channels_);
    pieces.forEach(pass.threads, [&](std::size_t piece, std::size_t row, std::size_t rows) {
      momentsOfPiece(in + row * columns_, rows, partial.data() + piece * channels_);
    });
    std::vector<Moments> total(partial.begin(), partial.begin() + static_cast<std::ptrdiff_t>(channels_));
    auto count = static_cast<double>(pieces.rowsOf(0));
    for (std::size_t piece = 1; piece < pieces.count; ++piece) {
      const auto more = static_cast<double>(pieces.rowsOf(piece));
      const double share = more / (count + more);
      const double weight = count * share * static_cast<double>(layer_.in.pixels());
      for (std::size_t c = 0; c < channels_; ++c) {
        const auto [mean, squares] = partial[piece * channels_ + c];
        const double difference = mean - total[c].mean;
        total[c].mean += share * difference;
        total[c].squares += squares + weight * difference * difference;
      }
      count += more;
    }
    return total;
  }

  void momentsOfPiece(const Real* in, std::size_t rows, Moments* moments) const {
    thread_local AlignedBuffer<Real> scratch;
    Real* const sums = scratch.require(2 * columns_);
    Real* const center = sums + columns_;
    sumRows(in, rows, columns_, sums);
    const auto count = static_cast<double>(rows * layer_.in.pixels());
    for (std::size_t c = 0; c < channels_; ++c) {
      moments[c].mean = gather(c, sums) / count;
      spread(c, moments[c].mean, center);
    }
    std::fill_n(sums, columns_, Real{0});
    for (const Real* row = in; row != in + rows * columns_; row += columns_) {
      for (std::size_t i = 0; i < columns_; ++i) sums[i] += (row[i] - center[i]) * (row[i] - center[i]);
    }
    for (std::size_t c = 0; c < channels_; ++c) moments[c].squares = gather(c, sums);
  }

  std::vector<GradientSums> gradientSums(const Pass& pass, const Real* in, const Real* outGradient) const {
    const SummedPieces pieces(pass.rows, columns_);
    std::vector<GradientSums> partial(pieces.count * channels_);
    pieces.forEach(pass.threads, [&](std::size_t piece, std::size_t row, std::size_t rows) {
      gradientSumsOfPiece(in + row * columns_, outGradient + row * columns_, rows,
                          partial.data() + piece * channels_);
    });
    std::vector<GradientSums> total(channels_);
    for (std::size_t i = 0; i < partial.size(); ++i) {
      total[i % channels_].gradients += partial[i].gradients;
      total[i % channels_].products += partial[i].products;
    }
    return total;
  }

  void gradientSumsOfPiece(const Real* in, const Real* outGradient, std::size_t rows,
                           GradientSums* sums) const {
    thread_local AlignedBuffer<Real> scratch;
    Real* const gradients = scratch.require(2 * columns_);
    Real* const products = gradients + columns_;
    const Real* const center = center_.data();
    std::fill_n(gradients, 2 * columns_, Real{0});
    for (std::size_t row = 0; row < rows; ++row, in += columns_, outGradient += columns_) {
      for (std::size_t i = 0; i < columns_; ++i) {
        gradients[i] += outGradient[i];
        products[i] += outGradient[i] * (in[i] - center[i]);
      }
    }
    for (std::size_t c = 0; c < channels_; ++c) sums[c] = {gather(c, gradients), gather(c, products)};
  }

  LayerDescription layer_;
  std::size_t channels_, columns_;
  std::vector<double> inverseDeviations_;  // of the batch, like all below: what backward needs of forward
  // (x - center) * scale + shift normalizes; gradient * scale + (x - center) * slope + constant leads back.
  // Each has an entry a column, so that the loops over rows are the same for vectors and images.
  std::vector<Real> center_, scale_, shift_, slope_, constant_;
};

/// Srivastava et al., JMLR 2014. The mask is drawn again for the backward pass: cheaper than to keep it.
template <typename Real>
class Dropout final : public RowLayer<Real> {
 public:
  explicit Dropout(const LayerDescription& layer)
      : columns_(layer.in.size()),
        threshold_(static_cast<std::uint16_t>(std::min(std::round(layer.rate * 65536), 65535.0))) {}

  bool inPlace() const override { return true; }

  void forwardRows(const Piece& piece, const Real*, const Real*, const Real* in, Real* out) const override {
    if (piece.training) {
      drop(piece, in, out);
    } else if (in != out) {
      std::copy(in + piece.begin * columns_, in + piece.end * columns_, out + piece.begin * columns_);
    }
  }

  void backwardRows(const Piece& piece, const Real*, const Real*, const Real* outGradient,
                    Real* inGradient) const override {
    drop(piece, outGradient, inGradient);
  }

 private:
  // A number's lot is 16 bits; one output of the generator has those of four.
  static constexpr std::size_t blockOutputs = 64, lanes = 4;
  using Lots = std::array<std::uint16_t, blockOutputs * lanes>;

  /// From output number `first` of Random(seed) on.
  static Lots drawLots(std::uint64_t seed, std::size_t first) {
    Random random(seed + first * 0x9E3779B97F4A7C15ULL);
    std::array<std::uint64_t, blockOutputs> outputs;
    for (std::uint64_t& output : outputs) output = random.next();
    static_assert(std::endian::native == std::endian::little, "the lowest 16 bits come first");
    return std::bit_cast<Lots>(outputs);
  }

  void drop(const Piece& piece, const Real* in, Real* out) const {
    const Real scale = Real{65536} / static_cast<Real>(65536 - threshold_);
    const std::size_t end = piece.end * columns_, before = piece.first * columns_;
    for (std::size_t i = piece.begin * columns_, count; i < end; i += count) {
      const std::size_t skipped = (before + i) % lanes;
      count = std::min(end - i, blockOutputs * lanes - skipped);
      const Lots lots = drawLots(piece.seed, (before + i) / lanes);
      mapNumbers(in + i, count, out + i, [&](Real value, std::size_t j) {
        return value * (lots[skipped + j] < threshold_ ? Real{0} : scale);
      });
    }
  }

  std::size_t columns_;
  std::uint16_t threshold_;
};

}  // namespace

template <typename Real>
std::unique_ptr<Layer<Real>> makeLayer(const LayerDescription& layer) {
  switch (layer.type) {
    case LayerType::linear:
      return std::make_unique<Linear<Real>>(layer);
    case LayerType::conv2d:
      return makeConvolution<Real>(layer);
    case LayerType::maxPool2d:
    case LayerType::averagePool2d:
      return makePool<Real>(layer);
    case LayerType::batchNorm:
      return std::make_unique<BatchNorm<Real>>(layer);
    case LayerType::dropout:
      return std::make_unique<Dropout<Real>>(layer);
    case LayerType::treeLeaves:
    case LayerType::signCodes:
    case LayerType::crossPolytope:
      return makePartitionRule<Real>(layer);
    case LayerType::flatten:  // row-major already: the identity
    case LayerType::activation:
      break;
  }
  return makeActivation<Real>(layer);
}

template std::unique_ptr<Layer<float>> makeLayer(const LayerDescription&);
template std::unique_ptr<Layer<double>> makeLayer(const LayerDescription&);

}  // namespace neural_lsh::cpu
