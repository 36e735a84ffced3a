/** The public door: every export of the package, and nothing else. */

export type { StageReport } from './build/measure-stages.js'
export type { BuildReport, EpochSummary } from './build.js'
export type { Choice } from './choices.js'
export type { ActivationType, InputShape, Layer, Network, PartitionRule } from './classifier/network.js'
export type {
  ClassifierOptions,
  EarlyStoppingOptions,
  InitializationOptions,
  LayerOptions,
  LossOptions,
  OptimizerOptions,
  RegularizationOptions,
  ScheduleOptions
} from './classifier/options.js'
export type { ClassWeights, InputType, TrainingPrecision } from './classifier/training.js'
export type {
  Bins,
  Calibration,
  Classifier,
  EpochReport,
  GraphMethod,
  GraphPrecision,
  InputTransform,
  KahipMode,
  Kmeans,
  KnnGraph,
  Metric,
  Partition,
  ProjectionMethod,
  ProjectionPartition,
  RadiusBatchResult,
  ScanType,
  SearchResult,
  SimilarityGraph,
  StartingPoint,
  TrainedClassifier,
  TrainingState
} from './engines/engine.js'
export type { EngineChoice } from './engines/select.js'
export { Ensemble } from './ensemble.js'
export { ArgumentError, ClosedError, EngineError, type ErrorCode, FileError, NeuralLSHError } from './errors.js'
export { compareMethods } from './evaluation/compare.js'
export type {
  Comparison,
  ComparisonCurve,
  ComparisonPoint,
  MeasuredSpeed,
  MethodFailure,
  MethodResult,
  NeededCandidates,
  ProbingType
} from './evaluation/comparison.js'
export type { CurvePoint, Evaluation } from './evaluation/evaluate.js'
export type { CompareOptions, ComparisonProgress } from './evaluation/options.js'
export {
  type IdFile,
  type ReadVectorsOptions,
  readIds,
  readVectors,
  type VectorFile,
  type VectorFormat,
  vectorFormats
} from './formats/read.js'
export { type WriteOptions, writeFvecs, writeIvecs } from './formats/write.js'
export type { Method } from './methods.js'
export { NeuralLSH } from './neural-lsh.js'
export type {
  BuildOptions,
  EnsembleBatchOptions,
  EnsembleBuildOptions,
  EnsembleProgress,
  EnsembleSaveOptions,
  EvaluateOptions,
  ExactSearchOptions,
  GraphOptions,
  IndexOptions,
  KmeansOptions,
  KnnGraphOptions,
  OpenOptions,
  PartitionGraphOptions,
  PartitionMethod,
  PartitionOptions,
  Progress,
  RadiusBatchOptions,
  RadiusOptions,
  RouteOptions,
  RouterType,
  RunOptions,
  SaveOptions,
  SearchBatchOptions,
  SearchOptions,
  StageName,
  TrainClassifierOptions
} from './options.js'
export type { BatchResult, RadiusResult, Route } from './searchable-index.js'
export { groupIntoBins } from './stages/bins.js'
export { trainClassifier } from './stages/classifier.js'
export { kmeans } from './stages/kmeans.js'
export { buildKnnGraph } from './stages/knn-graph.js'
export { partitionGraph } from './stages/partition.js'
export { type ExactSearchResult, exactSearch } from './stages/query.js'
export { buildSimilarityGraph } from './stages/similarity-graph.js'
