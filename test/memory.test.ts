// What an open index takes, in a process of its own: its vectors, its codes, and next to nothing else.
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { NeuralLSH } from '../lib/index.js'
import { randomNumbers } from './engines/brute-force.js'

const onLinux = process.platform === 'linux' ? test : test.skip
const library = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
const cwd = fileURLToPath(new URL('..', import.meta.url))
const [rows, dimensions, bins] = [100_000, 96, 512]

/** Opens an index, searches, and returns by how much the memory that no file stands behind grew. */
async function growth(path: string): Promise<number> {
  const program = `
    import { readFileSync } from 'node:fs'
    import { setTimeout } from 'node:timers/promises'
    import { NeuralLSH } from ${library}
    const ownBytes = async () => {
      for (let round = 0; round < 3; round++) {
        globalThis.gc()
        await setTimeout(20)
      }
      return 1024 * Number(readFileSync('/proc/self/status', 'utf8').match(/RssAnon:\\s*(\\d+)/)[1])
    }
    const before = await ownBytes()
    const index = await NeuralLSH.open(${JSON.stringify(path)})
    for (let id = 0; id < 200; id++) index.searchSync(index.vector(id), { recall: 0.95 })
    console.log((await ownBytes()) - before)`
  const args = ['--expose-gc', '--input-type=module', '-e', program]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd })
  return Number(stdout)
}

const centroids = { partition: { method: 'kmeans', iterations: 2 }, router: 'centroids' } as const
/** Its numbers are a twentieth of the vectors: a second copy would show. */
const network = {
  partition: { method: 'kmeans', iterations: 2 },
  graph: { neighbors: 5, method: 'approximate' },
  classifier: { hidden: [512, 512], epochs: 1, softLabels: 5 }
} as const

for (const [what, options, most] of [
  ['bytes', { ...centroids, scan: 'int8' }, 1.3],
  ['codes of four bits', { ...centroids, scan: 'pq4' }, 1.18],
  ['bytes under a large network', { ...network, scan: 'int8' }, 1.37]
] as const) {
  onLinux(`${what}: at most ${most} times the vectors`, async (t) => {
    const random = randomNumbers(4)
    const vectors = Float32Array.from({ length: rows * dimensions }, () => random() - 0.5)
    const path = join(tmpdir(), `neural-lsh-memory-${process.pid}-${what.replaceAll(' ', '-')}.nlsh`)
    t.teardown(() => rm(path, { force: true }))
    const index = await NeuralLSH.build(vectors, { dimensions, bins, ...options })
    await index.save(path)
    const ratio = (await growth(path)) / vectors.byteLength
    t.log(ratio.toFixed(3))
    t.true(ratio > 1.1 && ratio <= most)
  })
}
