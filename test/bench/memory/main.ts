import { parseArgs } from 'node:util'
import { selfSigned } from '../../../relay/io/testing/certificate.ts'
import { compareServers } from '../compare.ts'
import { CONTENDERS } from '../contenders.ts'
import { namedContenders, oneOf, wholeNumber } from '../options.ts'
import { markdownTable } from '../spread.ts'
import { type MemoryMeasurement, measureMemory } from './measure.ts'

const USAGE = `usage: npm run bench -- memory [options]

  --servers LIST       compared in turn, of ${Object.keys(CONTENDERS).join(', ')} (batched,coturn)
  --transports LIST    of udp, tcp, tls: what clients speak (udp)
  --allocations LIST   held at once, with a permission and a channel each (1000,5000,10000)
  --json FILE          all measurements
`

/** Compares the memory that an allocation takes, and whether it is given back. */
export async function memory(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      servers: { type: 'string', default: 'batched,coturn' },
      transports: { type: 'string', default: 'udp' },
      allocations: { type: 'string', default: '1000,5000,10000' },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const contenders = namedContenders(values.servers)
  const counts = values.allocations.split(',').map((count) => wholeNumber('allocations', count))
  const transports = values.transports
    .split(',')
    .map((text) => oneOf('transports', text, ['udp', 'tcp', 'tls'] as const))
  const certificate = await selfSigned('bench.example.org')
  await compareServers(values, async (network) => {
    const measurements: MemoryMeasurement[] = []
    for (const transport of transports) {
      const access = transport === 'udp' ? undefined : { transport, ...certificate }
      for (const count of counts) {
        for (const contender of contenders)
          measurements.push(await measureMemory(contender, network, count, access))
      }
    }
    process.stdout.write(`${network.description}\n\n${table(measurements)}\n`)
    return { measurements }
  })
}

function table(measurements: readonly MemoryMeasurement[]): string {
  const kib = (bytes: number) => (bytes / 1024).toFixed(1)
  return markdownTable([
    [
      'transport',
      'server',
      'allocations',
      'KiB each',
      'KiB each kept 30 s after',
      'KiB each in socket queues',
      'KiB of a kernel socket',
    ],
    ...measurements.map(
      ({ transport, server, allocations, bytesEach, bytesKeptEach, kernelBytesEach, kernelSocketBytes }) => [
        transport,
        server,
        String(allocations),
        kib(bytesEach),
        kib(bytesKeptEach),
        kib(kernelBytesEach),
        kib(kernelSocketBytes),
      ],
    ),
  ])
}
