import test from 'ava'
import { buildFlags, evaluateFlags, runFlags, searchFlags } from '../../lib/cli/flags.js'
import { packageVersion } from '../../lib/cli/version.js'
import { resolveIndexOptions } from '../../lib/options.js'
import { run, start, temporaryFolder, wordsFile } from './run.js'

const commands = ['build', 'search', 'evaluate', 'info', 'demo']

const wrongUsage: [string, string[], RegExp][] = [
  ['an unknown command', ['bild'], /"bild" is not a command; did you mean build\?/],
  ['an unknown option', ['build', '--bims', '4'], /--bims is not an option of this command; did you mean --bins\?/],
  ['a missing base', ['build', '--out', 'x.nlsh'], /--base is missing/],
  ['a missing output', ['build', '--base', 'x.fvecs'], /--out is missing/],
  [
    'a value that is no number',
    ['build', '--base', 'x', '--out', 'y', '--bins', 'many'],
    /--bins takes a number, not "many"/
  ],
  ['a value that is missing', ['search', '--index'], /--index/],
  [
    'a format that there is not',
    ['build', '--base', 'x', '--out', 'y', '--format', 'csv'],
    /--format takes one of fvecs/
  ],
  ['a file name too many', ['info', 'a.nlsh', 'b.nlsh'], /"b\.nlsh"/],
  ['neither queries nor words', ['search', '--index', 'x.nlsh'], /either --queries or --word/],
  ['neither base nor index', ['evaluate', '--queries', 'x.fvecs'], /either --base.* or --index/],
  [
    'a build option for a built index',
    ['evaluate', '--index', 'x', '--queries', 'y', '--bins', '4'],
    /--bins belongs to --base/
  ],
  [
    'a value that the library refuses',
    ['build', '--base', wordsFile, '--limit', '50', '--out', 'y', '--bins', '51'],
    /bins: must be .*2 to 50/
  ],
  [
    'the same by its long name',
    ['build', '--base', wordsFile, '--limit', '50', '--out', 'y', '--graph.neighbors', '50'],
    /graph\.neighbors: must be/
  ],
  ['a row limit that is none', ['build', '--base', wordsFile, '--limit', '0', '--out', 'y'], /limit/]
]

for (const [what, args, message] of wrongUsage) {
  test(`wrong usage exits with 2 and says why: ${what}`, async (t) => {
    const { code, stdout, stderr } = await run(...args)
    t.is(code, 2, stderr)
    t.is(stdout, '')
    t.regex(stderr, message)
    t.notRegex(stderr, /\n\s+at /, 'no stack')
  })
}

test('a failure exits with 1 and names the file', async (t) => {
  const folder = await temporaryFolder(t)
  const { code, stdout, stderr } = await run('info', `${folder}/missing.nlsh`)
  t.is(code, 1, stderr)
  t.is(stdout, '')
  t.regex(stderr, /^neural-lsh info: .*missing\.nlsh: /m)
  t.notRegex(stderr, /\n\s+at /, 'no stack')
})

for (const command of commands) {
  test(`${command} --help teaches: usage, examples, every option`, async (t) => {
    const { code, stdout, stderr } = await run(command, '--help')
    t.is(code, 0)
    t.is(stderr, '')
    t.true(stdout.startsWith(`Usage: neural-lsh ${command}`))
    t.regex(stdout, /\nExamples:\n/)
    for (const name of ['engine', 'threads', 'json', 'help']) t.true(stdout.includes(`\n  --${name}`), name)
    t.true(stdout.split('\n').every((line) => line.length <= 100))
  })
}

test('the overview names every command and the version', async (t) => {
  for (const args of [[], ['--help']]) {
    const { code, stdout } = await run(...args)
    t.is(code, 0)
    t.true(stdout.includes(packageVersion()))
    for (const command of commands) t.regex(stdout, new RegExp(`\n  ${command} `))
  }
  t.is((await run('--version')).stdout, `${packageVersion()}\n`)
})

/** { graph: { neighbors: 10 } } -> { 'graph.neighbors': 10 } */
function flatten(options: object, prefix = ''): [string, unknown][] {
  return Object.entries(options).flatMap(([key, value]): [string, unknown][] =>
    typeof value === 'object' && !Array.isArray(value) ? flatten(value, `${prefix}${key}.`) : [[prefix + key, value]]
  )
}

test('every option of a build is an option of the command, and its default is the one that the help states', (t) => {
  const rows = 2500
  const stated = new Map(Object.values(buildFlags).map(({ path, meaning }) => [path as string, meaning]))
  for (const [path, value] of flatten(resolveIndexOptions({ dimensions: 3 }, rows))) {
    if (path === 'dimensions') continue // The file tells.
    const meaning = stated.get(path)
    t.truthy(meaning, `${path} is an option of the command`)
    const text =
      path === 'bins' ? 'the power of two nearest to the square root' : path === 'graph.method' ? 'auto' : String(value)
    t.true(meaning?.includes(`Default: ${text}`), `${path}: ${meaning}`)
    stated.delete(path)
  }
  t.deepEqual([...stated.keys()], [], 'no option of the command is unknown to the API')
})

test('every option of searching and evaluating is an option of its command', (t) => {
  t.deepEqual(Object.keys(searchFlags), ['k', 'probes', 'mass'])
  t.deepEqual(Object.keys(evaluateFlags), ['truth', 'k', 'probes', 'mass'])
  t.deepEqual(Object.keys(runFlags), ['engine', 'threads'])
})

test('a reader that goes away is no failure', async (t) => {
  const { child, outcome } = start(['build', '--help'])
  child.stdout.destroy()
  const { code, stderr } = await outcome
  t.is(code, 0)
  t.is(stderr, '')
})
