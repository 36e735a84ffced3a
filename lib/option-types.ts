/** The options of every call as users write them; what is right for each, and its default, stand in options.ts. */
import type { RuleMethod } from './baselines/rules.js'
import type { ClassifierOptions } from './classifier/options.js'
import type {
  GraphMethod,
  GraphPrecision,
  KahipMode,
  KnnGraph,
  Metric,
  ScanType,
  StartingPoint
} from './engines/engine.js'
import type { EngineChoice } from './engines/select.js'
import type { Method } from './methods.js'

/** What a long-running call is doing: `done` of `total` in units of the stage's own; `total` is 1 until it is known. */
export interface Progress {
  stage: StageName
  done: number
  total: number
}

export type StageName =
  | 'prepare'
  | 'partition-choice'
  | 'knn-graph'
  | 'similarity-graph'
  | 'partition'
  | 'assignment'
  | 'classifier'
  | 'second-level'
  | 'bins'
  | 'codes'
  | 'recall'
  | 'exact-search'
  | 'search'

/** How a long-running call is run; accepted by all of them. */
export interface RunOptions {
  /** Who computes: 'auto' (default) takes the first engine that works. */
  engine?: EngineChoice | undefined
  /** The GPU of the engine 'cuda', as CUDA counts them, from 0; default 0. */
  device?: number | undefined
  /** Threads to use, 0 to 1024; 0 (default): all cores. */
  threads?: number | undefined
  /** Aborting rejects with the signal's reason within a second and frees the memory. */
  signal?: AbortSignal | undefined
  /** Called now and then, and at the start and the end of each stage. An error that it throws stops the call. */
  onProgress?: ((progress: Progress) => void) | undefined
}

export interface GraphOptions {
  /** Nearest neighbors of each vector in the graph that is partitioned, 1 to n - 1; default: the square root of n, but from
   * 10 to 50, and 20 beyond 250,000 vectors. */
  neighbors?: number | undefined
  /** 'exact' compares all pairs, 'approximate' those that meet in one of many random leaves; 'auto' (default) takes exact where
   * that is a matter of seconds, and says so in the report. */
  method?: GraphMethod | 'auto' | undefined
  /** How far the engine 'cuda' rounds the factors of the matrix products that propose neighbors, default 'fp16': the graph is
   * the exact one with any, and what another takes is time. The other engines, which round nothing, do not look at it. */
  precision?: GraphPrecision | undefined
}

/** Who makes the bins. */
export interface PartitionOptions {
  /** 'auto' (default) tries 'kahip' and 'kmeans' in bins of the same bounded size on a sample, takes what needs fewer
   * candidates and says so in the report; where one of KaHIP's own options is given, it is 'kahip'.
   * 'kahip' partitions the k-NN graph into bins of bounded size; 'regression-lsh' cuts it in two again and again,
   * with a regression that learns each cut (2^b bins); the others need no graph. The bins of 'kmeans', 'itq' (2^b) and
   * 'cross-polytope' (an even number) have the sizes that they have, the leaves of 'pca-tree', 'rp-tree' and 'kd-tree'
   * are equally large. */
  method?: PartitionMethod | 'auto' | undefined
  /** KaHIP's preconfiguration, default 'fastsocial'. */
  mode?: KahipMode | undefined
  /** KaHIP: every bin holds at most (1 + imbalance) * ceil(n / bins) vectors; 0 to 1, default 0.03. */
  imbalance?: number | undefined
  /** KaHIP: partitions with so many seeds, of which the one with the least cut is kept; 1 to 100, default 1. */
  seeds?: number | undefined
  /** k-means: rounds over its sample; ITQ: rotations; 1 to 1000, default 10 and 50. */
  iterations?: number | undefined
  /** k-means: a bin holds at most so many times the mean, 1 to 1000; default: any number. */
  largest?: number | undefined
}

export type PartitionMethod = 'kahip' | 'kmeans' | RuleMethod

/** Who ranks the bins for a query: the trained network, the distance to the bins' centroids, or a partition's own rule:
 * the margins to a tree's hyperplanes or to ITQ's bits, the corners of a cross-polytope. */
export type RouterType = 'classifier' | 'centroids' | 'own'

/** Who has the last word on a vector's bin: the partition; or the trained router, which puts every vector where it would
 * look for it first; or 'router-bounded', the same in bins of at most (1 + partition.imbalance) * ceil(n / bins) vectors,
 * on which the router is then trained again. */
export type Assignment = 'partition' | 'router' | 'router-bounded'

