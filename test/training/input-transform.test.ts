import type { InputType } from '../../lib/classifier/training.js'
import { eachEngine } from '../engines/each-engine.js'
import { mean, readWords, split, trainingRequest } from '../support/training.js'

const { words } = readWords()
const { dimensions } = words

eachEngine(({ engine, test }) => {
  async function learned(input: InputType, vectors = words.vectors) {
    const options = { hidden: [], input, epochs: 1, softLabels: 0, validationFraction: 0.1 }
    const request = trainingRequest({ ...words, vectors }, options)
    const trained = await engine.trainClassifier(request, { threads: 0 })
    return { ...trained.input, training: split(request).training }
  }

  /** Each feature's mean over the rows, and its mean square about that. */
  function moments(rows: number[][]) {
    const features = Array.from({ length: dimensions }, (_, feature) => rows.map((row) => row[feature] as number))
    const means = features.map(mean)
    return { means, variances: features.map((values, i) => mean(values.map((x) => (x - (means[i] as number)) ** 2))) }
  }

  const rowsOf = (rows: number[], vectors = words.vectors) =>
    rows.map((row) => Array.from(vectors.subarray(row * dimensions, (row + 1) * dimensions)))

  const near = (found: Float32Array, expected: number[]) =>
    found.length === expected.length &&
    found.every(
      (value, i) => Math.abs(value - (expected[i] as number)) <= 1e-6 * Math.max(1, Math.abs(expected[i] as number))
    )

  test("'none' leaves vectors as they are", async (t) => {
    const { unitLength, mean, scale } = await learned('none')
    t.false(unitLength)
    t.deepEqual(mean, new Float32Array(dimensions))
    t.deepEqual(scale, new Float32Array(dimensions).fill(1))
  })

  test("'center' takes the trained rows' mean away, and one deviation for all features", async (t) => {
    const { unitLength, mean: means, scale, training } = await learned('center')
    const expected = moments(rowsOf(training))
    t.false(unitLength)
    t.true(near(means, expected.means))
    t.true(near(scale, Array(dimensions).fill(1 / Math.sqrt(mean(expected.variances)))))
  })

  test("'standardize' divides by each feature's own deviation", async (t) => {
    const { unitLength, mean: means, scale, training } = await learned('standardize')
    const expected = moments(rowsOf(training))
    t.false(unitLength)
    t.true(near(means, expected.means))
    t.true(
      near(
        scale,
        expected.variances.map((variance) => 1 / Math.sqrt(variance))
      )
    )
  })

  test("'normalize' brings rows to unit length, then centers them", async (t) => {
    const { unitLength, mean: means, scale, training } = await learned('normalize')
    const expected = moments(rowsOf(training).map((row) => row.map((x) => x / Math.hypot(...row))))
    t.true(unitLength)
    t.true(near(means, expected.means))
    t.true(near(scale, Array(dimensions).fill(1 / Math.sqrt(mean(expected.variances)))))
  })

  test("'normalize' makes rows alike that differ in length, and leaves zeros", async (t) => {
    const longer = words.vectors.map((x, i) => x * 2 ** (Math.floor(i / dimensions) % 5))
    const [as, scaled] = [await learned('normalize'), await learned('normalize', longer)]
    t.deepEqual(scaled.mean, as.mean)
    t.deepEqual(scaled.scale, as.scale)
    const zeros = await learned('normalize', new Float32Array(words.vectors.length))
    t.deepEqual(zeros.mean, new Float32Array(dimensions))
    t.deepEqual(zeros.scale, new Float32Array(dimensions).fill(1))
  })

  test('a feature that does not vary keeps scale 1', async (t) => {
    const vectors = words.vectors.map((x, i) => (i % dimensions === 3 ? 7.5 : x))
    const { mean, scale } = await learned('standardize', vectors)
    t.is(mean[3], 7.5)
    t.is(scale[3], 1)
    t.true(scale.every((value, i) => i === 3 || value !== 1))
  })
})
