#include "child-process.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <new>
#include <thread>

#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

namespace neural_lsh {
namespace {

using namespace std::chrono_literals;

#ifdef __APPLE__
constexpr std::size_t maxrssUnit = 1;
#else
constexpr std::size_t maxrssUnit = 1024;
#endif

std::size_t peakResidentBytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) * maxrssUnit;
}

/// The child must not keep the parent's sockets and files open.
void closeAllFiles() {
#if defined(__linux__) && defined(SYS_close_range)
  if (syscall(SYS_close_range, 0U, ~0U, 0U) == 0) return;
#endif
  const long limit = std::min(sysconf(_SC_OPEN_MAX), 65536L);
  for (int file = 0; file < limit; ++file) close(file);
}

/// The parent's handlers would run in the child, on state that the child only has a copy of.
void resetSignals() {
  for (int number = 1; number < NSIG; ++number) std::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// Ends the child with its parent, but keeps a terminal's Ctrl-C from it: the parent decides what that means.
void followParent(int parent) {
  setpgid(0, 0);
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  if (getppid() != parent) _exit(1);
}

/// Blocks all signals of this thread while it lives, so that none is delivered between fork and resetSignals.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : data_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)), bytes_(bytes) {
  if (data_ == MAP_FAILED) throw std::bad_alloc();
}

SharedMemory::~SharedMemory() {
  munmap(data_, bytes_);
}

/// What the child leaves behind. Its end alone would not do: where SIGCHLD is ignored there is no exit
/// status.
struct ChildProcess::Report {
  std::atomic<bool> written;
  ChildEnd::Kind kind;
  std::size_t peakBytes;
};

ChildProcess::ChildProcess() : memory_(sizeof(Report)), report_(new (memory_.data()) Report{}) {}

std::unique_ptr<ChildProcess> ChildProcess::start(const std::function<void()>& work) {
  std::unique_ptr<ChildProcess> child(new ChildProcess());
  const SignalsBlocked blocked;
  const int parent = getpid();
  const int pid = fork();
  if (pid < 0) return nullptr;
  if (pid == 0) child->runAsChild(parent, work);
  child->pid_ = pid;
  return child;
}

void ChildProcess::runAsChild(int parent, const std::function<void()>& work) {
  followParent(parent);
  closeAllFiles();
  resetSignals();
  const std::size_t before = peakResidentBytes();
  try {
    work();
    report_->kind = ChildEnd::Kind::finished;
  } catch (const std::bad_alloc&) {
    report_->kind = ChildEnd::Kind::outOfMemory;
  } catch (...) {
    report_->kind = ChildEnd::Kind::exception;
  }
  report_->peakBytes = peakResidentBytes() - before;
  report_->written = true;
  _exit(0);  // not exit: the handlers that it runs are the parent's
}

ChildProcess::~ChildProcess() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

bool ChildProcess::ended() {
  const int reaped = waitpid(pid_, &status_, WNOHANG);
  const bool running = reaped == 0 || (reaped < 0 && errno == EINTR);
  if (!running) pid_ = 0;
  return !running;
}

ChildEnd ChildProcess::wait(const Job& job) {
  const auto start = std::chrono::steady_clock::now();
  while (!ended()) {
    job.check();
    const std::chrono::nanoseconds elapsed = std::chrono::steady_clock::now() - start;
    std::this_thread::sleep_for(std::clamp<std::chrono::nanoseconds>(elapsed / 8, 100us, 20ms));
  }
  if (report_->written) return {report_->kind, 0, report_->peakBytes};
  if (WIFSIGNALED(status_)) return {ChildEnd::Kind::signal, WTERMSIG(status_), 0};
  return {};
}

}  // namespace neural_lsh
