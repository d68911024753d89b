// SPDX-License-Identifier: GPL-2.0-or-later
//
// The torch side of the pair style: reads the model file, plans its long-range part, evaluates
// energies and their gradients. Exceptions end here.
#include "model_runner.hpp"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <c10/core/AutogradState.h>
#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/profiling_graph_executor_impl.h>
#include <torch/cuda.h>
#include <torch/script.h>
#include <torch/version.h>

#include <cstring>
#include <memory>
#include <sstream>
#include <string>

#include "model_memory.hpp"
#include "model_metadata.hpp"
#include "model_runner_timing.hpp"

using loremd::ModelMetadata;

// What changes with the neighbour list only, and stays on a GPU in between.
struct ListsOnDevice {
  int64_t list = -1;
  torch::Tensor numbers, pairs;
};

struct loremd_model {
  ModelMetadata metadata;
  loremd_model_info info;
  std::vector<const char *> symbols;
  torch::jit::Module module;
  torch::Device device = torch::kCPU;
  loremd_times times = {};
  ListsOnDevice lists;
};

namespace {

thread_local std::string failure;

// TorchScript wraps the text of `raise` in a traceback; the user's part is after the last marker.
std::string without_traceback(const std::string &text) {
  if (text.find("Traceback of TorchScript") == std::string::npos) return text;
  const std::string marker = "Error: ";
  const size_t last = text.rfind(marker);
  if (last == std::string::npos) return text;
  const size_t end = text.find_last_not_of(" \n");
  return text.substr(last + marker.size(), end + 1 - last - marker.size());
}

// Runs `action`; whatever it throws becomes last_error() and false.
template <class Action>
bool guarded(const Action &action) {
  try {
    action();
    return true;
  } catch (const c10::OutOfMemoryError &error) {
    failure = std::string(error.what_without_backtrace()) +
              "\nThe GPU has too little memory for this rank: use more GPUs, fewer ranks for each, "
              "fewer atoms, a smaller skin ('neighbor'), or 'device cpu'";
  } catch (const c10::Error &error) {
    failure = without_traceback(error.what_without_backtrace());
  } catch (const std::bad_alloc &) {
    failure = "out of memory";
  } catch (const std::exception &error) {
    failure = without_traceback(error.what());
  } catch (...) {
    failure = "an unknown exception";
  }
  return false;
}

// ---- reading the model file ----------------------------------------------------------------

std::string metadata_text(const char *bytes, int64_t size) {
  if (size < 4 || std::memcmp(bytes, "PK\x03\x04", 4) != 0) {
    throw std::runtime_error("it is not a model file written by loremd.export");
  }
  std::istringstream stream(std::string(bytes, size));
  std::unique_ptr<caffe2::serialize::PyTorchStreamReader> reader;
  try {
    reader = std::make_unique<caffe2::serialize::PyTorchStreamReader>(&stream);
  } catch (const c10::Error &) {
    throw std::runtime_error("the file is truncated or damaged (" + std::to_string(size) +
                             " bytes were read); copy or export it again");
  }
  if (!reader->hasRecord("extra/loremd.json")) {
    throw std::runtime_error("it is a TorchScript file, but not one written by loremd.export");
  }
  const auto [data, length] = reader->getRecord("extra/loremd.json");
  return std::string(static_cast<const char *>(data.get()), length);
}

// ---- GPUs ----------------------------------------------------------------------------------

bool has_cuda_kernels() {
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow("loremd::spread", "");
  return op.hasKernelForDispatchKey(c10::DispatchKey::CUDA);
}

int cuda_devices(const char **found) {
  static std::string text;
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  const std::string seen = std::string("torch ") + TORCH_VERSION +
                           (gpus ? " finds " + std::to_string(gpus) + " GPUs" : " finds no GPU");
  const bool usable = has_cuda_kernels();
  text = usable ? seen : "this build of loremd has no CUDA kernels, and " + seen;
  *found = text.c_str();
  return usable ? gpus : 0;
}

void fill_info(loremd_model &model) {
  const ModelMetadata &data = model.metadata;
  for (const std::string &symbol : data.symbols) model.symbols.push_back(symbol.c_str());
  model.info = {data.cutoff,
                data.message_passing,
                data.channels,
                data.long_range ? 1 : 0,
                static_cast<int64_t>(data.symbols.size()),
                model.symbols.data(),
                data.numbers.data(),
                data.offsets.data(),
                data.hash.c_str(),
                data.loremd_version.c_str()};
}

// As torch.nn.Module.to: integer tables stay as they are, which torch::jit::Module::to converts.
void set_dtype(torch::jit::Module &module, torch::ScalarType dtype) {
  const auto convert = [dtype](torch::Tensor tensor) {
    tensor.requires_grad_(false);
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(dtype));
  };
  for (const torch::Tensor &tensor : module.parameters()) convert(tensor);
  for (const torch::Tensor &tensor : module.buffers()) convert(tensor);
}

