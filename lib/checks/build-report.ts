/** What an index file says of its build, judged before it is believed. */
import type { BuildReport } from '../build.js'
import { mostEpochs } from '../classifier/options.js'
import { Field, List, Optional, read, Section } from './fields.js'

/** Judges what an index file says of how the index was built, and brings back what JSON has no word for. */
export function readBuildReport(report: unknown): BuildReport {
  const known = read(reportTable, report, 'report.')
  const history = known.history.map((epoch) => ({
    ...epoch,
    validationLoss: epoch.validationLoss ?? Number.NaN,
    validationAccuracy: epoch.validationAccuracy ?? Number.NaN,
    neighborAccuracy: epoch.neighborAccuracy ?? Number.NaN
  }))
  return { stages: [], ...known, history }
}

const figure = new Field<number>('a number', Number.isFinite)
const figureOrNull = new Field<number | null>('a number or null', (value) => value === null || Number.isFinite(value))
const sentence = new Field<string>('a string', (value) => typeof value === 'string')
const reportTable = {
  choices: new List(new Section({ option: sentence, value: sentence, reason: sentence }), 100),
  edgeCut: new Optional(figure),
  meanSquaredError: new Optional(figure),
  balance: figure,
  history: new List(
    new Section({
      epoch: figure,
      learningRate: figure,
      trainingLoss: figure,
      trainingAccuracy: figure,
      validationLoss: figureOrNull,
      validationAccuracy: figureOrNull,
      neighborAccuracy: figureOrNull
    }),
    mostEpochs
  ),
  bestEpoch: figure,
  calibration: new Optional(new Section({ temperature: figure, errorBefore: figure, errorAfter: figure }))
}
