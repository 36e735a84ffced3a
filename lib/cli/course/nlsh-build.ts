#!/usr/bin/env node
import { runCommand, runProgram } from '../program.js'
import { courseBuild } from './build.js'
import { withTwoDashes } from './flags.js'

await runProgram((args) => runCommand(courseBuild.name, courseBuild, withTwoDashes(args)))
