import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { isAbsolute, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FileError } from '../errors.js'
import { replaceFile } from '../formats/replace-file.js'
import { type BuildOptions, type BuildReport, NeuralLSH, readVectors, writeFvecs } from '../index.js'

const packageFolder = fileURLToPath(new URL('../../', import.meta.url))
const wordsPath = join(packageFolder, 'demo', 'words.txt.gz')
const heldOutCount = 300

/** What the index of the demo is built with; the rest are the defaults. With KaHIP it shows every stage. */
const indexOptions = { bins: 64, metric: 'cosine' as const, partition: { method: 'kahip' as const } }

/** An index of the demo's words and what belongs to it. */
export interface DemoIndex {
  index: NeuralLSH
  /** The word of each row of the index. */
  words: readonly string[]
  /** Words that are not in the index, and their vectors: questions whose answers the router was not trained on. */
  heldOut: { words: string[]; vectors: Float32Array }
  /** Times of the stages when it was built. */
  stages: BuildReport['stages']
}

type Job = Pick<BuildOptions, 'engine' | 'device' | 'threads' | 'signal' | 'onProgress'>

/** Where this version's index of these words is kept between two runs. */
export async function demoFolder(version: string): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([version, indexOptions, heldOutCount]))
  const key = hash.update(await readFile(wordsPath)).digest('hex')
  return join(cacheFolder(), `demo-${key.slice(0, 16)}`)
}

/** In a clone the ignored folder .cache, in an installed package the user's own. */
function cacheFolder(): string {
  if (!packageFolder.split(sep).includes('node_modules')) return join(packageFolder, '.cache')
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env
  if (process.platform === 'win32' && LOCALAPPDATA) return join(LOCALAPPDATA, 'neural-lsh')
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'neural-lsh')
  const given = XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : undefined
  return join(given ?? join(homedir(), '.cache'), 'neural-lsh')
}

const filesIn = (folder: string) => ({
  index: join(folder, 'index.nlsh'),
  vectors: join(folder, 'held-out.fvecs'),
  // Written last: where it is, the others are whole.
  notes: join(folder, 'notes.json')
})

interface Notes {
  heldOut: string[]
  stages: BuildReport['stages']
}

/** The index that an earlier run left; undefined where there is none, or where its files are damaged. */
export async function openDemo(
  folder: string,
  { engine, device, threads, signal }: Job
): Promise<DemoIndex | undefined> {
  const files = filesIn(folder)
  try {
    const notes = JSON.parse(await readFile(files.notes, 'utf8')) as Notes
    const { vectors } = await readVectors(files.vectors, { signal })
    const index = await NeuralLSH.open(files.index, { engine, device, threads, signal })
    return {
      index,
      words: index.words as readonly string[],
      heldOut: { words: notes.heldOut, vectors },
      stages: notes.stages
    }
  } catch (error) {
    const absent =
      error instanceof SyntaxError || error instanceof FileError || (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (absent) return undefined
    throw error
  }
}

/** The words of the demo, some of them set aside: spread evenly over the list, and none of those in `keep`. */
export async function readDemoWords(keep: readonly string[], signal: AbortSignal) {
  const { vectors, dimensions, words = [] } = await readVectors(wordsPath, { signal })
  const step = Math.floor(words.length / heldOutCount)
  const isHeldOut = words.map((word, row) => row % step === step - 1 && !keep.includes(word))
  const select = (wanted: boolean) => {
    const rows = words.flatMap((_, row) => (isHeldOut[row] === wanted ? [row] : []))
    const selected = new Float32Array(rows.length * dimensions)
    for (const [to, row] of rows.entries()) {
      selected.set(vectors.subarray(row * dimensions, (row + 1) * dimensions), to * dimensions)
    }
    return { words: rows.map((row) => words[row] as string), vectors: selected }
  }
  return { dimensions, stored: select(false), heldOut: select(true) }
}

export type DemoWords = Awaited<ReturnType<typeof readDemoWords>>

/** Builds the demo's index. */
export async function buildDemo({ dimensions, stored, heldOut }: DemoWords, job: Job): Promise<DemoIndex> {
  const index = await NeuralLSH.build(stored.vectors, { dimensions, ...indexOptions, ...job })
  return { index, words: stored.words, heldOut, stages: index.report.stages }
}

/** Leaves the index for the next run. Rejects with FileError where the folder cannot be written. */
export async function keepDemo(
  folder: string,
  { index, words, heldOut, stages }: DemoIndex,
  signal: AbortSignal
): Promise<void> {
  const files = filesIn(folder)
  const notes: Notes = { heldOut: heldOut.words, stages }
  await mkdir(folder, { recursive: true })
  await index.save(files.index, { words, signal })
  await writeFvecs(files.vectors, heldOut.vectors, index.dimensions, { signal })
  await replaceFile(files.notes, [Buffer.from(JSON.stringify(notes))], signal)
}
