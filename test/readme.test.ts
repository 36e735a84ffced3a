import { spawn } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { exactSearch, readVectors, writeFvecs, writeIvecs } from '../lib/index.js'
import { resolveIndexOptions } from '../lib/options.js'
import { type Program, programs, runProgram, wordsFile } from './cli/run.js'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
const readme = await readFile(path('../README.md'), 'utf8')
const blocks = Array.from(readme.matchAll(/^```(\w*)\n(.*?)^```$/gms), ([, language = '', text = '']) => ({
  language,
  text
}))
const inLanguage = (wanted: string) => blocks.filter(({ language }) => language === wanted).map(({ text }) => text)

let folder: string

/** The files that the snippets name, of real data: 2,000 words to index, 50 to ask for. */
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'neural-lsh-readme-'))
  const { vectors, dimensions } = await readVectors(wordsFile, { limit: 2050 })
  const base = vectors.slice(0, 2000 * dimensions)
  const queries = vectors.slice(2000 * dimensions)
  await writeFvecs(join(folder, 'vectors.fvecs'), base, dimensions)
  await writeFvecs(join(folder, 'queries.fvecs'), queries, dimensions)
  await writeIvecs(join(folder, 'truth.ivecs'), (await exactSearch(base, queries, { dimensions, k: 10 })).ids, 10)
  await writeFile(join(folder, 'images.idx'), images(400))
  await copyFile(wordsFile, join(folder, 'words.txt.gz'))
})

/** An idx file of images of 28 x 28 pixels, on each a square of its own size at a place of its own. */
function images(count: number): Buffer {
  const header = Buffer.from([0, 0, 8, 3, 0, 0, count >> 8, count & 255, 0, 0, 0, 28, 0, 0, 0, 28])
  const pixels = Array.from({ length: count }, (_, image) => {
    const [size, top, left] = [4 + (image % 7), (image * 5) % 18, (image * 11) % 17]
    const isInside = (at: number, start: number) => at >= start && at < start + size
    return Buffer.from(
      Array.from({ length: 784 }, (_, at) => (isInside(Math.floor(at / 28), top) && isInside(at % 28, left) ? 255 : 0))
    )
  })
  return Buffer.concat([header, ...pixels])
}

test.after.always(() => rm(folder, { recursive: true, force: true }))

test('there are snippets of the two kinds that are run, and drawings only besides', (t) => {
  t.true(inLanguage('js').length >= 3)
  t.true(inLanguage('sh').length >= 2)
  t.deepEqual([...new Set(blocks.map(({ language }) => language))].sort(), ['', 'js', 'sh'])
})

for (const [number, text] of inLanguage('js').entries()) {
  test.serial(`JavaScript snippet ${number + 1} runs`, async (t) => {
    const file = join(folder, `snippet-${number}.mjs`)
    const source = text
      .replace(/from 'neural-lsh'/, `from ${JSON.stringify(path('../lib/index.ts'))}`)
      .replace(/from 'neural-lsh\/browser'/, `from ${JSON.stringify(path('../lib/browser.ts'))}`)
    t.not(source, text, 'imports the package')
    await writeFile(file, source)
    const child = spawn(process.execPath, [`--import=${import.meta.resolve('tsx')}`, file], { cwd: folder })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
    const code = await new Promise((resolve) => child.on('close', resolve))
    t.is(code, 0, output)
    t.notRegex(output, /undefined|NaN/)
  })
}

const commands = inLanguage('sh').flatMap((text) => text.trim().split(/\n| && /))

test('the npm commands exist', async (t) => {
  const { scripts } = JSON.parse(await readFile(path('../package.json'), 'utf8')) as { scripts: Record<string, string> }
  for (const command of commands.filter((line) => line.startsWith('npm '))) {
    const [, verb, name] = command.split(' ') as [string, string, string?]
    if (verb === 'run') t.true(Object.hasOwn(scripts, name as string), command)
    else t.true(['ci', 'test', 'install'].includes(verb), command)
  }
  t.true(Object.hasOwn(scripts, 'test'))
  for (const [, name] of readme.matchAll(/npm run ([\w:-]+)/g)) t.true(Object.hasOwn(scripts, name as string), name)
})

test.serial('the commands of the command line run, one after the other', async (t) => {
  const lines = commands.filter((line) => !line.startsWith('npm '))
  t.true(lines.length >= 5)
  for (const line of lines) {
    const [program, ...args] = line.split(' ')
    t.true(Object.hasOwn(programs, program as string), line)
    const inFolder = args.map((arg) => (/\.(fvecs|ivecs|nlsh|gz|html|txt)$/.test(arg) ? join(folder, arg) : arg))
    const { code, stderr } = await runProgram(program as Program, ...inFolder)
    t.is(code, 0, `${line}\n${stderr}`)
  }
})

test('every default in the table of options is the real one', (t) => {
  const options = resolveIndexOptions({ dimensions: 2 }, 5000)
  const stated = Object.fromEntries(
    Array.from(readme.matchAll(/^\| `([\w.]+)`(?:, `[.\w]+`)* \| ([^|]+) \|/gm), ([, name, value]) => [
      name,
      value?.trim()
    ])
  )
  t.is(stated.metric, `\`'${options.metric}'\``)
  t.is(stated['graph.neighbors'], String(options.graph.neighbors))
  t.is(stated['graph.precision'], `\`'${options.graph.precision}'\``)
  t.is(stated['partition.mode'], `\`'${options.partition.mode}'\``)
  t.is(stated['partition.imbalance'], String(options.partition.imbalance))
  t.is(stated['classifier.hidden'], `\`[${options.classifier.hidden}]\``)
  t.is(stated['classifier.epochs'], `${options.classifier.epochs}, ${options.classifier.batchSize}`)
  const { activation, batchNorm, dropout, input, initialization, loss, schedule } = options.classifier
  const { calibrate, precision, deterministic } = options.classifier
  t.is(stated['classifier.activation'], `\`'${activation}'\``)
  t.is(stated['classifier.batchNorm'], `${batchNorm}, ${dropout}`)
  t.is(stated['classifier.input'], `\`'${input}'\``)
  t.is(stated['classifier.initialization'], `\`{ type: '${initialization.type}' }\``)
  t.is(stated['classifier.loss'], `\`{ type: '${loss.type}' }\``)
  t.is(stated['classifier.schedule'], `\`{ type: '${schedule.type}' }\``)
  const { type, learningRate } = options.classifier.optimizer
  t.is(stated['classifier.optimizer'], `\`{ type: '${type}', learningRate: ${learningRate} }\``)
  t.is(stated['classifier.calibrate'], String(calibrate))
  t.is(stated['classifier.precision'], `\`'${precision}'\``)
  t.is(stated['classifier.deterministic'], String(deterministic))
  t.is(stated['classifier.softLabels'], String(options.classifier.softLabels))
  t.is(stated['classifier.validationFraction'], String(options.classifier.validationFraction))
  t.is(stated.seed, String(options.seed))
})
