#include "cuda.h"

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../cpu/query.h"
#include "../cpu/vectors.h"
#include "arguments.h"
#include "cuda-library.h"
#include "cuda-training.h"
#include "externals.h"
#include "job-runner.h"
#include "parts.h"
#include "releaser.h"
#include "stages.h"

namespace neural_lsh::addon {
namespace {

std::int32_t metricOf(Metric metric) {
  switch (metric) {
    case Metric::euclidean:
      return NLSH_EUCLIDEAN;
    case Metric::cosine:
      return NLSH_COSINE;
    default:
      return NLSH_INNER_PRODUCT;
  }
}

std::int32_t precision(const Napi::Object& request) {
  static constexpr std::array<std::pair<const char*, std::int32_t>, 4> precisions = {
      {{"fp32", NLSH_FP32}, {"tf32", NLSH_TF32}, {"bf16", NLSH_BF16}, {"fp16", NLSH_FP16}}};
  const std::string name = text(request, "precision");
  for (const auto& [known, value] : precisions)
    if (name == known) return value;
  fail(request.Env(), "precision", "must be 'fp32', 'tf32', 'bf16' or 'fp16'");
}

std::vector<std::string> texts(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  require(object.Env(), value.IsArray(), name, "must be an array of strings");
  const auto array = value.As<Napi::Array>();
  std::vector<std::string> result;
  for (std::uint32_t i = 0; i < array.Length(); ++i) result.push_back(array.Get(i).ToString().Utf8Value());
  return result;
}

using Library = std::shared_ptr<const CudaLibrary>;

/// Who frees what lies on a device, as that waits for the device's work: one thread of each environment,
/// which ends after it has freed everything.
using ReleaserHandle = std::shared_ptr<Releaser>;

/// { library, device }: the device is one that the library found.
std::pair<Library, std::int32_t> readDevice(const Napi::Object& request) {
  const auto& library = external<Library>(request.Get("library"));
  const std::size_t device = count(request, "device");
  require(request.Env(), device < library->devices, "device",
          "must be below the number of devices, " + std::to_string(library->devices));
  return {library, static_cast<std::int32_t>(device)};
}

NlshMatrix nlshMatrix(const Matrix& matrix) {
  return {matrix.data, matrix.rows, matrix.columns};
}

Napi::Object deviceObject(Napi::Env env, const NlshDevice& device) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", std::string(device.name));
  object.Set("computeCapability", std::to_string(device.major) + "." + std::to_string(device.minor));
  object.Set("multiprocessors", device.multiprocessors);
  object.Set("totalBytes", static_cast<double>(device.total_bytes));
  object.Set("freeBytes", static_cast<double>(device.free_bytes));
  return object;
}

Napi::Object versionsObject(Napi::Env env, const NlshVersions& versions) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("driver", versions.driver);
  object.Set("runtime", versions.runtime);
  object.Set("cublas", static_cast<double>(versions.cublas));
  object.Set("cudnn", static_cast<double>(versions.cudnn));
  return object;
}

/// { libraries, folders, device } -> { library, path, versions, devices, device? }: how many devices there
/// are, and what that one is, if it is there; `library` is for the other functions. A job, as it reads
/// hundreds of megabytes and starts the driver.
Napi::Value openCuda(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto opened = std::make_shared<CudaLibrary>();
  return startJob(info[1].As<Napi::Object>(),
                  {request, Napi::Object::New(info.Env()),
                   [opened, libraries = texts(request, "libraries"), folders = texts(request, "folders"),
                    device = count(request, "device")](const Job&) {
                     *opened = openCudaLibrary(libraries, folders, device);
                   },
                   [opened](Napi::Env env, Napi::Object result) {
                     setExternal<Library>(result, "library", opened);
                     result.Set("path", opened->path);
                     result.Set("versions", versionsObject(env, opened->versions));
                     result.Set("devices", static_cast<double>(opened->devices));
                     if (opened->device) result.Set("device", deviceObject(env, *opened->device));
                   }});
}

/// { library, device, precision, metric, dimensions, vectors, queries?, k } -> { ids, distances }: of the
/// queries or, without them, of each vector among the others.
Napi::Value cudaFindNeighbors(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto [library, device] = readDevice(request);
  const std::size_t dimensions = count(request, "dimensions"), k = count(request, "k");
  const Matrix vectors = matrix(request, "vectors", dimensions);
  const bool ofOthers = has(request, "queries");
  const Matrix queries = ofOthers ? matrix(request, "queries", dimensions) : Matrix{nullptr, 0, dimensions};
  require(info.Env(), k >= 1 && k + (ofOthers ? 0 : 1) <= vectors.rows, "k",
          "must be between 1 and the number of vectors to be found");
  const std::size_t rows = ofOthers ? queries.rows : vectors.rows;
  const auto result = Napi::Object::New(info.Env());
  const auto ids = output<std::int32_t>(result, "ids", rows * k);
  const auto distances = output<float>(result, "distances", rows * k);
  const NlshNeighborsRequest asked{
      device,     metricOf(metric(request)), precision(request), nlshMatrix(vectors), nlshMatrix(queries), k,
      ids.data(), distances.data()};
  return startJob(info[1].As<Napi::Object>(),
                  {request, result,
                   [table = library->table, asked, rows](const Job& job) {
                     if (rows == 0)
                       return;  // an array without entries has no address, and that would ask for the graph
                     run(job, [&](const NlshJob* watch, NlshFailure* failure) {
                       return table->find_neighbors(&asked, watch, failure);
                     });
                   },
                   nullptr});
}

