import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import type { TestContext } from 'node:test'
import type { TransportAddress } from '../../stun/address.ts'
import { parseAddress } from '../../stun/address-text.ts'
import { DEFAULT_STREAM_LIMITS, type RelayIo, type StreamLimits } from '../io.ts'
import { Recorder } from './recorder.ts'

export type CreateIo = () => RelayIo

/** A started io with its recorder, closed when the test ends. */
export function started(t: TestContext, create: CreateIo, limits: Partial<StreamLimits> = {}) {
  const io = create()
  const seen = new Recorder()
  io.start(seen)
  io.setStreamLimits({ ...DEFAULT_STREAM_LIMITS, ...limits })
  t.after(() => io.close())
  return { io, seen }
}

/** A plain UDP socket of the test itself. */
export async function udpPeer(t: TestContext, address = '127.0.0.1') {
  const socket = dgram.createSocket({
    type: address.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: 1_000_000,
  })
  socket.bind(0, address)
  await once(socket, 'listening')
  t.after(() => socket.close())
  const { port } = socket.address()
  const next = async (): Promise<Buffer> => (await once(socket, 'message'))[0] as Buffer
  return { socket, port, address: literal(address, port), next }
}

/** A plain TCP connection of the test itself. */
export async function tcpClient(t: TestContext, port: number, host = '127.0.0.1'): Promise<net.Socket> {
  const socket = net.connect({ port, host, noDelay: true })
  socket.on('error', () => undefined)
  t.after(() => void socket.destroy())
  await once(socket, 'connect')
  return socket
}

export function literal(address: string, port: number): TransportAddress {
  const parsed = parseAddress(address, port)
  if (!parsed) throw new Error(`${address} is no literal address`)
  return parsed
}
