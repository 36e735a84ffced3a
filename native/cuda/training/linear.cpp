#include <utility>
#include <vector>

#include "../alignment.h"
#include "layers.h"

namespace neural_lsh::cuda {
namespace {

/// What may be done along with the product, the most first; the rest is done by kernels of ours.
std::vector<Along> waysForward(bool bias, bool relu) {
  std::vector<Along> ways;
  if (relu)
    ways = bias ? std::vector{Along::addVectorReluAndMask, Along::addVectorAndRelu}
                : std::vector{Along::reluAndMask, Along::relu};
  if (bias) ways.push_back(Along::addVector);
  ways.push_back(Along::nothing);
  return ways;
}

bool addsVector(Along along) {
  return along == Along::addVector || along == Along::addVectorAndRelu ||
         along == Along::addVectorReluAndMask;
}

bool doesRelu(Along along) {
  return along != Along::nothing && along != Along::addVector;
}

bool makesMask(Along along) {
  return along == Along::reluAndMask || along == Along::addVectorReluAndMask;
}

}  // namespace

Linear::Linear(const LayerContext& context, const NlshLayer& layer, const Place& place, bool relu,
               Linear* before)
    : context_(context),
      place_(place),
      inputs_(layer.in.channels),
      outputs_(layer.out.channels),
      relu_(relu),
      before_(place.inGradient.data ? before : nullptr),
      mask_(relu ? maskBytes(place.maxRows, outputs_) : 0),
      columnParts_(place.bias ? columnParts * outputs_ : 0) {}

Operand Linear::weight() const {
  const std::size_t stride = roundUpToOperands(inputs_);
  if (place_.shortWeight) return {{place_.shortWeight, NumberType::bfloat16, stride}, outputs_, inputs_};
  return {floatsAt(place_.weight, stride), outputs_, inputs_};
}

Linear::Plan& Linear::planFor(std::size_t rows) {
  Plan& plan = plans_[rows];
  if (!plan.forward) plan.forward = forwardProduct(rows);
  return plan;
}

std::unique_ptr<FusedProduct> Linear::forwardProduct(std::size_t rows) const {
  const bool isShort = place_.out.type == NumberType::bfloat16;
  void* const bias = isShort ? static_cast<void*>(place_.shortBias) : place_.bias;
  std::vector<ProductPlan> ways;
  for (const Along along : waysForward(place_.bias != nullptr, relu_))
    ways.push_back({.left = {place_.in, rows, inputs_},
                    .right = weight(),
                    .out = {place_.out, rows, outputs_},
                    .transposeRight = true,
                    .along = along,
                    .vector = addsVector(along) ? bias : nullptr,
                    .mask = makesMask(along) ? mask_.data() : nullptr});
  return std::make_unique<FusedProduct>(context_.multiplier, std::move(ways));
}

std::unique_ptr<FusedProduct> Linear::weightProduct(std::size_t rows) const {
  const Operand gradient{floatsAt(place_.weightGradient, roundUpToOperands(inputs_)), outputs_, inputs_};
  const ProductPlan plain{.left = {place_.outGradient, rows, outputs_},
                          .right = {place_.in, rows, inputs_},
                          .out = gradient,
                          .transposeLeft = true};
  std::vector<ProductPlan> ways;
  if (place_.bias) {
    ways.push_back(plain);
    ways.back().along = Along::sumRows;
    ways.back().vector = place_.biasGradient;
  }
  ways.push_back(plain);
  return std::make_unique<FusedProduct>(context_.multiplier, std::move(ways));
}

std::unique_ptr<FusedProduct> Linear::inputProduct(std::size_t rows, bool appliesMask) const {
  const ProductPlan plain{.left = {place_.outGradient, rows, outputs_},
                          .right = weight(),
                          .out = {place_.inGradient, rows, inputs_}};
  std::vector<ProductPlan> ways;
  if (appliesMask) {
    ways.push_back(plain);
    ways.back().along = Along::applyMask;
    ways.back().mask = before_->mask_.data();
  }
  ways.push_back(plain);
  return std::make_unique<FusedProduct>(context_.multiplier, std::move(ways));
}

void Linear::forward(std::size_t rows, bool) {
  Plan& plan = planFor(rows);
  const Along along = plan.forward->run(context_.stream);
  plan.hasMask = makesMask(along);
  const float* const bias = addsVector(along) ? nullptr : place_.bias;
  const bool relu = relu_ && !doesRelu(along);
  if (bias || relu) addBias(place_.out, rows, outputs_, bias, relu, context_.stream);
}

void Linear::backward(std::size_t rows) {
  Plan& plan = planFor(rows);
  if (relu_ && !plan.reluIsUndone)
    activationGradients({NLSH_RELU}, place_.out, place_.outGradient, rows * place_.out.stride,
                        place_.outGradient, context_.stream);
  if (!plan.weightGradient) plan.weightGradient = weightProduct(rows);
  if (plan.weightGradient->run(context_.stream) != Along::sumRows && place_.bias)
    sumColumns(place_.outGradient, rows, outputs_, columnParts_.data(), place_.biasGradient, context_.stream);
  if (!place_.inGradient.data) return;
  Plan* const before = before_ ? &before_->planFor(rows) : nullptr;
  if (!plan.inGradient) plan.inGradient = inputProduct(rows, before && before->hasMask);
  const Along along = plan.inGradient->run(context_.stream);
  if (before) before->reluIsUndone = along == Along::applyMask;
}

}  // namespace neural_lsh::cuda
