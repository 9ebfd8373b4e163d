import dgram from 'node:dgram'
import { once } from 'node:events'

/** A datagram of a client, as it was sent. */
export interface Captured {
  readonly bytes: Buffer
  readonly from: number
  readonly atMs: number
}

/** A UDP listener before a server that passes everything on, both ways, and keeps what clients send. */
export async function captureBefore(serverPort: number): Promise<{
  readonly port: number
  readonly captured: readonly Captured[]
  close(): void
}> {
  const captured: Captured[] = []
  const listener = dgram.createSocket('udp4')
  const ways = new Map<string, dgram.Socket>()
  const start = performance.now()

  /** The socket that stands for a client before the server. */
  function wayOf(address: string, port: number): dgram.Socket {
    const client = `${address}:${port}`
    const known = ways.get(client)
    if (known) return known
    const way = dgram.createSocket('udp4')
    way.on('message', (bytes) => listener.send(bytes, port, address))
    way.on('error', () => {})
    ways.set(client, way)
    return way
  }

  listener.on('message', (bytes, { address, port }) => {
    captured.push({ bytes, from: port, atMs: performance.now() - start })
    wayOf(address, port).send(bytes, serverPort, '127.0.0.1')
  })
  listener.on('error', () => {})
  listener.bind(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    port: listener.address().port,
    captured,
    close() {
      listener.close()
      for (const way of ways.values()) way.close()
    },
  }
}
