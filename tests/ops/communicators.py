# SPDX-License-Identifier: BSD-3-Clause
"""Stand-ins for a pair style: tables of functions on the ops library's own C interface."""

import ctypes
import threading

from loremd._library import LIBRARY_NAME, find_in_package

C = ctypes
DOUBLES = C.POINTER(C.c_double)
INTEGERS = C.POINTER(C.c_int64)
HALO = C.CFUNCTYPE(C.c_int, C.c_void_p, DOUBLES, DOUBLES, C.c_int)
SUM = C.CFUNCTYPE(C.c_int, C.c_void_p, DOUBLES, C.c_int64)
ALL_GATHER = C.CFUNCTYPE(C.c_int, C.c_void_p, INTEGERS, C.c_int64, INTEGERS)
ALL_TO_ALL = C.CFUNCTYPE(C.c_int, C.c_void_p, C.c_void_p, INTEGERS, C.c_void_p, INTEGERS)
TIMEOUT = 60.0  # a rank that waits for one which has failed in another way than by an exception


class Table(ctypes.Structure):
    """loremd_communicator of csrc/torch/communicator.hpp."""

    _fields_ = (
        ("context", C.c_void_p),
        ("halo_forward", HALO),
        ("halo_reverse", HALO),
        ("sum", SUM),
        ("rank", C.c_int),
        ("size", C.c_int),
        ("all_gather", ALL_GATHER),
        ("all_to_all", ALL_TO_ALL),
    )


class Registered:
    """A table with a handle, for the time of a `with` block."""

    def __init__(self, table):
        self.table = table
        self.library = ctypes.CDLL(str(find_in_package(LIBRARY_NAME)))
        self.library.loremd_register_communicator.restype = C.c_int64
        self.library.loremd_unregister_communicator.argtypes = (C.c_int64,)

    def __enter__(self):
        self.handle = self.library.loremd_register_communicator(C.byref(self.table))
        return self.handle

    def __exit__(self, *_):
        self.library.loremd_unregister_communicator(self.handle)


class Images(Registered):
    """A world of one rank whose ghosts are images of given owned atoms, times a number of ranks."""

    def __init__(self, images, ranks=3, status=0):
        def forward(_, owned, ghosts, channels):
            for ghost, image in enumerate(images):
                for c in range(channels):
                    ghosts[ghost * channels + c] = owned[image * channels + c]
            return status

        def reverse(_, ghosts, owned, channels):
            for ghost, image in enumerate(images):
                for c in range(channels):
                    owned[image * channels + c] += ghosts[ghost * channels + c]
            return status

        def total(_, values, count):
            for i in range(count):
                values[i] *= ranks
            return status

        super().__init__(Table(None, HALO(forward), HALO(reverse), SUM(total), 0, 1))


class World:
    """Ranks that are threads of this process and exchange through its memory."""

    def __init__(self, size):
        self.size = size
        self.barrier = threading.Barrier(size, timeout=TIMEOUT)
        self.given = [None] * size
        self.sent_bytes = [0] * size

    def _exchange(self, rank, mine, use):
        """`mine` becomes visible to all, and `use`(those of all ranks) is called; 1 on failure."""
        try:
            self.given[rank] = mine
            self.barrier.wait()
            use(self.given)
            self.barrier.wait()
        except threading.BrokenBarrierError:
            return 1
        return 0

    def table(self, rank):
        def total(_, values, count):
            def use(given):
                for i, column in enumerate(zip(*given)):
                    values[i] = sum(column)

            return self._exchange(rank, values[:count], use)

        def all_gather(_, mine, count, everyone):
            def use(given):
                for i, value in enumerate(value for row in given for value in row):
                    everyone[i] = value

            return self._exchange(rank, mine[:count], use)

        def all_to_all(_, send, send_bytes, receive, receive_bytes):
            blocks, start = [], send or 0
            for r in range(self.size):
                blocks.append(C.string_at(start, send_bytes[r]) if send_bytes[r] else b"")
                start += send_bytes[r]
                self.sent_bytes[rank] += send_bytes[r] if r != rank else 0

            def use(given):
                target = receive or 0
                for r, row in enumerate(given):
                    assert len(row[rank]) == receive_bytes[r], "both ends know the same length"
                    C.memmove(target, row[rank], len(row[rank]))
                    target += receive_bytes[r]

            return self._exchange(rank, blocks, use)

        return Table(
            None, HALO(), HALO(), SUM(total), rank, self.size,
            ALL_GATHER(all_gather), ALL_TO_ALL(all_to_all),
        )  # fmt: skip

    def run(self, body):
        """[body(rank, comm) of every rank], each in its thread; the first exception is raised."""
        results, failures = [None] * self.size, []

        def rank_main(rank):
            try:
                with Registered(self.table(rank)) as comm:
                    results[rank] = body(rank, comm)
            except BaseException as exception:
                failures.append(exception)
                self.barrier.abort()

        threads = [threading.Thread(target=rank_main, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return results
