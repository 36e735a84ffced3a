// Reading what TypeScript hands over. The door there has judged it already; these checks only make sure that
// no mistake on the way can read or write outside an array.
#pragma once

#include <napi.h>

#include <span>
#include <string>
#include <vector>

#include "../core/types.h"
#include "../cpu/scan/scan.h"

namespace neural_lsh::addon {

/// Throws a JavaScript error with code ERR_NLSH_ARGUMENT that names the argument.
[[noreturn]] void fail(Napi::Env env, const std::string& argument, const std::string& message);
void require(Napi::Env env, bool holds, const std::string& argument, const std::string& message);

/// Throws a JavaScript error with code ERR_NLSH_CLOSED.
[[noreturn]] void failClosed(Napi::Env env);

/// Property `name` of `object` as a typed array of that type; the memory belongs to JavaScript.
std::span<float> floats(const Napi::Object& object, const char* name);
std::span<double> doubles(const Napi::Object& object, const char* name);
std::span<std::int32_t> integers(const Napi::Object& object, const char* name);
std::span<std::uint8_t> bytes(const Napi::Object& object, const char* name);

double number(const Napi::Object& object, const char* name);
std::size_t count(const Napi::Object& object, const char* name);  // an integer >= 0
std::string text(const Napi::Object& object, const char* name);
std::vector<std::size_t> counts(const Napi::Object& object, const char* name);
bool has(const Napi::Object& object, const char* name);

/// Property `name` as a matrix of `columns` columns; its length must be a multiple of that.
Matrix matrix(const Napi::Object& object, const char* name, std::size_t columns);
Metric metric(const Napi::Object& object);

/// Properties metric, vectors (Float32Array or Uint8Array of whole rows), offsets and ids.
cpu::StoredBins readBins(const Napi::Object& object, std::size_t dimensions);

/// A new typed array of `size` zeros under `name` in the result, and the core's view of it. JavaScript's own
/// constructor makes it: that throws where memory is short, while Node-API's function ends the process.
template <typename T>
std::span<T> output(Napi::Object result, const char* name, std::size_t size);

/// The JavaScript error for an exception of the core: code and argument as properties.
Napi::Error toError(Napi::Env env, std::exception_ptr exception);

}  // namespace neural_lsh::addon
