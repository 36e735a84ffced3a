// Compiles lib/ to dist/, which then holds nothing of earlier versions, brings along what is no TypeScript, and makes the
// commands executable.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)))
const typescript = path.dirname(createRequire(import.meta.url).resolve('typescript/package.json'))

rmSync(path.join(root, 'dist'), { recursive: true, force: true })
const compiler = path.join(typescript, 'bin', 'tsc')
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
for (const asIs of ['evaluation/report', 'evaluation/map-worker.mjs'])
  cpSync(path.join(root, 'lib', asIs), path.join(root, 'dist', asIs), { recursive: true })
const { bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'))
for (const command of Object.values(bin)) chmodSync(path.join(root, command), 0o755)
process.exitCode = status ?? 1
