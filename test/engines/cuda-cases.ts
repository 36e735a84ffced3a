/** Every function of the CUDA library on small cases of awkward sizes, for compute-sanitizer (scripts/gpu-check.sh): slow as
 * that is, it should see each kernel at each of its edges. Fails where an answer is wrong. */
import { createCudaEngine } from '../../lib/engines/cuda.js'
import { clustered, integers, metrics } from '../support/vectors.js'
import { neighborFault, searchFault, shapes } from './cuda-checks.js'
import { courseFaults, courses } from './cuda-courses.js'

const engine = await createCudaEngine({ device: 0, trainingPrecision: 'fp32' })
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
for (const options of Object.values(courses)) faults.push((await courseFaults(engine, { ...options, epochs: 2 }))[0])
for (const shape of shapes) faults.push(await searchFault(engine, shape, 20))

const found = faults.filter((fault) => fault !== undefined)
for (const fault of found) console.error(fault)
console.log(`${faults.length - found.length} of ${faults.length} cases are right on ${engine.description}`)
process.exitCode = found.length > 0 ? 1 : 0