export interface BuildOptions extends RunOptions {
  /** What the other options are where they are not given; default 'neural-lsh'. See the README's table. */
  method?: Method | undefined
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Bins to partition into, 2 to n; default: the power of two nearest to the square root of n. */
  bins?: number | undefined
  /** Above 1, two levels: the vectors are partitioned into so many groups, and each group into bins / groups bins, with a
   * network of its own that is only asked where the first one finds the group probable. Must divide `bins` and leave at
   * least 2 of them to a group; 'auto': the divisor nearest to their square root; default 1. Not with a partition that
   * ranks its bins by itself. */
  groups?: number | 'auto' | undefined
  /** Default 'euclidean'. */
  metric?: Metric | undefined
  graph?: GraphOptions | undefined
  partition?: PartitionOptions | undefined
  /** Who ranks the bins for a query, default 'classifier'; the others train nothing. */
  router?: RouterType | undefined
  classifier?: ClassifierOptions | undefined
  /** Who has the last word on a vector's bin; 'auto' (default): 'router-bounded' for the partition 'kahip' with a trained
   * router, else 'partition'. */
  assignment?: Assignment | 'auto' | undefined
  /** How a bin's vectors are compared with a query: 'exact', or by codes ('int8', 'pq4') with the nearest compared again
   * exactly. 'auto' (default) picks by the vectors' kind and size. */
  scan?: ScanType | 'auto' | undefined
  /** The same seed, options, engine and threads give the same index; 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

/** How many results, and which bins are read for them: as many as it takes to find the share `recall` of the true
 * neighbors, or a fixed number of `probes`, or as many as it takes until their probabilities add up to `mass`; one of
 * them. Default { recall: 0.95 }. */
export interface SearchOptions {
  /** Results, 1 to n, default min(10, n). */
  k?: number | undefined
  /** Bins to read, 1 to the number of bins. */
  probes?: number | undefined
  /** Probability to reach, above 0, at most 1. */
  mass?: number | undefined
  /** Share of the true 10 nearest to find on average, above 0, at most 1; what it takes the index has learned from
   * vectors that its classifier was not trained on. */
  recall?: number | undefined
}

/** What an ensemble is doing: as in Progress. */
export interface EnsembleProgress extends Progress {
  /** The partition that is built or asked, from 0; not there where all are asked together, at the end of a build. */
  partition?: number | undefined
}

export interface EnsembleBuildOptions extends BuildOptions {
  /** Indexes to build, each with a partition of its own; 2 to 16, default 2. */
  partitions?: number | undefined
  /** Number i is built with seed + i; 0 to 2^31 - partitions, default 1. */
  seed?: number | undefined
  onProgress?: ((progress: EnsembleProgress) => void) | undefined
}

export interface SearchBatchOptions extends SearchOptions, Omit<RunOptions, 'engine' | 'device'> {}

export interface EnsembleBatchOptions extends SearchBatchOptions {
  onProgress?: ((progress: EnsembleProgress) => void) | undefined
}

/** How near, and which bins are read: as in SearchOptions, until they hold at least one vector. */
export interface RadiusOptions extends Omit<SearchOptions, 'k'> {
  /** The largest distance that counts, in the metric's own distance as searches return it: SQUARED Euclidean for
   * 'euclidean' (for all within 5, say 25), 1 - cosine, or negated inner product. What is exactly as far is found, too.
   * A finite number, from 0 but for 'inner-product'. */
  radius: number
  /** As in SearchOptions, that is learned for the 10 nearest, and here only a guide: the farther the radius reaches beyond
   * them, the smaller is the share that is found. */
  recall?: number | undefined
}

export interface RadiusBatchOptions extends RadiusOptions, Omit<RunOptions, 'engine' | 'device'> {}

export interface RouteOptions {
  /** Bins to return, 1 to the number of bins; default: all. */
  probes?: number | undefined
}

export interface EvaluateOptions extends Omit<RunOptions, 'engine' | 'device'> {
  /** Neighbors to find, 1 to n, default min(10, n). */
  k?: number | undefined
  /** queries x w row numbers, w >= k, nearest first; default: found by exact search. */
  truth?: Int32Array | undefined
  /** Points of the curve: numbers of bins to read; default, when none of the three is given: 1, 2, 4 … at most 32. */
  probes?: readonly number[] | undefined
  /** Points of the curve: probabilities to reach. */
  mass?: readonly number[] | undefined
  /** Points of the curve: shares of the true neighbors to find. */
  recall?: readonly number[] | undefined
}

export interface SaveOptions {
  signal?: AbortSignal | undefined
  /** n words (or names) of the rows, kept in the file; default: the index's own. */
  words?: readonly string[] | undefined
}

export type EnsembleSaveOptions = Pick<SaveOptions, 'signal'>

export interface OpenOptions extends Omit<RunOptions, 'onProgress'> {}

export interface KnnGraphOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Neighbors of each vector, 1 to n - 1; default min(10, n - 1). */
  neighbors?: number | undefined
  /** Default 'euclidean'. */
  metric?: Metric | undefined
  /** As in GraphOptions; default 'exact'. */
  method?: GraphMethod | 'auto' | undefined
  /** As in GraphOptions. */
  precision?: GraphPrecision | undefined
  /** Of the approximate method; 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface PartitionGraphOptions extends RunOptions {
  /** Bins to partition into, 2 to n. */
  bins: number
  /** KaHIP's preconfiguration, default 'fastsocial'. */
  mode?: KahipMode | undefined
  /** Every bin holds at most (1 + imbalance) * ceil(n / bins) vectors; 0 to 1, default 0.03. */
  imbalance?: number | undefined
  /** Partitions with so many seeds, of which the one with the least cut is kept; 1 to 100, default 1. */
  seeds?: number | undefined
  /** 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface KmeansOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Centroids, 1 to n. */
  bins: number
  /** Rounds over the sample, 1 to 1000, default 10. */
  iterations?: number | undefined
  /** A bin holds at most so many times the mean, rounded down, and at least the mean rounded up; 1 to 1000, default: any
   * number. A vector then goes to a bin with room whose centroid is near. */
  largest?: number | undefined
  /** 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface TrainClassifierOptions extends RunOptions, ClassifierOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** n labels in [0, bins). */
  labels: Int32Array
  /** Outputs of the network, from 2. */
  bins: number
  /** The neighbors of each vector; needed for soft labels. */
  neighbors?: KnnGraph | undefined
  /** Where to start: what an earlier call returned, to go on with it exactly, or only weights, flat as in
   * `Classifier.parameters`. Default: weights drawn from the seed. */
  initial?: StartingPoint | undefined
  /** 0 to 2^31 - 1, default 1. */
  seed?: number | undefined
}

export interface ExactSearchOptions extends RunOptions {
  /** Numbers in a vector, 1 to 65536. */
  dimensions: number
  /** Default 'euclidean'. */
  metric?: Metric | undefined
  /** Results for each query, 1 to n, default min(10, n). */
  k?: number | undefined
}
