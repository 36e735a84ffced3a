// An index gives the same answers, bit for bit, whichever instructions the CPU has.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { type BuildOptions, NeuralLSH } from '../../lib/index.js'
import { clustered } from '../support/vectors.js'

const run = promisify(execFile)
const script = fileURLToPath(new URL('answers.ts', import.meta.url))

/** Of odd lengths, so that all kernels have a rest to do. */
const dimensions = 27
const floats = clustered(6000, dimensions, 40)
const bytes = clustered(12_000, dimensions, 90).map((x) => Math.round(Math.min(255, Math.max(0, 128 + 40 * x))))

const partition = { method: 'kmeans', iterations: 3 } as const
const centroids = { partition, router: 'centroids' } as const
const network = { partition, classifier: { hidden: [40], epochs: 2 } } as const
const indexes: Record<string, [Float32Array, Omit<BuildOptions, 'dimensions'>]> = {
  'bytes, exact, two levels of bins': [bytes, { bins: 2100, ...centroids, scan: 'exact' }],
  'bytes, exact, many to a bin': [bytes, { bins: 60, ...network, scan: 'exact' }],
  'bytes, four bits': [bytes, { bins: 60, ...network, scan: 'pq4' }],
  'inner product, one byte': [floats, { metric: 'inner-product', bins: 60, ...network, scan: 'int8' }],
  'inner product, four bits': [floats, { metric: 'inner-product', bins: 60, ...centroids, scan: 'pq4' }],
  'cosine, one byte': [floats, { metric: 'cosine', bins: 60, ...centroids, scan: 'int8' }],
  'cosine, four bits': [floats, { metric: 'cosine', bins: 60, ...network, scan: 'pq4' }]
}

test('answers do not depend on the instruction set', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'neural-lsh-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const files: string[] = []
  for (const [name, [vectors, options]] of Object.entries(indexes)) {
    const index = await NeuralLSH.build(vectors, { dimensions, ...options })
    const file = join(folder, name)
    await index.save(file)
    await index.close()
    files.push(file)
  }
  const answersWith = async (variant: string): Promise<Record<string, string[]>> => {
    const env = { ...process.env, NEURAL_LSH_KERNELS: variant }
    const { stdout } = await run(process.execPath, ['--import=tsx', script, ...files], { env })
    return JSON.parse(stdout)
  }
  const plain = await answersWith('baseline')
  t.deepEqual(Object.keys(plain), files)
  for (const variant of ['avx2', 'avx512', 'vnni', 'vbmi', 'amx'])
    t.deepEqual(await answersWith(variant), plain, variant)
})
