import { parseAddress } from '../../stun/address-text.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

export interface ProxyHeaderOptions {
  readonly source: readonly [ip: string, port: number]
  readonly destination?: readonly [ip: string, port: number]
  readonly transport?: 'stream' | 'datagram'
  readonly tlvs?: Uint8Array
}

/** A PROXY protocol header, version 2, as a balancer writes it. */
export function proxyHeader(options: ProxyHeaderOptions): Buffer {
  const { source, destination = ['203.0.113.1', 443], transport = 'stream', tlvs = Buffer.alloc(0) } = options
  const ipv6 = source[0].includes(':')
  const far = ipv6 && !destination[0].includes(':') ? (['2001:db8::1', destination[1]] as const) : destination
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(source[1], 0)
  ports.writeUInt16BE(far[1], 2)
  const addresses = [ipBytes(source[0]), ipBytes(far[0]), ports]
  const kind = (ipv6 ? 0x20 : 0x10) | (transport === 'stream' ? 1 : 2)
  return header(0x21, kind, Buffer.concat([...addresses, tlvs]))
}

/** The header of a balancer's own check, LOCAL. */
export function localHeader(body: Uint8Array = Buffer.alloc(0)): Buffer {
  return header(0x20, 0, body)
}

/** A header of any command and kind. */
export function header(command: number, kind: number, body: Uint8Array, length = body.length): Buffer {
  const head = Buffer.alloc(4)
  head[0] = command
  head[1] = kind
  head.writeUInt16BE(length, 2)
  return Buffer.concat([SIGNATURE, head, body])
}

function ipBytes(text: string): Buffer {
  const { family, w0, w1, w2, w3 } = parseAddress(text, 0)!
  const words = family === 4 ? [w3] : [w0, w1, w2, w3]
  const bytes = Buffer.alloc(words.length * 4)
  words.forEach((word, i) => {
    bytes.writeInt32BE(word, i * 4)
  })
  return bytes
}
