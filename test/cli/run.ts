import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'

/** The programs of the package, as its package.json names them. */
export const programs = {
  'neural-lsh': 'main.ts',
  nlsh_build: 'course/nlsh-build.ts',
  nlsh_search: 'course/nlsh-search.ts'
}
export type Program = keyof typeof programs

const pathOf = (program: Program) => fileURLToPath(new URL(`../../lib/cli/${programs[program]}`, import.meta.url))
const tsx = import.meta.resolve('tsx')

/** The real word vectors that the package carries. */
export const wordsFile = fileURLToPath(new URL('../../demo/words.txt.gz', import.meta.url))

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** Starts a command line as its users do: in a process of its own. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}, program: Program = 'neural-lsh') {
  const child = spawn(process.execPath, [`--import=${tsx}`, pathOf(program), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env }
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
  return { child, outcome }
}

export const run = (...args: string[]) => start(args).outcome

export const runProgram = (program: Program, ...args: string[]) => start(args, {}, program).outcome

/** A folder of its own that is gone after the test. */
export async function temporaryFolder(t: Pick<ExecutionContext, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'neural-lsh-cli-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** What a program ends with that gets Ctrl-C's signal once it writes `text`, and the milliseconds until then. */
export async function interrupted(text: string, args: readonly string[], program: Program = 'neural-lsh') {
  const { child, outcome } = start(args, {}, program)
  let signalled = Number.NaN
  child.stderr.on('data', (written: string) => {
    if (!written.includes(text) || !Number.isNaN(signalled)) return
    signalled = performance.now()
    child.kill('SIGINT')
  })
  const ended = await outcome
  return { ...ended, milliseconds: performance.now() - signalled }
}
