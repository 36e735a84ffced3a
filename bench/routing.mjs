/**
 * Microseconds a query that routing takes on one thread, each with the share of the machine's float32 peak that its
 * multiplications and additions amount to (8-bit integers can exceed it; of the two levels, those not done count too).
 * Builds and runs routing.cpp beside the addon, whose build folder must be there (npm run build:native).
 *
 *     node bench/routing.mjs
 */
import { execFileSync } from 'node:child_process'
import { printTable } from './data.mjs'
import { benchProgram, machine } from './machine.mjs'

const [{ gflops: peak }] = machine().peakGflops
const lines = execFileSync(benchProgram('neural_lsh_routing'), { encoding: 'utf8' }).trim().split('\n')
console.log(`peak of one thread: ${peak.toFixed(0)} GFLOP/s`)
printTable(
  ['layers', 'way', 'queries a call', 'budget', 'bins', 'us a query', 'share of peak'],
  lines.map((line) => {
    const { layers, way, block, probes, mass, bins, microseconds, multiplyAdds } = JSON.parse(line)
    const gflops = (2 * multiplyAdds) / (microseconds * 1000)
    const budget = probes ? `probes ${probes}` : `mass ${mass}`
    return [layers, way, block, budget, bins, microseconds.toFixed(2), `${((100 * gflops) / peak).toFixed(0)} %`]
  })
)
