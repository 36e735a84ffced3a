/** What a comparison of methods comes to: plain data, as `neural-lsh evaluate --methods … --json` prints it. */

import type { StageReport } from '../build/measure-stages.js'
import type { EpochSummary } from '../build.js'
import type { Metric } from '../engines/engine.js'
import type { Method } from '../methods.js'
import type { IndexOptions } from '../options.js'
import type { CurvePoint } from './evaluate.js'

/** How bins are chosen for a query: the same number of `probes` for all of them, or those that are probable enough for a
 * `recall` to be reached, as the index learned it when it was built. */
export type ProbingType = 'probes' | 'recall'

export interface ComparisonPoint {
  /** What was asked for: a number of bins or a recall. */
  asked: number
  /** Acc@k: share of the true k nearest that are among the candidates. */
  accuracy: number
  /** Vectors compared per query. */
  candidatesMean: number
  candidatesQ95: number
}

/** Accuracy against candidates, both rising. */
export interface ComparisonCurve {
  probing: ProbingType
  points: ComparisonPoint[]
}

/** Candidates that it takes to reach an accuracy, in proportion between the curve's points. */
export interface NeededCandidates {
  accuracy: number
  probing: ProbingType
  candidatesMean: number
  candidatesQ95: number
  /** The same divided by what k-means needs with as many bins, reading a number of bins; where k-means was measured. */
  meanToKmeans?: number
  q95ToKmeans?: number
}

/** The first point of a curve that reaches an accuracy, searched for with one thread; the fastest of some runs. */
export interface MeasuredSpeed extends CurvePoint {
  probing: ProbingType
  wantedAccuracy: number
}

export interface MethodResult {
  method: Method
  bins: number
  curves: ComparisonCurve[]
  /** For accuracies of 0.8 to 0.95, where a curve reaches them. */
  needed: NeededCandidates[]
  /** For accuracies of 0.9 and 0.95, where a curve reaches them. */
  speeds: MeasuredSpeed[]
  /** The router's multiply-adds for one query / dimensions: what it costs, counted in distance computations. */
  routerDistances: number
  /** Vectors in each bin. */
  binSizes: number[]
  /** Largest bin / mean bin. */
  balance: number
  /** KaHIP: weight of the similarity graph's edges between bins. */
  edgeCut?: number
  stages: StageReport[]
  /** Of the router's training; empty where nothing was trained. */
  history: EpochSummary[]
  /** What it was built with: every option with its value. */
  options: IndexOptions
  /** The bin of each vector of the sample. */
  sampleBins: number[]
}

/** A method that makes no index of these data. */
export interface MethodFailure {
  method: Method
  bins: number
  message: string
}

export interface Comparison {
  /** Of this package. */
  version: string
  engine: string
  /** For people: kernels, threads. */
  machine: string
  rows: number
  dimensions: number
  queries: number
  metric: Metric
  k: number
  seed: number
  /** Threads of the builds. */
  threads: number
  /** Rows drawn by chance, ascending, to make a map of. */
  sample: number[]
  results: MethodResult[]
  failures: MethodFailure[]
  /** What the figures say, in words. */
  verdict: string
}
