import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ExecutionContext } from 'ava'

const main = fileURLToPath(new URL('../../lib/cli/main.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')

/** The real word vectors that the package carries. */
export const wordsFile = fileURLToPath(new URL('../../demo/words.txt.gz', import.meta.url))

export interface Outcome {
  code: number | null
  stdout: string
  stderr: string
}

/** Starts the command line as its users do: in a process of its own. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [`--import=${tsx}`, main, ...args], {
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

/** A folder of its own that is gone after the test. */
export async function temporaryFolder(t: Pick<ExecutionContext, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'neural-lsh-cli-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}
