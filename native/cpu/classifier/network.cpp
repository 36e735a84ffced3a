#include "network.h"

#include <algorithm>

#include "../../core/random.h"
#include "../chunks.h"

namespace neural_lsh::cpu {
namespace {

/// Layer by layer: batch(l) of those that need to see the batch, and rows(first, last) of layers [first,
/// last) that go on, or do all, row by row.
template <typename Real, typename Batch, typename Rows>
void runForward(const std::vector<std::unique_ptr<Layer<Real>>>& layers, Phase phase, const Batch& batch,
                const Rows& rows) {
  std::size_t first = 0;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const Work work = layers[l]->work(phase);
    if (work == Work::rows) continue;
    if (first < l) rows(first, l);
    batch(l);
    first = work == Work::batch ? l + 1 : l;
  }
  if (first < layers.size()) rows(first, layers.size());
}

}  // namespace

template <typename Real>
Network<Real>::Network(const NetworkDescription& description, std::size_t maxRows, Precision precision)
    : description_(description), precision_(precision), seeds_(description.layers.size()) {
  for (const LayerDescription& layer : description.layers) layers_.push_back(makeLayer<Real>(layer));
  if (maxRows == 0) return;

  const auto allocate = [&](std::size_t columns) { return memory_.emplace_back(maxRows * columns).data(); };
  values_.push_back(allocate(description.inputs()));
  bool needed = false;  // by whom it left
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const bool overwrites = layers_[l]->inPlace() && !needed;
    values_.push_back(overwrites ? values_[l] : allocate(description.layers[l].out.size()));
    needed = layers_[l]->needsOutput();
  }
  if (needed) values_.push_back(allocate(description.outputs()));

  Real *next = allocate(description.widest()), *spare = allocate(description.widest());
  gradients_.assign(layers_.size() + 1, values_.back());
  for (std::size_t l = layers_.size(); l-- > 0;) {
    gradients_[l] = gradients_[l + 1];
    if (layers_[l]->inPlace()) continue;
    gradients_[l] = next;
    std::swap(next, spare);
  }
}

template <typename Real>
void Network<Real>::forward(const Real* parameters, Real* buffers, std::size_t rows, std::uint64_t seed,
                            std::size_t threads, std::size_t firstRow) {
  firstRow_ = firstRow;
  Random random(seed);
  for (std::uint64_t& layerSeed : seeds_) layerSeed = random.next();
  const auto batch = [&](std::size_t l) {
    const LayerDescription& layer = description_.layers[l];
    layers_[l]->forward(passOf(l, rows, threads), parameters + layer.parameterOffset,
                        buffers + layer.bufferOffset, values_[l], values_[l + 1]);
  };
  const auto byRows = [&](std::size_t first, std::size_t last) {
    const std::size_t grain = chunkRows(description_.layers[first].out.size());
    forChunks(rows, grain, threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t l = first; l < last; ++l) {
        const LayerDescription& layer = description_.layers[l];
        layers_[l]->forwardRows(pieceOf(l, begin, end), parameters + layer.parameterOffset,
                                buffers + layer.bufferOffset, values_[l], values_[l + 1]);
      }
    });
  };
  runForward(layers_, Phase::forward, batch, byRows);
  const std::size_t last = layers_.size();
  if (values_.back() != values_[last]) {
    std::copy_n(values_[last], rows * description_.outputs(), values_.back());
  }
}

template <typename Real>
void Network<Real>::backwardRows(std::size_t first, std::size_t last, std::size_t rows, std::size_t threads) {
  const std::size_t grain = chunkRows(description_.layers[first].in.size());
  forChunks(rows, grain, threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t l = last; l-- > first;) {
      layers_[l]->backwardRows(pieceOf(l, begin, end), values_[l], values_[l + 1], gradients_[l + 1],
                               gradients_[l]);
    }
  });
}

