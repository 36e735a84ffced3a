/** Each part of the classifier against PyTorch, in both precisions: see test/fixtures/README.md. */
import test from 'ava'
import type { Layer } from '../../lib/classifier/network.js'
import type { Optimizer, Schedule } from '../../lib/classifier/training.js'
import { eachEngine } from '../engines/each-engine.js'
import {
  type Fixture,
  type OptimizerCase,
  type PassCase,
  readConformance,
  relativeError,
  rowsOf
} from '../support/conformance.js'

const { passes, optimizers, schedules } = readConformance()

// How many cases there must be of each part: the compiler asks for every type that lib/classifier describes.
const passCounts: Record<PassCase['part'], number> = {
  linear: 3,
  conv2d: 5,
  'max-pool2d': 3,
  'average-pool2d': 3,
  'batch-norm': 3,
  dropout: 3,
  flatten: 1,
  identity: 2,
  step: 2,
  sigmoid: 2,
  tanh: 2,
  relu: 2,
  relu6: 2,
  'leaky-relu': 4,
  elu: 4,
  selu: 2,
  softplus: 2,
  gelu: 2,
  softmax: 2,
  'cross-entropy': 9,
  'binary-cross-entropy': 3,
  'mean-squared-error': 3,
  'mean-absolute-error': 3,
  network: 2
}
const optimizerCounts: Record<Optimizer['type'], number> = {
  sgd: 6,
  adagrad: 3,
  rmsprop: 3,
  adadelta: 2,
  adam: 5,
  adamw: 2,
  adamax: 2,
  nadam: 3
}
const scheduleCounts: Record<Schedule['type'], number> = {
  constant: 3,
  step: 3,
  'multi-step': 3,
  exponential: 3,
  cosine: 6,
  plateau: 6
}

const countsOf = (parts: string[]) =>
  Object.fromEntries(parts.map((part) => [part, parts.filter((other) => other === part).length]))

test('the fixture has cases of every layer, activation, loss, optimizer and schedule', (t) => {
  t.deepEqual(countsOf(passes.map(({ part }) => part)), passCounts)
  t.deepEqual(countsOf(optimizers.cases.map(({ optimizer }) => optimizer.type)), optimizerCounts)
  t.deepEqual(countsOf(schedules.cases.map(({ schedule }) => schedule.type)), scheduleCounts)
  const trained = passes.filter(({ training }) => training !== undefined)
  t.is(trained.length, passes.length - passCounts.step)
  t.true(optimizers.cases.every(({ learningRates }) => learningRates.length === 20))
})

// ------------------------------------------------------------------------------------------ errors

/** Of what goes forward and of what goes backward; of an optimizer's parameters, and of a schedule's factors. */
interface Errors {
  forward: number
  gradient?: number
}

type Precision = Float64ArrayConstructor | Float32ArrayConstructor

/** Rows [first, end) of a case, `repeats` times over, as a request. */
function batch(one: PassCase, reals: Precision, training: boolean, [first, end] = [0, rowsOf(one)], repeats = 1) {
  const rows = rowsOf(one)
  const part = (values: number[]) =>
    repeated(values.slice((first * values.length) / rows, (end * values.length) / rows), repeats)
  return {
    network: one.network,
    loss: one.loss,
    seed: one.seed,
    training,
    parameters: reals.from(one.parameters),
    buffers: reals.from(one.buffers),
    inputs: reals.from(part(one.inputs)),
    ...(one.labels ? { labels: Int32Array.from(part(one.labels)) } : { targets: reals.from(part(one.targets ?? [])) })
  }
}

const repeated = (values: number[], repeats: number) => Array.from({ length: repeats }, () => values).flat()

