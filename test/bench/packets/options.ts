import { parseArgs } from 'node:util'
import { CONTENDERS, type Contender, wayIn } from '../contenders.ts'
import type { BenchNetwork } from '../network.ts'
import { namedContenders, oneOf, wholeNumber } from '../options.ts'
import type { LoadOptions } from './load-options.ts'

export const USAGE = `usage: npm run bench -- packets [options]

  --servers LIST    compared in turn, of ${Object.keys(CONTENDERS).join(', ')} (batched,coturn)
  --rates LIST      offered packets per second; max: the highest without loss (40000,120000)
  --runs N          of each server at each rate (3)
  --seconds S       of each measurement (2)
  --flows N         allocations with traffic (16)
  --burst N         packets of one flow that leave together (4)
  --bytes N         payload, a multiple of 4 (160)
  --framing F       channel or indication (channel)
  --direction D     up, down or both (both)
  --wire            packets arrive one by one, their checksums worked out, as from a network card: the kernel
                    path forwards no other ones
  --steer           each side's core takes what arrives there, as from a network card of its own: "core µs" is then
                    all that the server costs
  --fail-below R    fails where the first server relays less than R times the packets of the second per CPU-second
  --json FILE       all measurements
`

export type Load = Omit<LoadOptions, 'packetsPerSecond'>

export interface PacketsOptions {
  readonly contenders: readonly Contender[]
  readonly rates: readonly (number | 'max')[]
  readonly runs: number
  readonly wire: boolean
  readonly steer: boolean
  readonly failBelow: number | undefined
  readonly json: string | undefined
  load(network: BenchNetwork): Load
}

/** Undefined where help is asked for; throws an Error that names the option that cannot be used. */
export function packetsOptions(args: string[]): PacketsOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      servers: { type: 'string', default: 'batched,coturn' },
      rates: { type: 'string', default: '40000,120000' },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      flows: { type: 'string', default: '16' },
      burst: { type: 'string', default: '4' },
      bytes: { type: 'string', default: '160' },
      framing: { type: 'string', default: 'channel' },
      direction: { type: 'string', default: 'both' },
      wire: { type: 'boolean', default: false },
      steer: { type: 'boolean', default: false },
      'fail-below': { type: 'string' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const shape = {
    flows: wholeNumber('flows', values.flows),
    framing: oneOf('framing', values.framing, ['channel', 'indication'] as const),
    direction: oneOf('direction', values.direction, ['up', 'down', 'both'] as const),
    payloadBytes: wholeNumber('bytes', values.bytes),
    burst: wholeNumber('burst', values.burst),
    warmUpSeconds: 1,
    seconds: wholeNumber('seconds', values.seconds),
  }
  if (shape.payloadBytes % 4 !== 0) throw new Error('--bytes must be a multiple of 4')
  return {
    contenders: namedContenders(values.servers),
    rates: values.rates.split(',').map((rate) => (rate === 'max' ? rate : wholeNumber('rates', rate))),
    runs: wholeNumber('runs', values.runs),
    wire: values.wire,
    steer: values.steer,
    failBelow: values['fail-below'] === undefined ? undefined : Number(values['fail-below']),
    json: values.json,
    load: (network) => ({
      ...wayIn(network),
      transport: 'udp',
      ...shape,
    }),
  }
}