template <typename Real>
template <typename Batch>
void Network<Real>::runBackward(std::size_t rows, bool inputWanted, std::size_t threads, const Batch& batch) {
  const auto& layers = description_.layers;
  std::size_t first = 0;  // in front of it nobody wants a gradient
  while (!inputWanted && first < layers.size() && layers[first].parameters == 0) ++first;
  std::size_t last = layers_.size();  // layers [l + 1, last) wait for their work row by row
  for (std::size_t l = layers_.size(); l-- > first;) {
    const Work work = layers_[l]->work(Phase::backward);
    if (work == Work::rows) continue;
    if (l + 1 < last) backwardRows(l + 1, last, rows, threads);
    const bool wanted = l > first || inputWanted;
    batch(l, wanted ? gradients_[l] : nullptr);
    last = work == Work::batchThenRows && wanted ? l + 1 : l;
  }
  if (first < last) backwardRows(first, last, rows, threads);
}

template <typename Real>
void Network<Real>::backward(const Real* parameters, std::size_t rows, Real* gradient, Real* inputGradient,
                             std::size_t threads, std::size_t firstRow) {
  firstRow_ = firstRow;
  runBackward(rows, inputGradient != nullptr, threads, [&](std::size_t l, Real* inGradient) {
    const std::size_t offset = description_.layers[l].parameterOffset;
    layers_[l]->backward(passOf(l, rows, threads), parameters + offset, values_[l], values_[l + 1],
                         gradients_[l + 1], inGradient, gradient + offset);
  });
  if (inputGradient) std::copy_n(gradients_.front(), rows * description_.inputs(), inputGradient);
}

template <typename Real>
void Network<Real>::backward(const Real* parameters, std::size_t rows, Real* gradient, std::size_t threads,
                             const Update<Real>& update) {
  firstRow_ = 0;
  runBackward(rows, false, threads, [&](std::size_t l, Real* inGradient) {
    const std::size_t offset = description_.layers[l].parameterOffset;
    const Update<Real> updateLayer = [&](std::size_t begin, std::size_t some, Real* part) {
      update(offset + begin, some, part);
    };
    const Pass pass = passOf(l, rows, threads);
    if (layers_[l]->backwardUpdating(pass, parameters + offset, values_[l], gradients_[l + 1], inGradient,
                                     updateLayer))
      return;
    layers_[l]->backward(pass, parameters + offset, values_[l], values_[l + 1], gradients_[l + 1], inGradient,
                         gradient + offset);
    forChunks(description_.layers[l].parameters, chunkNumbers, threads,
              [&](std::size_t begin, std::size_t end) {
                updateLayer(begin, end - begin, gradient + offset + begin);
              });
  });
}

template <typename Real>
void Network<Real>::infer(const Real* parameters, const Real* buffers, const Real* in, std::size_t rows,
                          Real* out, std::size_t threads) const {
  const auto& layers = description_.layers;
  thread_local AlignedBuffer<Real> scratch[2];
  Real* next = scratch[0].require(rows * description_.widest());
  Real* spare = scratch[1].require(rows * description_.widest());
  std::vector<Real*> outs;  // what leaves each layer
  for (const auto& layer : layers_) {
    const bool overwrites = !outs.empty() && layer->work(Phase::infer) == Work::rows;
    outs.push_back(overwrites ? outs.back() : next);
    if (!overwrites) std::swap(next, spare);
  }
  outs.back() = out;
  const auto inOf = [&](std::size_t l) { return l == 0 ? in : outs[l - 1]; };
  const auto batch = [&](std::size_t l) {
    layers_[l]->infer(parameters + layers[l].parameterOffset, buffers + layers[l].bufferOffset, inOf(l), rows,
                      outs[l], threads);
  };
  const auto byRows = [&](std::size_t first, std::size_t last) {
    const std::size_t grain = chunkRows(layers[first].out.size());
    forChunks(rows, grain, threads, [&](std::size_t begin, std::size_t end) {
      for (std::size_t l = first; l < last; ++l) {
        layers_[l]->forwardRows({begin, end, false, 0}, parameters + layers[l].parameterOffset,
                                buffers + layers[l].bufferOffset, inOf(l), outs[l]);
      }
    });
  };
  runForward(layers_, Phase::infer, batch, byRows);
}

template class Network<float>;
template class Network<double>;

}  // namespace neural_lsh::cpu
