import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { selfSigned } from '../../relay/io/testing/certificate.ts'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'
import { TRANSPORTS, USER, type Way } from './callers.ts'
import { Load } from './load.ts'

export interface HandOverOptions {
  readonly allocations: number
  /** Of each allocation, half of them each way. */
  readonly packetsPerSecond: number
  readonly handOvers: number
  /** Allocations that are made on each relay that has taken over. */
  readonly furtherAllocations: number
  readonly newcomersEveryMs: number
  /** Event loops of the relays, in turn. */
  readonly workers: readonly number[]
  /** From one hand-over to the next. */
  readonly pauseMs: number
}

export interface HandOverReport {
  readonly sent: number
  readonly lost: number
  readonly lostByTransport: Readonly<Record<string, number>>
  /** Datagrams that the kernel dropped as a buffer was full, on the whole machine. */
  readonly bufferDrops: number
  /** Flows that nothing comes through any more, one way or the other. */
  readonly dead: number
  /** Those that all relay processes carry at the end, and those that they should. */
  readonly allocations: number
  readonly expected: number
  readonly newcomersServed: number
  readonly refused: readonly string[]
  /** Exchanges that the load was behind at most. */
  readonly late: number
  readonly seconds: number
}

/** Hands the listeners of relay processes over while clients are in traffic. */
export async function runHandOvers(options: HandOverOptions): Promise<HandOverReport> {
  const relays: RelayChild[] = []
  let load: Load | undefined
  try {
    const { child, ways, config } = await firstRelay(options)
    relays.push(child)
    load = new Load(ways, options.packetsPerSecond)
    load.start()
    await load.add(options.allocations)
    const began = performance.now()
    const dropsBefore = bufferDrops()
    load.newcomersEvery(options.newcomersEveryMs)
    for (let n = 0; n < options.handOvers; n++) {
      await sleep(options.pauseMs)
      const workers = workersOf(options, n + 1)
      relays.push(await successor(relays.at(-1)!, { ...config, workers }))
      await load.add(options.furtherAllocations)
    }
    await sleep(options.pauseMs)
    await load.finish()
    return await report(options, load, relays, (performance.now() - began) / 1000, dropsBefore)
  } finally {
    await load?.close()
    for (const relay of relays) await relay.stop()
  }
}

async function report(
  { allocations, handOvers, furtherAllocations }: HandOverOptions,
  { flows, served, refused, late }: Load,
  relays: readonly RelayChild[],
  seconds: number,
  dropsBefore: number,
): Promise<HandOverReport> {
  let carried = 0
  for (const relay of relays) {
    if (relay.running) carried += (await relay.load()).allocations
  }
  const sum = (of: (typeof flows)[number][], field: 'sent' | 'lost') =>
    of.reduce((total, flow) => total + flow[field], 0)
  return {
    sent: sum(flows, 'sent'),
    lost: sum(flows, 'lost'),
    lostByTransport: Object.fromEntries(
      TRANSPORTS.map((one) => [
        one,
        sum(
          flows.filter(({ way }) => way.transport === one),
          'lost',
        ),
      ]),
    ),
    bufferDrops: bufferDrops() - dropsBefore,
    dead: flows.filter(
      ({ upReceived, downReceived, caller }) => caller.failure || !upReceived || !downReceived,
    ).length,
    allocations: carried,
    expected: allocations + handOvers * furtherAllocations,
    newcomersServed: served,
    refused,
    late,
    seconds,
  }
}

const PLACES = ['127.0.0.1', '::1'] as const

interface FirstRelay {
  readonly child: RelayChild
  readonly ways: readonly Way[]
  /** With the ports that it has been given. */
  readonly config: RelayConfigInput
}

function workersOf({ workers }: HandOverOptions, relay: number): number {
  return workers[relay % workers.length]!
}

async function firstRelay(options: HandOverOptions): Promise<FirstRelay> {
  const child = new RelayChild()
  const { cert, key } = await selfSigned('localhost')
  child.write('tls.crt', cert)
  child.write('tls.key', key)
  const listeners = TRANSPORTS.flatMap((protocol) =>
    PLACES.map((address) => ({ protocol, address, port: 0 })),
  )
  const many = options.allocations + 10_000
  const config = loopbackConfig({
    listeners,
    relay: { addresses: PLACES.map((advertise) => ({ advertise })) },
    tls: { certFile: join(child.folder, 'tls.crt'), keyFile: join(child.folder, 'tls.key') },
    datapath: 'batched',
    workers: workersOf(options, 0),
    handOver: { socket: join(child.folder, 'hand-over.sock') },
    nonceKeys: [{ id: 'n', secret: 'nonce' }],
    credentials: { users: [USER] },
    limits: {
      allocations: many,
      allocationsPerUser: many,
      streams: many,
      streamsPerAddress: many,
      halfOpenStreamsPerAddress: many,
      unauthenticatedResponsesPerSecond: 100_000,
      unauthenticatedResponsesPerSecondPerAddress: 100_000,
    },
  })
  child.writeConfig(config)
  child.spawn()
  const ready = await child.ready()
  const bound = ready.listeners as typeof listeners
  const ways = bound.map(({ protocol, address, port }) => ({ transport: protocol, address, port }))
  return { child, ways, config: { ...config, listeners: bound } }
}

/** A relay with the configuration of the one before, once it has its listeners. */
async function successor(before: RelayChild, config: RelayConfigInput): Promise<RelayChild> {
  const after = new RelayChild()
  after.writeConfig(config)
  after.spawn('--take-over')
  await after.ready()
  await before.line(({ msg }) => msg === 'listeners handed over')
  return after
}

/** UDP datagrams dropped for want of room in a socket's buffer, by /proc. */
function bufferDrops(): number {
  const ipv4 = readFileSync('/proc/net/snmp', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp:'))
    .map((line) => line.split(' '))
  const column = ipv4[0]!.indexOf('RcvbufErrors')
  const ipv6 = /Udp6RcvbufErrors\s+(\d+)/.exec(readFileSync('/proc/net/snmp6', 'utf8'))
  return Number(ipv4[1]![column]) + Number(ipv6?.[1] ?? 0)
}
