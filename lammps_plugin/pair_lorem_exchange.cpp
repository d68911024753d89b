// SPDX-License-Identifier: GPL-2.0-or-later
#include "pair_lorem_exchange.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "exceptions.h"
#include "pair.h"
#include "pair_lorem_atoms.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <thread>
#include <utility>

using namespace LAMMPS_NS;

namespace {

// MPI waits by spinning. Where ranks share cores, the spinning one keeps the one it waits for from
// running, and a large sum takes a hundred times longer; so pause after a while.
void wait_politely(MPI_Request *requests, int count = 1) {
  constexpr double kSpin = 200e-6;  // seconds
  const double start = platform::walltime();
  int done = 0;
  for (MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE); !done;
       MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE))
    if (platform::walltime() - start > kSpin)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
}

// Calls start(address, count of bytes, request) for a block in messages that MPI can count.
template <class Byte, class Start>
void in_messages(Byte *block, int64_t bytes, std::vector<MPI_Request> &requests, Start &&start) {
  constexpr int64_t kLargest = 1 << 30;
  for (int64_t done = 0; done < bytes; done += kLargest) {
    requests.emplace_back();
    start(block + done, static_cast<int>(std::min(kLargest, bytes - done)), &requests.back());
  }
}

}  // namespace

LoremExchange::~LoremExchange() {
  if (runner_) runner_->unregister_communicator(handle_);
}

void LoremExchange::connect(const loremd_runner *runner) {
  if (runner_) return;
  const loremd_communicator table = {this,     call_forward, call_reverse,    call_sum,
                                     comm->me, comm->nprocs, call_all_gather, call_all_to_all};
  handle_ = runner->register_communicator(&table);
  runner_ = runner;
}

// ---- agreement -----------------------------------------------------------------------------

bool LoremExchange::agree(bool ok) {
  if (comm->nprocs > 1) {
    int mine = ok ? 1 : 0, all = 0;
    MPI_Request request;
    MPI_Iallreduce(&mine, &all, 1, MPI_INT, MPI_MIN, world, &request);
    wait_politely(&request);
    ok = all == 1;
  }
  if (!ok) stopped_ = true;
  return ok;
}

void LoremExchange::together(const std::function<void()> &action) {
  std::string message;
  stopped_ = false;
  try {
    action();
    if (agree(true)) return;
  } catch (const std::bad_alloc &) {
    message = "out of memory";
  } catch (const std::exception &exception) {
    message = *exception.what() ? exception.what() : "an exception without text";
  }
  if (abort_) std::rethrow_exception(std::exchange(abort_, nullptr));
  // After a failed agreement the exception is only its echo; otherwise this rank is the origin.
  if (stopped_)
    message.clear();
  else
    agree(false);
  stop(message);
}

// All ranks: finds the first one with a message of its own and repeats it everywhere.
void LoremExchange::stop(const std::string &own_message) {
  const int origin = own_message.empty() ? comm->nprocs : comm->me;
  int first = 0, last = 0;
  MPI_Allreduce(&origin, &first, 1, MPI_INT, MPI_MIN, world);
  MPI_Allreduce(&origin, &last, 1, MPI_INT, MPI_MAX, world);
  std::string message = own_message;
  int size = static_cast<int>(message.size());
  MPI_Bcast(&size, 1, MPI_INT, first, world);
  message.resize(size);
  MPI_Bcast(&message[0], size, MPI_CHAR, first, world);
  const bool everywhere = last < comm->nprocs;
  error->all(FLERR,
             "pair_style lorem: " + message + (everywhere ? "" : fmt::format(" (rank {})", first)));
}

// ---- exchanges -----------------------------------------------------------------------------

int LoremExchange::call_forward(void *context, const double *owned, double *ghosts, int channels) {
  auto *self = static_cast<LoremExchange *>(context);
  return self->exchange([&] {
    for (int first = 0; first < channels; first += kColumns)
      self->forward(owned, ghosts, channels, first);
  });
}

int LoremExchange::call_reverse(void *context, const double *ghosts, double *owned, int channels) {
  auto *self = static_cast<LoremExchange *>(context);
  return self->exchange([&] {
    for (int first = 0; first < channels; first += kColumns)
      self->reverse(ghosts, owned, channels, first);
  });
}

int LoremExchange::call_sum(void *context, double *values, int64_t count) {
  auto *self = static_cast<LoremExchange *>(context);
  return self->exchange([&] { self->sum(values, count); });
}

int LoremExchange::call_all_gather(void *context, const int64_t *mine, int64_t count,
                                   int64_t *all) {
  auto *self = static_cast<LoremExchange *>(context);
  return self->exchange([&] { self->all_gather(mine, count, all); });
}

int LoremExchange::call_all_to_all(void *context, const void *send, const int64_t *send_bytes,
                                   void *receive, const int64_t *receive_bytes) {
  auto *self = static_cast<LoremExchange *>(context);
  return self->exchange([&] {
    self->all_to_all(static_cast<const char *>(send), send_bytes, static_cast<char *>(receive),
                     receive_bytes);
  });
}

