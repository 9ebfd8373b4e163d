#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { runCheck } from './check.ts'
import { runRevoke } from './revoke.ts'

const USAGE = `turnfleet <command> [options]

  check URL…    allocate and echo through TURN URLs, and say what fails
  revoke        end the calls of a user on every relay, and refuse new ones
  standalone    a fleet on this machine, from TurnCluster files
  operator      the Kubernetes operator
  relay         one relay, from its configuration file

Each command tells its options with --help.
`

/** Commands that are programs of their own: this process becomes them. */
const PROGRAMS: Readonly<Record<string, string>> = {
  standalone: '../standalone.ts',
  operator: '../main.ts',
  relay: '../../relay/main.ts',
}

const [command, ...rest] = process.argv.slice(2)
const program = command === undefined ? undefined : PROGRAMS[command]
if (program !== undefined) become(fileURLToPath(new URL(program, import.meta.url)), rest)
else if (command === 'check')
  process.exitCode = await runCheck(rest, process.stdout, process.stderr, process.env)
else if (command === 'revoke')
  process.exitCode = await runRevoke(rest, process.stdout, process.stderr, process.env)
else {
  const asked = command === undefined || command === '--help' || command === '-h' || command === 'help'
  const stream = asked ? process.stdout : process.stderr
  stream.write(asked ? USAGE : `"${command}" is not a command\n\n${USAGE}`)
  process.exitCode = asked ? 0 : 2
}

function become(path: string, args: readonly string[]): void {
  const execve = process.execve
  if (execve === undefined)
    throw new Error(`run "node ${path}" yourself: this Node cannot replace its process`)
  execve(process.execPath, [process.execPath, path, ...args], process.env)
}
