/* What the addon and the library neural_lsh_cuda know of each other: plain C, so that the two may come from
 * different compilers. The library links cuBLAS and cuDNN; the addon does not, and opens it at run time.
 *
 * A function returns NLSH_OK, or what went wrong and writes why into `failure`, which may not be null.
 * Nothing that is thrown crosses this border. All functions may be called from several threads at once; those
 * with a job return when it is done. Arrays belong to the caller, lie in its memory and are read or written
 * before the return. */
#ifndef NEURAL_LSH_CUDA_INTERFACE_H
#define NEURAL_LSH_CUDA_INTERFACE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises with every change of what follows. The library gives its table only to an addon of the same version.
 */
#define NLSH_CUDA_VERSION 1
#define NLSH_CUDA_ENTRY "neural_lsh_cuda"

enum NlshStatus {
  NLSH_OK = 0,
  NLSH_CANCELLED = 1,
  NLSH_BAD_ARGUMENT = 2,  /* failure.argument says which */
  NLSH_OUT_OF_MEMORY = 3, /* of the device, whatever the size of a tile */
  NLSH_FAILED = 4,        /* a call of CUDA, cuBLAS or cuDNN: its name and status are in failure.message */
  NLSH_DEVICE_LOST = 5    /* the same, after which the device answers nothing more to this process */
};

enum NlshMetric { NLSH_EUCLIDEAN = 0, NLSH_COSINE = 1, NLSH_INNER_PRODUCT = 2 };

/* Of the matrix products that select candidates; in all of them these are ranked in double precision
 * afterwards, and where the rounding of the products could have hidden one, the row is searched again. */
enum NlshPrecision { NLSH_FP32 = 0, NLSH_TF32 = 1, NLSH_BF16 = 2, NLSH_FP16 = 3 };

typedef struct NlshFailure {
  char argument[64];
  char message[448];
} NlshFailure;

/* How a job is watched; both are called from the thread that called the function. */
typedef struct NlshJob {
  void* context;
  int32_t (*is_cancelled)(void* context);
  void (*progress)(void* context, size_t done, size_t total);
} NlshJob;

typedef struct NlshDevice {
  char name[256];
  int32_t major, minor; /* compute capability */
  int32_t multiprocessors;
  uint64_t total_bytes, free_bytes;
} NlshDevice;

typedef struct NlshVersions {
  int32_t driver, runtime; /* as CUDA counts them: 13000 is 13.0 */
  int64_t cublas, cudnn;
} NlshVersions;

/* rows x columns, row-major. */
typedef struct NlshMatrix {
  const float* data;
  size_t rows, columns;
} NlshMatrix;

/* Exact nearest neighbors: of each query among the points or, where queries.data is null, of each point among
 * the others. Rows are finite (unit rows for cosine). ids and distances: rows x k, nearest first, ties by
 * smaller id. */
typedef struct NlshNeighborsRequest {
  int32_t device;
  int32_t metric;
  int32_t precision;
  NlshMatrix points, queries;
  size_t k;
  int32_t* ids;
  float* distances;
} NlshNeighborsRequest;

/* A router of linear layers with ReLU between them: scores = W_l ... relu(W_1 ((x - mean) * scale) + b_1) ...
 * + b_l, of x or, for unit_length, x / |x|; the probabilities of the bins are softmax(scores / temperature).
 * Of layer i, weights[i] is widths[i + 1] x widths[i], biases[i] is widths[i + 1] or null. */
typedef struct NlshRouter {
  size_t layers;
  const size_t* widths; /* layers + 1: from the dimensions to the bins */
  const float* const* weights;
  const float* const* biases;
  const float *mean, *scale; /* dimensions */
  int32_t unit_length;
  float temperature;
} NlshRouter;

/* What a search needs. Bin b has rows offsets[b] .. offsets[b + 1] of the vectors, which are floats or, where
 * `bytes` is not null, bytes; ids: of each row the number under which it is found. */
typedef struct NlshIndexRequest {
  int32_t device;
  int32_t metric;
  size_t rows, dimensions, bins;
  const float* vectors;
  const uint8_t* bytes;
  const int32_t *offsets, *ids;
  NlshRouter router;
} NlshIndexRequest;

typedef struct NlshIndex NlshIndex;

/* As cpu/probing.h: exactly one of probes, mass and probability is above 0. */
typedef struct NlshSearchRequest {
  NlshMatrix queries; /* finite; unit rows for cosine */
  size_t k;
  size_t probes;
  double mass;
  double probability;
  size_t candidates;
  int32_t* ids;                                 /* queries x k */
  float* distances;                             /* queries x k */
  int32_t *visited_candidates, *visited_probes; /* queries */
} NlshSearchRequest;

typedef struct NlshCudaTable {
  uint32_t version;
  int32_t (*versions)(NlshVersions* versions, NlshFailure* failure);
  /* NLSH_OK and 0 where there is a driver but no device. */
  int32_t (*count_devices)(int32_t* count, NlshFailure* failure);
  int32_t (*describe_device)(int32_t device, NlshDevice* description, NlshFailure* failure);
  int32_t (*find_neighbors)(const NlshNeighborsRequest* request, const NlshJob* job, NlshFailure* failure);
  int32_t (*open_index)(const NlshIndexRequest* request, NlshIndex** index, const NlshJob* job,
                        NlshFailure* failure);
  int32_t (*search)(NlshIndex* index, const NlshSearchRequest* request, const NlshJob* job,
                    NlshFailure* failure);
  /* Bytes of the device that an index takes. */
  uint64_t (*index_bytes)(const NlshIndex* index);
  void (*close_index)(NlshIndex* index);
} NlshCudaTable;

/* The library's only symbol: null for another version. */
typedef const NlshCudaTable* (*NlshCudaEntry)(uint32_t version);

#ifdef __cplusplus
}
#endif
#endif
