#include "stages.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "../core/memory.h"
#include "../cpu/approximate-graph.h"
#include "../cpu/bins.h"
#include "../cpu/classifier/assignment.h"
#include "../cpu/classifier/neighbor-calibration.h"
#include "../cpu/classifier/trainer.h"
#include "../cpu/kmeans.h"
#include "../cpu/knn-graph.h"
#include "../cpu/query.h"
#include "../cpu/similarity-graph.h"
#include "../cpu/vectors.h"
#include "../partition/balance.h"
#include "../partition/kahip.h"
#include "arguments.h"
#include "descriptions.h"
#include "job-runner.h"

namespace neural_lsh::addon {
namespace {

/// Copies, on the job's thread, what the core made into an array that JavaScript owns. External buffers,
/// which need no copy, are no choice: an environment that ends frees them while jobs still read them.
template <typename T>
void copy(const std::vector<T>& values, std::span<T> array) {
  std::copy(values.begin(), values.end(), array.begin());
}

/// Cuts the array under `name` down to its first `size` entries; the pages behind them were never touched.
void shorten(Napi::Object result, const char* name, std::size_t size) {
  const auto array = result.Get(name).As<Napi::Int32Array>();
  result.Set(name, Napi::Int32Array::New(result.Env(), size, array.ArrayBuffer(), 0));
}

/// Only cosine changes the vectors: for the other metrics they are checked and come back as they are.
Napi::Value prepareVectors(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const Matrix vectors = matrix(request, "vectors", count(request, "dimensions"));
  const Metric kind = metric(request);
  const auto result = Napi::Object::New(info.Env());
  std::span<float> prepared;
  if (kind == Metric::cosine) {
    prepared = output<float>(result, "vectors", vectors.rows * vectors.columns);
  } else {
    result.Set("vectors", request.Get("vectors"));
  }
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [vectors, prepared, kind, argument = text(request, "argument")](const Job& job) {
                     cpu::prepareVectors(vectors, kind, argument, prepared, job);
                   },
                   nullptr});
}

Napi::Value knnGraph(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const Matrix vectors = matrix(request, "vectors", count(request, "dimensions"));
  const std::size_t k = count(request, "neighbors");
  require(info.Env(), k >= 1 && k < vectors.rows, "neighbors",
          "must be between 1 and the number of vectors - 1");
  const auto result = Napi::Object::New(info.Env());
  const auto ids = output<std::int32_t>(result, "ids", vectors.rows * k);
  const auto distances = output<float>(result, "distances", vectors.rows * k);
  const bool exact = text(request, "method") == "exact";
  return startJob(info[1].As<Napi::Object>(), {request, result,
                                               [vectors, k, ids, distances, exact, kind = metric(request),
                                                seed = count(request, "seed")](const Job& job) {
                                                 if (exact) {
                                                   cpu::exactKnnGraph(vectors, kind, k, ids, distances, job);
                                                 } else {
                                                   cpu::approximateKnnGraph(vectors, kind, k, seed, ids,
                                                                            distances, job);
                                                 }
                                                 returnFreedMemory();
                                               },
                                               nullptr});
}

Napi::Value exactSearch(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const std::size_t dimensions = count(request, "dimensions"), k = count(request, "k");
  const Matrix vectors = matrix(request, "vectors", dimensions),
               queries = matrix(request, "queries", dimensions);
  require(info.Env(), k >= 1 && k <= vectors.rows, "k", "must be between 1 and the number of vectors");
  const auto result = Napi::Object::New(info.Env());
  const auto ids = output<std::int32_t>(result, "ids", queries.rows * k);
  const auto distances = output<float>(result, "distances", queries.rows * k);
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [vectors, queries, k, ids, distances, kind = metric(request)](const Job& job) {
                     cpu::exactSearch(vectors, queries, kind, k, ids, distances, job);
                   },
                   nullptr});
}

Napi::Value similarityGraph(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto neighbors = integers(request, "ids");
  const std::size_t k = count(request, "neighbors");
  require(info.Env(), k >= 1 && !neighbors.empty() && neighbors.size() % k == 0, "knnGraph",
          "must hold whole rows of neighbors");
  const std::size_t rows = neighbors.size() / k;
  const auto result = Napi::Object::New(info.Env());
  const auto offsets = output<std::int32_t>(result, "xadj", rows + 1);
  const auto targets = output<std::int32_t>(result, "adjncy", 2 * neighbors.size());
  const auto weights = output<std::int32_t>(result, "adjcwgt", 2 * neighbors.size());
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [neighbors, rows, k, offsets, targets, weights](const Job& job) {
                     {
                       const cpu::SimilarityGraph graph = cpu::buildSimilarityGraph(neighbors, rows, k, job);
                       copy(graph.offsets, offsets);
                       copy(graph.targets, targets);
                       copy(graph.weights, weights);
                     }
                     returnFreedMemory();
                   },
                   [edges = offsets.last(1)](Napi::Env, Napi::Object result) {
                     shorten(result, "adjncy", static_cast<std::size_t>(edges[0]));
                     shorten(result, "adjcwgt", static_cast<std::size_t>(edges[0]));
                   }});
}

