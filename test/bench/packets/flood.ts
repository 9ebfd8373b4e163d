import type { UdpSocket } from '../../../relay/io/linux/udp-socket.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import { parseAddress } from '../../../relay/stun/address-text.ts'
import { ATTRIBUTE } from '../../../relay/stun/attribute-types.ts'
import { CLASS, METHOD } from '../../../relay/stun/methods.ts'
import { StunWriter } from '../../../relay/stun/writer.ts'
import type { Flood, LoadOptions } from './load-options.ts'
import type { SocketLoop } from './socket-loop.ts'

const SOCKETS = 64
const SOCKET_BUFFER_BYTES = 65_536
const GARBAGE_BYTES = 100
/** First byte of what is neither STUN nor ChannelData. */
const GARBAGE = 0xf0
/** UDP, in the first byte of REQUESTED-TRANSPORT (RFC 8656 §18.7). */
const UDP = 17 << 24
/** Packets that leave before the calls have their turn. */
const AT_ONCE_MAX = 64

/** Packets of strangers at an offered rate, from many ports of one address; what is answered goes nowhere. */
export class Strangers {
  sent = 0
  readonly #loop: SocketLoop
  readonly #sockets: readonly UdpSocket[]
  readonly #server
  readonly #packet: Uint8Array
  readonly #perMs: number

  constructor(loop: SocketLoop, { server, local }: LoadOptions, { kind, packetsPerSecond }: Flood) {
    this.#loop = loop
    this.#server = parseAddress(server.address, server.port)!
    this.#packet = packetOf(kind)
    this.#perMs = packetsPerSecond / 1000
    const ignore = { datagram: () => undefined }
    this.#sockets = Array.from({ length: SOCKETS }, () => loop.open(local, ignore, SOCKET_BUFFER_BYTES))
  }

  /** Sends what is due so many milliseconds after it began. */
  send(sinceMs: number): void {
    const due = sinceMs * this.#perMs
    for (let i = 0; this.sent < due && i < AT_ONCE_MAX; i++)
      this.#loop.send(this.#sockets[this.sent++ % SOCKETS]!, this.#server, this.#packet)
  }
}

function packetOf(kind: Flood['kind']): Uint8Array {
  if (kind === 'garbage') return new Uint8Array(GARBAGE_BYTES).fill(GARBAGE)
  const writer = new StunWriter(128)
  const method = kind === 'allocate' ? METHOD.Allocate : METHOD.Binding
  writer.start(method, CLASS.Request, nodeCrypto.randomBytes(12))
  if (kind === 'allocate') writer.addUint32(ATTRIBUTE.RequestedTransport, UDP)
  return writer.finish().slice()
}
