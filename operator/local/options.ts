import { isIP } from 'node:net'
import { parseArgs } from 'node:util'
import { defaultStateDirectory } from './state-directory.ts'

export interface StandaloneOptions {
  files: string[]
  state: string
  host: string
  port: number
  /** Chosen by the user: then no other one will do. */
  portGiven: boolean
  /** Public addresses that the user names. */
  addresses: string[]
  apiKeysFile?: string
}

export const DEFAULT_PORT = 8080

export const USAGE = `Runs a fleet of TURN relays on this machine.

  turnfleet standalone -f FILE [options]

  -f, --file FILE     YAML file with TurnClusters, watched; may be given several times
  --address ADDRESS   public address of this machine, where no interface has it (NAT); once for each family.
                      Without it: a public address of an interface, else 127.0.0.1. Also: TURNFLEET_ADDRESS
  --port PORT         port of the console and of /v1/ice; without it 8080 or the next free one
  --host ADDRESS      address of the same (127.0.0.1); callers from elsewhere need an API key
  --api-keys FILE     YAML list of API keys: {id, hash, clusters, origins, perMinute}
  --state DIRECTORY   key rings, certificates and logs (${defaultStateDirectory()})
  -h, --help          this text

Ctrl-C lets the relays drain, which ends when the last call does; Ctrl-C again ends them at once.
`

/** Reads the command line; throws an Error with a sentence for the user. */
export function parseOptions(args: readonly string[], env: NodeJS.ProcessEnv): StandaloneOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      file: { type: 'string', short: 'f', multiple: true, default: [] },
      state: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string' },
      address: { type: 'string', multiple: true },
      'api-keys': { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return 'help'
  if (values.file.length === 0) throw new Error('name a file with TurnClusters: -f examples/local.yaml')
  const addresses = values.address ?? splitList(env.TURNFLEET_ADDRESS)
  const bad = addresses.find((address) => isIP(address) === 0)
  if (bad !== undefined) throw new Error(`"${bad}" is no IP address: --address takes an address, not a name`)
  const port = values.port === undefined ? DEFAULT_PORT : Number(values.port)
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`"${values.port}" is no port`)
  return {
    files: values.file,
    state: values.state ?? defaultStateDirectory(),
    host: values.host,
    port,
    portGiven: values.port !== undefined,
    addresses,
    ...(values['api-keys'] === undefined ? {} : { apiKeysFile: values['api-keys'] }),
  }
}

function splitList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