KahipMode kahipMode(const Napi::Object& request) {
  static constexpr std::array<std::pair<const char*, KahipMode>, 6> modes = {
      {{"fast", KahipMode::fast},
       {"eco", KahipMode::eco},
       {"strong", KahipMode::strong},
       {"fastsocial", KahipMode::fastSocial},
       {"ecosocial", KahipMode::ecoSocial},
       {"strongsocial", KahipMode::strongSocial}}};
  const std::string name = text(request, "mode");
  const auto found =
      std::find_if(modes.begin(), modes.end(), [&](const auto& mode) { return name == mode.first; });
  require(request.Env(), found != modes.end(), "mode", "must be one of KaHIP's six modes");
  return found->second;
}

Napi::Value partition(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const Graph graph{integers(request, "xadj"), integers(request, "adjncy"), integers(request, "adjcwgt")};
  const PartitionOptions options{static_cast<std::int32_t>(number(request, "bins")),
                                 number(request, "imbalance"), kahipMode(request),
                                 static_cast<std::int32_t>(number(request, "seed")), count(request, "seeds")};
  const auto result = Napi::Object::New(info.Env());
  const auto labels = output<std::int32_t>(result, "labels", graph.nodes());
  const auto partition = std::make_shared<Partition>();
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [partition, graph, options, labels](const Job& job) {
                     *partition = partitionGraph(graph, options, job);
                     copy(partition->labels, labels);
                   },
                   [partition](Napi::Env env, Napi::Object result) {
                     result.Set("edgeCut", Napi::Number::New(env, static_cast<double>(partition->edgeCut)));
                     result.Set("balance", Napi::Number::New(env, partition->balance));
                     result.Set("peakBytes",
                                Napi::Number::New(env, static_cast<double>(partition->peakBytes)));
                   }});
}

Napi::Value trainClassifier(const Napi::CallbackInfo& info) {
  return trainClassifierOn(info, cpu::cpuBackendOf(readPrecision(info[0].As<Napi::Object>())));
}

Napi::Value kmeans(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const Matrix vectors = matrix(request, "vectors", count(request, "dimensions"));
  cpu::KmeansOptions options;
  options.bins = count(request, "bins");
  options.iterations = count(request, "iterations");
  options.seed = count(request, "seed");
  if (has(request, "largest")) options.largest = number(request, "largest");
  require(info.Env(), options.bins >= 1 && options.bins <= vectors.rows, "bins",
          "must be between 1 and the number of vectors");
  const auto result = Napi::Object::New(info.Env());
  const auto labels = output<std::int32_t>(result, "labels", vectors.rows);
  const auto centroids = output<float>(result, "centroids", options.bins * vectors.columns);
  struct Figures {
    double balance, meanSquaredError;
  };
  const auto figures = std::make_shared<Figures>();
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [vectors, options, labels, centroids, figures](const Job& job) {
                     const cpu::Kmeans found = cpu::kmeans(vectors, options, job);
                     copy(found.labels, labels);
                     copy(found.centroids, centroids);
                     *figures = {balanceOf(found.labels, options.bins), found.meanSquaredError};
                   },
                   [figures](Napi::Env env, Napi::Object result) {
                     result.Set("balance", Napi::Number::New(env, figures->balance));
                     result.Set("meanSquaredError", Napi::Number::New(env, figures->meanSquaredError));
                   }});
}

/// { classifier, vectors, largest } -> labels, of which none comes more than `largest` times.
Napi::Value assignToBins(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto classifier =
      std::make_shared<cpu::Classifier>(readClassifier(request.Get("classifier").As<Napi::Object>()));
  const Matrix vectors = matrix(request, "vectors", classifier->network.inputs());
  const std::size_t largest = count(request, "largest"), bins = classifier->bins();
  require(info.Env(), largest >= (vectors.rows + bins - 1) / bins, "largest",
          "must leave room for all vectors");
  const auto result = Napi::Object::New(info.Env());
  const auto labels = output<std::int32_t>(result, "labels", vectors.rows);
  return startJob(info[1].As<Napi::Object>(), {request, result,
                                               [classifier, vectors, largest, labels](const Job& job) {
                                                 copy(cpu::assignToBins(*classifier, vectors, largest, job),
                                                      labels);
                                               },
                                               nullptr});
}

/// Whether all numbers are integers in 0 .. 255, as bytes hold them.
Napi::Value areBytes(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const Matrix vectors = matrix(request, "vectors", 1);
  const auto answer = std::make_shared<bool>();
  return startJob(info[1].As<Napi::Object>(),
                  {request, Napi::Object::New(info.Env()),
                   [vectors, answer](const Job& job) { *answer = cpu::areBytes(vectors, job); },
                   [answer](Napi::Env env, Napi::Object result) {
                     result.Set("areBytes", Napi::Boolean::New(env, *answer));
                   }});
}

