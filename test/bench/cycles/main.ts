import { parseArgs } from 'node:util'
import { compareServers } from '../compare.ts'
import { CONTENDERS } from '../contenders.ts'
import { namedContenders, wholeNumber } from '../options.ts'
import { compareCycles } from './compare.ts'

const USAGE = `usage: npm run bench -- cycles [options]

  --servers LIST    compared in turn, of ${Object.keys(CONTENDERS).join(', ')} (batched,portable,coturn)
  --runs N          of each server (3)
  --seconds S       of each measurement (4)
  --concurrent N    allocations that live at any time (32)
  --json FILE       all measurements
`

/** Compares servers by the allocations that they make and end in a second of CPU time. */
export async function cycles(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      servers: { type: 'string', default: 'batched,portable,coturn' },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '4' },
      concurrent: { type: 'string', default: '32' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const contenders = namedContenders(values.servers)
  const load = {
    runs: wholeNumber('runs', values.runs),
    seconds: wholeNumber('seconds', values.seconds),
    concurrent: wholeNumber('concurrent', values.concurrent),
  }
  await compareServers(values, async (network) => {
    process.stdout.write(`${network.description}\n`)
    return { load, measurements: await compareCycles(contenders, network, load) }
  })
}
