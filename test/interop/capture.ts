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
  /** Waits until what was captured fulfils the condition, `ms` at most. */
  until(condition: () => boolean, ms: number): Promise<void>
  close(): void
}> {
  const captured: Captured[] = []
  const listener = dgram.createSocket('udp4')
  const ways = new Map<string, dgram.Socket>()
  const looks = new Set<() => void>()
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
    for (const look of [...looks]) look()
  })
  listener.on('error', () => {})
  listener.bind(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    port: listener.address().port,
    captured,
    until: (condition, ms) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer)
          looks.delete(look)
          resolve()
        }
        const look = () => {
          if (condition()) done()
        }
        const timer = setTimeout(done, ms)
        looks.add(look)
        look()
      }),
    close() {
      listener.close()
      for (const way of ways.values()) way.close()
    },
  }
}
