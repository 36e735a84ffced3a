import type { TrainingRequest } from '../../lib/engines/engine.js'
import { randomNumbers } from '../engines/brute-force.js'
import { eachEngine } from '../engines/each-engine.js'
import {
  argmax,
  crossEntropy,
  logitsOfRows,
  readWords,
  sharesOf,
  softmax,
  split,
  trainingRequest
} from '../support/training.js'

const { words } = readWords()

/** Guo et al., ICML 2017, equation 3: interval m holds the probabilities in ((m - 1) / 15, m / 15]. */
function calibrationError(logits: number[][], shares: number[][], temperature: number): number {
  const intervals = Array.from({ length: 15 }, () => ({ confidence: 0, accuracy: 0 }))
  for (const [i, row] of logits.entries()) {
    const bin = argmax(row)
    const confidence = softmax(row, temperature)[bin] as number
    const interval = intervals[Math.ceil(confidence * 15) - 1] as { confidence: number; accuracy: number }
    interval.confidence += confidence
    interval.accuracy += shares[i]?.[bin] as number
  }
  return intervals.reduce((sum, { confidence, accuracy }) => sum + Math.abs(accuracy - confidence), 0) / logits.length
}

eachEngine(({ engine, calibrate, test }) => {
  for (const softLabels of [0, 5]) {
    test(`the temperature makes probabilities of held-out rows truer, softLabels ${softLabels}`, async (t) => {
      const request: TrainingRequest = trainingRequest(words, {
        hidden: [64],
        softLabels,
        optimizer: { learningRate: 0.01 },
        batchSize: 50,
        validationFraction: 0.25,
        epochs: 12
      })
      const trained = await engine.trainClassifier(request, { threads: 0 })
      const { calibration, temperature } = trained
      t.is(calibration?.temperature, temperature)
      const { validation } = split(request)
      const logits = logitsOfRows(trained, request, validation)
      const shares = validation.map((row) => sharesOf(request, row))
      const loss = (temperature: number) => crossEntropy(logits, shares, temperature)
      t.true(temperature > 1.1, 'the network is too sure of what it has learned by heart')
      t.true(loss(temperature) < loss(1) - 1e-3, `${loss(temperature)}, ${loss(1)}`)
      t.true(loss(temperature) <= loss(temperature * 1.01) && loss(temperature) <= loss(temperature / 1.01))
      t.true(Math.abs((calibration?.errorBefore ?? 0) - calibrationError(logits, shares, 1)) < 1e-5)
      t.true(Math.abs((calibration?.errorAfter ?? 0) - calibrationError(logits, shares, temperature)) < 1e-5)
      t.true((calibration?.errorAfter ?? 1) < (calibration?.errorBefore ?? 0))
      t.log(`calibration error ${calibration?.errorBefore} at 1, ${calibration?.errorAfter} at ${temperature}`)
    })
  }

  test('a training that is not to be calibrated keeps temperature 1', async (t) => {
    const request = trainingRequest(words, { hidden: [], calibrate: false, epochs: 1 })
    const { calibration, temperature } = await engine.trainClassifier(request, { threads: 0 })
    t.is(calibration, undefined)
    t.is(temperature, 1)
  })

  /** rows of 6 logits, and the shares that are their softmax at this temperature. */
  function distorted(rows: number, temperature: number) {
    const random = randomNumbers(rows)
    const logits = Array.from({ length: rows }, () => Array.from({ length: 6 }, () => Math.fround(8 * random() - 4)))
    return { logits, shares: logits.map((row) => softmax(row, temperature)) }
  }

  for (const temperature of [0.05, 0.4, 1, 2.5, 40]) {
    test(`a temperature of ${temperature} is found, and leaves no error`, (t) => {
      const { logits, shares } = distorted(200, temperature)
      const found = calibrate({
        logits: Float32Array.from(logits.flat()),
        shares: Float32Array.from(shares.flat()),
        bins: 6
      })
      t.true(Math.abs(found.temperature / temperature - 1) < 1e-4, `${found.temperature}`)
      t.true(Math.abs(found.errorBefore - calibrationError(logits, shares, 1)) < 1e-6)
      t.true(found.errorAfter < 1e-4, `${found.errorAfter}`)
    })
  }

  test('the temperature stays within its bounds where none is best', (t) => {
    const logits = Float32Array.from([1, 0, 0, 1])
    const right = calibrate({ logits, shares: Float32Array.from([1, 0, 0, 1]), bins: 2 })
    const wrong = calibrate({ logits, shares: Float32Array.from([0, 1, 1, 0]), bins: 2 })
    t.true(right.temperature >= 1e-9 && right.temperature < 0.1, `${right.temperature}`)
    t.true(wrong.temperature > 100 && wrong.temperature <= 1.001e9, `${wrong.temperature}`)
  })
})
