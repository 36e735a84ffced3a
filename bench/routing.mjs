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
const rows = execFileSync(benchProgram('neural_lsh_routing'), { encoding: 'utf8' }).trim().split('\n').map(JSON.parse)
console.log(`peak of one thread: ${peak.toFixed(0)} GFLOP/s`)
printTable(
  ['layers', 'way', 'queries a call', 'budget', 'bins', 'us a query', 'share of peak'],
  rows.map(({ layers, way, block, probes, mass, bins, microseconds, multiplyAdds }) => [
    layers,
    way,
    block,
    probes ? `probes ${probes}` : `mass ${mass}`,
    bins.toFixed(1),
    microseconds.toFixed(2),
    `${((100 * 2 * multiplyAdds) / (microseconds * 1000) / peak).toFixed(0)} %`
  ])
)
