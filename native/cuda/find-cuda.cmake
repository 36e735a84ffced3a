# Looks for what the CUDA library is built with: nvcc of CUDA 13, cuBLAS 13 and cuDNN 9, those of third_party/cuda or
# of a toolkit. NVIDIA's Python packages have the libraries under versioned names only. CUDA_MISSING is then which of
# nvcc, cublas and cudnn are not there; run as a script (cmake -P), this prints them.
set(CUDA_PACKAGES "${CMAKE_CURRENT_LIST_DIR}/../../third_party/cuda/nvidia")
set(CUDA_PLACES
  HINTS "${CUDA_PACKAGES}/cu13" "${CUDA_PACKAGES}/cudnn"
  PATHS "$ENV{CUDA_PATH}" /usr/local/cuda /opt/cuda /usr)
set(CUDA_MISSING)

find_program(CUDA_NVCC nvcc ${CUDA_PLACES} PATH_SUFFIXES bin)
if(CUDA_NVCC)
  execute_process(COMMAND "${CUDA_NVCC}" --version OUTPUT_VARIABLE CUDA_NVCC_VERSION)
endif()
if(NOT CUDA_NVCC_VERSION MATCHES "release 13\\.")
  list(APPEND CUDA_MISSING nvcc)
endif()

macro(cuda_find part header library)
  find_path(CUDA_${part}_INCLUDE ${header} ${CUDA_PLACES} PATH_SUFFIXES include)
  find_library(CUDA_${part}_LIBRARY NAMES ${library} ${CUDA_PLACES}
    PATH_SUFFIXES lib lib64 lib/x86_64-linux-gnu lib/aarch64-linux-gnu)
  if(NOT CUDA_${part}_INCLUDE OR NOT CUDA_${part}_LIBRARY)
    list(APPEND CUDA_MISSING ${part})
  endif()
endmacro()
cuda_find(cublas cublasLt.h libcublasLt.so.13)
cuda_find(cudnn cudnn.h libcudnn.so.9)

if(CMAKE_SCRIPT_MODE_FILE)
  message(STATUS "missing: ${CUDA_MISSING}")
endif()