// No exception may cross the C interface of the ops library: 1 tells it to throw its own.
int LoremExchange::exchange(const std::function<void()> &action) {
  if (stopped_ || abort_ || !agree(true)) return 1;
  try {
    action();
  } catch (...) {
    abort_ = std::current_exception();  // LAMMPS's own, from within its communication
    return 1;
  }
  return 0;
}

// Columns first .. first+width of the owned atoms' rows travel to their images.
void LoremExchange::forward(const double *owned, double *ghosts, int channels, int first) {
  width_ = std::min(kColumns, channels - first);
  columns_.assign(static_cast<size_t>(width_) * (atom->nlocal + atom->nghost), 0.0);
  const auto &local = atoms_->local_index();
  const int n_owned = atoms_->owned();
  for (int a = 0; a < n_owned; ++a)
    std::copy_n(owned + static_cast<size_t>(a) * channels + first, width_,
                columns_.data() + static_cast<size_t>(local[a]) * width_);

  pair_->comm_forward = width_;
  comm->forward_comm(pair_);
  pair_->comm_forward = kColumns;

  for (size_t a = n_owned; a < local.size(); ++a)
    std::copy_n(columns_.data() + static_cast<size_t>(local[a]) * width_, width_,
                ghosts + (a - n_owned) * channels + first);
}

// The transpose: what the images carry is added to the atoms they are images of.
void LoremExchange::reverse(const double *ghosts, double *owned, int channels, int first) {
  width_ = std::min(kColumns, channels - first);
  columns_.assign(static_cast<size_t>(width_) * (atom->nlocal + atom->nghost), 0.0);
  const auto &local = atoms_->local_index();
  const int n_owned = atoms_->owned();
  for (size_t a = n_owned; a < local.size(); ++a)
    std::copy_n(ghosts + (a - n_owned) * channels + first, width_,
                columns_.data() + static_cast<size_t>(local[a]) * width_);

  pair_->comm_reverse = width_;
  comm->reverse_comm(pair_);
  pair_->comm_reverse = kColumns;

  for (int a = 0; a < n_owned; ++a)
    for (int k = 0; k < width_; ++k)
      owned[static_cast<size_t>(a) * channels + first + k] +=
          columns_[static_cast<size_t>(local[a]) * width_ + k];
}

void LoremExchange::sum(double *values, int64_t count) const {
  if (comm->nprocs == 1) return;
  constexpr int64_t kLargest = 1 << 27;  // MPI counts are ints
  for (int64_t done = 0; done < count; done += kLargest) {
    MPI_Request request;
    MPI_Iallreduce(MPI_IN_PLACE, values + done, static_cast<int>(std::min(kLargest, count - done)),
                   MPI_DOUBLE, MPI_SUM, world, &request);
    wait_politely(&request);
  }
}

void LoremExchange::all_gather(const int64_t *mine, int64_t count, int64_t *all) const {
  const auto values = static_cast<int>(count);
  MPI_Request request;
  MPI_Iallgather(mine, values, MPI_INT64_T, all, values, MPI_INT64_T, world, &request);
  wait_politely(&request);
}

// Messages between the same two ranks arrive in the order they are sent in.
void LoremExchange::all_to_all(const char *send, const int64_t *send_bytes, char *receive,
                               const int64_t *receive_bytes) const {
  constexpr int kTag = 1;
  std::vector<MPI_Request> requests;
  const char *own = nullptr;
  for (int rank = 0; rank < comm->nprocs; send += send_bytes[rank++]) {
    if (rank == comm->me) own = send;
    if (rank == comm->me) continue;
    in_messages(send, send_bytes[rank], requests, [&](const char *block, int bytes, auto *request) {
      MPI_Isend(block, bytes, MPI_BYTE, rank, kTag, world, request);
    });
  }
  for (int rank = 0; rank < comm->nprocs; receive += receive_bytes[rank++]) {
    if (rank == comm->me) std::copy_n(own, send_bytes[rank], receive);
    if (rank == comm->me) continue;
    in_messages(receive, receive_bytes[rank], requests, [&](char *block, int bytes, auto *request) {
      MPI_Irecv(block, bytes, MPI_BYTE, rank, kTag, world, request);
    });
  }
  wait_politely(requests.data(), static_cast<int>(requests.size()));
}

// ---- called by LAMMPS during an exchange ---------------------------------------------------

int LoremExchange::pack_forward(int n, const int *list, double *buffer) const {
  for (int i = 0; i < n; ++i)
    std::copy_n(columns_.data() + static_cast<size_t>(list[i]) * width_, width_,
                buffer + static_cast<size_t>(i) * width_);
  return n * width_;
}

void LoremExchange::unpack_forward(int n, int first, const double *buffer) {
  std::copy_n(buffer, static_cast<size_t>(n) * width_,
              columns_.data() + static_cast<size_t>(first) * width_);
}

int LoremExchange::pack_reverse(int n, int first, double *buffer) const {
  std::copy_n(columns_.data() + static_cast<size_t>(first) * width_,
              static_cast<size_t>(n) * width_, buffer);
  return n * width_;
}

void LoremExchange::unpack_reverse(int n, const int *list, const double *buffer) {
  for (int i = 0; i < n; ++i)
    for (int k = 0; k < width_; ++k)
      columns_[static_cast<size_t>(list[i]) * width_ + k] +=
          buffer[static_cast<size_t>(i) * width_ + k];
}