void read_module(loremd_model &model, const char *bytes, int64_t size, bool double_precision) {
  // The profiling executor recompiles during the first calls (tens of milliseconds each).
  torch::jit::getProfilingMode() = false;
  // Derivatives run on this thread on every device: only this one may call MPI.
  c10::AutogradState::get_tls_state().set_multithreading_enabled(false);
  std::istringstream stream(std::string(bytes, size));
  try {
    model.module = torch::jit::load(stream, model.device);
  } catch (const std::exception &error) {
    throw std::runtime_error(
        std::string("this torch (") + TORCH_VERSION +
        ") cannot read the file; rebuild it with `loremd export old.pt new.pt`. Reason: " +
        error.what());
  }
  if (!model.module.find_method("energy_and_gradients")) {
    throw std::runtime_error(
        "the model file comes from an older version of loremd; write it anew with `loremd export "
        "old.pt new.pt`");
  }
  model.module.eval();
  set_dtype(model.module, double_precision ? torch::kDouble : torch::kFloat);
  model.module.get_method("freeze")({});
}

loremd_model *open_model(const char *bytes, int64_t size, int double_precision,
                         const char *device) {
  auto model = std::make_unique<loremd_model>();
  const bool ok = guarded([&] {
    model->metadata = loremd::parse_metadata(metadata_text(bytes, size));
    model->device = torch::Device(device);
    fill_info(*model);
    read_module(*model, bytes, size, double_precision != 0);
  });
  return ok ? model.release() : nullptr;
}

void close_model(loremd_model *model) {
  delete model;
}

const loremd_model_info *model_info(const loremd_model *model) {
  return &model->info;
}

// ---- planning ------------------------------------------------------------------------------

torch::Tensor from_doubles(const double *values, at::IntArrayRef shape) {
  return torch::from_blob(const_cast<double *>(values), shape, torch::kDouble).clone();
}

torch::Tensor from_integers(const int64_t *values, at::IntArrayRef shape) {
  return torch::from_blob(const_cast<int64_t *>(values), shape, torch::kLong);
}

// An entry of the dictionary that Lorem.plan_long_range returns.
double planned(const c10::Dict<c10::IValue, c10::IValue> &values, const char *name) {
  return values.at(name).toDouble();
}

int plan(loremd_model *model, const loremd_plan_request *request, loremd_plan *result) {
  const bool ok = guarded([&] {
    c10::List<int64_t> mesh;
    const int64_t *points = request->mesh;
    if (points[0] > 0 && points[1] > 0 && points[2] > 0) {
      for (int d = 0; d < 3; ++d) mesh.push_back(points[d]);
    }
    model->module.get_method("set_long_range")({"mesh", request->cutoff, request->accuracy,
                                                request->smearing, mesh, request->order,
                                                request->splitting});
    const auto values =
        model->module
            .get_method("plan_long_range")({from_doubles(request->cell, {3, 3}), request->atoms})
            .toGenericDict();
    result->smearing = planned(values, "smearing");
    result->splitting_bandlimit = planned(values, "splitting_bandlimit");
    result->window_bandlimit = planned(values, "window_bandlimit");
    result->mesh[0] = static_cast<int64_t>(planned(values, "nx"));
    result->mesh[1] = static_cast<int64_t>(planned(values, "ny"));
    result->mesh[2] = static_cast<int64_t>(planned(values, "nz"));
    result->order = static_cast<int64_t>(planned(values, "order"));
    result->real_space_error = planned(values, "real_space_error");
    result->mesh_error = planned(values, "mesh_error");
  });
  return ok ? 0 : 1;
}

