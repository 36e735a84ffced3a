#include <array>
#include <span>

#include "layers.h"

namespace neural_lsh::cuda {
namespace {

/// What may be done along with the product, the most first; the rest is done by kernels of ours.
std::span<const Along> waysForward(bool bias, bool relu) {
  static constexpr std::array withBias = {Along::addVectorReluAndMask, Along::addVectorAndRelu,
                                          Along::addVector, Along::nothing};
  static constexpr std::array withoutBias = {Along::reluAndMask, Along::relu, Along::nothing};
  const std::span<const Along> ways = bias ? std::span<const Along>(withBias) : withoutBias;
  return ways.subspan(relu ? 0 : 2);
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
      before_(place.inGradient ? before : nullptr),
      mask_(relu ? maskBytes(place.maxRows, outputs_) : 0),
      columnParts_(place.bias ? columnParts * outputs_ : 0) {}

Linear::Plan& Linear::planFor(std::size_t rows) {
  const auto [found, isNew] = plans_.try_emplace(rows);
  if (isNew) {
    planForward(found->second, rows);
    planBackward(found->second, rows);
  }
  return found->second;
}

void Linear::planForward(Plan& plan, std::size_t rows) {
  for (const Along along : waysForward(place_.bias != nullptr, relu_)) {
    plan.alongForward = along;
    plan.forward = findProduct(context_.multiplier, {.left = {place_.in, rows, inputs_},
                                                     .right = {place_.weight, outputs_, inputs_},
                                                     .out = {place_.out, rows, outputs_},
                                                     .transposeRight = true,
                                                     .along = along,
                                                     .vector = addsVector(along) ? place_.bias : nullptr,
                                                     .mask = makesMask(along) ? mask_.data() : nullptr});
    if (plan.forward) return;
  }
}

void Linear::planBackward(Plan& plan, std::size_t rows) {
  ProductPlan weights{.left = {place_.outGradient, rows, outputs_},
                      .right = {place_.in, rows, inputs_},
                      .out = {place_.weightGradient, outputs_, inputs_},
                      .transposeLeft = true};
  if (place_.bias) {
    weights.along = plan.alongWeights = Along::sumRows;
    weights.vector = place_.biasGradient;
    plan.weightGradient = findProduct(context_.multiplier, weights);
  }
  if (!plan.weightGradient) {
    weights.along = plan.alongWeights = Along::nothing;
    weights.vector = nullptr;
    plan.weightGradient = findProduct(context_.multiplier, weights);
  }
  if (!place_.inGradient) return;
  ProductPlan inputs{.left = {place_.outGradient, rows, outputs_},
                     .right = {place_.weight, outputs_, inputs_},
                     .out = {place_.inGradient, rows, inputs_}};
  if (before_ && makesMask(before_->planFor(rows).alongForward)) {
    inputs.along = Along::applyMask;
    inputs.mask = before_->mask_.data();
    plan.inGradient = findProduct(context_.multiplier, inputs);
    before_->planFor(rows).reluIsUndone = plan.inGradient != nullptr;
  }
  if (plan.inGradient) return;
  inputs.along = Along::nothing;
  inputs.mask = nullptr;
  plan.inGradient = findProduct(context_.multiplier, inputs);
}

void Linear::forward(std::size_t rows, bool) {
  const Plan& plan = planFor(rows);
  plan.forward->run(context_.stream);
  const float* const bias = addsVector(plan.alongForward) ? nullptr : place_.bias;
  const bool relu = relu_ && !doesRelu(plan.alongForward);
  if (bias || relu) addBias(place_.out, rows, outputs_, bias, relu, context_.stream);
}

void Linear::backward(std::size_t rows) {
  const Plan& plan = planFor(rows);
  if (relu_ && !plan.reluIsUndone)
    activationGradients({NLSH_RELU}, place_.out, place_.outGradient, rows * outputs_, place_.outGradient,
                        context_.stream);
  plan.weightGradient->run(context_.stream);
  if (place_.bias && plan.alongWeights != Along::sumRows)
    sumColumns(place_.outGradient, rows, outputs_, columnParts_.data(), place_.biasGradient, context_.stream);
  if (plan.inGradient) plan.inGradient->run(context_.stream);
}

}  // namespace neural_lsh::cuda
