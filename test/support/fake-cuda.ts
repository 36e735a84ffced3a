/** Libraries in place of the one for the GPU, compiled by the tests that use them. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const all = mkdtempSync(join(tmpdir(), 'neural-lsh-cuda-'))
process.once('exit', () => rmSync(all, { recursive: true, force: true }))

/** An empty folder that is gone when the tests have ended. */
export const scratch = () => mkdtempSync(join(all, 'library-'))

/** Compiles C into `file`. */
export function compile(source: string, file: string, ...options: string[]): void {
  const warnings = ['-Wall', '-Wextra', '-Werror']
  execFileSync(process.env.CC || 'cc', ['-shared', '-fPIC', '-O2', ...warnings, source, '-o', file, ...options], {
    stdio: ['ignore', 'inherit', 'inherit']
  })
}

/** Compiles a text into neural_lsh_cuda.so in a folder of its own, and returns that. */
export function compileText(text: string, ...options: string[]): string {
  const folder = scratch()
  const source = join(folder, 'library.c')
  writeFileSync(source, text)
  compile(source, join(folder, 'neural_lsh_cuda.so'), ...options)
  return folder
}

/** The folder of a library that needs no GPU. */
export function fakeCuda(...options: string[]): string {
  const folder = scratch()
  const source = fileURLToPath(new URL('fake-cuda.c', import.meta.url))
  compile(source, join(folder, 'neural_lsh_cuda.so'), '-lm', '-lpthread', ...options)
  return folder
}

/** The folder of the library itself, its kernels on an emulated device (test/native/cuda/emulation). */
export function emulatedCuda(): string {
  const folder = scratch()
  const source = fileURLToPath(new URL('../native/cuda/engine.cpp', import.meta.url))
  // Its warnings are the build's business.
  const flags = ['-std=c++20', '-O2', '-w', '-shared', '-fPIC', '-pthread', `-I${join(source, '..', 'emulation')}`]
  execFileSync(process.env.CXX || 'c++', [...flags, source, '-o', join(folder, 'neural_lsh_cuda.so')], {
    stdio: ['ignore', 'inherit', 'inherit']
  })
  return folder
}

/** Runs `body` with these environment variables; not beside other tests that depend on them. */
export async function withEnvironment<T>(variables: Record<string, string>, body: () => Promise<T>): Promise<T> {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, variables)
  try {
    return await body()
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

/** The folder of a library that trains on an emulated device: what native/cuda/training does, over plain loops. */
export function emulatedTraining(): string {
  const folder = scratch()
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const emulation = join(root, 'test', 'native', 'cuda', 'training-emulation')
  const training = join(root, 'native', 'cuda', 'training')
  const sources = [emulation, training].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.cpp'))
      .map((name) => join(folder, name))
  )
  const warnings = ['-Wall', '-Wextra', '-Werror']
  const options = ['-std=c++20', '-O1', ...warnings, '-shared', '-fPIC', '-fvisibility=hidden', `-I${emulation}`]
  const files = ['-include', join(emulation, 'host-launch.h'), '-x', 'c++', ...sources]
  execFileSync(process.env.CXX || 'c++', [...options, ...files, '-o', join(folder, 'neural_lsh_cuda.so')], {
    stdio: ['ignore', 'inherit', 'inherit']
  })
  return folder
}
