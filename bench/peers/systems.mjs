/**
 * What is compared, as data. A system: { name, label, version, build, search }, where `build(set)` gives the index's
 * parameters and `search(set)` those of all searches that are tried, and `command(mode, job, tools)` the program that
 * runner.mjs starts.
 */
import { fileURLToPath } from 'node:url'
import { versions } from '../../scripts/peers-env.mjs'
import { configurations } from './neural-lsh.mjs'

const script = (name) => fileURLToPath(new URL(name, import.meta.url))
const inNode = (name) => (mode, job) => [process.execPath, '--expose-gc', script(name), mode, JSON.stringify(job)]

const graph = { connectivity: 16, efConstruction: 200 }
const breadths = [
  10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 100, 128, 160, 200, 256, 320, 400, 512, 640, 800, 1200
]
const searchGraph = () => breadths.map((ef) => ({ ef }))

/** About 4 sqrt(n), a power of two. */
const lists = { 'sift-100k': 1024, 'sift-1m': 4096, 'glove-100k': 1024, 'glove-all': 2048, mnist: 1024 }
/** 4 bits for 2 dimensions, for 4 of MNIST's many. */
const codes = { 'sift-100k': 64, 'sift-1m': 64, 'glove-100k': 50, 'glove-all': 50, mnist: 196 }
const probes = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512]

const inFaiss = (mode, job, { python }) => [python, script('faiss_runner.py'), mode, JSON.stringify(job)]

export const peers = [
  {
    name: 'hnswlib',
    label: 'hnswlib (C++, -march=native)',
    version: versions.hnswlib,
    build: () => graph,
    search: searchGraph,
    command(mode, job, { hnswlib }) {
      const space = job.metric === 'cosine' ? 'ip' : 'l2'
      const { connectivity, efConstruction } = job.build
      const args =
        mode === 'build'
          ? [job.base, job.rows, job.dimensions, space, job.index, connectivity, efConstruction]
          : [job.queries, job.count, job.dimensions, space, job.index, job.k]
      return [hnswlib, mode, ...args.map(String)]
    }
  },
  {
    name: 'hnswlib-node',
    label: 'hnswlib-node',
    version: versions['hnswlib-node'],
    build: () => graph,
    search: searchGraph,
    command: inNode('hnswlib-node.mjs')
  },
  {
    name: 'usearch',
    label: 'usearch (Node)',
    version: versions.usearch,
    build: () => graph,
    search: searchGraph,
    command: inNode('usearch.mjs')
  },
  {
    name: 'faiss-ivf-flat',
    label: 'faiss IVF-Flat',
    version: versions['faiss-cpu'],
    build: (set) => ({ factory: `IVF${lists[set]},Flat` }),
    search: () => probes.map((nprobe) => ({ nprobe })),
    command: inFaiss
  },
  {
    name: 'faiss-ivf-pq-fast-scan',
    label: 'faiss IVF-PQ fast scan, re-ranked',
    version: versions['faiss-cpu'],
    build: (set) => ({ factory: `IVF${lists[set]},PQ${codes[set]}x4fs,RFlat` }),
    search: () => [2, 4, 8, 16, 32].flatMap((rerank) => probes.map((nprobe) => ({ nprobe, rerank }))),
    command: inFaiss
  },
  {
    name: 'faiss-hnsw',
    label: 'faiss HNSW-Flat',
    version: versions['faiss-cpu'],
    build: () => ({ factory: 'HNSW16,Flat', efConstruction: 200 }),
    search: searchGraph,
    command: inFaiss
  }
]

const ours = configurations.map((configuration) => ({
  ...configuration,
  ours: true,
  label: `neural-lsh: ${configuration.label}`,
  command: inNode('neural-lsh.mjs')
}))

export const systems = [...ours, ...peers]
