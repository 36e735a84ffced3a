/** Networks and batches so large that the fastest matrix products of the CPU make them, which may halve floats to do so. */
import test from 'ava'
import type { Layer, Network } from '../../lib/classifier/network.js'
import type { TrainingPrecision } from '../../lib/classifier/training.js'
import { createNativeEngine } from '../../lib/engines/native.js'
import { randomNumbers } from '../engines/brute-force.js'
import { nativeParts } from '../engines/parts.js'
import { relativeError } from '../support/conformance.js'
import { randomBatch } from '../support/random-networks.js'
import { readWords, trainingRequest, withoutSeconds } from '../support/training.js'

const linear = (outputs: number): Layer => ({ type: 'linear', outputs, bias: true })
const tanh: Layer = { type: 'tanh' }

// Rows, inputs and outputs that fill tiles, and such that leave rows, columns and numbers over.
const shapes = [
  { widths: [128, 160, 128, 192], rows: 256 },
  { widths: [150, 203, 129, 171], rows: 301 },
  { widths: [100, 256, 65], rows: 70 },
  { widths: [784, 512, 256], rows: 513 }
]

for (const { widths, rows } of shapes) {
  test(`gradients are those of double precision: ${widths.join('-')}, ${rows} rows`, (t) => {
    const [inputs = 0, ...outputs] = widths
    const layers = outputs.flatMap((outputs) => [linear(outputs), tanh]).slice(0, -1)
    const network: Network = { inputShape: [inputs, 1, 1], layers }
    const loss = { type: 'cross-entropy', labelSmoothing: 0, classWeights: 'none' } as const
    const batch = randomBatch(randomNumbers(rows), network, loss, rows, 'soft')
    const exact = nativeParts.networkPass(batch)
    const floats = {
      ...batch,
      parameters: Float32Array.from(batch.parameters),
      buffers: Float32Array.from(batch.buffers),
      inputs: Float32Array.from(batch.inputs),
      ...(batch.targets && { targets: Float32Array.from(batch.targets) })
    }
    for (const [precision, most] of Object.entries({ fp32: 5e-6, tf32: 1e-4, bf16: 1e-4 })) {
      const found = nativeParts.networkPass({ ...floats, precision: precision as TrainingPrecision })
      for (const figure of ['outputs', 'gradient', 'inputGradient'] as const) {
        const error = relativeError(found[figure], Array.from(exact[figure]))
        t.log(`${precision}, ${figure}: ${error.toExponential(1)}`)
        t.true(error < most, `${precision}, ${figure}: ${error}`)
      }
    }
  })
}

test('and do not depend on the number of threads', async (t) => {
  const native = createNativeEngine()
  const { words } = readWords()
  const request = trainingRequest(words, { hidden: [203, 160], batchSize: 301, epochs: 2, validationFraction: 0 })
  const [one, two] = await Promise.all([1, 2].map((threads) => native.trainClassifier(request, { threads })))
  t.deepEqual(withoutSeconds(two as NonNullable<typeof two>), withoutSeconds(one as NonNullable<typeof one>))
})
