import type { NeuralLSH } from '../index.js'
import type { Context } from './command.js'
import { formatBytes, formatCount, formatPercent, formatSeconds, table } from './text.js'

/** What is known of how an index was built: its stages, partition and router. */
export function printReport(index: NeuralLSH, { print }: Context): void {
  const { stages, balance, edgeCut, history } = index.report
  if (stages.length > 0) {
    const rows = stages.map(({ name, seconds, peakBytes }) => [name, formatSeconds(seconds), formatBytes(peakBytes)])
    print(`\n${table(['stage', 'time', 'peak memory'], rows)}`)
  }
  print(
    `\nThe largest bin is ${balance.toFixed(2)} times the mean; edges of weight ${formatCount(edgeCut)} run between bins.`
  )
  const accuracy = history.at(-1)?.validationAccuracy
  if (accuracy !== undefined && Number.isFinite(accuracy)) {
    print(`The router finds the very bin of ${formatPercent(accuracy)} of the vectors held out from its training.`)
  }
}
