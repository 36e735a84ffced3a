#include "kernels.h"
#include "launch.h"

namespace neural_lsh::cuda {
namespace {

/// body(i) for each i < count that is block number `block`'s, of `blocks`.
template <typename Lanes, typename Body>
NLSH_DEVICE void forShare(const Lanes& lanes, std::size_t block, std::size_t blocks, std::size_t count,
                          const Body& body) {
  const std::size_t stride = blocks * Lanes::count;
  for (std::size_t i = block * Lanes::count + lanes.index(); i < count; i += stride) body(i);
}

NLSH_DEVICE RowTarget targetOf(const DeviceSet& set, const Judgement& judgement, std::size_t row) {
  return {judgement.targets + row * set.targetSize(), set.targetSize()};
}

}  // namespace

void gatherInputs(const DeviceSet& set, const RowsAtWork& rows, const InputRule& rule, const float* brought,
                  const Numbers& out, const Stream& stream) {
  forEachBlock(rows.count, stream, "gatherInputs", [=] NLSH_DEVICE(const auto& lanes, std::size_t i) {
    const std::size_t inputs = set.dimensions;
    const float* const vector = brought ? brought + i * inputs : set.vectors + rows.at(i) * inputs;
    transformRow(lanes, rule, vector, inputs, rows.batch->noiseSeed + i, out.from(i));
  });
}

void fillTargets(const DeviceSet& set, const RowsAtWork& rows, std::int32_t* targets, const Stream& stream) {
  forEach(rows.count * set.targetSize(), stream, "fillTargets", [=] NLSH_DEVICE(std::size_t i) {
    const std::size_t row = rows.at(i / set.targetSize()), entry = i % set.targetSize();
    const bool isOwn = entry == set.softLabels;
    const std::size_t labeled =
        isOwn ? row : static_cast<std::size_t>(set.neighbors[row * set.neighborsPerRow + entry]);
    targets[i] = set.labels[labeled];
  });
}

void addNormalizer(const DeviceSet& set, const Judgement& judgement, std::size_t rows, Sums* sums,
                   const Stream& stream) {
  forEachBlock(1, stream, "addNormalizer", [=] NLSH_DEVICE(const auto& lanes, std::size_t) {
    double part = 0;
    forOwned(lanes, rows, [&](std::size_t i) {
      part += rowNormalizer(judgement.rule, set.bins, targetOf(set, judgement, i));
    });
    const double normalizer = lanes.sum(part);
    if (lanes.index() != 0) return;
    sums->normalizer += normalizer;
    sums->gradientScale = static_cast<float>(normalizer > 0 ? 1 / normalizer : 0);
  });
}

void judge(const DeviceSet& set, const Judgement& judgement, const RowsAtWork& rows, const Numbers& gradient,
           const Sums* sums, const Stream& stream) {
  forEachBlock(rows.count, stream, "judge", [=] NLSH_DEVICE(const auto& lanes, std::size_t i) {
    const std::size_t first = i * judgement.stride, own = static_cast<std::size_t>(set.labels[rows.at(i)]);
    const RowOutputs row{judgement.logits + first,
                         judgement.logProbabilities ? judgement.logProbabilities + first : nullptr, set.bins};
    float* const shares = judgement.shares ? judgement.shares + i * set.bins : nullptr;
    const std::size_t rank = rankOf(lanes, row.logits, set.bins, own);
    const double loss = rowLoss(lanes, judgement.rule, row, targetOf(set, judgement, i), sums->gradientScale,
                                gradient.from(i), shares);
    if (lanes.index() != 0) return;
    judgement.hits[i] = rank == 0;
    judgement.losses[i] = loss;
  });
}

void countNeighbors(const DeviceSet& set, const Judgement& judgement, const RowsAtWork& rows,
                    std::size_t probes, const Stream& stream) {
  forEachBlock(rows.count, stream, "countNeighbors", [=] NLSH_DEVICE(const auto& lanes, std::size_t i) {
    const std::int32_t* const neighbors = set.neighbors + rows.at(i) * set.neighborsPerRow;
    std::uint32_t found = 0;
    for (std::size_t n = 0; n < set.neighborsPerRow; ++n) {
      const auto bin = static_cast<std::size_t>(set.labels[neighbors[n]]);
      found += rankOf(lanes, judgement.logits + i * judgement.stride, set.bins, bin) < probes;
    }
    if (lanes.index() == 0) judgement.neighborsFound[i] = found;
  });
}

void addJudgement(const Judgement& judgement, std::size_t rows, bool withNeighbors, Sums* sums,
                  const Stream& stream) {
  forEachBlock(1, stream, "addJudgement", [=] NLSH_DEVICE(const auto& lanes, std::size_t) {
    double loss = 0;
    std::uint64_t hits = 0, found = 0;
    forOwned(lanes, rows, [&](std::size_t i) {
      loss += judgement.losses[i];
      hits += judgement.hits[i];
      if (withNeighbors) found += judgement.neighborsFound[i];
    });
    loss = lanes.sum(loss);
    hits = lanes.sum(hits);
    found = lanes.sum(found);
    if (lanes.index() != 0) return;
    sums->loss += loss;
    sums->hits += hits;
    sums->neighborsFound += found;
  });
}

void convert(const Numbers& from, std::size_t count, const Numbers& to, const Stream& stream) {
  forEach(count, stream, "convert", [=] NLSH_DEVICE(std::size_t i) { to.put(i, from.at(i)); });
}

void addBias(const Numbers& values, std::size_t rows, std::size_t columns, const float* bias, bool relu,
             const Stream& stream) {
  const ActivationRule rule{relu ? NLSH_RELU : NLSH_IDENTITY};
  forEach(rows * columns, stream, "addBias", [=] NLSH_DEVICE(std::size_t i) {
    const std::size_t column = i % columns, at = i / columns * values.stride + column;
    values.put(at, activate(rule, bias ? values.at(at) + bias[column] : values.at(at)));
  });
}

void sumColumns(const Numbers& values, std::size_t rows, std::size_t columns, float* parts, float* sums,
                const Stream& stream) {
  forEach(columnParts * columns, stream, "sumColumns", [=] NLSH_DEVICE(std::size_t i) {
    const std::size_t part = i / columns, column = i % columns;
    float sum = 0;
    for (std::size_t row = part; row < rows; row += columnParts)
      sum += values.at(row * values.stride + column);
    parts[i] = sum;
  });
  forEach(columns, stream, "sumColumns", [=] NLSH_DEVICE(std::size_t column) {
    float sum = 0;
    for (std::size_t part = 0; part < columnParts; ++part) sum += parts[part * columns + column];
    sums[column] = sum;
  });
}

void activateAll(const ActivationRule& rule, const Numbers& in, std::size_t count, const Numbers& out,
                 const Stream& stream) {
  forEach(count, stream, "activateAll",
          [=] NLSH_DEVICE(std::size_t i) { out.put(i, activate(rule, in.at(i))); });
}

void activationGradients(const ActivationRule& rule, const Numbers& kept, const Numbers& outGradient,
                         std::size_t count, const Numbers& inGradient, const Stream& stream) {
  forEach(count, stream, "activationGradients", [=] NLSH_DEVICE(std::size_t i) {
    inGradient.put(i, activationGradient(rule, kept.at(i), outGradient.at(i)));
  });
}

void drop(const Dropping& dropping, const Batch* batch, std::size_t layer, const Numbers& in,
          std::size_t rows, std::size_t columns, const Numbers& out, const Stream& stream) {
  forEach(rows * columns, stream, "drop", [=] NLSH_DEVICE(std::size_t i) {
    const std::size_t at = i / columns * in.stride + i % columns;
    out.put(at, dropping.apply(outputOf(batch->networkSeed, layer), i, in.at(at)));
  });
}

void normalizeBatch(const BatchNormRule& rule, const Channels& shape, bool training,
                    const ChannelParameters& parameters, const float* in, ChannelFactors* factors,
                    const Numbers& out, const Stream& stream) {
  forEachBlock(shape.channels, stream, "normalizeBatch", [=] NLSH_DEVICE(const auto& lanes, std::size_t c) {
    const float weight = parameters.weight[c], bias = parameters.bias[c];
    float &mean = parameters.runningMean[c], &variance = parameters.runningVariance[c];
    const ChannelFactors found =
        training ? normalizerOfBatch(lanes, rule, shape, c, in, weight, bias, mean, variance)
                 : normalizerInUse(rule, weight, bias, mean, variance);
    if (lanes.index() == 0) factors[c] = found;
    forOwned(lanes, shape.count(), [&](std::size_t i) {
      const std::size_t at = shape.at(c, i);
      out.put(at, (in[at] - found.center) * found.scale + found.shift);
    });
  });
}

void normalizationGradients(const Channels& shape, const ChannelParameters& parameters, const float* in,
                            const float* outGradient, ChannelFactors* factors, float* weightGradient,
                            float* biasGradient, const Numbers& inGradient, const Stream& stream) {
  forEachBlock(shape.channels, stream, "normalizationGradients",
               [=] NLSH_DEVICE(const auto& lanes, std::size_t c) {
                 leadBack(lanes, shape, c, in, outGradient, parameters.weight[c], factors[c],
                          weightGradient[c], biasGradient[c]);
               });
  if (inGradient.data == nullptr) return;
  forEach(shape.channels * shape.count(), stream, "normalizationGradients", [=] NLSH_DEVICE(std::size_t i) {
    const std::size_t c = i / shape.count(), at = shape.at(c, i % shape.count());
    const ChannelFactors& channel = factors[c];
    inGradient.put(
        at, outGradient[at] * channel.scale + (in[at] - channel.center) * channel.slope + channel.constant);
  });
}

void stepOptimizer(const OptimizerRule& rule, double clipNorm, const Batch* batch,
                   const OptimizerArrays& arrays, const Stream& stream) {
  const std::size_t count = arrays.parameters;
  if (clipNorm > 0) {
    forEachBlock(normParts, stream, "sumSquares", [=] NLSH_DEVICE(const auto& lanes, std::size_t part) {
      double squares = 0;
      forShare(lanes, part, normParts, count, [&](std::size_t i) {
        squares += static_cast<double>(arrays.gradient[i]) * arrays.gradient[i];
      });
      squares = lanes.sum(squares);
      if (lanes.index() == 0) arrays.squares[part] = squares;
    });
  }
  const std::size_t blocks = fullBlocks(count);
  forEachBlock(blocks, stream, "stepOptimizer", [=] NLSH_DEVICE(const auto& lanes, std::size_t block) {
    double squares = 0;
    if (clipNorm > 0) {
      forOwned(lanes, normParts, [&](std::size_t part) { squares += arrays.squares[part]; });
      squares = lanes.sum(squares);
    }
    const float clip = clipFactorOf(clipNorm, squares);
    const OptimizerFactors factors = batch->factors;
    forShare(lanes, block, blocks, count, [&](std::size_t i) {
      Parameter parameter{arrays.values[i], arrays.firstSlots ? arrays.firstSlots[i] : 0,
                          arrays.secondSlots ? arrays.secondSlots[i] : 0};
      updateParameter(rule, factors, clip, arrays.gradient[i], parameter);
      arrays.values[i] = parameter.value;
      if (arrays.shortValues) arrays.shortValues[i] = toBf16(parameter.value);
      if (arrays.firstSlots) arrays.firstSlots[i] = parameter.firstSlot;
      if (arrays.secondSlots) arrays.secondSlots[i] = parameter.secondSlot;
    });
  });
}

}  // namespace neural_lsh::cuda
