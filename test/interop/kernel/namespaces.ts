import { execFileSync } from 'node:child_process'
import dgram from 'node:dgram'
import { SOL_SOCKET } from '../../../relay/io/linux/constants.ts'
import { checked, setsockopt } from '../../../relay/io/linux/ffi.ts'
import { Memory } from '../../../relay/io/linux/memory.ts'
import { setChecksumOffload } from '../../../relay/io/linux/testing/checksum-offload.ts'
import { inNamespace } from '../../../relay/io/linux/testing/network-namespace.ts'
import { UdpSocketFactory } from '../../../relay/io/linux/udp-socket.ts'
import type { AddressFamily } from '../../../relay/stun/address.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'

export type Place = 'client' | 'relay' | 'peer'

const NAMESPACE = (place: Place) => `tf-kernel-${process.pid}-${place}`
const SO_NO_CHECK = 11
const BUFFER_BYTES = 4_194_304

/** Addresses by place and family; the relay has one towards the client and one towards the peer. */
export const ADDRESS = {
  client: { 4: '10.214.1.1', 6: 'fd00:214:1::1' },
  listener: { 4: '10.214.1.2', 6: 'fd00:214:1::2' },
  relay: { 4: '10.214.2.2', 6: 'fd00:214:2::2' },
  peer: { 4: '10.214.2.1', 6: 'fd00:214:2::1' },
} as const satisfies Record<string, Record<AddressFamily, string>>

/** Why these tests cannot run here; undefined: they can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root for network namespaces and eBPF'
  try {
    execFileSync('ip', ['netns', 'list'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'needs ip netns (iproute2)'
  }
}

/** A client, a relay and a peer, each in a network namespace, joined by veth pairs whose checksums are offloaded. */
export class Namespaces {
  readonly #memory = new Memory(65_536)
  readonly #factory = new UdpSocketFactory(this.#memory)
  /** With their descriptors. */
  readonly #sockets = new Map<dgram.Socket, number>()

  constructor() {
    this.#factory.gather = false
    for (const place of ['client', 'relay', 'peer'] as const) {
      ip('netns', 'add', NAMESPACE(place))
      ip('-n', NAMESPACE(place), 'link', 'set', 'lo', 'up')
    }
    for (const place of ['client', 'peer'] as const) {
      const ends = ['netns', NAMESPACE(place), 'type', 'veth', 'peer', 'name', place]
      ip('link', 'add', 'veth', ...ends, 'netns', NAMESPACE('relay'))
      const own = place === 'client' ? ADDRESS.listener : ADDRESS.relay
      for (const family of [4, 6] as const) {
        const bits = family === 4 ? 24 : 64
        const flags = family === 6 ? ['nodad'] : []
        ip(
          '-n',
          NAMESPACE(place),
          'addr',
          'add',
          `${ADDRESS[place][family]}/${bits}`,
          'dev',
          'veth',
          ...flags,
        )
        ip('-n', NAMESPACE('relay'), 'addr', 'add', `${own[family]}/${bits}`, 'dev', place, ...flags)
      }
      ip('-n', NAMESPACE(place), 'link', 'set', 'veth', 'up')
      ip('-n', NAMESPACE('relay'), 'link', 'set', place, 'up')
      // What leaves the relay is as it would be on a wire: a checksum that is not there yet is worked out.
      inNamespace(NAMESPACE('relay'), () => setChecksumOffload(place, false))
    }
  }

  readonly relayName = NAMESPACE('relay')

  /** Whether client and peer leave the checksums of what they send to the hardware that a veth pair has not. */
  setChecksumOffload(on: boolean): void {
    for (const place of ['client', 'peer'] as const) {
      inNamespace(NAMESPACE(place), () => setChecksumOffload('veth', on))
    }
  }

  /** IPv4 lets a sender do without (RFC 768). */
  sendWithoutChecksums(socket: dgram.Socket): void {
    const value = this.#memory.take(4)
    this.#memory.u32[value >> 2] = 1
    const fd = this.descriptor(socket)
    checked('setsockopt', setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, this.#memory.address(value), 4))
  }

  /** Of a socket that `socket` opened. */
  descriptor(socket: dgram.Socket): number {
    return this.#sockets.get(socket)!
  }

  /** Runs `ip` in a place. */
  ip(place: Place, ...args: string[]): void {
    ip('-n', NAMESPACE(place), ...args)
  }

  /** The command line that runs a command in a place. */
  at(place: Place, ...command: string[]): string[] {
    return ['ip', 'netns', 'exec', NAMESPACE(place), ...command]
  }

  /** A UDP socket of a place. */
  socket(place: 'client' | 'peer', family: AddressFamily, port = 0): dgram.Socket {
    const bind = parseAddress(ADDRESS[place][family], port)!
    const { fd } = inNamespace(NAMESPACE(place), () =>
      this.#factory.open({ bind, bufferBytes: BUFFER_BYTES, dontFragment: false }),
    )
    const socket = dgram.createSocket(family === 4 ? 'udp4' : 'udp6')
    socket.bind({ fd, exclusive: true })
    this.#sockets.set(socket, fd)
    return socket
  }

  remove(): void {
    for (const socket of this.#sockets.keys()) socket.close()
    for (const place of ['client', 'relay', 'peer'] as const) ip('netns', 'del', NAMESPACE(place))
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
}