cpu::MakeTrainingBackend backendOf(const Library& library, const CudaTraining& training) {
  return [table = library->table, training](const cpu::TrainingTask& task, const Job& job) {
    return makeCudaBackend(table, training, task, job);
  };
}

/// { library, device, recordsSteps } and trainClassifier's request -> what that returns.
Napi::Value cudaTrainClassifier(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto [library, device] = readDevice(request);
  const CudaTraining training{device, precision(request), request.Get("deterministic").ToBoolean(),
                              request.Get("recordsSteps").ToBoolean(), count(request, "seed")};
  return trainClassifierOn(info, backendOf(library, training));
}

/// { library, device } and backendPass's request -> what that returns.
Napi::Value cudaBackendPass(const Napi::CallbackInfo& info) {
  const auto [library, device] = readDevice(info[0].As<Napi::Object>());
  return backendPassOn(info, backendOf(library, {device, NLSH_FP32, true, false, 1}));
}

/// An index on the device: lives until it is closed or collected, and until the last search in it has ended.
class OpenIndex {
 public:
  OpenIndex(const NlshCudaTable* table, const NlshIndexRequest& request, Metric metric, const Job& job)
      : table_(table), metric_(metric), rows_(request.rows), dimensions_(request.dimensions) {
    run(job, [&](const NlshJob* watch, NlshFailure* failure) {
      return table_->open_index(&request, &index_, watch, failure);
    });
  }
  ~OpenIndex() { table_->close_index(index_); }
  OpenIndex(const OpenIndex&) = delete;
  OpenIndex& operator=(const OpenIndex&) = delete;

  std::size_t rows() const { return rows_; }
  std::size_t dimensions() const { return dimensions_; }
  std::uint64_t bytes() const { return table_->index_bytes(index_); }
  /// Queries are checked, and brought to unit length for cosine, as for the engine on the CPU.
  void search(const Matrix& queries, NlshSearchRequest request, const Job& job) const {
    if (queries.rows == 0) return;
    std::vector<float> unit(metric_ == Metric::cosine ? queries.rows * queries.columns : 0);
    cpu::prepareVectors(queries, metric_, "queries", unit, job);
    request.queries = nlshMatrix(unit.empty() ? queries : Matrix{unit.data(), queries.rows, queries.columns});
    run(job, [&](const NlshJob* watch, NlshFailure* failure) {
      return table_->search(index_, &request, watch, failure);
    });
  }

 private:
  const NlshCudaTable* table_;  // of a library that is never closed
  NlshIndex* index_ = nullptr;
  Metric metric_;
  std::size_t rows_, dimensions_;
};

using Handle = std::shared_ptr<const OpenIndex>;

/// The router's arrays, which JavaScript owns, and the pointers to them that the library reads.
struct RouterArrays {
  std::vector<std::size_t> widths;
  std::vector<const float*> weights, biases;
  std::span<const float> mean, scale;
  bool unitLength;
  float temperature;

  NlshRouter view() const {
    return {weights.size(), widths.data(), weights.data(), biases.data(),
            mean.data(),    scale.data(),  unitLength,     temperature};
  }
};

/// { widths, hasBias, parameters, unitLength, mean, scale, temperature }; the parameters lie layer by layer,
/// weights before biases.
RouterArrays readRouter(const Napi::Object& router, std::size_t dimensions, std::size_t bins) {
  const Napi::Env env = router.Env();
  RouterArrays arrays{counts(router, "widths"),
                      {},
                      {},
                      floats(router, "mean"),
                      floats(router, "scale"),
                      router.Get("unitLength").ToBoolean(),
                      static_cast<float>(number(router, "temperature"))};
  const auto& widths = arrays.widths;
  const std::vector<std::size_t> hasBias = counts(router, "hasBias");
  require(env, widths.size() >= 2 && widths.front() == dimensions && widths.back() == bins, "router.widths",
          "must lead from the dimensions to the bins");
  require(env, hasBias.size() + 1 == widths.size(), "router.hasBias", "must have one entry a layer");
  require(env, arrays.mean.size() == dimensions && arrays.scale.size() == dimensions, "router.mean",
          "must have one entry a dimension, as must scale");
  std::span<const float> parameters = floats(router, "parameters");
  const auto take = [&](std::size_t size) {
    require(env, size <= parameters.size(), "router.parameters", "must fit the widths");
    const float* const taken = parameters.data();
    parameters = parameters.subspan(size);
    return taken;
  };
  for (std::size_t layer = 0; layer < hasBias.size(); ++layer) {
    arrays.weights.push_back(take(widths[layer] * widths[layer + 1]));
    arrays.biases.push_back(hasBias[layer] != 0 ? take(widths[layer + 1]) : nullptr);
  }
  require(env, parameters.empty(), "router.parameters", "must fit the widths");
  return arrays;
}

