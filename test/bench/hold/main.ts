import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { RelayConfigInput } from '../../../relay/api/config.ts'
import { loopbackConfig, RelayChild } from '../../../relay/testing/relay-child.ts'
import { oneOf, wholeNumber } from '../options.ts'
import { markdownTable } from '../spread.ts'
import type { HoldLine, HoldOptions } from './generator.ts'
import { type LoopDelay, LoopWatch } from './loop-delay.ts'

const USAGE = `usage: npm run bench -- hold [options]

  --allocations N   that live at once (9000)
  --rate N          opened, and refreshed, in a second (1500)
  --lifetime S      of an allocation; all are refreshed once, and then expire (20)
  --datapath NAME   portable or batched (batched)

Each needs a descriptor in the relay and one in the load generator: see ulimit -n.
`
const GENERATOR = fileURLToPath(new URL('./generator.ts', import.meta.url))
const WATCHED = new URL('./watched.ts', import.meta.url)
const POLL_MS = 50
const REST_MS = 2_000

/** Shows how the event loop of a relay does while thousands of allocations begin, rest, are refreshed and expire. */
export async function hold(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      allocations: { type: 'string', default: '9000' },
      rate: { type: 'string', default: '1500' },
      lifetime: { type: 'string', default: '20' },
      datapath: { type: 'string', default: 'batched' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const allocations = wholeNumber('allocations', values.allocations)
  const lifetime = wholeNumber('lifetime', values.lifetime)
  const relay = new RelayChild(['env', `NODE_OPTIONS=--import ${WATCHED.href}`])
  relay.writeConfig(
    configFor(allocations, lifetime, oneOf('datapath', values.datapath, ['portable', 'batched'])),
  )
  relay.spawn()
  try {
    const { listeners } = await relay.ready()
    const rows = await phases(
      relay,
      {
        server: { address: '127.0.0.1', port: listeners[0]!.port },
        local: '127.0.0.1',
        username: 'user',
        password: 'password',
        allocations,
        perSecond: wholeNumber('rate', values.rate),
      },
      lifetime,
    )
    process.stdout.write(`${markdownTable(rows)}\n`)
  } finally {
    await relay.stop()
  }
}

function configFor(
  allocations: number,
  lifetimeSeconds: number,
  datapath: 'portable' | 'batched',
): RelayConfigInput {
  return loopbackConfig({
    relay: { addresses: [{ advertise: '127.0.0.1' }], ports: { min: 10_000, max: 30_000 } },
    datapath,
    // The event loop that is looked at is the one that does the work.
    workers: 1,
    limits: {
      allocations,
      allocationsPerUser: allocations,
      allocationsPerAddress: 0,
      allocationLifetimeSeconds: lifetimeSeconds,
      unauthenticatedResponsesPerSecond: 1_000_000,
      unauthenticatedResponsesPerSecondPerAddress: 0,
    },
  })
}

/** A row for each phase: how late what was due ran, and what the relay holds at its end. */
async function phases(relay: RelayChild, options: HoldOptions, lifetime: number): Promise<string[][]> {
  const rows = [
    [
      'phase',
      'late: median ms',
      '99 % ms',
      'most ms',
      'an idle process: 99 % ms',
      'allocations',
      'resident MB',
      'failed',
    ],
  ]
  const note = async (phase: string, failed = 0): Promise<void> => {
    const { p50, p99, max, residentBytes } = await loopDelay(relay)
    const { allocations } = await relay.load()
    const times = [p50, p99, max, idle.take().p99].map((ms) => ms.toFixed(1))
    rows.push([phase, ...times, String(allocations), (residentBytes / 1e6).toFixed(0), String(failed)])
  }
  // This process has next to nothing to do: what is late in it is the machine.
  const idle = new LoopWatch()
  await loopDelay(relay)
  const generator = spawn(process.execPath, [GENERATOR, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const closed = once(generator, 'close')
  const lines = createInterface({ input: generator.stdout })[Symbol.asyncIterator]()
  const next = async () => JSON.parse(String((await lines.next()).value)) as HoldLine
  const opened = await next()
  await note('open', opened.failed)
  await sleep(REST_MS)
  await note('rest')
  generator.stdin.write('refresh\n')
  const refreshed = await next()
  await note('refresh', refreshed.failed)
  await sleep(Math.max(0, lifetime * 1000 - (1000 * options.allocations) / options.perSecond))
  await loopDelay(relay)
  idle.take()
  while ((await relay.load()).allocations > 0) await sleep(POLL_MS)
  await note('expire')
  generator.stdin.end()
  await closed
  return rows
}

/** What the relay says of its event loop since it was asked last. */
async function loopDelay(relay: RelayChild): Promise<LoopDelay> {
  const before = relay.stderr.length
  relay.signal('SIGUSR2')
  for (;;) {
    await sleep(POLL_MS)
    const line = /^loop-delay (.*)\n/m.exec(relay.stderr.slice(before))?.[1]
    if (line) return JSON.parse(line) as LoopDelay
  }
}
