import type { NeuralLSH } from '../index.js'
import type { Context } from './command.js'
import { formatBytes, formatCount, formatPercent, formatSeconds, table } from './text.js'

/** What is known of how an index was built: its stages, partition and router. */
export function printReport(index: NeuralLSH, { print }: Context): void {
  const { stages, choices, balance, edgeCut, meanSquaredError, history, bestEpoch, calibration } = index.report
  if (stages.length > 0) {
    const rows = stages.map(({ name, seconds, peakBytes }) => [name, formatSeconds(seconds), formatBytes(peakBytes)])
    print(`\n${table(['stage', 'time', 'peak memory'], rows)}`)
  }
  print('')
  for (const { option, value, reason } of choices) print(`${option}: ${value}. ${reason}`)
  const spread =
    edgeCut === undefined
      ? `a vector's squared distance to its bin's centroid is ${meanSquaredError?.toPrecision(4)} on average`
      : `edges of weight ${formatCount(edgeCut)} run between bins`
  print(`The largest bin is ${balance.toFixed(2)} times the mean; ${spread}.`)
  const accuracy = history.find(({ epoch }) => epoch === bestEpoch)?.validationAccuracy
  if (accuracy !== undefined && Number.isFinite(accuracy)) {
    print(`The router finds the very bin of ${formatPercent(accuracy)} of the vectors held out from its training.`)
  }
  if (bestEpoch < history.length) {
    print(`Of its ${history.length} epochs, number ${bestEpoch} was the best: these weights are kept.`)
  }
  if (calibration) {
    const { errorBefore, errorAfter, temperature } = calibration
    const [before, after] = [errorBefore, errorAfter].map(formatPercent)
    print(
      `Expected calibration error of its probabilities: ${before}, at temperature ${temperature.toFixed(2)} ${after}.`
    )
  }
}
