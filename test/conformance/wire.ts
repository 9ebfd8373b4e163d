import dgram from 'node:dgram'
import { once } from 'node:events'
import { connect, isIPv6, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Endpoint } from '../support/stun-message.ts'

export type Transport = 'udp' | 'tcp' | 'tls'

const CONNECT_TIMEOUT_MS = 5_000
/** Most that is kept of what a server says and nobody takes. */
const INBOX_MAX = 4096

const USED_PORTS = new Set<number>()
/** Beyond it a port is used again: the system has not many more. */
const USED_PORTS_MAX = 10_000

/** A way to the server under test: what is sent goes as it is, what comes is cut into messages. */
export interface Wire {
  readonly transport: Transport
  readonly local: Endpoint
  send(bytes: Uint8Array): void
  /** The first message, here or coming, that the condition holds for, taken out; undefined after `ms`. */
  take(condition: (message: Buffer) => boolean, ms: number): Promise<Buffer | undefined>
  /** Whether the server has ended the connection within `ms`. */
  ended(ms: number): Promise<boolean>
  /** From here on what comes is one stream of bytes without frames (RFC 6062 §4.4): `take` gives its chunks. */
  raw(): void
  close(): void
}

export async function openWire(server: Endpoint, transport: Transport, localPort = 0): Promise<Wire> {
  return transport === 'udp' ? openDatagrams(server, localPort) : openStream(server, transport, localPort)
}

/** Messages that came, and who waits for one. */
class Inbox {
  readonly #messages: Buffer[] = []
  readonly #looks = new Set<() => void>()

  put(message: Buffer): void {
    if (this.#messages.length < INBOX_MAX) this.#messages.push(message)
    for (const look of [...this.#looks]) look()
  }

  take(condition: (message: Buffer) => boolean, ms: number): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const look = (late = false) => {
        const index = this.#messages.findIndex(condition)
        if (index < 0 && !late) return
        clearTimeout(timer)
        this.#looks.delete(onMessage)
        resolve(index < 0 ? undefined : this.#messages.splice(index, 1)[0])
      }
      const onMessage = () => look()
      const timer = setTimeout(() => look(true), ms)
      this.#looks.add(onMessage)
      look()
    })
  }
}

async function openDatagrams(server: Endpoint, localPort: number): Promise<Wire> {
  const socket = dgram.createSocket(isIPv6(server.ip) ? 'udp6' : 'udp4')
  const inbox = new Inbox()
  socket.on('message', (message) => inbox.put(message))
  // A refused datagram is a server that does not answer.
  socket.on('error', () => {})
  socket.bind(localPort)
  await once(socket, 'listening')
  // A server may remember for a while the 5-tuple of an allocation that was deleted.
  if (localPort === 0 && USED_PORTS.has(socket.address().port) && USED_PORTS.size < USED_PORTS_MAX) {
    socket.close()
    return openDatagrams(server, 0)
  }
  USED_PORTS.add(socket.address().port)
  socket.connect(server.port, server.ip)
  await once(socket, 'connect')
  const { address, port } = socket.address()
  return {
    transport: 'udp',
    local: { ip: address, port },
    send: (bytes) => socket.send(bytes, () => {}),
    take: (condition, ms) => inbox.take(condition, ms),
    ended: async () => false,
    raw() {},
    close: () => socket.close(),
  }
}

async function openStream(server: Endpoint, transport: 'tcp' | 'tls', localPort: number): Promise<Wire> {
  const to = { host: server.ip, port: server.port, ...(localPort === 0 ? {} : { localPort }) }
  const socket: Socket = transport === 'tls' ? connectTls({ ...to, rejectUnauthorized: false }) : connect(to)
  socket.setNoDelay(true)
  const opened = once(socket, transport === 'tls' ? 'secureConnect' : 'connect')
  const timer = setTimeout(() => socket.destroy(new Error('no connection in time')), CONNECT_TIMEOUT_MS)
  await opened.finally(() => clearTimeout(timer))
  const inbox = new Inbox()
  let pending = Buffer.alloc(0)
  let raw = false
  let over = false
  const ends = Promise.withResolvers<void>()
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('close', () => {
    over = true
    ends.resolve()
  })
  socket.on('data', (data) => {
    pending = Buffer.concat([pending, data])
    for (let length = nextLength(); length > 0 && pending.length >= length; length = nextLength()) {
      inbox.put(pending.subarray(0, length))
      pending = pending.subarray(length)
    }
  })
  const nextLength = () => (raw ? pending.length : frameLength(pending))
  return {
    transport,
    local: { ip: socket.localAddress!, port: socket.localPort! },
    send: (bytes) => void socket.write(bytes),
    take: (condition, ms) => inbox.take(condition, ms),
    async ended(ms) {
      let late: NodeJS.Timeout | undefined
      const timeout = new Promise<void>((resolve) => {
        late = setTimeout(resolve, ms)
      })
      await Promise.race([ends.promise, timeout])
      clearTimeout(late)
      return over
    },
    raw() {
      raw = true
      if (pending.length > 0) inbox.put(pending)
      pending = Buffer.alloc(0)
    },
    close: () => socket.destroy(),
  }
}

/** The length of the frame that starts the bytes, or 0 where too few of them are there to tell. */
function frameLength(bytes: Buffer): number {
  if (bytes.length < 4) return 0
  const length = bytes.readUInt16BE(2)
  return bytes[0]! < 0x40 ? 20 + length : 4 + ((length + 3) & ~3)
}
