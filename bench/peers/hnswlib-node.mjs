/** hnswlib-node as a runner (runner.mjs). It takes number[] only: made beforehand, outside the timed calls. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { readFloats, runSystem, timeBuild } from './runner.mjs'

const load = ({ packages }) => createRequire(join(packages, 'package.json'))('hnswlib-node').HierarchicalNSW
const spaceOf = ({ metric }) => (metric === 'cosine' ? 'ip' : 'l2')

await runSystem({
  prepareQuery: (query) => Array.from(query),

  async build(job) {
    const base = readFloats(job.base)
    const index = new (load(job))(spaceOf(job), job.dimensions)
    const times = await timeBuild(() => {
      const { connectivity: m, efConstruction } = job.build
      index.initIndex({ maxElements: job.rows, m, efConstruction })
      const row = new Array(job.dimensions)
      for (let id = 0; id < job.rows; id++) {
        for (let i = 0; i < job.dimensions; i++) row[i] = base[id * job.dimensions + i]
        index.addPoint(row, id)
      }
    })
    index.writeIndexSync(job.index)
    return times
  },

  async open(job) {
    const index = new (load(job))(spaceOf(job), job.dimensions)
    index.readIndexSync(job.index)
    return ({ ef }) => {
      index.setEf(ef)
      return { search: (query) => index.searchKnn(query, job.k), idsOf: ({ neighbors }) => neighbors }
    }
  }
})
