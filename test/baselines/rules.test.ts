// The layers that turn projections into bins' logits, against their definitions.
import test from 'ava'
import type { PartitionRule } from '../../lib/classifier/network.js'
import { createNativeEngine, loadAddon } from '../../lib/engines/native.js'
import { randomNumbers } from '../engines/brute-force.js'
import { rejectsArgument } from '../support/rejection.js'
import { readWords, trainingRequest } from '../support/training.js'
import { plainLogits } from './plain-rules.js'

const { networkPass } = loadAddon()

const trees = [2, 3, 5, 16, 100].flatMap((leaves) =>
  (['squared-margin', 'log-sigmoid'] as const).map((rule) => ({ type: 'tree-leaves', leaves, rule }) as const)
)
const codes = [1, 2, 7].map((bits) => ({ type: 'sign-codes', bits }) as const)
const polytopes = [[1], [8], [3, 5], [4, 1, 2]].map((dimensions) => ({ type: 'cross-polytope', dimensions }) as const)

const enters = (rule: PartitionRule) => {
  if (rule.type === 'tree-leaves') return rule.leaves - 1
  return rule.type === 'sign-codes' ? rule.bits : rule.dimensions.reduce((a, b) => a + b)
}

const requestOf = (rule: PartitionRule, inputs: Float64Array | Float32Array, training = false) => {
  const none = inputs.subarray(0, 0)
  return {
    network: { inputShape: [enters(rule), 1, 1] as const, layers: [rule] },
    parameters: none,
    buffers: none,
    inputs,
    labels: new Int32Array(inputs.length / enters(rule)),
    loss: { type: 'cross-entropy', labelSmoothing: 0, classWeights: 'none' } as const,
    seed: 1,
    training
  }
}

for (const rule of [...trees, ...codes, ...polytopes]) {
  test(`${JSON.stringify(rule)} ranks bins as it is defined`, (t) => {
    const random = randomNumbers(3)
    const rows = 50
    // Zeros and equal numbers, too.
    const inputs = Float64Array.from({ length: rows * enters(rule) }, (_, i) =>
      i % 7 === 0 ? Math.floor(3 * random()) - 1 : 6 * random() - 3
    )
    const plain = Array.from({ length: rows }, (_, row) =>
      plainLogits(rule, Array.from(inputs.subarray(row * enters(rule), (row + 1) * enters(rule))))
    ).flat()
    for (const [precision, numbers] of [
      [1e-12, inputs],
      [3e-5, Float32Array.from(inputs)]
    ] as const) {
      const { outputs } = networkPass<Float32Array | Float64Array>(requestOf(rule, numbers))
      t.is(outputs.length, plain.length)
      const wrong = outputs.findIndex((x, i) => !(Math.abs(x - (plain[i] as number)) <= precision))
      t.is(wrong, -1, `${outputs[wrong]} ${plain[wrong]}`)
    }
    const error = t.throws(() => networkPass(requestOf(rule, inputs, true)))
    t.like(error, { code: 'ERR_NLSH_ARGUMENT', argument: 'layers' })
  })
}

test('nothing is trained through them', async (t) => {
  const { words } = readWords()
  const request = trainingRequest(words, { hidden: [], epochs: 1 })
  const { dimensions, bins } = words
  const network = {
    inputShape: [dimensions, 1, 1] as const,
    layers: [
      { type: 'linear', outputs: bins - 1, bias: true } as const,
      { type: 'tree-leaves', leaves: bins, rule: 'log-sigmoid' } as const
    ]
  }
  await rejectsArgument(
    t,
    () => createNativeEngine().trainClassifier({ ...request, network }, { threads: 0 }),
    'layers',
    /not made to train/
  )
})