/// { classifier, queries, neighborBins } -> the temperature that fits, with the calibration errors.
Napi::Value calibrateToNeighbors(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto classifier =
      std::make_shared<cpu::Classifier>(readClassifier(request.Get("classifier").As<Napi::Object>()));
  const Matrix queries = matrix(request, "queries", classifier->network.inputs());
  const auto neighborBins = integers(request, "neighborBins");
  require(info.Env(), queries.rows > 0 && !neighborBins.empty() && neighborBins.size() % queries.rows == 0,
          "neighborBins", "must have a row for each query");
  const auto calibration = std::make_shared<cpu::Calibration>();
  return startJob(info[1].As<Napi::Object>(),
                  {request, Napi::Object::New(info.Env()),
                   [classifier, queries, neighborBins, calibration](const Job& job) {
                     *calibration = cpu::calibrateToNeighbors(*classifier, queries, neighborBins, job);
                   },
                   [calibration](Napi::Env env, Napi::Object result) {
                     result.Set("temperature", Napi::Number::New(env, calibration->temperature));
                     result.Set("errorBefore", Napi::Number::New(env, calibration->errorBefore));
                     result.Set("errorAfter", Napi::Number::New(env, calibration->errorAfter));
                   }});
}

/// With `from` and `to` (the same array, or another of its size, bytes where all numbers are) the rows are
/// reordered, too.
Napi::Value groupIntoBins(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto labels = integers(request, "labels");
  const std::size_t bins = count(request, "bins");
  const auto result = Napi::Object::New(info.Env());
  const auto offsets = output<std::int32_t>(result, "offsets", bins + 1);
  const auto ids = output<std::int32_t>(result, "ids", labels.size());
  Matrix from;
  std::span<float> to;
  std::span<std::uint8_t> toBytes;
  if (has(request, "from")) {
    from = matrix(request, "from", count(request, "dimensions"));
    const auto target = request.Get("to");
    require(info.Env(), target.IsTypedArray(), "to", "must be a typed array");
    if (target.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
      toBytes = bytes(request, "to");
    } else {
      to = floats(request, "to");
    }
    require(info.Env(), from.rows == labels.size() && to.size() + toBytes.size() == from.rows * from.columns,
            "vectors", "must have one row a label");
  }
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [labels, bins, offsets, ids, from, to, toBytes](const Job& job) {
                     cpu::groupIntoBins(labels, bins, offsets, ids);
                     if (!to.empty()) cpu::reorderRows(from, ids, to, job);
                     if (!toBytes.empty()) cpu::reorderRows(from, ids, toBytes, job);
                   },
                   nullptr});
}

/// Codes of the vectors in bins.
Napi::Value encodeFourBits(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const cpu::StoredBins bins = readBins(request, count(request, "dimensions"));
  const std::size_t rows = bins.vectors.rows, columns = bins.vectors.columns;
  const auto result = Napi::Object::New(info.Env());
  const std::size_t parts = (columns + cpu::fourBitWidth - 1) / cpu::fourBitWidth;
  const auto codes = output<std::uint8_t>(result, "codes", rows * ((parts + 1) / 2));
  const auto codebooks = output<float>(result, "codebooks", parts * 16 * cpu::fourBitWidth);
  const auto means = output<float>(result, "means", (bins.offsets.size() - 1) * columns);
  const auto order = output<Id>(result, "columns", columns);
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [bins, codes, codebooks, means, order, seed = count(request, "seed")](const Job& job) {
                     cpu::checkBins(bins, job);
                     cpu::encodeFourBits(bins, seed, codes, codebooks, means, order, job);
                   },
                   nullptr});
}

}  // namespace

Napi::Value trainClassifierOn(const Napi::CallbackInfo& info, const cpu::MakeTrainingBackend& makeBackend) {
  const auto request = info[0].As<Napi::Object>();
  const cpu::TrainingSet set = readTrainingSet(request);
  const cpu::TrainingOptions options = readTraining(request);
  require(info.Env(),
          options.network.inputs() == set.vectors.columns && options.network.outputs() == set.bins, "network",
          "must lead from the dimensions to the bins");
  const auto trained = std::make_shared<cpu::TrainingResult>();
  return startJob(info[1].As<Napi::Object>(),
                  {request, Napi::Object::New(info.Env()),
                   [trained, set, options, makeBackend](const Job& job) {
                     *trained = cpu::trainClassifier(set, options, job, makeBackend);
                   },
                   [trained](Napi::Env, Napi::Object result) { setTrained(result, *trained); }});
}

void exportStages(Napi::Env env, Napi::Object exports) {
  const std::pair<const char*, Napi::Value (*)(const Napi::CallbackInfo&)> functions[] = {
      {"prepareVectors", prepareVectors},
      {"knnGraph", knnGraph},
      {"exactSearch", exactSearch},
      {"similarityGraph", similarityGraph},
      {"partition", partition},
      {"trainClassifier", trainClassifier},
      {"groupIntoBins", groupIntoBins},
      {"kmeans", kmeans},
      {"areBytes", areBytes},
      {"encodeFourBits", encodeFourBits},
      {"calibrateToNeighbors", calibrateToNeighbors},
      {"assignToBins", assignToBins},
  };
  for (const auto& [name, function] : functions) exports.Set(name, Napi::Function::New(env, function, name));
}

}  // namespace neural_lsh::addon
