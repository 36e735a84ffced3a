import { outputsOf } from '../../../classifier/network.js'
import { ArgumentError } from '../../../errors.js'
import type { Calibration, Classifier, JobOptions } from '../../engine.js'
import { alone, type Pool, type Task, type Team, withTeam } from '../team.js'
import { rowsRouter, rowsTogether, sharedClassifier } from './batch-router.js'
import { type CalibrationSet, calibrateTo, mostCalibratedNumbers } from './calibration.js'

/** Fits a temperature to the bins of the queries' neighbors (queries x k), whatever the classifier's own is. */
export function calibrateToNeighbors(
  classifier: Classifier,
  queries: Float32Array,
  neighborBins: Int32Array,
  job: JobOptions,
  pool: Pool = alone
): Promise<Calibration> {
  const total = queries.length / classifier.input.mean.length
  const work = { total, multiplications: total * classifier.parameters.length }
  const untempered = { ...classifier, temperature: 1 }
  return withTeam(pool, job, work, (team) => calibrate(team, untempered, queries, total, neighborBins))
}

async function calibrate(
  team: Team,
  classifier: Classifier,
  queries: Float32Array,
  all: number,
  neighborBins: Int32Array
): Promise<Calibration> {
  const bins = outputsOf(classifier.network)
  const rows = Math.min(all, Math.max(1, Math.floor(mostCalibratedNumbers / bins)))
  const set = {
    logits: team.room(Float32Array, rows * bins),
    shares: team.room(Float32Array, rows * bins),
    bins
  }
  const known: Known = {
    classifier: await sharedClassifier(team, classifier),
    queries: await team.share(queries),
    neighborBins: await team.share(neighborBins),
    k: neighborBins.length / all,
    rows,
    set
  }
  await team.run(fillCalibrationSet, known, Math.ceil(rows / rowsTogether))
  return team.inTurns(calibrateTo(set))
}

interface Known {
  classifier: Classifier
  queries: Float32Array
  /** k of each query. */
  neighborBins: Int32Array
  k: number
  /** To be looked at. */
  rows: number
  set: CalibrationSet
}

export const fillCalibrationSet: Task<Known> = {
  name: 'fill-calibration-set',
  begin({ classifier, queries, neighborBins, k, rows, set: { logits, shares, bins } }) {
    const route = rowsRouter(classifier)
    return (part) =>
      route(queries, part * rowsTogether, Math.min(rows, (part + 1) * rowsTogether), (row, values, at) => {
        logits.set(values.subarray(at, at + bins), row * bins)
        shares.fill(0, row * bins, (row + 1) * bins)
        for (const bin of neighborBins.subarray(row * k, (row + 1) * k)) {
          if (bin < 0 || bin >= bins) throw new ArgumentError('neighborBins', `must be in [0, ${bins})`)
          shares[row * bins + bin] = (shares[row * bins + bin] as number) + Math.fround(1 / k)
        }
      })
  }
}
