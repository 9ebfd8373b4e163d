import { parseArgs } from 'node:util'
import { CONTENDERS, type Contender, wayIn } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { namedContenders, oneOf, wholeNumber } from '../options.ts'
import type { Load } from '../packets/options.ts'

export const USAGE = `usage: npm run bench -- streams [options]

  --servers LIST    compared in turn, of ${Object.keys(CONTENDERS).join(', ')} (batched,coturn)
  --transports LIST of tcp, tls (tcp,tls)
  --runs N          of each server over each transport (3)
  --seconds S       of each measurement (3)
  --flows N         allocations with traffic (16)
  --bytes N         payload, a multiple of 4 (160)
  --window LIST     packets of a flow under way at any time, sent back by its peer (1,4)
  --rates LIST      instead of that, offered packets per second; max: the highest without loss. With it:
  --burst N         packets of one flow that leave together (1)
  --framing F       channel or indication (channel)
  --direction D     up, down or both (both)
  --json FILE       all measurements
`

export interface StreamsOptions {
  readonly contenders: readonly Contender[]
  readonly transports: readonly ('tcp' | 'tls')[]
  readonly runs: number
  readonly seconds: number
  readonly flows: number
  readonly payloadBytes: number
  readonly windows: readonly number[]
  /** Undefined where no rate is offered. */
  readonly rates: readonly (number | 'max')[] | undefined
  readonly json: string | undefined
  /** What is offered. */
  load(network: BenchNetwork): Omit<Load, 'transport'>
}

/** Undefined where help is asked for; throws an Error that names the option that cannot be used. */
export function streamsOptions(args: string[]): StreamsOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      servers: { type: 'string', default: 'batched,coturn' },
      transports: { type: 'string', default: 'tcp,tls' },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      flows: { type: 'string', default: '16' },
      bytes: { type: 'string', default: '160' },
      window: { type: 'string', default: '1,4' },
      rates: { type: 'string' },
      burst: { type: 'string', default: '1' },
      framing: { type: 'string', default: 'channel' },
      direction: { type: 'string', default: 'both' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const seconds = wholeNumber('seconds', values.seconds)
  const flows = wholeNumber('flows', values.flows)
  const payloadBytes = wholeNumber('bytes', values.bytes)
  if (payloadBytes % 4 !== 0) throw new Error('--bytes must be a multiple of 4')
  const shape = {
    flows,
    framing: oneOf('framing', values.framing, ['channel', 'indication'] as const),
    direction: oneOf('direction', values.direction, ['up', 'down', 'both'] as const),
    payloadBytes,
    burst: wholeNumber('burst', values.burst),
    seconds,
    warmUpSeconds: 2,
  }
  return {
    contenders: namedContenders(values.servers),
    transports: values.transports
      .split(',')
      .map((text) => oneOf('transports', text, ['tcp', 'tls'] as const)),
    runs: wholeNumber('runs', values.runs),
    seconds,
    flows,
    payloadBytes,
    windows: values.window.split(',').map((text) => wholeNumber('window', text)),
    rates: values.rates?.split(',').map((rate) => (rate === 'max' ? rate : wholeNumber('rates', rate))),
    json: values.json,
    load: (network) => ({
      ...wayIn(network),
      ...shape,
    }),
  }
}
