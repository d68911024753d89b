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

// The evaluation that this thread is in, the kernel it is in, and since when the time of that has
// not been booked.
thread_local loremd_times *current = nullptr;
thread_local double *running = nullptr;
thread_local double since = 0.0;

void switch_to(double *kernel) {
  const double time = now();
  if (running) *running += time - since;
  running = kernel;
  since = time;
}

double *kernel_of(const char *op) {
  if (std::strstr(op, "density")) return &current->density;
  if (std::strstr(op, "tensor_") || std::strstr(op, "equivariant") || std::strstr(op, "norm"))
    return &current->products;
  if (std::strstr(op, "spread")) return &current->spread;
  if (std::strstr(op, "interpolate")) return &current->interpolate;
  if (std::strstr(op, "pair_")) return &current->pair_sum;
  if (std::strstr(op, "convolve") || std::strstr(op, "correlate") || std::strstr(op, "influence"))
    return &current->convolve;
  if (std::strstr(op, "halo") || std::strstr(op, "ranks") || std::strstr(op, "remap"))
    return &current->communication;
  return nullptr;
}

struct Outer : at::ObserverContext {
  double *kernel = nullptr;
};

std::unique_ptr<at::ObserverContext> begin_op(const at::RecordFunction &function) {
  if (std::strncmp(function.name(), "loremd::", 8) != 0 || !current) return nullptr;
  double *kernel = kernel_of(function.name());
  if (!kernel) return nullptr;
  auto outer = std::make_unique<Outer>();
  outer->kernel = running;
  switch_to(kernel);
  return outer;
}

void end_op(const at::RecordFunction &, at::ObserverContext *context) {
  if (const auto *outer = static_cast<Outer *>(context)) switch_to(outer->kernel);
}

double kernel_seconds(const loremd_times &t) {
  return t.density + t.products + t.spread + t.convolve + t.interpolate + t.pair_sum +
         t.communication;
}

}  // namespace

KernelTimer::KernelTimer(loremd_times &times)
    : times_(times), start_(now()), kernels_(kernel_seconds(times)) {
  current = &times;
  running = nullptr;
  observer_ = at::addThreadLocalCallback(
      at::RecordFunctionCallback(begin_op, end_op).scopes({at::RecordScope::FUNCTION}));
}

KernelTimer::~KernelTimer() {
  at::removeCallback(observer_);
  current = nullptr;
  times_.network += now() - start_ - (kernel_seconds(times_) - kernels_);
}

}  // namespace loremd
