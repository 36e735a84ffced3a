// The training's own kernels, started on a stream; all pointers are the device's. Everything that changes
// from batch to batch is read from the device's memory, so that a recorded step can be repeated.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../device.h"
#include "activations.h"
#include "channels.h"
#include "losses.h"
#include "numbers.h"
#include "optimizer-steps.h"
#include "rows.h"

namespace neural_lsh::cuda {

/// What a batch brings with it.
struct Batch {
  std::uint64_t noiseSeed, networkSeed;
  std::size_t firstRow;  // in the row numbers
  OptimizerFactors factors;
};

/// Over all batches of a call, and of the last one its gradientScale.
struct Sums {
  double loss, normalizer;
  std::uint64_t hits, neighborsFound;
  float gradientScale;
};

/// The set on the device. vectors: all of them, or null where those of a batch are brought.
struct DeviceSet {
  const float* vectors;
  std::size_t dimensions;
  const std::int32_t* labels;
  const std::int32_t* neighbors;
  std::size_t neighborsPerRow, softLabels, bins;

  NLSH_BOTH std::size_t targetSize() const { return softLabels + 1; }
};

/// The rows at work: the batch's part of the row numbers.
struct RowsAtWork {
  const std::int32_t* numbers;
  const Batch* batch;
  std::size_t count;

  NLSH_BOTH std::size_t at(std::size_t i) const {
    return static_cast<std::size_t>(numbers[batch->firstRow + i]);
  }
};

/// brought: the rows' vectors in order, or null where the set has them.
void gatherInputs(const DeviceSet& set, const RowsAtWork& rows, const InputRule& rule, const float* brought,
                  const Numbers& out, const Stream& stream);
void fillTargets(const DeviceSet& set, const RowsAtWork& rows, std::int32_t* targets, const Stream& stream);

/// What a batch's outputs are judged by and where that goes: a place a row.
struct Judgement {
  LossRule rule;
  const float* logits;
  float* logProbabilities;  // or null where the loss needs none; like the logits:
  std::size_t stride;       // from row to row
  const std::int32_t* targets;
  float* shares;  // rows x bins, or null where the loss needs none
  double* losses;
  std::uint32_t* hits;
  std::uint32_t* neighborsFound;
};

/// Adds the batch's normalizer to the sums, and leaves its reciprocal there.
void addNormalizer(const DeviceSet& set, const Judgement& judgement, std::size_t rows, Sums* sums,
                   const Stream& stream);
/// The losses, the hits, and the gradient of the mean loss with respect to the logits.
void judge(const DeviceSet& set, const Judgement& judgement, const RowsAtWork& rows, const Numbers& gradient,
           const Sums* sums, const Stream& stream);
/// Those that lie in the `probes` bins with the largest logits.
void countNeighbors(const DeviceSet& set, const Judgement& judgement, const RowsAtWork& rows,
                    std::size_t probes, const Stream& stream);
/// Adds what was found for the rows to the sums.
void addJudgement(const Judgement& judgement, std::size_t rows, bool withNeighbors, Sums* sums,
                  const Stream& stream);

/// The same numbers in the other's type.
void convert(const Numbers& from, std::size_t count, const Numbers& to, const Stream& stream);

/// To each row, if bias is not null; then ReLU, if asked for.
void addBias(const Numbers& values, std::size_t rows, std::size_t columns, const float* bias, bool relu,
             const Stream& stream);
/// Parts in which columns are summed up.
inline constexpr std::size_t columnParts = 32;
/// parts: room for columnParts x columns numbers.
void sumColumns(const Numbers& values, std::size_t rows, std::size_t columns, float* parts, float* sums,
                const Stream& stream);

/// Of `count` numbers, what lies between rows included.
void activateAll(const ActivationRule& rule, const Numbers& in, std::size_t count, const Numbers& out,
                 const Stream& stream);
/// inGradient may be outGradient.
void activationGradients(const ActivationRule& rule, const Numbers& kept, const Numbers& outGradient,
                         std::size_t count, const Numbers& inGradient, const Stream& stream);
/// Of layer number `layer`, forward and back.
void drop(const Dropping& dropping, const Batch* batch, std::size_t layer, const Numbers& in,
          std::size_t rows, std::size_t columns, const Numbers& out, const Stream& stream);

/// factors: one a channel.
void normalizeBatch(const BatchNormRule& rule, const Channels& shape, bool training,
                    const ChannelParameters& parameters, const float* in, ChannelFactors* factors,
                    const Numbers& out, const Stream& stream);
/// inGradient may have no memory.
void normalizationGradients(const Channels& shape, const ChannelParameters& parameters, const float* in,
                            const float* outGradient, ChannelFactors* factors, float* weightGradient,
                            float* biasGradient, const Numbers& inGradient, const Stream& stream);

/// Parts in which the gradient's squares are summed up.
inline constexpr std::size_t normParts = 256;

/// A step for all parameters. shortValues: the same as bf16, or null. slots: two pointers, null where the
/// optimizer has fewer. squares: room for normParts numbers.
struct OptimizerArrays {
  std::size_t parameters;
  float* values;
  Bf16* shortValues;
  const float* gradient;
  float *firstSlots, *secondSlots;
  double* squares;
};
void stepOptimizer(const OptimizerRule& rule, double clipNorm, const Batch* batch,
                   const OptimizerArrays& arrays, const Stream& stream);

}  // namespace neural_lsh::cuda
