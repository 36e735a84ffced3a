#!/usr/bin/env node
import { runCommand, runProgram } from '../program.js'
import { withTwoDashes } from './flags.js'
import { courseSearch } from './search.js'

await runProgram((args) => runCommand(courseSearch.name, courseSearch, withTwoDashes(args)))
