// How a function of the interface answers: what is thrown becomes a status and a text.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>

#include "status.h"

namespace neural_lsh::cuda {

template <std::size_t size>
void writeText(char (&to)[size], const char* text) {
  const std::size_t length = std::min(std::strlen(text), size - 1);
  std::memcpy(to, text, length);
  to[length] = '\0';
}

/// Runs a body that throws, for a caller who wants a status.
template <typename Body>
std::int32_t answer(NlshFailure* failure, const Body& body) noexcept {
  writeText(failure->argument, "");
  writeText(failure->message, "");
  try {
    body();
    return NLSH_OK;
  } catch (const Failure& thrown) {
    writeText(failure->argument, thrown.argument().c_str());
    writeText(failure->message, thrown.what());
    return thrown.status();
  } catch (const std::bad_alloc&) {
    writeText(failure->message, "the machine's memory is used up");
    return NLSH_FAILED;
  } catch (const std::exception& thrown) {
    writeText(failure->message, thrown.what());
    return NLSH_FAILED;
  } catch (...) {
    writeText(failure->message, "something was thrown that is no error of this library");
    return NLSH_FAILED;
  }
}

}  // namespace neural_lsh::cuda
