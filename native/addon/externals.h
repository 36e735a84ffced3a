// Values of the core that JavaScript holds and can only hand back.
#pragma once

#include <napi.h>

#include <memory>
#include <utility>

namespace neural_lsh::addon {

/// Hands a value over under `name`; it is freed when JavaScript has forgotten it.
template <typename T>
void setExternal(Napi::Object result, const char* name, T value) {
  auto owned = std::make_unique<T>(std::move(value));
  result.Set(name,
             Napi::External<T>::New(result.Env(), owned.get(), [](Napi::Env, T* data) { delete data; }));
  static_cast<void>(owned.release());
}

/// The value that was handed over; `value` must be what setExternal<T> made.
template <typename T>
T& external(const Napi::Value& value) {
  return *value.As<Napi::External<T>>().Data();
}

}  // namespace neural_lsh::addon
