/* The library behind native/cuda/interface.h without a GPU: plain loops in double precision, so that the way
 * from TypeScript to the table and back can be tested anywhere. The environment tells what goes wrong:
 *   FAKE_CUDA_FAILS     "<function> <status>": that function returns that status
 *   FAKE_CUDA_DRIVER    version of the driver, 13000
 *   FAKE_CUDA_DEVICES   number of devices, 2
 *   FAKE_CUDA_PAUSE     microseconds for each query and for the closing of an index, 0
 *   FAKE_CUDA_PRECISION the only precision of the products of a graph that is taken, any */
#define _DEFAULT_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../native/cuda/interface.h"

static const uint64_t total_bytes = 1000000000;
static uint64_t used_bytes;
static pthread_mutex_t used_bytes_mutex = PTHREAD_MUTEX_INITIALIZER;

static void use_bytes(uint64_t bytes) {
  pthread_mutex_lock(&used_bytes_mutex);
  used_bytes += bytes;
  pthread_mutex_unlock(&used_bytes_mutex);
}

static int number_from(const char* name, int fallback) {
  const char* text = getenv(name);
  return text != NULL && *text != 0 ? atoi(text) : fallback;
}

/* The status that the environment wants of this function. */
static int32_t failure_of(const char* function, NlshFailure* failure) {
  const char* wanted = getenv("FAKE_CUDA_FAILS");
  const size_t length = strlen(function);
  if (wanted == NULL || strncmp(wanted, function, length) != 0 || wanted[length] != ' ') return NLSH_OK;
  snprintf(failure->argument, sizeof failure->argument, "%s", function);
  snprintf(failure->message, sizeof failure->message, "cudaErrorOfTest in %s", function);
  return atoi(wanted + length + 1);
}

static int32_t versions(NlshVersions* versions, NlshFailure* failure) {
  const NlshVersions found = {number_from("FAKE_CUDA_DRIVER", 13000), 13000, 130002, 91300};
  *versions = found;
  return failure_of("versions", failure);
}

static int32_t count_devices(int32_t* count, NlshFailure* failure) {
  *count = number_from("FAKE_CUDA_DEVICES", 2);
  return failure_of("count_devices", failure);
}

static int32_t describe_device(int32_t device, NlshDevice* description, NlshFailure* failure) {
  memset(description, 0, sizeof *description);
  snprintf(description->name, sizeof description->name, "Fake GPU %d", device);
  description->major = 9;
  description->multiprocessors = 132;
  description->total_bytes = total_bytes;
  pthread_mutex_lock(&used_bytes_mutex);
  description->free_bytes = total_bytes - used_bytes;
  pthread_mutex_unlock(&used_bytes_mutex);
  return failure_of("describe_device", failure);
}

typedef struct Found {
  double distance;
  int32_t id;
} Found;

