#!/usr/bin/env node
import { closest } from '../checks/fields.js'
import { packageVersion } from '../version.js'
import { buildCommand } from './build.js'
import { demoCommand } from './demo.js'
import { evaluateCommand } from './evaluate.js'
import { overview } from './help.js'
import { infoCommand } from './info.js'
import { complain, exitCodes, runCommand, runProgram, say } from './program.js'
import { searchCommand } from './search.js'

const commands = [buildCommand, searchCommand, evaluateCommand, infoCommand, demoCommand]

async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--version') return say(packageVersion())
  if (name === undefined || name === '--help' || name === 'help') return say(overview(commands, packageVersion()))
  const command = commands.find((one) => one.name === name)
  return command ? runCommand(`neural-lsh ${name}`, command, args) : complainAboutCommand(name)
}

function complainAboutCommand(name: string): number {
  const meant = closest(
    name,
    commands.map((command) => command.name)
  )
  const names = commands.map((command) => command.name).join(', ')
  const help = meant ? `did you mean ${meant}?` : `there are ${names}`
  return complain('neural-lsh', `${JSON.stringify(name)} is not a command; ${help}`, exitCodes.usage)
}

await runProgram(main)
