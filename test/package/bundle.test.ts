/** What bundlers make of the package: one file in a folder where nothing is installed. Reads dist/, which `npm test` builds. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'
import { build } from 'esbuild'
import { temporaryFolder } from '../formats/temporary-folder.js'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const worker = fileURLToPath(new URL('../../dist/engines/typescript/threads/worker.js', import.meta.url))
const folder = temporaryFolder()
test.after.always(() => folder.remove())

/** An application that builds an index, saves it, and asks what it has opened; tells the engine and how many workers were ready. */
const application = (path: string) => `
  import { NeuralLSH } from 'neural-lsh'
  async function main() {
    let workers = 0
    process.on('worker', (worker) => worker.once('message', () => workers++))
    const [rows, dimensions] = [3000, 64]
    const vectors = Float32Array.from({ length: rows * dimensions }, (_, i) => Math.sin(i * i))
    const options = { dimensions, bins: 8, partition: { method: 'kmeans' }, classifier: { hidden: [], epochs: 1 } }
    const built = await NeuralLSH.build(vectors, { ...options, threads: 2 })
    await built.save(${JSON.stringify(path)})
    const index = await NeuralLSH.open(${JSON.stringify(path)})
    const { ids } = await index.searchBatch(vectors.subarray(0, 100 * dimensions), { k: 1, probes: 8 })
    console.log(index.engine, ids.every((id, i) => id === i), workers)
  }
  main()`

async function bundled(name: string, format: 'esm' | 'cjs', hasWorkers: boolean) {
  const outdir = folder.path(name)
  const app = `${outdir}/app${format === 'esm' ? '.mjs' : '.cjs'}`
  const contents = application(folder.path(`${name}.nlsh`))
  const common = { bundle: true, platform: 'node', logLevel: 'error' } as const
  await build({ ...common, stdin: { contents, resolveDir: repository }, format, outfile: app })
  if (hasWorkers) await build({ ...common, entryPoints: [worker], format: 'cjs', outfile: `${outdir}/worker.js` })
  return promisify(execFile)(process.execPath, [app], { cwd: outdir, timeout: 60_000 })
}

test('as a module, as CommonJS, and beside its workers, a bundle computes in TypeScript and says so', async (t) => {
  for (const [name, format, hasWorkers] of [
    ['module', 'esm', false],
    ['common', 'cjs', false],
    ['with-workers', 'esm', true]
  ] as const) {
    const { stdout, stderr } = await bundled(name, format, hasWorkers)
    t.is(stdout, `typescript true ${hasWorkers ? 2 : 0}\n`, name)
    t.regex(stderr, /NEURAL_LSH_FALLBACK.*native engine cannot be loaded/)
  }
})
