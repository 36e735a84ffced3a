/**
 * The exact 10-NN graph of MNIST's 60,000 images, by us and by scikit-learn's brute force, one after the other on all
 * cores; then 1,000 sampled rows are checked against brute force in double precision, ties by id.
 *
 *     npm run data -- mnist && node bench/knn-graph.mjs
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildKnnGraph, readVectors } from 'neural-lsh'
import { mnistImages } from './data.mjs'

const neighbors = 10
const images = mnistImages()
const script = (path) => fileURLToPath(new URL(path, import.meta.url))

const { vectors, rows, dimensions } = await readVectors(images)
const start = performance.now()
const { ids } = await buildKnnGraph(vectors, { dimensions, neighbors })
const seconds = (performance.now() - start) / 1000
// Each pair is computed once, with a multiplication and an addition a dimension.
const gigaflops = (rows * rows * dimensions) / seconds / 1e9
console.log(`neural-lsh: ${seconds.toFixed(2)} s, ${gigaflops.toFixed(0)} GFLOP/s over half of the pairs`)

const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-bench-'))
try {
  const graph = join(folder, 'ids.i32')
  writeFileSync(graph, ids)
  const environment = execFileSync(process.execPath, [script('../scripts/python-env.mjs'), 'scikit-learn==1.9.1'], {
    encoding: 'utf8'
  })
  const python = environment.trim().split('\n').at(-1)
  execFileSync(python, [script('knn-graph.py'), images, graph, String(neighbors), String(seconds)], {
    stdio: 'inherit'
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
