// What the CUDA engine computes with indexes, keys, lists, bounds and the choice of bins is plain C++ too, and its kernels
// run on an emulated device: both are compared with simple loops, and need no GPU.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import test, { type ExecutionContext } from 'ava'

const run = promisify(execFile)

async function compileAndRun(t: ExecutionContext, source: string, flags: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'neural-lsh-cuda-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const program = join(folder, 'program')
  const all = ['-std=c++20', '-Wall', '-Wextra', '-Werror', ...flags]
  await run(process.env.CXX ?? 'c++', [...all, `test/native/cuda/${source}`, '-o', program])
  return (await run(program)).stdout
}

test('the arithmetic of the CUDA engine is right', async (t) => {
  t.regex(await compileAndRun(t, 'host.cpp', ['-O2', '-pthread']), /is right/)
})

test("in the CUDA engine's training several lanes come to what one does", async (t) => {
  t.regex(await compileAndRun(t, 'training.cpp', ['-O1', '-pthread']), /is right/)
})

const oneFile = ['-Wno-unknown-pragmas', '-Wno-subobject-linkage', '-Itest/native/cuda/emulation']
// Fibers that take turns on one thread are made with GNU's C library, and #pragma unroll is for another compiler.
const isEmulated = process.platform === 'linux' && process.arch === 'x64' ? test : test.skip

isEmulated('the kernels of the CUDA engine find what brute force finds', async (t) => {
  t.timeout(240_000)
  t.regex(await compileAndRun(t, 'engine.cpp', ['-O1', ...oneFile]), /is right/)
})

isEmulated("the kernels of the CUDA engine's training do what one lane does", async (t) => {
  t.regex(await compileAndRun(t, 'training-kernels.cpp', ['-O1', ...oneFile]), /is right/)
})

for (const [what, flags] of [
  ['wrong accesses', ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '--param=asan-stack=0']],
  ['races', ['-fsanitize=thread']]
] as const) {
  isEmulated(`several threads use the CUDA engine at once: a sanitizer sees no ${what}`, async (t) => {
    t.timeout(480_000)
    t.regex(await compileAndRun(t, 'threads.cpp', ['-O1', '-pthread', ...flags, ...oneFile]), /are right/)
  })
}