int plan_error(loremd_model *model, const loremd_plan_request *request, double *error) {
  const bool ok = guarded([&] {
    *error =
        model->module
            .get_method("long_range_error")({from_doubles(request->cell, {3, 3}), request->atoms})
            .toDouble();
  });
  return ok ? 0 : 1;
}

int memory(loremd_model *model, int64_t owned, int64_t atoms, int64_t pairs, double *bytes) {
  const bool ok = guarded(
      [&] { *bytes = model->module.get_method("memory")({owned, atoms, pairs}).toDouble(); });
  return ok ? 0 : 1;
}

// ---- evaluation ----------------------------------------------------------------------------

// Numbers and pairs where the model is: as they are, or a copy that lasts as long as the list.
void place_lists(loremd_model &model, const loremd_input &input) {
  ListsOnDevice &lists = model.lists;
  if (!model.device.is_cpu() && lists.list == input.list) return;
  lists = {input.list, from_integers(input.numbers, {input.atoms}).to(model.device),
           from_integers(input.pair_list, {2, input.pairs}).to(model.device)};
}

c10::Dict<c10::IValue, c10::IValue> results(loremd_model &model, const loremd_input &input) {
  place_lists(model, input);
  const auto there = [&](const torch::Tensor &tensor) { return tensor.to(model.device); };
  torch::Tensor periodic = torch::empty({3}, torch::kBool);
  for (int d = 0; d < 3; ++d) periodic[d] = input.periodic[d] != 0;
  // Ghosts carry the images' positions, so every shift is zero: one row, seen `pairs` times.
  const torch::Tensor shifts = torch::zeros({1, 3}, torch::dtype(torch::kLong).device(model.device))
                                   .expand({input.pairs, 3});
  const auto method = model.module.get_method("energy_and_gradients");
  return method({model.lists.numbers, there(from_doubles(input.positions, {input.atoms, 3})),
                 there(from_doubles(input.cell, {3, 3})), there(periodic), model.lists.pairs,
                 shifts, input.owned, input.communicator})
      .toGenericDict();
}

void copy_out(const c10::Dict<c10::IValue, c10::IValue> &values, const char *name, double *target) {
  const torch::Tensor tensor =
      values.at(name).toTensor().detach().to(torch::kCPU, torch::kDouble).contiguous();
  std::memcpy(target, tensor.const_data_ptr<double>(), tensor.numel() * sizeof(double));
}

int evaluate(loremd_model *model, const loremd_input *input, loremd_output *output) {
  const bool ok = guarded([&] {
    const loremd::KernelTimer timer(model->times);
    const loremd::StepMemory memory;
    const auto values = results(*model, *input);
    copy_out(values, "energies", output->energies);
    copy_out(values, "long_range_energies", output->long_range_energies);
    copy_out(values, "charges", output->charges);
    copy_out(values, "potentials", output->potentials);
    copy_out(values, "gradient", output->gradient);
    copy_out(values, "strain_gradient", output->strain_gradient);
  });
  return ok ? 0 : 1;
}

void reset_times(loremd_model *model) {
  model->times = {};
}
const loremd_times *times(const loremd_model *model) {
  return &model->times;
}
int64_t mesh_bytes() {
  static const auto op =
      c10::Dispatcher::singleton().findSchemaOrThrow("loremd::mesh_bytes", "").typed<int64_t()>();
  return op.call();
}
int threads() {
  return at::get_num_threads();
}
const char *last_error() {
  return failure.c_str();
}

const loremd_runner functions = {LOREMD_RUNNER_VERSION,
                                 TORCH_VERSION,
                                 open_model,
                                 close_model,
                                 model_info,
                                 plan,
                                 plan_error,
                                 memory,
                                 evaluate,
                                 reset_times,
                                 times,
                                 mesh_bytes,
                                 threads,
                                 cuda_devices,
                                 last_error,
                                 loremd_register_communicator,
                                 loremd_unregister_communicator};

}  // namespace

extern "C" __attribute__((visibility("default"))) const loremd_runner *loremd_runner_functions() {
  return &functions;
}
