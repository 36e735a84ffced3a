/** What the engine 'cuda' says where there is no library, or a wrong one, or no cuBLAS, no driver, no device. */
import { execFileSync } from 'node:child_process'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import { createCudaEngine } from '../../lib/engines/cuda.js'
import { loadAddon, run } from '../../lib/engines/native.js'
import { EngineError } from '../../lib/errors.js'
import { buildKnnGraph } from '../../lib/index.js'
import { compileText, fakeCuda, scratch, withEnvironment } from '../support/fake-cuda.js'
import { integers } from '../support/vectors.js'

/** The engine must be refused with an EngineError that gives the reason and the cure. */
async function refused(t: ExecutionContext, environment: Record<string, string>, reason: RegExp, cure: RegExp) {
  await withEnvironment(environment, async () => {
    const error = await t.throwsAsync(createCudaEngine({ device: 0 }), {
      instanceOf: EngineError,
      code: 'ERR_NLSH_ENGINE',
      message: /^the engine 'cuda' cannot be had here: /
    })
    t.regex(error?.message ?? '', reason)
    t.regex(error?.message ?? '', cure)
  })
}

const library = (folder: string) => ({ NEURAL_LSH_CUDA_LIBRARY: folder })
const built = fileURLToPath(new URL('../../build/Release/neural_lsh_cuda.so', import.meta.url))

test.serial(
  'the library that was built opens; where it cannot compute, the error names the driver or the device',
  async (t) => {
    try {
      t.regex((await createCudaEngine({ device: 0 })).description, /^cuda \(.*CUDA 13\.\d+, cuBLAS 13\..*, cuDNN 9\./)
    } catch (error) {
      t.true(error instanceof EngineError)
      const reason = existsSync(built) ? /driver|no device/ : /there is no CUDA library at .*npm run build:cuda/
      t.regex((error as Error).message, reason)
    }
  }
)

if (existsSync(built)) {
  test('the library that was built gives its table only, and takes cuBLAS and cuDNN by their versions', (t) => {
    const said = (program: string, ...args: string[]) => execFileSync(program, [...args, built], { encoding: 'utf8' })
    const symbols = said('nm', '-D', '--defined-only').trim().split('\n')
    t.deepEqual(
      symbols.map((line) => line.split(' ').at(-1)),
      ['neural_lsh_cuda']
    )
    const needed = Array.from(said('readelf', '-d').matchAll(/NEEDED.*\[(.*)\]/g), ([, name]) => name)
    for (const name of ['libcublasLt.so.13', 'libcudnn.so.9']) t.true(needed.includes(name), name)
    t.false(
      needed.some((name) => /cudart|stdc\+\+/.test(name ?? '')),
      'what can be linked is'
    )
  })
}

test.serial('what was asked for by name is not replaced by another engine', async (t) => {
  const [folder, vectors] = [fakeCuda(), integers(20, 3)]
  await withEnvironment({ ...library(folder), FAKE_CUDA_DRIVER: '0' }, async () => {
    const error = await t.throwsAsync(buildKnnGraph(vectors, { dimensions: 3, engine: 'cuda' }))
    t.true(error instanceof EngineError, String(error))
    t.is((await buildKnnGraph(vectors, { dimensions: 3 })).ids.length, 200)
  })
  await withEnvironment(library(folder), () =>
    t.notThrowsAsync(buildKnnGraph(vectors, { dimensions: 3, engine: 'cuda' }))
  )
})

test.serial('no library', async (t) => {
  const folder = scratch()
  await refused(t, library(folder), new RegExp(`no CUDA library at ${folder}/neural_lsh_cuda.so`), /npm run build:cuda/)
})

test.serial('what is no library at all', async (t) => {
  await refused(t, library(compileText('int x;', '-c')), /cannot be opened/, /neural_lsh_cuda\.so/)
})

test.serial('a library of something else', async (t) => {
  await refused(
    t,
    library(compileText('int something_else = 1;')),
    /is not the CUDA library/,
    /no symbol neural_lsh_cuda/
  )
})

test.serial('a library of another version', async (t) => {
  const text = 'void* neural_lsh_cuda(unsigned version) { (void)version; return 0; }'
  await refused(t, library(compileText(text)), /is of another version of neural-lsh/, /npm run build:cuda/)
  const older = 'static unsigned table = 0; void* neural_lsh_cuda(unsigned version) { (void)version; return &table; }'
  await refused(t, library(compileText(older)), /is of another version of neural-lsh/, /npm run build:cuda/)
})

test.serial('no driver, one that is too old, no device', async (t) => {
  const folder = library(fakeCuda())
  await refused(
    t,
    { ...folder, FAKE_CUDA_DRIVER: '0' },
    /no NVIDIA driver/,
    /CUDA 13\.0 needs one for CUDA 13 or newer/
  )
  const old = { ...folder, FAKE_CUDA_DRIVER: '12040' }
  await refused(t, old, /driver is too old .*it is for CUDA 12\.4/, /needs one for CUDA 13 or newer/)
  await refused(t, { ...folder, FAKE_CUDA_DEVICES: '0' }, /finds no device/, /nvidia-smi.*CUDA_VISIBLE_DEVICES/)
  for (const [call, said] of [
    ['versions', /versions cannot be told: cudaErrorOfTest in versions/],
    ['count_devices', /finds no device: cudaErrorOfTest in count_devices/],
    ['describe_device', /device 0 does not answer: cudaErrorOfTest in describe_device/]
  ] as const)
    await refused(t, { ...folder, FAKE_CUDA_FAILS: `${call} 4` }, said, /cudaErrorOfTest/)
})

test.serial('no cuBLAS: it is looked for in the folders that are told, and missed by its name', async (t) => {
  // A library that needs a libcublasLt of its own, which lies where the system does not look.
  const parts = scratch()
  const name = 'libcublasLt.so.test'
  const stub = compileText('int cublas_of_test(void) { return 1; }', `-Wl,-soname,${name}`)
  renameSync(join(stub, 'neural_lsh_cuda.so'), join(parts, name))
  const folder = fakeCuda('-Wl,--no-as-needed', join(parts, name))
  await refused(
    t,
    library(folder),
    new RegExp(`because ${name} is missing`),
    /Install cuBLAS 13 and cuDNN 9.*fetch-cuda\.mjs/
  )
  const asked = { libraries: [join(folder, 'neural_lsh_cuda.so')], folders: ['/nowhere', parts], device: 0 }
  t.is((await run(loadAddon().openCuda, asked, { threads: 1 })).devices, 2)
})

test('the first of several places counts, and only places', async (t) => {
  const { openCuda } = loadAddon()
  const file = join(fakeCuda(), 'neural_lsh_cuda.so')
  const asked = { libraries: ['/nowhere/x.so', file], folders: [], device: 0 }
  t.is((await run(openCuda, asked, { threads: 1 })).path, file)
  for (const wrong of [{ libraries: file, folders: [] }, { libraries: [] }]) {
    await t.throwsAsync(() => run(openCuda, wrong, { threads: 1 }), { code: 'ERR_NLSH_ARGUMENT' })
  }
})