static int by_distance(const void* a, const void* b) {
  const Found *x = a, *y = b;
  if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

static double distance_of(int32_t metric, const float* query, const float* point, size_t columns) {
  double sum = 0;
  for (size_t c = 0; c < columns; ++c) {
    const double x = query[c], y = point[c];
    sum += metric == NLSH_EUCLIDEAN ? (x - y) * (x - y) : x * y;
  }
  return metric == NLSH_EUCLIDEAN ? sum : metric == NLSH_COSINE ? 1 - sum : -sum;
}

static void write_nearest(Found* found, size_t count, size_t k, int32_t* ids, float* distances) {
  qsort(found, count, sizeof *found, by_distance);
  for (size_t i = 0; i < k; ++i) {
    ids[i] = found[i].id;
    distances[i] = (float)found[i].distance;
  }
}

static void take_time(void) {
  const int pause = number_from("FAKE_CUDA_PAUSE", 0);
  if (pause > 0) usleep((useconds_t)pause);
}

/* Between two queries: takes its time, reports, and says whether to go on. */
static int goes_on(const NlshJob* job, size_t done, size_t total) {
  take_time();
  if (job->is_cancelled(job->context)) return 0;
  job->progress(job->context, done, total);
  return 1;
}

static int32_t find_neighbors(const NlshNeighborsRequest* request, const NlshJob* job, NlshFailure* failure) {
  const int of_others = request->queries.data != NULL;
  const NlshMatrix points = request->points, queries = of_others ? request->queries : points;
  Found* const found = malloc(points.rows * sizeof *found);
  int32_t status = failure_of("find_neighbors", failure);
  if (!of_others && request->precision != number_from("FAKE_CUDA_PRECISION", request->precision)) status = NLSH_BAD_ARGUMENT;
  for (size_t i = 0; i < queries.rows && status == NLSH_OK; ++i) {
    size_t count = 0;
    for (size_t j = 0; j < points.rows; ++j) {
      if (!of_others && i == j) continue;
      found[count].id = (int32_t)j;
      found[count++].distance = distance_of(request->metric, queries.data + i * queries.columns,
                                            points.data + j * points.columns, points.columns);
    }
    write_nearest(found, count, request->k, request->ids + i * request->k,
                  request->distances + i * request->k);
    if (!goes_on(job, i + 1, queries.rows)) status = NLSH_CANCELLED;
  }
  free(found);
  return status;
}

/* Owns a copy of everything, as a device has. */
struct NlshIndex {
  int32_t metric;
  size_t rows, dimensions, bins, layers;
  float *vectors, *mean, *scale;
  int32_t *offsets, *ids;
  size_t* widths;
  float **weights, **biases;
  int32_t unit_length;
  float temperature;
};

static void* copy_of(const void* data, size_t bytes) {
  return data == NULL ? NULL : memcpy(malloc(bytes), data, bytes);
}

static uint64_t index_bytes(const NlshIndex* index) {
  return index->rows * index->dimensions * sizeof(float);
}

static void close_index(NlshIndex* index) {
  if (index == NULL) return;
  take_time();
  use_bytes(-index_bytes(index));
  for (size_t i = 0; i < index->layers; ++i) {
    free(index->weights[i]);
    free(index->biases[i]);
  }
  void* const arrays[] = {index->vectors, index->mean,   index->scale,   index->offsets,
                          index->ids,     index->widths, index->weights, index->biases};
  for (size_t i = 0; i < sizeof arrays / sizeof *arrays; ++i) free(arrays[i]);
  free(index);
}

static int32_t open_index(const NlshIndexRequest* request, NlshIndex** index, const NlshJob* job,
                          NlshFailure* failure) {
  const int32_t status = failure_of("open_index", failure);
  if (status != NLSH_OK) return status;
  if (job->is_cancelled(job->context)) return NLSH_CANCELLED;
  const NlshRouter* const router = &request->router;
  const size_t size = request->rows * request->dimensions, row = request->dimensions * sizeof(float);
  NlshIndex* const made = calloc(1, sizeof *made);
  made->metric = request->metric;
  made->rows = request->rows;
  made->dimensions = request->dimensions;
  made->bins = request->bins;
  made->layers = router->layers;
  made->vectors = malloc(size * sizeof(float));
  for (size_t i = 0; i < size; ++i)
    made->vectors[i] = request->bytes != NULL ? request->bytes[i] : request->vectors[i];
  made->offsets = copy_of(request->offsets, (request->bins + 1) * sizeof(int32_t));
  made->ids = copy_of(request->ids, request->rows * sizeof(int32_t));
  made->mean = copy_of(router->mean, row);
  made->scale = copy_of(router->scale, row);
  made->unit_length = router->unit_length;
  made->temperature = router->temperature;
  made->widths = copy_of(router->widths, (router->layers + 1) * sizeof(size_t));
  made->weights = calloc(router->layers, sizeof(float*));
  made->biases = calloc(router->layers, sizeof(float*));
  for (size_t i = 0; i < router->layers; ++i) {
    made->weights[i] = copy_of(router->weights[i], made->widths[i] * made->widths[i + 1] * sizeof(float));
    made->biases[i] = copy_of(router->biases[i], made->widths[i + 1] * sizeof(float));
  }
  use_bytes(index_bytes(made));
  *index = made;
  return NLSH_OK;
}

/* The bins' probabilities as distances below 0: sorted, the most probable comes first. */
static void rank_bins(const NlshIndex* index, const float* query, Found* bins) {
  size_t widest = 0;
  for (size_t i = 0; i <= index->layers; ++i) widest = index->widths[i] > widest ? index->widths[i] : widest;
  double *in = calloc(widest, sizeof *in), *out = calloc(widest, sizeof *out), squared = 0, sum = 0;
  for (size_t c = 0; c < index->dimensions; ++c) squared += (double)query[c] * query[c];
  for (size_t c = 0; c < index->dimensions; ++c) {
    const double x = index->unit_length && squared > 0 ? query[c] / sqrt(squared) : query[c];
    in[c] = (x - index->mean[c]) * index->scale[c];
  }
  for (size_t layer = 0; layer < index->layers; ++layer) {
    const size_t from = index->widths[layer], to = index->widths[layer + 1];
    for (size_t o = 0; o < to; ++o) {
      out[o] = index->biases[layer] != NULL ? index->biases[layer][o] : 0;
      for (size_t c = 0; c < from; ++c) out[o] += in[c] * index->weights[layer][o * from + c];
      if (layer + 1 < index->layers && out[o] < 0) out[o] = 0;
    }
    double* const swapped = in;
    in = out;
    out = swapped;
  }
  double largest = in[0];
  for (size_t b = 1; b < index->bins; ++b) largest = in[b] > largest ? in[b] : largest;
  for (size_t b = 0; b < index->bins; ++b) sum += exp((in[b] - largest) / index->temperature);
  for (size_t b = 0; b < index->bins; ++b) {
    bins[b].id = (int32_t)b;
    bins[b].distance = -exp((in[b] - largest) / index->temperature) / sum;
  }
  qsort(bins, index->bins, sizeof *bins, by_distance);
  free(in);
  free(out);
}

static int wants_more(const NlshSearchRequest* request, size_t probes, size_t rows, double mass,
                      double next) {
  if (rows < request->k) return 1;
  if (request->probes > 0) return probes < request->probes;
  if (request->mass > 0) return mass < request->mass;
  return next >= request->probability && rows < request->candidates;
}

static int32_t search(NlshIndex* index, const NlshSearchRequest* request, const NlshJob* job,
                      NlshFailure* failure) {
  int32_t status = failure_of("search", failure);
  Found *bins = malloc(index->bins * sizeof *bins), *found = malloc(index->rows * sizeof *found);
  for (size_t i = 0; i < request->queries.rows && status == NLSH_OK; ++i) {
    const float* const query = request->queries.data + i * index->dimensions;
    size_t rows = 0, probes = 0;
    double mass = 0;
    rank_bins(index, query, bins);
    while (probes < index->bins && wants_more(request, probes, rows, mass, -bins[probes].distance)) {
      mass -= bins[probes].distance;
      const int32_t bin = bins[probes++].id;
      for (int32_t row = index->offsets[bin]; row < index->offsets[bin + 1]; ++row) {
        found[rows].id = index->ids[row];
        found[rows++].distance = distance_of(
            index->metric, query, index->vectors + (size_t)row * index->dimensions, index->dimensions);
      }
    }
    write_nearest(found, rows, request->k, request->ids + i * request->k,
                  request->distances + i * request->k);
    request->visited_candidates[i] = (int32_t)rows;
    request->visited_probes[i] = (int32_t)probes;
    if (!goes_on(job, i + 1, request->queries.rows)) status = NLSH_CANCELLED;
  }
  free(bins);
  free(found);
  return status;
}

/* It trains nothing, so that the CPU does. */
static int32_t open_training(const NlshTrainingRequest* request, NlshTraining** training, const NlshJob* job,
                             NlshFailure* failure) {
  (void)request, (void)training, (void)job;
  snprintf(failure->message, sizeof failure->message, "no room for a training of this fake device");
  return NLSH_OUT_OF_MEMORY;
}

static const NlshCudaTable table = {.version = NLSH_CUDA_VERSION,
                                    .versions = versions,
                                    .count_devices = count_devices,
                                    .describe_device = describe_device,
                                    .find_neighbors = find_neighbors,
                                    .open_index = open_index,
                                    .search = search,
                                    .index_bytes = index_bytes,
                                    .close_index = close_index,
                                    .open_training = open_training};

const NlshCudaTable* neural_lsh_cuda(uint32_t version) {
  return version == NLSH_CUDA_VERSION ? &table : NULL;
}
