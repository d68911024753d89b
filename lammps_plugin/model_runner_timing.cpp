// SPDX-License-Identifier: GPL-2.0-or-later
#include "model_runner_timing.hpp"

#include <ATen/record_function.h>

#include <chrono>
#include <cstring>
#include <memory>

namespace loremd {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The evaluation that this thread is in, and how deep inside loremd ops it is.
thread_local loremd_times *current = nullptr;
thread_local int depth = 0;

double *kernel_of(const char *op) {
  if (std::strstr(op, "spread")) return &current->spread;
  if (std::strstr(op, "interpolate")) return &current->interpolate;
  if (std::strstr(op, "pair_")) return &current->pair_sum;
  if (std::strstr(op, "convolve") || std::strstr(op, "correlate") || std::strstr(op, "influence"))
    return &current->convolve;
  if (std::strstr(op, "halo") || std::strstr(op, "ranks")) return &current->communication;
  return nullptr;
}

struct OpTime : at::ObserverContext {
  double *target = nullptr;
  double start = 0.0;
};

std::unique_ptr<at::ObserverContext> begin_op(const at::RecordFunction &function) {
  if (std::strncmp(function.name(), "loremd::", 8) != 0 || !current) return nullptr;
  auto op = std::make_unique<OpTime>();
  op->target = depth++ == 0 ? kernel_of(function.name()) : nullptr;
  op->start = now();
  return op;
}

void end_op(const at::RecordFunction &, at::ObserverContext *context) {
  const auto *op = static_cast<OpTime *>(context);
  if (!op) return;
  --depth;
  if (op->target) *op->target += now() - op->start;
}

double kernel_seconds(const loremd_times &t) {
  return t.spread + t.convolve + t.interpolate + t.pair_sum + t.communication;
}

}  // namespace

KernelTimer::KernelTimer(loremd_times &times)
    : times_(times), start_(now()), kernels_(kernel_seconds(times)) {
  current = &times;
  depth = 0;
  observer_ = at::addThreadLocalCallback(
      at::RecordFunctionCallback(begin_op, end_op).scopes({at::RecordScope::FUNCTION}));
}

KernelTimer::~KernelTimer() {
  at::removeCallback(observer_);
  current = nullptr;
}

void KernelTimer::lap(double &phase) {
  const double time = now(), kernels = kernel_seconds(times_);
  phase += (time - start_) - (kernels - kernels_);
  start_ = time;
  kernels_ = kernels;
}

}  // namespace loremd
