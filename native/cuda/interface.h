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
#define NLSH_CUDA_VERSION 3
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

/* Of matrix products. Where they select candidates, these are ranked in double precision afterwards, and
 * where the rounding of the products could have hidden one, the row is searched again. */
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

/* The classifier's table, in the order of cpu/classifier/description.h, losses.h and optimizer.h, which say
 * what each does. Of a layer's, a loss's and an optimizer's numbers those count that its type asks for. */
enum NlshLayerType {
  NLSH_LINEAR,
  NLSH_CONV2D,
  NLSH_MAX_POOL2D,
  NLSH_AVERAGE_POOL2D,
  NLSH_BATCH_NORM,
  NLSH_DROPOUT,
  NLSH_FLATTEN,
  NLSH_ACTIVATION
};

enum NlshActivation {
  NLSH_IDENTITY,
  NLSH_STEP, /* inference only */
  NLSH_SIGMOID,
  NLSH_TANH,
  NLSH_RELU,
  NLSH_RELU6,
  NLSH_LEAKY_RELU,
  NLSH_ELU,
  NLSH_SELU,
  NLSH_SOFTPLUS,
  NLSH_GELU,
  NLSH_SOFTMAX
};

enum NlshLossType {
  NLSH_CROSS_ENTROPY,
  NLSH_BINARY_CROSS_ENTROPY,
  NLSH_MEAN_SQUARED_ERROR,
  NLSH_MEAN_ABSOLUTE_ERROR
};

enum NlshOptimizerType {
  NLSH_SGD,
  NLSH_ADAGRAD,
  NLSH_RMSPROP,
  NLSH_ADADELTA,
  NLSH_ADAM,
  NLSH_ADAMW,
  NLSH_ADAMAX,
  NLSH_NADAM
};

typedef struct NlshShape {
  size_t channels, height, width;
} NlshShape;

typedef struct NlshLayer {
  int32_t type, activation;
  NlshShape in, out;
  int32_t bias;
  size_t kernel, stride, padding;
  double rate, slope, alpha, momentum, epsilon;
  size_t parameters, parameter_offset; /* of the flat parameters: weight, then bias */
  size_t buffers, buffer_offset;       /* of the flat buffers: running mean, then running variance */
} NlshLayer;

typedef struct NlshLoss {
  int32_t type;
  double label_smoothing;
  const double* class_weights; /* bins, or null */
} NlshLoss;

typedef struct NlshOptimizer {
  int32_t type, nesterov;
  double momentum, beta1, beta2, decay, epsilon, weight_decay, momentum_decay;
  double l1, l2, clip_norm;
} NlshOptimizer;

/* As cpu/classifier/training-backend.h. precision: of the matrix products and convolutions, not NLSH_FP16.
 * NLSH_BF16 is mixed precision: what they read lies in memory as bf16, weights and activations and gradients,
 * while weights as such, their gradients, sums, softmax and loss stay floats. deterministic: the same call
 * gives the same bytes again on the same device, and dropout draws the CPU's random numbers; where it is 0,
 * cuDNN's, of that seed. records_steps: a step is told the device once for each size of a batch, and repeated
 * from then on. The vectors stay as they are until close_training: where they do not fit on the device, each
 * batch's rows are copied there. */
typedef struct NlshTrainingRequest {
  int32_t device;
  int32_t precision;
  int32_t deterministic;
  int32_t records_steps;
  uint64_t seed;
  size_t layers;
  const NlshLayer* layer;
  NlshLoss loss;
  NlshOptimizer optimizer;
  const float *mean, *scale; /* dimensions */
  int32_t unit_length;
  double input_noise;
  NlshMatrix vectors;
  const int32_t* labels; /* one a vector, below bins */
  size_t bins;
  const int32_t* neighbors; /* rows x neighbors_per_row, or null */
  size_t neighbors_per_row, soft_labels;
  size_t batch_rows; /* at most in a mini-batch */
  size_t monitored_probes;
} NlshTrainingRequest;

typedef struct NlshTraining NlshTraining;

/* Mini-batch i has the row numbers rows[offsets[i]] .. rows[offsets[i + 1] - 1], at least one. */
typedef struct NlshBatches {
  size_t count;
  const int32_t* rows;
  const size_t* offsets;
  const double* learning_rates;
  const uint64_t* seeds;
} NlshBatches;

typedef struct NlshScore {
  double loss, normalizer;
  uint64_t hits, rows, neighbors_found, neighbors;
} NlshScore;

/* Flat arrays as in cpu/classifier: parameters, buffers, and the optimizer's running values, slot after slot.
 */
typedef struct NlshTrainingState {
  float *parameters, *buffers, *slots;
  uint64_t* steps;
} NlshTrainingState;

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

  /* A training is used by one thread at a time. */
  int32_t (*open_training)(const NlshTrainingRequest* request, NlshTraining** training, const NlshJob* job,
                           NlshFailure* failure);
  /* The optimizer's running values: that many times the parameters. */
  size_t (*optimizer_slots)(const NlshTraining* training);
  /* A step for each batch, in order; the sums of the scores before the steps. */
  int32_t (*train_batches)(NlshTraining* training, const NlshBatches* batches, NlshScore* score,
                           const NlshJob* job, NlshFailure* failure);
  int32_t (*score_rows)(NlshTraining* training, const int32_t* rows, size_t count, NlshScore* score,
                        const NlshJob* job, NlshFailure* failure);
  int32_t (*logits_of)(NlshTraining* training, const int32_t* rows, size_t count, float* logits,
                       const NlshJob* job, NlshFailure* failure);
  /* What is null in the state is left out. */
  int32_t (*get_training_state)(NlshTraining* training, NlshTrainingState* state, NlshFailure* failure);
  int32_t (*set_training_state)(NlshTraining* training, const NlshTrainingState* state, NlshFailure* failure);
  void (*close_training)(NlshTraining* training);
} NlshCudaTable;

/* The library's only symbol: null for another version. */
typedef const NlshCudaTable* (*NlshCudaEntry)(uint32_t version);

#ifdef __cplusplus
}
#endif
#endif
