/**
 * Methods by name: what each says of the options. A method is nothing but defaults; whatever else is given overrules it.
 */
import { asRecord, oneOf } from './checks/fields.js'
import type { BuildOptions } from './options.js'

type MethodOptions = Pick<BuildOptions, 'groups' | 'graph' | 'partition' | 'router' | 'assignment' | 'classifier'>

const kahip = { method: 'kahip' } as const
const byCentroids = { router: 'centroids' } as const
const byOwnRule = { router: 'own' } as const

export const methods = {
  /** Our defaults. */
  'neural-lsh': {},
  /** The same in groups of bins: Dong et al. 2020, section 3.2. */
  'two-level': { groups: 'auto' },
  /** As it is taught: hard labels, two hidden layers, bins as KaHIP made them. */
  lecture: {
    graph: { neighbors: 10 },
    partition: kahip,
    assignment: 'partition',
    classifier: {
      hidden: [512, 512],
      softLabels: 0,
      optimizer: { type: 'adam', learningRate: 1e-3 },
      schedule: { type: 'constant' },
      epochs: 10,
      batchSize: 32
    }
  },
  /** As it was published: Dong, Indyk, Razenshteyn & Wagner, ICLR 2020, section 5. */
  paper: {
    graph: { neighbors: 10 },
    partition: kahip,
    assignment: 'router',
    classifier: {
      hidden: [512, 512, 512],
      batchNorm: true,
      dropout: 0.1,
      softLabels: 50,
      optimizer: { type: 'adam', learningRate: 8e-4 },
      regularization: { l2: 1e-4 },
      schedule: { type: 'multi-step', factor: 0.1, milestones: [10, 15] },
      epochs: 20,
      batchSize: 64
    }
  },
  /** The same authors' tree of logistic regressions. */
  'regression-lsh': {
    graph: { neighbors: 10 },
    partition: { method: 'regression-lsh' },
    ...byOwnRule,
    classifier: { hidden: [] }
  },
  /** Lloyd (1982). */
  kmeans: { partition: { method: 'kmeans' }, ...byCentroids },
  /** k-means of the vectors of each bin of a k-means. */
  'two-level-kmeans': { groups: 'auto', partition: { method: 'kmeans' }, ...byCentroids },
  /** With bins of nearly equal size. */
  'balanced-kmeans': { partition: { method: 'kmeans', largest: 1.05 }, ...byCentroids },
  /** Gong & Lazebnik, "Iterative Quantization", CVPR 2011. */
  itq: { partition: { method: 'itq' }, ...byOwnRule },
  /** Andoni et al., "Practical and Optimal LSH for Angular Distance", NIPS 2015. */
  'cross-polytope': { partition: { method: 'cross-polytope' }, ...byOwnRule },
  /** Sproull, "Refinements to nearest-neighbor searching in k-dimensional trees", 1991. */
  'pca-tree': { partition: { method: 'pca-tree' }, ...byOwnRule },
  /** Dasgupta & Freund, "Random projection trees and low dimensional manifolds", STOC 2008. */
  'rp-tree': { partition: { method: 'rp-tree' }, ...byOwnRule },
  /** Bentley (1975). */
  'kd-tree': { partition: { method: 'kd-tree' }, ...byOwnRule }
} as const satisfies Record<string, MethodOptions>

export type Method = keyof typeof methods

/** Methods as they are called in print. */
export const titles: Readonly<Record<Method, string>> = {
  'neural-lsh': 'Neural LSH',
  'two-level': 'Neural LSH in two levels',
  lecture: 'Neural LSH as taught',
  paper: 'Neural LSH as published',
  'regression-lsh': 'Regression LSH',
  kmeans: 'k-means',
  'two-level-kmeans': 'k-means in two levels',
  'balanced-kmeans': 'balanced k-means',
  itq: 'ITQ',
  'cross-polytope': 'cross-polytope LSH',
  'pca-tree': 'PCA tree',
  'rp-tree': 'RP tree',
  'kd-tree': 'k-d tree'
}

export const methodNames = Object.keys(methods) as Method[]

export const method = oneOf<Method>(methodNames, 'neural-lsh')

/** The options with what their method says of those that are not given. Throws ArgumentError. */
export function withMethod(options: unknown): Record<string, unknown> {
  const given = asRecord(options, 'options')
  const defaults: MethodOptions = methods[method.read(given.method, 'method')]
  const merged: Record<string, unknown> = { ...defaults, ...given }
  for (const section of ['graph', 'partition', 'classifier'] as const) {
    const own = asRecord(given[section], section)
    merged[section] = { ...(section === 'classifier' ? beside(own, defaults[section]) : defaults[section]), ...own }
  }
  return merged
}

/** What a method says of the hidden layers does not hold where all layers are given. */
function beside(own: Record<string, unknown>, { ...defaults }: MethodOptions['classifier'] = {}) {
  if (own.layers !== undefined)
    for (const name of ['hidden', 'activation', 'batchNorm', 'dropout'] as const) delete defaults[name]
  return defaults
}
