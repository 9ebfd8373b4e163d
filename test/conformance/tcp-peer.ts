import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Endpoint } from '../support/stun-message.ts'
import type { Client } from './client.ts'
import { expect, onPeerPort, payload, type Trial } from './trial.ts'

/** Bytes that are sent each way over a data connection. */
export const BYTES = 100_000
const ANSWER_MS = 3_000

/** A peer that waits for a connection. */
export async function listen(trial: Trial) {
  const server = createServer()
  await onPeerPort(async (port) => {
    server.listen(port, trial.peerIp)
    await once(server, 'listening')
  })
  const accepted = once(server, 'connection').then(([socket]) => {
    const peer = socket as Socket
    peer.on('error', () => {})
    trial.later(() => void peer.destroy())
    return peer
  })
  accepted.catch(() => {})
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()))
  trial.later(() => void server.close())
  const { port } = server.address() as { port: number }
  return { address: { ip: trial.peerIp, port }, accepted, close }
}

/** A connection of a peer to a relayed address. */
export async function dial(trial: Trial, relayed: Endpoint): Promise<Socket> {
  const peer = connect({ host: relayed.ip, port: relayed.port, localAddress: trial.peerIp })
  peer.on('error', () => {})
  trial.later(() => void peer.destroy())
  await once(peer, 'connect')
  return peer
}

/** Whether the other side closes a connection in time. */
export function closesWithin(peer: Socket, ms: number): Promise<boolean> {
  const closed = new Promise<boolean>((resolve) => {
    peer.once('close', () => resolve(true))
  })
  peer.resume()
  const late = new Promise<boolean>((resolve) => setTimeout(resolve, ms, false))
  return Promise.race([closed, late])
}

/** Random bytes each way, all of which must come. */
export async function exchange(data: Client, peer: Socket): Promise<void> {
  const [up, down] = [payload(BYTES), payload(BYTES)]
  const parts: Buffer[] = []
  let length = 0
  const heard = new Promise<void>((resolve) => {
    peer.on('data', (part) => {
      parts.push(part)
      length += part.length
      if (length >= BYTES) resolve()
    })
  })
  data.wire.send(up)
  peer.write(down)
  const late = new Promise<void>((resolve) => setTimeout(resolve, ANSWER_MS))
  await Promise.race([heard, late])
  const came = Buffer.concat(parts)
  expect(came.equals(up), `${came.length} of ${BYTES} bytes at the peer`)
  const back = await gather(data, BYTES)
  expect(back.equals(down), `${back.length} of ${BYTES} bytes at the client`)
}

/** What comes raw on a data connection, until it is as long as expected or nothing more comes. */
export async function gather(data: Client, bytes: number): Promise<Buffer> {
  let all = Buffer.alloc(0)
  while (all.length < bytes) {
    const part = await data.wire.take(() => true, ANSWER_MS)
    if (!part) break
    all = Buffer.concat([all, part])
  }
  return all
}