/// { library, device, metric, dimensions, vectors, offsets, ids, router } -> { handle }: copies everything to
/// the device; a CudaIndex is made of the handle.
Napi::Value openCudaIndex(const Napi::CallbackInfo& info) {
  const auto request = info[0].As<Napi::Object>();
  const auto [library, device] = readDevice(request);
  const cpu::StoredBins bins = readBins(request, count(request, "dimensions"));
  const std::size_t binCount = bins.offsets.size() - 1;
  const Napi::Value router = request.Get("router");
  require(info.Env(), router.IsObject(), "router", "must be an object");
  const auto handle = std::make_shared<Handle>();
  return startJob(
      info[1].As<Napi::Object>(),
      {request, Napi::Object::New(info.Env()),
       [handle, table = library->table, releaser = *info.Env().GetInstanceData<ReleaserHandle>(),
        device = device, bins, binCount,
        arrays = readRouter(router.As<Napi::Object>(), bins.vectors.columns, binCount)](const Job& job) {
         cpu::checkBins(bins, job);
         const NlshIndexRequest asked{
             device,          metricOf(bins.metric), bins.vectors.rows,  bins.vectors.columns,
             binCount,        bins.vectors.floats,   bins.vectors.bytes, bins.offsets.data(),
             bins.ids.data(), arrays.view()};
         *handle = makeReleased<OpenIndex>(releaser, table, asked, bins.metric, job);
       },
       [handle](Napi::Env, Napi::Object result) { setExternal<Handle>(result, "handle", *handle); }});
}

class CudaIndex : public Napi::ObjectWrap<CudaIndex> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "CudaIndex",
        {InstanceMethod<&CudaIndex::search>("search"), InstanceAccessor<&CudaIndex::bytes>("bytes"),
         InstanceMethod<&CudaIndex::close>("close")});
  }

  /// new CudaIndex(handle of what openCudaIndex returned), which hands the index over.
  explicit CudaIndex(const Napi::CallbackInfo& info) : Napi::ObjectWrap<CudaIndex>(info) {
    open_ = std::exchange(external<Handle>(info[0]), nullptr);
  }

 private:
  const Handle& open(Napi::Env env) const {
    if (!open_) failClosed(env);
    return open_;
  }

  /// { queries, k, one of probes, mass and probability with candidates } -> SearchBatchResult.
  Napi::Value search(const Napi::CallbackInfo& info) {
    const Handle open = this->open(info.Env());
    const auto request = info[0].As<Napi::Object>();
    const Matrix queries = matrix(request, "queries", open->dimensions());
    const std::size_t k = count(request, "k");
    require(info.Env(), k >= 1 && k <= open->rows(), "k", "must be between 1 and the number of vectors");
    const auto given = [&](const char* name) { return has(request, name) ? number(request, name) : 0; };
    Napi::Object result = Napi::Object::New(info.Env());
    const NlshSearchRequest asked{{},  // told by the job
                                  k,
                                  has(request, "probes") ? count(request, "probes") : 0,
                                  given("mass"),
                                  given("probability"),
                                  has(request, "candidates") ? count(request, "candidates") : 0,
                                  output<std::int32_t>(result, "ids", queries.rows * k).data(),
                                  output<float>(result, "distances", queries.rows * k).data(),
                                  output<std::int32_t>(result, "candidates", queries.rows).data(),
                                  output<std::int32_t>(result, "probes", queries.rows).data()};
    return startJob(info[1].As<Napi::Object>(),
                    {request, result,
                     [open, queries, asked](const Job& job) { open->search(queries, asked, job); }, nullptr});
  }

  /// Bytes of the device that the index takes.
  Napi::Value bytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(open(info.Env())->bytes()));
  }

  void close(const Napi::CallbackInfo&) { open_.reset(); }

  Handle open_;
};

}  // namespace

void exportCuda(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new ReleaserHandle(std::make_shared<Releaser>()));
  exports.Set("openCuda", Napi::Function::New(env, openCuda, "openCuda"));
  exports.Set("cudaFindNeighbors", Napi::Function::New(env, cudaFindNeighbors, "cudaFindNeighbors"));
  exports.Set("cudaTrainClassifier", Napi::Function::New(env, cudaTrainClassifier, "cudaTrainClassifier"));
  exports.Set("cudaBackendPass", Napi::Function::New(env, cudaBackendPass, "cudaBackendPass"));
  exports.Set("openCudaIndex", Napi::Function::New(env, openCudaIndex, "openCudaIndex"));
  exports.Set("CudaIndex", CudaIndex::define(env));
}

}  // namespace neural_lsh::addon
