import { createSocket } from 'node:dgram'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { StreamFramer } from '../../relay/stun/framing.ts'

/** How to judge the certificate of a TLS listener. */
export interface ProbeTls {
  /** The name to ask for and to verify; by default the URL's host. */
  readonly servername?: string | undefined
  /** PEM of the authorities to trust in place of the system's. */
  readonly ca?: string | undefined
  /** Accepts any certificate: for checks of the data path alone. */
  readonly insecure?: boolean | undefined
}

/** An open way to a relay: datagrams, or the frames of a stream. */
export interface ProbeConnection {
  readonly transport: 'udp' | 'tcp' | 'tls'
  send(bytes: Uint8Array): void
  /** Hears what comes in and, once, why the connection ended by itself. */
  attach(
    onData: (buffer: Uint8Array, offset: number, length: number) => void,
    onEnd: (error: Error) => void,
  ): void
  close(): void
}

/** Opens a UDP socket that only hears from the relay; nothing is sent yet. */
export async function openUdp(address: string, port: number, signal: AbortSignal): Promise<ProbeConnection> {
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4')
  const opened = Promise.withResolvers<void>()
  socket.once('error', opened.reject)
  await settle(opened, signal, () => socket.connect(port, address, () => opened.resolve())).catch((error) => {
    socket.close()
    throw error
  })
  socket.removeAllListeners('error')
  socket.on('error', () => {})
  return {
    transport: 'udp',
    send: (bytes) => socket.send(bytes, () => {}),
    attach(onData, onEnd) {
      socket.on('message', (message) => onData(message, 0, message.length))
      socket.on('error', onEnd)
    },
    close: () => socket.close(),
  }
}

/** Opens a TCP connection. */
export async function openTcp(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const opened = Promise.withResolvers<void>()
  const socket = connectTcp({ host: address, port, noDelay: true })
  socket.once('error', opened.reject)
  socket.once('connect', () => opened.resolve())
  await settle(opened, signal).catch((error) => {
    socket.destroy()
    throw error
  })
  socket.removeAllListeners('error')
  socket.on('error', () => {})
  return socket
}

/** Speaks TURN over a TCP connection as it is. */
export function overTcp(socket: Socket): ProbeConnection {
  return overStream('tcp', socket)
}

/** Makes the TLS handshake over a TCP connection, which it owns from then on. */
export async function overTls(
  tcp: Socket,
  host: string,
  options: ProbeTls,
  signal: AbortSignal,
): Promise<ProbeConnection> {
  const name = options.servername ?? host
  const opened = Promise.withResolvers<void>()
  const socket = connectTls({
    socket: tcp,
    ...(isIP(name) === 0 ? { servername: name } : { host: name }),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    rejectUnauthorized: options.insecure !== true,
  })
  socket.once('error', opened.reject)
  socket.once('close', () =>
    opened.reject(new Error('the server closed the connection in the TLS handshake')),
  )
  socket.once('secureConnect', () => opened.resolve())
  await settle(opened, signal).catch((error) => {
    socket.destroy()
    throw error
  })
  socket.removeAllListeners('error')
  socket.removeAllListeners('close')
  socket.on('error', () => {})
  return overStream('tls', socket)
}

function overStream(transport: 'tcp' | 'tls', socket: Socket): ProbeConnection {
  return {
    transport,
    send: (bytes) => socket.write(bytes),
    attach(onData, onEnd) {
      const framer = new StreamFramer()
      socket.on('data', (chunk: Buffer) => {
        framer.push(chunk, 0, chunk.length)
        for (let frame = framer.next(); frame; frame = framer.next()) {
          onData(frame.buffer, frame.offset, frame.length)
        }
        if (framer.failed) onEnd(new Error('the server answers with something that is not TURN'))
      })
      socket.on('error', onEnd)
      socket.on('close', () => onEnd(new Error('the server closed the connection')))
    },
    close: () => socket.destroy(),
  }
}

/** Starts, and waits for the outcome or for the signal. */
async function settle(
  opened: PromiseWithResolvers<void>,
  signal: AbortSignal,
  start: () => void = () => {},
): Promise<void> {
  const abort = () => opened.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    start()
    await opened.promise
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
