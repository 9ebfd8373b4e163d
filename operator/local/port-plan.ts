import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { isErrorWithCode } from './state-directory.ts'

/** What one relay on this machine listens on, and which ports its allocations get. */
export interface RelayPorts {
  /** From the port of the spec to the port that this relay has in its place. */
  listeners: ReadonlyMap<number, number>
  relay: { min: number; max: number }
}

const SEARCH_MAX = 2000
const FIRST_PORT_FOR_ALL = 3478
const FIRST_UNPRIVILEGED_PORT = 1024
const LEAST_SLICE = 16
const MOST_SLICES = 256

/**
 * Listener ports for one more relay: the port of the spec where it is free, else the next free one above it, or
 * from 3478 up where this user may not bind privileged ports. `taken` are the ports of the other relays.
 */
export async function chooseListenerPorts(
  wanted: readonly number[],
  taken: ReadonlySet<number>,
  isFree: (port: number) => Promise<'free' | 'taken' | 'forbidden'> = probePort,
): Promise<Map<number, number>> {
  const chosen = new Map<number, number>()
  const used = new Set(taken)
  for (const port of new Set(wanted)) {
    const found = await nextFree(port, used, new Set(wanted), isFree)
    used.add(found)
    chosen.set(port, found)
  }
  return chosen
}

async function nextFree(
  wanted: number,
  used: ReadonlySet<number>,
  others: ReadonlySet<number>,
  isFree: (port: number) => Promise<'free' | 'taken' | 'forbidden'>,
): Promise<number> {
  let port = wanted
  for (let tried = 0; tried < SEARCH_MAX && port <= 65535; tried++) {
    // A port that another listener of the spec names is left to it.
    const allowed = !used.has(port) && (port === wanted || !others.has(port))
    const state = allowed ? await isFree(port) : 'taken'
    if (state === 'free') return port
    port = port < FIRST_UNPRIVILEGED_PORT ? FIRST_PORT_FOR_ALL : port + 1
  }
  throw new Error(`no port from ${wanted} up is free on this machine: change the ports of the listeners`)
}

/**
 * A part of the spec's relay ports that no other relay of this machine has: the range is cut into `slices`
 * equal parts. Undefined: all are in use.
 */
export function chooseRelayPorts(
  range: { min: number; max: number },
  slices: number,
  taken: readonly { min: number; max: number }[],
): { min: number; max: number } | undefined {
  const total = range.max - range.min + 1
  const size = Math.max(Math.min(LEAST_SLICE, total), Math.floor(total / Math.min(MOST_SLICES, slices)))
  for (let min = range.min; min + size - 1 <= range.max; min += size) {
    const slice = { min, max: min + size - 1 }
    if (!taken.some((other) => other.min <= slice.max && other.max >= slice.min)) return slice
  }
  return undefined
}

/** Slices for so many relays, with as many again for those that drain while their successors start. */
export function slicesFor(relays: number): number {
  return Math.max(4, 2 ** Math.ceil(Math.log2(2 * Math.max(1, relays))))
}

/** Whether a relay could listen on this port with UDP and TCP. */
export async function probePort(port: number): Promise<'free' | 'taken' | 'forbidden'> {
  const results = await Promise.all([probeTcp(port), probeUdp(port)])
  return results.find((result) => result !== 'free') ?? 'free'
}

/** The first TCP port from `wanted` up that is free at `host`, undefined where a few tries found none. */
export async function freeTcpPort(host: string, wanted: number, tries: number): Promise<number | undefined> {
  for (let port = wanted; port < Math.min(65536, wanted + tries); port++) {
    if ((await probeTcp(port, host)) === 'free') return port
  }
  return undefined
}

/** A TCP port of the loopback that the system chooses. */
export async function freeLoopbackPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || !address) throw new Error('the system gave no free port')
  return address.port
}

function probeTcp(port: number, host = '0.0.0.0'): Promise<'free' | 'taken' | 'forbidden'> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error) => resolve(refusal(error)))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve('free')))
  })
}

function probeUdp(port: number): Promise<'free' | 'taken' | 'forbidden'> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', (error) => {
      socket.close()
      resolve(refusal(error))
    })
    socket.bind({ port, address: '0.0.0.0', exclusive: true }, () => socket.close(() => resolve('free')))
  })
}

function refusal(error: Error): 'taken' | 'forbidden' {
  return isErrorWithCode(error, 'EACCES') ? 'forbidden' : 'taken'
}
