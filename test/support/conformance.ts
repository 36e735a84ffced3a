/** What PyTorch makes of each part of the classifier (test/fixtures/README.md), and how far from it something is. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import type { Layer, Network, PartitionRule } from '../../lib/classifier/network.js'
import type { Loss, Optimizer, Regularization, Schedule } from '../../lib/classifier/training.js'

export interface PassCase {
  part: Exclude<Layer['type'], PartitionRule['type']> | Loss['type'] | 'network'
  name: string
  network: Network
  loss: Loss
  seed: number
  parameters: number[]
  buffers: number[]
  inputs: number[]
  /** rows x outputs; or `labels`, one a row. */
  targets?: number[]
  labels?: number[]
  use: { outputs: number[]; loss: number }
  /** Not there for a network with a step, which cannot be trained. */
  training?: { outputs: number[]; loss: number; gradient: number[]; inputGradient: number[]; buffers: number[] }
}

export interface OptimizerCase {
  name: string
  optimizer: Optimizer
  regularization: Regularization
  learningRates: number[]
  /** steps x parameters: those after each step. */
  after: number[]
}

export interface Fixture {
  passes: PassCase[]
  optimizers: { parameters: number[]; gradients: number[]; cases: OptimizerCase[] }
  schedules: { stepsPerEpoch: number; losses: number[]; cases: { schedule: Schedule; factors: number[] }[] }
}

export function readConformance(): Fixture {
  const path = new URL('../fixtures/conformance.json.gz', import.meta.url)
  return JSON.parse(gunzipSync(readFileSync(path)).toString()) as Fixture
}

/** Of a case. */
export const rowsOf = ({ network, inputs }: PassCase) => inputs.length / network.inputShape.reduce((a, b) => a * b)

/** Largest difference, relative to the largest magnitude of what is expected. */
export function relativeError(found: ArrayLike<number>, expected: readonly number[]): number {
  if (found.length !== expected.length) return Number.POSITIVE_INFINITY
  const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const difference = expected.reduce((most, value, i) => Math.max(most, Math.abs(value - (found[i] as number))), 0)
  return largest > 0 ? difference / largest : difference
}
