#include "arguments.h"

#include <cmath>
#include <new>
#include <system_error>

#include "../core/error.h"
#include "../core/job.h"

namespace neural_lsh::addon {
namespace {

Napi::Error makeError(Napi::Env env, const std::string& code, const std::string& argument,
                      const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  if (!argument.empty()) error.Set("argument", Napi::String::New(env, argument));
  return error;
}

template <typename T>
std::span<T> typedArray(const Napi::Object& object, const char* name, napi_typedarray_type type,
                        const char* typeName) {
  const Napi::Env env = object.Env();
  const Napi::Value value = object.Get(name);
  require(env, value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type, name,
          std::string("must be a ") + typeName);
  auto array = value.As<Napi::TypedArrayOf<T>>();
  return {array.Data(), array.ElementLength()};
}

constexpr const char* constructorName(float) {
  return "Float32Array";
}
constexpr const char* constructorName(double) {
  return "Float64Array";
}
constexpr const char* constructorName(std::int32_t) {
  return "Int32Array";
}
constexpr const char* constructorName(std::uint8_t) {
  return "Uint8Array";
}

}  // namespace

void fail(Napi::Env env, const std::string& argument, const std::string& message) {
  throw makeError(env, "ERR_NLSH_ARGUMENT", argument, message);
}

void require(Napi::Env env, bool holds, const std::string& argument, const std::string& message) {
  if (!holds) fail(env, argument, message);
}

void failClosed(Napi::Env env) {
  throw makeError(env, "ERR_NLSH_CLOSED", {}, "the index is closed");
}

std::span<float> floats(const Napi::Object& object, const char* name) {
  return typedArray<float>(object, name, napi_float32_array, "Float32Array");
}

std::span<double> doubles(const Napi::Object& object, const char* name) {
  return typedArray<double>(object, name, napi_float64_array, "Float64Array");
}

std::span<std::int32_t> integers(const Napi::Object& object, const char* name) {
  return typedArray<std::int32_t>(object, name, napi_int32_array, "Int32Array");
}

std::span<std::uint8_t> bytes(const Napi::Object& object, const char* name) {
  return typedArray<std::uint8_t>(object, name, napi_uint8_array, "Uint8Array");
}

double number(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  require(object.Env(), value.IsNumber(), name, "must be a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::size_t count(const Napi::Object& object, const char* name) {
  const double value = number(object, name);
  require(object.Env(), value >= 0 && value <= 0x1.0p53 && value == std::floor(value), name,
          "must be an integer of at least 0");
  return static_cast<std::size_t>(value);
}

std::string text(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  require(object.Env(), value.IsString(), name, "must be a string");
  return value.As<Napi::String>().Utf8Value();
}

std::vector<std::size_t> counts(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  require(object.Env(), value.IsArray(), name, "must be an array of integers");
  const auto array = value.As<Napi::Array>();
  std::vector<std::size_t> result;
  for (std::uint32_t i = 0; i < array.Length(); ++i) {
    const double element = array.Get(i).ToNumber().DoubleValue();
    require(object.Env(), element >= 0 && element <= 0x1.0p32 && element == std::floor(element), name,
            "must be an array of integers");
    result.push_back(static_cast<std::size_t>(element));
  }
  return result;
}

bool has(const Napi::Object& object, const char* name) {
  return !object.Get(name).IsUndefined();
}

Matrix matrix(const Napi::Object& object, const char* name, std::size_t columns) {
  const std::span<float> values = floats(object, name);
  require(object.Env(), columns > 0 && values.size() % columns == 0, name, "must hold whole rows");
  return {values.data(), values.size() / columns, columns};
}

Metric metric(const Napi::Object& object) {
  const std::string name = text(object, "metric");
  if (name == "euclidean") return Metric::euclidean;
  if (name == "cosine") return Metric::cosine;
  require(object.Env(), name == "inner-product", "metric",
          "must be 'euclidean', 'cosine' or 'inner-product'");
  return Metric::innerProduct;
}

cpu::StoredBins readBins(const Napi::Object& object, std::size_t dimensions) {
  const Napi::Env env = object.Env();
  const auto vectors = object.Get("vectors");
  require(env, dimensions > 0 && vectors.IsTypedArray(), "vectors", "must be a typed array");
  cpu::StoredBins bins{metric(object), {}, integers(object, "offsets"), integers(object, "ids")};
  bins.vectors.columns = dimensions;
  bins.vectors.rows = bins.ids.size();
  std::size_t size = 0;
  if (vectors.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array) {
    const auto values = bytes(object, "vectors");
    bins.vectors.bytes = values.data();
    size = values.size();
  } else {
    const auto values = floats(object, "vectors");
    bins.vectors.floats = values.data();
    size = values.size();
  }
  require(env, !bins.ids.empty() && size == bins.ids.size() * dimensions, "bins.ids",
          "must have one entry a vector");
  require(env, bins.offsets.size() >= 2, "bins.offsets", "must have one entry more than there are bins");
  return bins;
}

template <typename T>
std::span<T> output(Napi::Object result, const char* name, std::size_t size) {
  const Napi::Env env = result.Env();
  const Napi::Function constructor = env.Global().Get(constructorName(T{})).template As<Napi::Function>();
  const Napi::Object made = constructor.New({Napi::Number::New(env, static_cast<double>(size))});
  auto array = made.template As<Napi::TypedArrayOf<T>>();
  result.Set(name, array);
  return {array.Data(), array.ElementLength()};
}

template std::span<float> output(Napi::Object, const char*, std::size_t);
template std::span<double> output(Napi::Object, const char*, std::size_t);
template std::span<std::int32_t> output(Napi::Object, const char*, std::size_t);
template std::span<std::uint8_t> output(Napi::Object, const char*, std::size_t);

Napi::Error toError(Napi::Env env, std::exception_ptr exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const Error& error) {
    return makeError(env, error.code(), error.argument(), error.what());
  } catch (const Cancelled& error) {
    return makeError(env, "ERR_NLSH_CANCELLED", {}, error.what());
  } catch (const std::bad_alloc&) {
    return makeError(env, "ERR_NLSH_MEMORY", {}, "not enough memory");
  } catch (const std::system_error& error) {
    return makeError(env, "ERR_NLSH_MEMORY", {},
                     std::string("the system grants no further thread: ") + error.what());
  } catch (const std::exception& error) {
    return Napi::Error::New(env, error.what());
  }
}

}  // namespace neural_lsh::addon
