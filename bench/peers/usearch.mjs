/** usearch as a runner (runner.mjs). The breadth of a search is fixed when an index is made: another one, another copy. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { readFloats, runSystem, timeBuild } from './runner.mjs'

function makeIndex({ packages, dimensions, metric, build: { connectivity, efConstruction } }, ef) {
  const { Index } = createRequire(join(packages, 'package.json'))('usearch')
  return new Index({
    dimensions,
    metric: metric === 'cosine' ? 'ip' : 'l2sq',
    quantization: 'f32',
    connectivity,
    expansion_add: efConstruction,
    expansion_search: ef
  })
}

const rowsPerCall = 10_000

await runSystem({
  async build(job) {
    const base = readFloats(job.base)
    const index = makeIndex(job, job.first.ef)
    const times = await timeBuild(() => {
      for (let from = 0; from < job.rows; from += rowsPerCall) {
        const to = Math.min(from + rowsPerCall, job.rows)
        const keys = BigUint64Array.from({ length: to - from }, (_, i) => BigInt(from + i))
        index.add(keys, base.subarray(from * job.dimensions, to * job.dimensions), 1)
      }
    })
    index.save(job.index)
    return times
  },

  async open(job) {
    let current = {}
    return async ({ ef }) => {
      if (current.ef !== ef) {
        current = {}
        // The copy before it goes away first.
        globalThis.gc()
        await setTimeout(20)
        const index = makeIndex(job, ef)
        index.load(job.index)
        current = { ef, index }
      }
      const { index } = current
      return {
        search: (query) => index.search(query, job.k, 1),
        idsOf: ({ keys }) => Array.from(keys, Number)
      }
    }
  }
})
