// What the system refuses is an error that can be caught, not the end of the process.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const run = promisify(execFile)
const onLinux = process.platform === 'linux' ? test : test.skip
const library = JSON.stringify(new URL('../dist/index.js', import.meta.url).href)
const cwd = fileURLToPath(new URL('..', import.meta.url))

/** Runs the code in a process whose address space is limited, and returns the error code that it prints. */
async function codeOf(code: string, kilobytes: string) {
  const script = `
    import { execFileSync } from 'node:child_process'
    import { readFileSync } from 'node:fs'
    import { buildKnnGraph } from ${library}
    const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0])
    const limit = (bytes) => execFileSync('prlimit', ['--pid', String(process.pid), '--as=' + bytes + ':'])
    ${code}
    console.log(await buildKnnGraph(vectors, { dimensions: 2, neighbors }).then(() => 'built', ({ code }) => code))`
  const command = `ulimit -v ${kilobytes} && exec "$0" "$@"`
  const { stdout } = await run('sh', ['-c', command, process.execPath, '--input-type=module', '-e', script], { cwd })
  return stdout.trim()
}

onLinux('a result that does not fit into memory', async (t) => {
  const code = 'const [vectors, neighbors] = [Float32Array.from({ length: 400_000 }, Math.random), 5000]'
  t.is(await codeOf(code, '6000000'), 'ERR_NLSH_MEMORY')
})

onLinux('a thread that the system does not grant', async (t) => {
  const code = 'const [vectors, neighbors] = [Float32Array.from({ length: 400 }, Math.random), 5]'
  t.is(await codeOf(code, 'unlimited'), 'built')
  t.is(await codeOf(`${code}\nlimit(4096 * pages + 4e6)`, 'unlimited'), 'ERR_NLSH_MEMORY')
})
