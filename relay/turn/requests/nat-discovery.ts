import { ATTRIBUTE } from '../../stun/attribute-types.ts'
import { readUint32Value } from '../../stun/attributes.ts'
import type { StunReader } from '../../stun/reader.ts'
import { readUint16 } from '../../stun/wire.ts'
import { type DiscoverySite, type NatDiscovery, withPort } from '../nat-discovery.ts'
import { type Outcome, refuse } from '../outcome.ts'
import type { Request } from '../request.ts'

/** Flags of CHANGE-REQUEST (RFC 5780 §7.2). */
const CHANGE_IP = 4
const CHANGE_PORT = 2
/** Longest PADDING of an answer: the MTU of Ethernet (RFC 5780 §7.6). */
const PADDING_BYTES_MAX = 1500
/** Below lie the ports of services, which a forged source must not turn answers to. */
const RESPONSE_PORT_MIN = 1024

/** Binding where clients learn how their NAT behaves (RFC 5780 §6.1). */
export function discover(discovery: NatDiscovery, site: DiscoverySite, request: Request): Outcome {
  const { reader, client, from } = request
  const change = readChange(reader)
  const port = readResponsePort(reader, client.port)
  const padding = reader.find(ATTRIBUTE.Padding)
  if (change === undefined || port === undefined || (padding >= 0 && reader.has(ATTRIBUTE.ResponsePort))) {
    return refuse('bad-request')
  }
  const origin = discovery.changed(site, (change & CHANGE_IP) !== 0, (change & CHANGE_PORT) !== 0)
  const other = discovery.changed(site, true, true)
  // Never longer than that of the request: a forged source gains nothing by it.
  const paddingBytes = padding < 0 ? undefined : Math.min(reader.valueLength(padding), PADDING_BYTES_MAX) & ~3
  return {
    kind: 'success',
    to: { link: from.transport === 'udp' ? origin.link! : from.id, client: withPort(client, port) },
    attributes: (writer) => {
      writer
        .addXorAddress(ATTRIBUTE.XorMappedAddress, client)
        .addAddress(ATTRIBUTE.MappedAddress, client)
        .addAddress(ATTRIBUTE.ResponseOrigin, origin.advertised)
        .addAddress(ATTRIBUTE.OtherAddress, other.advertised)
      if (paddingBytes !== undefined) writer.addBytes(ATTRIBUTE.Padding, new Uint8Array(paddingBytes))
    },
  }
}

/** The flags of CHANGE-REQUEST, 0 without one; undefined where it is malformed. */
function readChange(reader: StunReader): number | undefined {
  const index = reader.find(ATTRIBUTE.ChangeRequest)
  return index < 0 ? 0 : readUint32Value(reader, index)
}

/** The port that the answer goes to; undefined where RESPONSE-PORT is malformed or names one that is not to be had. */
function readResponsePort(reader: StunReader, own: number): number | undefined {
  const index = reader.find(ATTRIBUTE.ResponsePort)
  if (index < 0) return own
  const length = reader.valueLength(index)
  if (length !== 2 && length !== 4) return undefined
  const port = readUint16(reader.buffer, reader.valueOffset(index))
  return port === own || port >= RESPONSE_PORT_MIN ? port : undefined
}
