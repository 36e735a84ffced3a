/**
 * Prints, for every index file that is named, what it answers, as checksums. Run by the test in processes of their own,
 * one for each kernel variant.
 */
import { createHash } from 'node:crypto'
import { NeuralLSH } from '../../lib/index.js'
import { randomNumbers } from './brute-force.js'

const random = randomNumbers(11)
const checksum = (...arrays: ArrayBufferView[]) => {
  const hash = createHash('sha256')
  for (const array of arrays) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
  return hash.digest('hex')
}

const answers: Record<string, string[]> = {}
for (const file of process.argv.slice(2)) {
  const index = await NeuralLSH.open(file)
  const { dimensions, bins } = index
  const inThisUnit = index.metric === 'euclidean' ? () => Math.floor(256 * random()) : () => random() - 0.4
  const queries = Float32Array.from({ length: 100 * dimensions }, inThisUnit)
  const found = []
  for (const probing of [{ probes: 5 }, { mass: 0.9 }, { recall: 0.9 }]) {
    const { ids, distances, candidates } = await index.searchBatch(queries, { k: 7, ...probing })
    found.push(checksum(ids, distances, candidates))
    const single = index.searchSync(queries.subarray(0, dimensions), { k: 7, ...probing })
    found.push(checksum(single.ids, single.distances))
    const radius = single.distances[6] as number
    const within = await index.searchRadiusBatch(queries, { radius, ...probing })
    found.push(checksum(within.offsets, within.ids, within.distances))
  }
  const route = await index.route(queries.subarray(0, dimensions), { probes: bins })
  found.push(checksum(route.bins, route.probabilities))
  answers[file] = found
  await index.close()
}
console.log(JSON.stringify(answers))
