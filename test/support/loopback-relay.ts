import { type RelayConfigInput, relayConfig } from '../../relay/api/config.ts'
import type { RelayIo } from '../../relay/io/io.ts'
import { nodeCrypto } from '../../relay/io/node-crypto.ts'
import { PortableIo } from '../../relay/io/portable/portable-io.ts'
import { selfSigned } from '../../relay/io/testing/certificate.ts'
import { Shard } from '../../relay/shard/shard.ts'
import { TurnServer } from '../../relay/turn/server.ts'
import { turnServerConfig } from '../../relay/turn/server-config.ts'

/** What a loopback relay listens on. */
export const PROTOCOLS = ['udp', 'tcp', 'tls'] as const
/** Its user. */
export const CREDENTIAL = { username: 'alice', credential: 'secret' }
/** Its certificate, for `localhost` and 127.0.0.1. */
export const certificate = await selfSigned('localhost')

/** A relay in this process, its listeners on ports that the system chose. */
export class LoopbackRelay {
  readonly io: RelayIo
  readonly turn: TurnServer
  readonly ports = { udp: 0, tcp: 0, tls: 0 }

  constructor(changes: Partial<RelayConfigInput> = {}, io: RelayIo = new PortableIo()) {
    this.io = io
    const config = relayConfig.parse({
      realm: 'example.org',
      listeners: [{ protocol: 'udp', address: '127.0.0.1', port: 0 }],
      relay: { addresses: [{ advertise: '127.0.0.1' }] },
      credentials: { users: [{ username: 'alice', password: 'secret' }] },
      ...changes,
    })
    this.turn = new TurnServer({ config: turnServerConfig(config), crypto: nodeCrypto, tcpPeers: true })
  }

  async start(): Promise<this> {
    const { io, turn } = this
    new Shard({ io, machine: turn, unixMs: Date.now, onEvent: () => {} }).start()
    io.setTls(certificate)
    for (const protocol of PROTOCOLS) {
      this.ports[protocol] = (await io.listen({ protocol, address: '127.0.0.1', port: 0 })).port
    }
    return this
  }

  url(protocol: (typeof PROTOCOLS)[number], host = '127.0.0.1'): string {
    const scheme = protocol === 'tls' ? 'turns' : 'turn'
    return `${scheme}:${host}:${this.ports[protocol]}?transport=${protocol === 'udp' ? 'udp' : 'tcp'}`
  }
}
