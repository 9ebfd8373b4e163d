import dgram from 'node:dgram'
import { once } from 'node:events'
import type { TransportAddress } from '../../../stun/address.ts'
import { literal } from '../../testing/setup.ts'

/** A loopback address with a UDP port that was free a moment ago. */
export async function freeAddress(): Promise<TransportAddress> {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return literal('127.0.0.1', port)
}
