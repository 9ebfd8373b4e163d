import { selfSigned } from '../../relay/io/testing/certificate.ts'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'

export const USER = { username: 'user', password: 'password' }
/** A key of the ring, for TURN REST credentials. */
export const REST_SECRET = 'rest-secret'

const LISTENERS = [
  { protocol: 'udp', address: '127.0.0.1', port: 0 },
  { protocol: 'tcp', address: '127.0.0.1', port: 0 },
  { protocol: 'tls', address: '127.0.0.1', port: 0 },
  { protocol: 'dtls', address: '127.0.0.1', port: 0 },
  { protocol: 'udp', address: '::1', port: 0 },
  { protocol: 'tcp', address: '::1', port: 0 },
] as const

export interface InteropRelay {
  readonly child: RelayChild
  /** The port of a protocol on 127.0.0.1, or with `6` on ::1. */
  port(protocol: 'udp' | 'tcp' | 'tls' | 'dtls', family?: 4 | 6): number
}

/** A relay process on loopback for clients that we did not write. */
export async function interopRelay(): Promise<InteropRelay> {
  const child = new RelayChild()
  const loopback = loopbackConfig()
  const { cert, key } = await selfSigned('localhost')
  child.write('tls.crt', cert)
  child.write('tls.key', key)
  child.writeConfig({
    ...loopback,
    listeners: [...LISTENERS],
    relay: { addresses: [{ advertise: '127.0.0.1' }, { advertise: '::1' }] },
    tls: { certFile: 'tls.crt', keyFile: 'tls.key' },
    credentials: { users: [USER], keys: [{ id: 'k1', secret: REST_SECRET }] },
    peers: { ...loopback.peers, tcp: true },
    limits: { allocationsPerUser: 4000 },
  })
  child.spawn()
  const { listeners } = await child.ready()
  return {
    child,
    port(protocol, family = 4) {
      const host = family === 4 ? '127.0.0.1' : '::1'
      return listeners.find((one) => one.protocol === protocol && one.address === host)!.port
    },
  }
}
