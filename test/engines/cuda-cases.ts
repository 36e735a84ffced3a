/** Every function of the CUDA library on small cases of awkward sizes, for compute-sanitizer (scripts/gpu-check.sh): slow as
 * that is, it should see each kernel at each of its edges. Fails where an answer is wrong. */
import { createCudaEngine } from '../../lib/engines/cuda.js'
import { clustered, integers, metrics } from '../support/vectors.js'
import { courseFaults, courses, requestOf } from './courses.js'
import { neighborFault, precisions, searchFault, shapes } from './cuda-checks.js'

const engine = await createCudaEngine({ device: 0 })
const faults: (string | undefined)[] = []

for (const metric of metrics) {
  for (const [rows, dimensions, k] of [
    [2, 1, 1],
    [33, 3, 5],
    [700, 37, 10],
    [1500, 128, 50]
  ] as const) {
    const vectors = metric === 'cosine' ? clustered(rows, dimensions) : integers(rows, dimensions)
    faults.push(await neighborFault(engine, { vectors, dimensions, metric }, k))
  }
}
for (const precision of precisions)
  faults.push(
    await neighborFault(engine, { vectors: clustered(700, 37), dimensions: 37, metric: 'euclidean' }, 10, precision)
  )
for (const options of Object.values(courses)) faults.push((await courseFaults(engine, { ...options, epochs: 2 }))[0])
// What another precision comes to the tests say; here it is only to be seen at work.
for (const options of Object.values(courses).slice(2, 4)) {
  const request = requestOf({ ...options, epochs: 2, precision: 'bf16', deterministic: false })
  const { history } = await engine.trainClassifier(request, { threads: 1 })
  faults.push(Number.isFinite(history.at(-1)?.trainingLoss) ? undefined : 'no loss in bf16')
}
for (const shape of shapes) faults.push(await searchFault(engine, shape, 20))

const found = faults.filter((fault) => fault !== undefined)
for (const fault of found) console.error(fault)
console.log(`${faults.length - found.length} of ${faults.length} cases are right on ${engine.description}`)
process.exitCode = found.length > 0 ? 1 : 0
