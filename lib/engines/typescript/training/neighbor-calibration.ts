import { outputsOf } from '../../../classifier/network.js'
import { ArgumentError } from '../../../errors.js'
import type { Calibration, Classifier, JobOptions } from '../../engine.js'
import { runInTurns, type Steps } from '../turns.js'
import { eachLogits } from './batch-router.js'
import { calibrateTo, mostCalibratedNumbers } from './calibration.js'

/** Fits a temperature to the bins of the queries' neighbors (queries x k), whatever the classifier's own is. */
export function calibrateToNeighbors(
  classifier: Classifier,
  queries: Float32Array,
  neighborBins: Int32Array,
  job: JobOptions
): Promise<Calibration> {
  const all = queries.length / classifier.input.mean.length
  return runInTurns(calibrationSteps({ ...classifier, temperature: 1 }, queries, all, neighborBins), all, job)
}

function* calibrationSteps(
  classifier: Classifier,
  queries: Float32Array,
  all: number,
  neighborBins: Int32Array
): Steps<Calibration> {
  const bins = outputsOf(classifier.network)
  const k = neighborBins.length / all
  const rows = Math.min(all, Math.max(1, Math.floor(mostCalibratedNumbers / bins)))
  const logits = new Float32Array(rows * bins)
  const shares = new Float32Array(rows * bins)
  yield* eachLogits(classifier, queries, rows, (row, values, at) => {
    logits.set(values.subarray(at, at + bins), row * bins)
    for (const bin of neighborBins.subarray(row * k, (row + 1) * k)) {
      if (bin < 0 || bin >= bins) throw new ArgumentError('neighborBins', `must be in [0, ${bins})`)
      shares[row * bins + bin] = (shares[row * bins + bin] as number) + Math.fround(1 / k)
    }
  })
  return yield* calibrateTo({ logits, shares, bins })
}
