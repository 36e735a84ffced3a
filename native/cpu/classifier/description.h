// A network as plain data: what its layers are, how large, and where their numbers lie. The same description
// stands in the index file and in lib/classifier/network.ts.
#pragma once

#include <cstddef>
#include <vector>

namespace neural_lsh::cpu {

/// A row as channels x height x width numbers, row-major; a plain vector of d numbers is {d, 1, 1}.
struct ImageShape {
  std::size_t channels = 0;
  std::size_t height = 1;
  std::size_t width = 1;

  std::size_t pixels() const { return height * width; }
  std::size_t size() const { return channels * pixels(); }
};

enum class Activation {
  identity,
  step,  // inference only
  sigmoid,
  tanh,
  relu,
  relu6,
  leakyRelu,
  elu,
  selu,
  softplus,
  gelu,
  softmax
};

enum class LayerType {
  linear,
  conv2d,
  maxPool2d,
  averagePool2d,
  batchNorm,
  dropout,
  flatten,
  activation,
  treeLeaves,  // these three for inference only
  signCodes,
  crossPolytope
};

/// What a node of a tree of hyperplanes adds to the logits of the leaves under it
/// (lib/classifier/network.ts).
enum class MarginRule { squaredMargin, logSigmoid };

/// One layer. Which fields mean something depends on the type.
struct LayerDescription {
  LayerType type = LayerType::flatten;
  Activation activation = Activation::identity;
  std::size_t outputs = 0;  // of linear; channels that conv2d makes; leaves
  bool bias = true;         // of linear and conv2d
  std::size_t kernel = 1;   // side of the square window of conv2d and the pools
  std::size_t stride = 1;
  std::size_t padding = 0;  // zeros on each side; for max pooling, what never wins
  double rate = 0;          // of dropout, in [0, 1)
  double slope = 0.01;      // of leaky ReLU below 0
  double alpha = 1;         // of ELU
  double momentum = 0.1;    // of batch norm: running = (1 - momentum) running + momentum batch
  double epsilon = 1e-5;    // of batch norm, added to the variance
  MarginRule marginRule = MarginRule::squaredMargin;
  std::size_t bits = 1;                // of signCodes
  std::vector<std::size_t> polytopes;  // the dimensions of each

  // Filled in by describeNetwork.
  ImageShape in, out;
  std::size_t parameters = 0, parameterOffset = 0;  // weight, then bias
  std::size_t buffers = 0, bufferOffset = 0;        // batch norm's running mean, then its running variance
};

/// Parameters are flat, layer by layer, in PyTorch's layouts: linear [out, in] and [out]; conv2d [out, in,
/// kernel, kernel] and [out]; batch norm [channels] twice. So are the buffers, which are not trained by
/// gradients: running mean [channels] and (unbiased) running variance [channels] of each batch norm.
struct NetworkDescription {
  ImageShape input;
  std::vector<LayerDescription> layers;

  std::size_t inputs() const { return input.size(); }
  std::size_t outputs() const { return layers.empty() ? inputs() : layers.back().out.size(); }
  std::size_t parameters() const;
  std::size_t buffers() const;
  /// Numbers in the largest row that enters or leaves a layer.
  std::size_t widest() const;
  /// Multiply-adds of one row's forward pass through the linear and convolution layers.
  std::size_t multiplyAdds() const;
};

/// Whether the layer is the rule of a partition by projections.
bool isPartitionRule(const LayerDescription& layer);

/// Fills in shapes and offsets. Throws Error ERR_NLSH_ARGUMENT naming the layer ("layers[3]") when a layer
/// does not fit what enters it, and when sizes overflow.
NetworkDescription describeNetwork(ImageShape input, std::vector<LayerDescription> layers);

}  // namespace neural_lsh::cpu