eachEngine(({ networkPass, optimizerSteps, scheduleFactors, test }) => {
  /** In use (all rows at once and one by one, which go different ways) and in training. */
  function passErrors(one: PassCase, reals: Precision): Errors {
    const rows = rowsOf(one)
    const used = networkPass(batch(one, reals, false))
    const singly = Array.from({ length: rows }, (_, row) => [
      ...networkPass(batch(one, reals, false, [row, row + 1])).outputs
    ])
    const { use, training } = one
    const forward = [
      relativeError(used.outputs, use.outputs),
      relativeError(singly.flat(), use.outputs),
      relativeError([used.loss], [use.loss])
    ]
    if (!training) return { forward: Math.max(...forward) }
    const trained = networkPass(batch(one, reals, true))
    return {
      forward: Math.max(
        ...forward,
        relativeError(trained.outputs, training.outputs),
        relativeError([trained.loss], [training.loss]),
        relativeError(trained.buffers, training.buffers)
      ),
      gradient: Math.max(
        relativeError(trained.gradient, training.gradient),
        relativeError(trained.inputGradient, training.inputGradient)
      )
    }
  }

  function optimizerErrors(
    { optimizer, regularization, learningRates, after }: OptimizerCase,
    reals: Precision
  ): Errors {
    const { parameters } = optimizerSteps({
      optimizer,
      regularization,
      parameters: reals.from(optimizers.parameters),
      gradients: reals.from(optimizers.gradients),
      learningRates: Float64Array.from(learningRates)
    })
    return { forward: relativeError(parameters, after) }
  }

  function scheduleErrors({ schedule, factors }: Fixture['schedules']['cases'][number]): Errors {
    const { stepsPerEpoch, losses } = schedules
    const found = scheduleFactors({ schedule, stepsPerEpoch, losses: Float64Array.from(losses) })
    return { forward: relativeError(found, factors) }
  }

  // ------------------------------------------------------------------------------------------ the table

  interface Row {
    kind: string
    name: string
    double: Errors
    /** Not there for schedules, which have one precision. */
    float?: Errors
  }

  function rows(): Row[] {
    const inBoth = <Case>(one: Case, errors: (one: Case, reals: Precision) => Errors) => ({
      double: errors(one, Float64Array),
      float: errors(one, Float32Array)
    })
    return [
      ...passes.map((one) => ({ kind: one.part, name: one.name, ...inBoth(one, passErrors) })),
      ...optimizers.cases.map((one) => ({ kind: one.optimizer.type, name: one.name, ...inBoth(one, optimizerErrors) })),
      ...schedules.cases.map((one) => {
        const { type, warmup } = one.schedule
        return { kind: `${type} schedule`, name: `warm-up ${warmup}`, double: scheduleErrors(one) }
      })
    ]
  }

  /** One line for each kind: the largest errors of its cases. */
  function table(rows: Row[]): string {
    const cell = (errors: (number | undefined)[]) => {
      const known = errors.filter((error) => error !== undefined)
      return known.length > 0 ? Math.max(...known).toExponential(1) : ''
    }
    const lines = [...new Set(rows.map(({ kind }) => kind))].map((kind) => {
      const cases = rows.filter((row) => row.kind === kind)
      const cells = (['double', 'float'] as const).flatMap((precision) => [
        cell(cases.map((row) => row[precision]?.forward)),
        cell(cases.map((row) => row[precision]?.gradient))
      ])
      return [kind, String(cases.length), ...cells]
    })
    const header = ['', 'cases', 'float64', 'gradient', 'float32', 'gradient']
    return [header, ...lines].map((line) => line.map((text, i) => text.padEnd(i === 0 ? 22 : 10)).join('')).join('\n')
  }

  test('forward and gradient are those of PyTorch', (t) => {
    const found = rows()
    t.log('largest difference from PyTorch in float64, relative to the largest magnitude of each array')
    t.log(table(found))
    const largest = ({ forward, gradient = 0 }: Errors) => Math.max(forward, gradient)
    for (const { kind, name, double, float } of found) {
      t.true(largest(double) < 1e-12, `${kind}, ${name}, float64: ${largest(double)}`)
      if (float) t.true(largest(float) < 1e-4, `${kind}, ${name}, float32: ${largest(float)}`)
    }
  })

  test('a batch of the same rows again and again is as good as PyTorch, too', (t) => {
    const repeats = 257
    const isDropout = ({ type }: Layer) => type === 'dropout'
    for (const one of passes) {
      const { part, name, network, training, use } = one
      for (const [reals, most] of [
        [Float64Array, 1e-11],
        [Float32Array, 1e-4]
      ] as const) {
        const used = networkPass(batch(one, reals, false, undefined, repeats))
        const errors = [relativeError(used.outputs, repeated(use.outputs, repeats))]
        if (training && !network.layers.some(isDropout)) {
          const trained = networkPass(batch(one, reals, true, undefined, repeats))
          errors.push(
            relativeError([trained.loss], [training.loss]),
            relativeError(trained.outputs, repeated(training.outputs, repeats)),
            relativeError(trained.gradient, training.gradient),
            relativeError(
              trained.inputGradient.map((value) => value * repeats),
              repeated(training.inputGradient, repeats)
            )
          )
        }
        t.true(Math.max(...errors) < most, `${part}, ${name}, ${reals.name}: ${errors}`)
      }
    }
  })

  test('batch norm of a single row, which PyTorch refuses, makes no NaN', (t) => {
    const { outputs, gradient, inputGradient, buffers } = networkPass({
      network: { inputShape: [3, 1, 1], layers: [{ type: 'batch-norm', momentum: 0.25, epsilon: 1e-5 }] },
      loss: { type: 'cross-entropy', labelSmoothing: 0, classWeights: 'none' },
      seed: 1,
      training: true,
      parameters: Float64Array.of(1, 2, 3, 0, 0, 0),
      buffers: Float64Array.of(0, 0, 0, 1, 1, 1),
      inputs: Float64Array.of(4, -8, 12),
      labels: Int32Array.of(1)
    })
    t.deepEqual([...outputs], [0, 0, 0])
    t.deepEqual([...buffers], [1, -2, 3, 0.75, 0.75, 0.75])
    t.true(relativeError(gradient, [0, 0, 0, 1 / 3, -2 / 3, 1 / 3]) < 1e-12)
    t.true(inputGradient.every((value) => Math.abs(value) < 1e-12))
  })
})
