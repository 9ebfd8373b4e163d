import { parseArgs } from 'node:util'
import { startLean } from './control/lean-start.ts'

const START_FAILED = 1
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']

const USAGE = `usage: npm run relay -- --config FILE [--check]

  --config FILE       the relay's configuration (YAML)
  --check             read the configuration and the files it names, say what is wrong, and end
  --name, --uid, --cluster
                      what the relay calls itself in its reports
                      (or TURNFLEET_RELAY_NAME, TURNFLEET_RELAY_UID, TURNFLEET_CLUSTER)
  --take-over         take the listeners of the relay that runs with the same handOver.socket; it
                      serves its clients to their end, and then ends
  --log-level LEVEL   ${LOG_LEVELS.join(', ')} (default info); clients' addresses appear from debug on

SIGTERM drains: new clients are refused, live allocations served to their end, then it exits with 0.
A second SIGTERM, or drain.maxDurationSeconds, ends it at once with 3. It exits with 1 when it cannot start.
`

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      check: { type: 'boolean', default: false },
      name: { type: 'string' },
      uid: { type: 'string' },
      cluster: { type: 'string' },
      'take-over': { type: 'boolean', default: false },
      'log-level': { type: 'string', default: 'info' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return 0
  }
  if (!values.config) throw new Error(`--config FILE is missing\n\n${USAGE}`)
  if (!LOG_LEVELS.includes(values['log-level'])) {
    throw new Error(`--log-level must be one of ${LOG_LEVELS.join(', ')}`)
  }
  if (values.check) {
    const { checkSettings } = await import('./control/check.ts')
    process.stdout.write(`${checkSettings(values.config)}\n`)
    return 0
  }
  startLean()
  const { run } = await import('./control/run.ts')
  const { name, uid, cluster } = values
  return run({
    configFile: values.config,
    logLevel: values['log-level'],
    environment: process.env,
    name,
    uid,
    cluster,
    takesOver: values['take-over'],
  })
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    process.stderr.write(`turnfleet relay: ${error.message}\n`)
    process.exit(START_FAILED)
  },
)
