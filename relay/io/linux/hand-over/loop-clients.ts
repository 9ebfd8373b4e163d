import type { IoHandler } from '../../io.ts'
import type { DatagramReader } from '../datagram-reader.ts'
import type { DtlsSessions } from '../dtls/dtls-sessions.ts'
import type { Endpoints } from '../endpoints.ts'
import type { UdpListeners } from '../udp-listeners.ts'
import type { UdpSocketFactory } from '../udp-socket.ts'
import { ClientSockets } from './client-sockets.ts'

interface LoopClientsOptions {
  readonly sockets: UdpSocketFactory
  readonly listeners: UdpListeners
  readonly sessions: DtlsSessions
  readonly endpoints: Endpoints
  readonly reader: DatagramReader
  readonly now: () => number
  readonly handler: () => IoHandler
}

/** The sockets that clients of one loop have to themselves, read by that loop. */
export function loopClients(options: LoopClientsOptions): ClientSockets {
  const { sockets, listeners, sessions, endpoints, reader, now, handler } = options
  return new ClientSockets({
    sockets,
    now,
    listeners: () => listeners.all(),
    clientsOf: ({ udp, dtls }) => [...(handler().clientsOf?.(udp) ?? []), ...sessions.clientsOf(dtls)],
    hasClient: ({ udp, dtls }, client) =>
      handler().hasClient?.(udp, client) || sessions.hasClient(dtls, client),
    opened: (client) => {
      endpoints.add(client)
      reader.drain(client)
    },
    closed: (client) => {
      reader.drain(client)
      endpoints.close(client)
    },
  })
}
