// The errors that the core raises. The TypeScript door has judged the arguments already; these are for what
// only the computation itself can find out, and they become typed errors of the same code there.
#pragma once

#include <stdexcept>
#include <string>

namespace neural_lsh {

/// An error with a stable code ("ERR_NLSH_…") and, where one argument is to blame, that argument's name.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message, std::string argument = {})
      : std::runtime_error(message), code_(std::move(code)), argument_(std::move(argument)) {}

  const std::string& code() const { return code_; }
  const std::string& argument() const { return argument_; }

 private:
  std::string code_;
  std::string argument_;
};

inline Error argumentError(const std::string& argument, const std::string& message) {
  return Error("ERR_NLSH_ARGUMENT", message, argument);
}

}  // namespace neural_lsh
