/** Numbers next to zero, which many CPUs compute with a hundred times as slowly: the native engine's training has none. */
import test from 'ava'
import { createNativeEngine } from '../../lib/engines/native.js'
import { readWords, trainingRequest } from '../support/training.js'

const native = createNativeEngine()
const { words } = readWords()
const smallestNormal = 2 ** -126
const width = 2048

test.before('threads begin as those that start them are: here, before there is a training', async () => {
  const { vectors, dimensions } = words
  const options = { neighbors: 5, method: 'exact', seed: 1 } as const
  await native.knnGraph(vectors, dimensions, 'euclidean', options, { threads: 2 })
})

for (const threads of [1, 2]) {
  test(`running values of what is always off decay to zero, on ${threads} threads`, async (t) => {
    const request = trainingRequest(words, {
      hidden: [width],
      batchSize: words.labels.length,
      epochs: 1,
      validationFraction: 0
    })
    const begun = await native.trainClassifier(request, { threads })
    const { dimensions } = words
    begun.state.parameters.fill(-1e4, width * dimensions, width * (dimensions + 1)) // the biases in front of the ReLU
    begun.state.slots.fill(1.01 * smallestNormal)
    const { state } = await native.trainClassifier({ ...request, initial: begun }, { threads })
    const firstMoments = state.slots.subarray(0, width * (dimensions + 1))
    t.true(firstMoments.every((value) => value === 0))
    t.false(state.slots.some((value) => value !== 0 && Math.abs(value) < smallestNormal))
  })
}
