/** The parts of a training, one by one and at once, of both engines: what the tests hold against references. */
import type { Network } from '../../lib/classifier/network.js'
import { outputsOf } from '../../lib/classifier/network.js'
import { type Addon, loadAddon } from '../../lib/engines/native.js'
import { calibrateTo } from '../../lib/engines/typescript/training/calibration.js'
import { initialWeights } from '../../lib/engines/typescript/training/initialization.js'
import { RowLoss, rowNormalizer, Target, weighedLoss } from '../../lib/engines/typescript/training/losses.js'
import { TrainingNetwork } from '../../lib/engines/typescript/training/network.js'
import { Optimizer } from '../../lib/engines/typescript/training/optimizer.js'
import type { Precision, Reals } from '../../lib/engines/typescript/training/reals.js'
import { newPlateau, observe, scheduleFactor } from '../../lib/engines/typescript/training/schedule.js'
import type { Steps } from '../../lib/engines/typescript/turns.js'

/** The addon's own. */
export const nativeParts: Parts = loadAddon()

export type Parts = Pick<
  Addon,
  'networkPass' | 'optimizerSteps' | 'scheduleFactors' | 'initialParameters' | 'calibrate'
>

/** Runs what is cut into steps without a break. */
export function atOnce<T>(steps: Steps<T>): T {
  for (let step = steps.next(); ; step = steps.next()) if (step.done) return step.value
}

export type PassRequest<R extends Float32Array | Float64Array> = Parameters<typeof nativeParts.networkPass<R>>[0]

const precisionOf = (values: Reals): Precision => (values instanceof Float32Array ? Float32Array : Float64Array)

function targetOf(
  { labels, targets }: Pick<PassRequest<Float32Array | Float64Array>, 'labels' | 'targets'>,
  row: number,
  outputs: number
) {
  const target = new Target(outputs)
  if (labels) target.add(labels[row] as number, 1)
  else
    for (let bin = 0; bin < outputs; bin++) {
      const share = targets?.[row * outputs + bin] as number
      if (share !== 0) target.add(bin, share)
    }
  return target
}

function networkPass(request: PassRequest<Float32Array | Float64Array>) {
  const { network: description, seed, training } = request
  const [parameters, inputs] = [request.parameters, request.inputs] as Reals[] as [Reals, Reals]
  const buffers = request.buffers.slice() as Reals
  const outputs = outputsOf(description)
  const rows = inputs.length / description.inputShape.reduce((product, side) => product * side)
  const network = new TrainingNetwork(description, rows, precisionOf(parameters))
  const part = { rows, first: 0, seed: BigInt(seed) }
  network.inputs.set(inputs)
  if (training) atOnce(network.forward({ parameters, buffers }, part))
  else atOnce(network.infer({ parameters, buffers }, rows))

  const weighed = weighedLoss(request.loss, new Int32Array(0), outputs)
  const targets = Array.from({ length: rows }, (_, row) => targetOf(request, row, outputs))
  const normalizer = targets.reduce((sum, target) => sum + rowNormalizer(weighed, outputs, target), 0)
  const rowLoss = new RowLoss(weighed, outputs)
  const loss = targets.reduce(
    (sum, target, row) =>
      sum + rowLoss.of(network.outputs, row * outputs, target, 1 / normalizer, network.outputGradient) / normalizer,
    0
  )
  const gradient = parameters.slice().fill(0)
  if (training) atOnce(network.backward(parameters, part, gradient, true))
  return {
    outputs: network.outputs.slice(),
    loss,
    gradient,
    inputGradient: network.inputGradient.slice(0, inputs.length),
    buffers
  }
}

function optimizerSteps(request: Parameters<Parts['optimizerSteps']>[0]) {
  const { optimizer: options, regularization, learningRates } = request
  const parameters = request.parameters.slice() as Reals
  const count = parameters.length
  const optimizer = new Optimizer(options, regularization, count, (size) => new (precisionOf(parameters))(size))
  const after = request.gradients.slice().fill(0) as Reals
  for (const [step, rate] of learningRates.entries()) {
    const gradient = request.gradients.slice(step * count, (step + 1) * count) as Reals
    atOnce(optimizer.step(rate, parameters, gradient))
    after.set(parameters, step * count)
  }
  return { parameters: after }
}

export const typescriptParts: Parts = {
  networkPass: networkPass as unknown as Parts['networkPass'],
  optimizerSteps: optimizerSteps as unknown as Parts['optimizerSteps'],
  scheduleFactors({ schedule, stepsPerEpoch, losses }) {
    const plateau = newPlateau()
    return Float64Array.from({ length: losses.length * stepsPerEpoch }, (_, step) => {
      const factor = scheduleFactor(schedule, plateau, step, stepsPerEpoch)
      if ((step + 1) % stepsPerEpoch === 0)
        observe(schedule, plateau, losses[Math.floor(step / stepsPerEpoch)] as number)
      return factor
    })
  },
  initialParameters: ({
    network,
    initialization,
    seed
  }: { network: Network } & Parameters<Parts['initialParameters']>[0]) =>
    atOnce(initialWeights(network, initialization, BigInt(seed))),
  calibrate: (set) => atOnce(calibrateTo(set))
}
