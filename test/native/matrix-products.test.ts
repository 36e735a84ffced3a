/** Passes of one linear layer in float, whose products are blocked and packed, against the plain loops in double. */
import test from 'ava'
import { randomNumbers } from '../engines/brute-force.js'
import { nativeParts } from '../engines/parts.js'

/** With the ways that they take: the roles changed, both as they lie, packed at once, and what collides in the caches. */
const shapes = [
  { rows: 5, inputs: 7, outputs: 3 },
  { rows: 7, inputs: 33, outputs: 50 },
  { rows: 33, inputs: 300, outputs: 19 },
  { rows: 49, inputs: 785, outputs: 130 },
  { rows: 168, inputs: 65, outputs: 170 },
  { rows: 169, inputs: 257, outputs: 97 },
  { rows: 171, inputs: 1024, outputs: 179 },
  { rows: 530, inputs: 90, outputs: 1030 }
]

for (const { rows, inputs, outputs } of shapes) {
  test(`${rows} rows of ${inputs} numbers to ${outputs}`, (t) => {
    const random = randomNumbers(rows)
    const numbers = (count: number) => Float32Array.from({ length: count }, () => random() - 0.5)
    const [parameters, values] = [numbers((inputs + 1) * outputs), numbers(rows * inputs)]
    const labels = Int32Array.from({ length: rows }, () => Math.floor(random() * outputs))
    const pass = <Reals extends Float32Array | Float64Array>(reals: (values: Float32Array) => Reals) =>
      nativeParts.networkPass<Reals>({
        network: { inputShape: [inputs, 1, 1], layers: [{ type: 'linear', outputs, bias: true }] },
        loss: { type: 'cross-entropy', labelSmoothing: 0, classWeights: 'none' },
        seed: 1,
        training: true,
        parameters: reals(parameters),
        buffers: reals(new Float32Array(0)),
        inputs: reals(values),
        labels
      })
    const found = pass((values) => values.slice())
    const expected = pass((values) => Float64Array.from(values))
    for (const name of ['outputs', 'gradient', 'inputGradient'] as const) {
      const largest = expected[name].reduce((most, value) => Math.max(most, Math.abs(value)), 0)
      const error = expected[name].reduce((most, x, i) => Math.max(most, Math.abs(x - (found[name][i] as number))), 0)
      t.true(error < 3e-6 * largest, `${name}: ${error / largest}`)
    }
  })
}
