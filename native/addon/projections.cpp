#include "projections.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <memory>
#include <string>

#include "../cpu/baselines/cross-polytope.h"
#include "../cpu/baselines/hyperplane-trees.h"
#include "../cpu/baselines/itq.h"
#include "../partition/balance.h"
#include "arguments.h"
#include "job-runner.h"

namespace neural_lsh::addon {
namespace {

using Work = std::function<void(const Job&)>;

Work itq(const Napi::Object& request, const Matrix& vectors, const cpu::ProjectionPartition& made,
         Napi::Object result) {
  const cpu::ItqOptions options{made.biases.size(), count(request, "iterations"), count(request, "seed")};
  require(request.Env(),
          options.bits >= 1 && options.bits <= std::min<std::size_t>(24, vectors.columns) &&
              count(request, "bins") == std::size_t{1} << options.bits,
          "bins", "must be 2 to the power of the projections");
  const auto losses = output<double>(result, "losses", options.iterations);
  return [=](const Job& job) { cpu::iterativeQuantization(vectors, options, made, losses, job); };
}

Work crossPolytopes(const Napi::Object& request, const Matrix& vectors,
                    const cpu::ProjectionPartition& made) {
  const auto dimensions = counts(request.Get("rule").As<Napi::Object>(), "dimensions");
  std::size_t sum = 0, vertices = 1;
  for (const std::size_t one : dimensions) {
    require(request.Env(), one >= 1 && one <= std::bit_ceil(vectors.columns), "rule.dimensions",
            "must be those that there are after padding, at most");
    sum += one;
    vertices *= 2 * one;
  }
  require(request.Env(), sum == made.biases.size() && vertices == count(request, "bins"), "bins",
          "must be the vertices of the polytopes");
  return [=, seed = count(request, "seed")](const Job& job) {
    cpu::crossPolytopes(vectors, dimensions, seed, made, job);
  };
}

Work tree(const Napi::Object& request, const std::string& method, const Matrix& vectors,
          const cpu::ProjectionPartition& made) {
  const auto direction = method == "pca-tree"  ? cpu::TreeDirection::principal
                         : method == "rp-tree" ? cpu::TreeDirection::random
                                               : cpu::TreeDirection::axis;
  const std::size_t leaves = count(request, "bins");
  require(request.Env(), leaves <= vectors.rows && leaves == made.biases.size() + 1, "bins",
          "must be one more than there are projections, and at most the vectors");
  return [=, seed = count(request, "seed")](const Job& job) {
    cpu::hyperplaneTree(vectors, leaves, direction, seed, made, job);
  };
}

/// { vectors, dimensions, method, bins, iterations, seed, projections, rule } -> { labels, balance, weights,
/// biases, losses }
Napi::Value projectionPartition(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const Matrix vectors = matrix(request, "vectors", count(request, "dimensions"));
  const std::size_t bins = count(request, "bins"), projections = count(request, "projections");
  const std::string method = text(request, "method");
  const auto result = Napi::Object::New(info.Env());
  const cpu::ProjectionPartition made{output<std::int32_t>(result, "labels", vectors.rows),
                                      output<float>(result, "weights", projections * vectors.columns),
                                      output<float>(result, "biases", projections)};
  Work work;
  if (method == "itq") {
    work = itq(request, vectors, made, result);
  } else {
    output<double>(result, "losses", 0);
    work = method == "cross-polytope" ? crossPolytopes(request, vectors, made)
                                      : tree(request, method, vectors, made);
  }
  const auto balance = std::make_shared<double>();
  return startJob(info[1].As<Napi::Object>(), {request, result,
                                               [work, balance, made, bins](const Job& job) {
                                                 work(job);
                                                 *balance = balanceOf(made.labels, bins);
                                               },
                                               [balance](Napi::Env env, Napi::Object result) {
                                                 result.Set("balance", Napi::Number::New(env, *balance));
                                               }});
}

}  // namespace

void exportProjections(Napi::Env env, Napi::Object exports) {
  exports.Set("projectionPartition", Napi::Function::New(env, projectionPartition, "projectionPartition"));
}

}  // namespace neural_lsh::addon
