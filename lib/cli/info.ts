import { stat } from 'node:fs/promises'
import { selectEngine } from '../engines/select.js'
import { NeuralLSH } from '../index.js'
import { resolveOpen } from '../options.js'
import { defineCommand } from './command.js'
import { apiOptions, runFlags } from './flags.js'
import { printReport } from './report.js'
import { formatBytes, formatCount } from './text.js'

export const infoCommand = defineCommand({
  name: 'info',
  summary: 'describe an index file and the engine of this machine',
  usage: 'neural-lsh info [INDEX] [options]',
  explanation: [
    'Prints which engine computes here and, when an index file is named, what is in it and how it was built. The whole file is read and checked.'
  ],
  examples: [
    { line: 'neural-lsh info', meaning: 'Does the native engine work on this machine, and with which instructions?' },
    { line: 'neural-lsh info --engine cuda', meaning: 'Which GPU would be used, or why none can be?' },
    { line: 'neural-lsh info vectors.nlsh --json', meaning: 'What is in this file?' }
  ],
  flags: runFlags,
  positionals: 1,
  async run(values, context) {
    const [path] = context.positionals
    const options = apiOptions(runFlags, values)
    const { engine, device } = resolveOpen(options)
    const { name, description, hardwareThreads } = await selectEngine(engine, device)
    const engineLine = `engine: ${description}`
    if (path === undefined) {
      context.printJson({ engine: name, description, hardwareThreads })
      return context.print(engineLine)
    }
    const index = await NeuralLSH.open(path, { ...options, signal: context.signal })
    try {
      const { size: n, dimensions, bins, metric, options, report } = index
      const { size: bytes } = await stat(path)
      const words = index.words !== undefined
      context.printJson({
        engine: name,
        description,
        hardwareThreads,
        index: path,
        bytes,
        n,
        dimensions,
        bins,
        metric,
        words,
        options,
        report
      })
      context.print(engineLine)
      context.print(`index: ${path}, ${formatBytes(bytes)}`)
      context.print(
        `holds: ${formatCount(n)} vectors of ${dimensions} numbers${words ? ', each with a word' : ''}, in ${formatCount(bins)} bins; metric ${metric}`
      )
      context.print(`options: ${JSON.stringify(options)}`)
      printReport(index, context)
    } finally {
      index.close()
    }
  }
})
