// The package as a user gets it: packed, then installed into empty folders without a network, in three ways. Each
// folder's PATH holds only what that user has; the programs that could fetch something leave a trace and fail.
import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import { environment, install, pack, repository, scratch } from './packages.js'

const run = promisify(execFile)
const minutes = 60_000

/** A folder of programs: Node and a shell, what `names` adds, and traps in place of everything that fetches. */
function makePath(name: string, names: string[]): string {
  const folder = join(scratch, name)
  mkdirSync(folder)
  for (const program of ['node', 'npm', 'sh', 'uname', ...names]) symlinkSync(which(program), join(folder, program))
  for (const program of ['pip', 'pip3', 'python', 'python3', 'curl', 'wget', 'git']) {
    const trap = join(folder, program)
    writeFileSync(trap, `#!/bin/sh\necho "${program} $*" >> "${fetches}"\nexit 1\n`)
    chmodSync(trap, 0o755)
  }
  return folder
}

const fetches = join(scratch, 'fetches.txt')

function which(program: string): string {
  const found = process.env.PATH?.split(delimiter).find((folder) => existsSync(join(folder, program)))
  if (!found) throw new Error(`${program} is not in the PATH`)
  return join(found, program)
}

const program = `
  const vectors = Float32Array.from({ length: 400 * 8 }, (_, i) => Math.sin(i * i))
  NeuralLSH.build(vectors, { dimensions: 8, bins: 4, classifier: { hidden: [16], epochs: 2 } })
    .then(async (index) => {
      const { ids } = await index.search(vectors.subarray(80, 88), { k: 1, probes: 4 })
      console.log(index.engine, ids[0])
    })
    .catch((error) => console.log(error.code, error.message))`

/** Runs the program above in a folder where the package is installed. */
function use(folder: string, PATH: string, kind: 'import' | 'require'): string {
  const file = join(folder, kind === 'import' ? 'use.mjs' : 'use.cjs')
  const door =
    kind === 'import' ? "import { NeuralLSH } from 'neural-lsh'" : "const { NeuralLSH } = require('neural-lsh')"
  writeFileSync(file, door + program)
  const result = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', file], {
    cwd: folder,
    env: environment(PATH),
    encoding: 'utf8'
  })
  return result.stdout + result.stderr
}

function computesInTypescript(t: ExecutionContext, folder: string, PATH: string): void {
  for (const kind of ['import', 'require'] as const) {
    const said = use(folder, PATH, kind)
    t.regex(said, /^typescript 10$/m)
    t.regex(said, /NEURAL_LSH_FALLBACK.*compiler.*npm rebuild neural-lsh/s)
  }
}

const builds = ['cmake', 'c++', 'cc', 'make', 'ld', 'as', 'ar', 'ranlib']

test.serial(
  'without a compiler it installs, says so in one line, and the first call computes in TypeScript and says how to cure it',
  async (t) => {
    t.timeout(8 * minutes)
    const PATH = makePath('no-compiler', [])
    const { folder, output } = await install('without-compiler', [await pack(repository)], PATH)
    const lines = output.split('\n').filter((line) => line.includes('installed without the native engine'))
    t.is(lines.length, 1)
    t.regex(lines[0] ?? '', /cmake was not found.*npm rebuild neural-lsh/)
    computesInTypescript(t, folder, PATH)
    for (const program of ['neural-lsh', 'nlsh_build', 'nlsh_search']) {
      const { stdout } = await run(join(folder, 'node_modules', '.bin', program), ['--help'], {
        env: environment(PATH)
      })
      t.regex(stdout, new RegExp(`\\b${program} `))
    }
  }
)

test.serial('with --ignore-scripts nothing is built, and everything works in TypeScript', async (t) => {
  t.timeout(8 * minutes)
  const PATH = makePath('no-scripts', [])
  const installed = await install('without-scripts', [await pack(repository)], PATH, '--ignore-scripts')
  t.false(existsSync(join(installed.package, 'build')))
  computesInTypescript(t, installed.folder, PATH)
  t.false(existsSync(fetches), 'nothing was fetched')
})

test.serial('CMake alone does not make it fail to install either', async (t) => {
  t.timeout(8 * minutes)
  const { output } = await install(
    'cmake-only',
    [await pack(repository)],
    makePath('cmake-without-compiler', ['cmake', 'make'])
  )
  t.regex(output, /installed without the native engine: no C\+\+ compiler was found/)
})

test.serial(
  'without a prebuilt binary it builds one from what is in the package, and with one it needs no build',
  async (t) => {
    t.timeout(15 * minutes)
    const compilers = makePath('compilers', builds)
    const built = await install('source-build', [await pack(repository)], compilers)
    t.notRegex(built.output, /installed without/)
    t.is(use(built.folder, compilers, 'import'), 'native 10\n')
    t.is(use(built.folder, compilers, 'require'), 'native 10\n')
    t.false(existsSync(fetches), 'nothing was fetched')
    t.true(existsSync(join(built.package, 'native', 'cuda', 'library.cpp')), 'the sources of the library for GPUs')
    t.false(existsSync(join(built.package, 'build', 'Release', 'neural_lsh_cuda.so')), 'which is built on demand only')

    await run(process.execPath, [join(repository, 'scripts', 'prebuild.mjs')], {
      cwd: built.package,
      maxBuffer: 1 << 26
    })
    const withBinary = await pack(built.package)
    const nothing = makePath('nothing', [])
    for (const options of [[], ['--ignore-scripts']]) {
      const prebuilt = await install(`prebuilt${options.length}`, [withBinary], nothing, ...options)
      t.notRegex(prebuilt.output, /building one|installed without/)
      t.false(readdirSync(prebuilt.package).includes('build'))
      t.is(use(prebuilt.folder, nothing, 'import'), 'native 10\n')
      t.is(use(prebuilt.folder, nothing, 'require'), 'native 10\n')
    }
  }
)
