// What the CUDA engine computes with indexes, keys, lists, bounds and the choice of bins is plain C++ too, and needs no
// device: the program compares it with simple loops.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'

for (const [program, what] of [
  ['host', 'arithmetic'],
  ['training', 'training'],
  ['training-kernels', 'training on an emulated device']
] as const) {
  test(`the ${what} of the CUDA engine is right`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'neural-lsh-cuda-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, program)
    const warnings = ['-Wall', '-Wextra', '-Werror']
    const flags = ['-std=c++20', '-O1', ...warnings, '-pthread', '-Itest/native/cuda/emulation']
    execFileSync(process.env.CXX ?? 'c++', [...flags, `test/native/cuda/${program}.cpp`, '-o', file], {
      encoding: 'utf8'
    })
    t.regex(execFileSync(file, { encoding: 'utf8' }), /is right/)
  })
}
