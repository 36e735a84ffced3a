#!/usr/bin/env node
/**
 * Makes the folder .venv, a Python environment for tests, fixtures and benchmarks (never for the package itself), and
 * prints its interpreter's path.
 *
 *     node scripts/python-env.mjs [name==version ...]     packages beside numpy and safetensors
 *
 * What is installed already stays; several processes may call this at once.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const alwaysThere = ['numpy==2.4.6', 'safetensors==0.8.0']
const folder = fileURLToPath(new URL('../.venv', import.meta.url))
const lock = join(folder, 'install.lock')
const interpreter = process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python')

function run(command, ...args) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

/** Of packages written as name==version, those that are not there in this version. */
function missing(packages) {
  if (!existsSync(interpreter)) return packages
  const list =
    'import importlib.metadata as m, json; print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))'
  const installed = JSON.parse(run(interpreter, '-c', list))
  return packages.filter((wanted) => {
    const [name, version] = wanted.split('==')
    return installed[name.toLowerCase()]?.split('+')[0] !== version
  })
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** One installer at a time; a lock whose owner died is taken away. */
async function takeLock() {
  mkdirSync(folder, { recursive: true })
  for (;;) {
    try {
      return writeFileSync(lock, String(process.pid), { flag: 'wx' })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    try {
      const owner = Number(readFileSync(lock, 'utf8'))
      if (owner > 0 && !isAlive(owner)) rmSync(lock, { force: true })
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
    await setTimeout(200)
  }
}

const extra = process.argv.slice(2)
const unpinned = extra.find((name) => !/^[\w.-]+==[\w.]+$/.test(name))
if (unpinned !== undefined) {
  console.error(`python-env: ${unpinned}: expected name==version`)
  process.exit(2)
}
const packages = [...alwaysThere, ...extra]
if (missing(packages).length > 0) {
  await takeLock()
  try {
    if (!existsSync(interpreter)) run('python3', '-m', 'venv', folder)
    const wanted = missing(packages)
    if (wanted.length > 0) run(interpreter, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...wanted)
  } finally {
    rmSync(lock, { force: true })
  }
}
console.log(interpreter)
