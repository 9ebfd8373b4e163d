import { TransportAddress } from '../stun/address.ts'
import { ATTRIBUTE } from '../stun/attribute-types.ts'
import { readAddress, readErrorCode, readUint32Value, readXorAddress } from '../stun/attributes.ts'
import type { StunReader } from '../stun/reader.ts'
import type { ClientEvent, ClientRequest } from './contract.ts'

/** Most relayed addresses of one allocation: one of each family (RFC 8656 §7.3). */
const RELAYED_MAX = 2

/** What a success response means for its request; undefined when it lacks what it must carry. */
export function readSuccess(response: StunReader, request: ClientRequest): ClientEvent | undefined {
  switch (request.step) {
    case 'binding': {
      const mapped = readMapped(response)
      return mapped && { kind: 'mapped', mapped }
    }
    case 'allocate':
      return readAllocated(response)
    case 'refresh': {
      const lifetimeSeconds = readLifetime(response)
      if (lifetimeSeconds === undefined) return request.lifetimeSeconds === 0 ? { kind: 'closed' } : undefined
      return lifetimeSeconds === 0 ? { kind: 'closed' } : { kind: 'refreshed', lifetimeSeconds }
    }
    case 'permission':
      return { kind: 'permitted', peers: request.peers }
    case 'channel':
      return { kind: 'bound', channel: request.channel, peer: request.peer }
  }
}

/** The code, phrase and alternate server of an error response; undefined when it has no readable ERROR-CODE. */
export function readError(
  response: StunReader,
): { code: number; reason: string; alternate: TransportAddress | undefined } | undefined {
  const at = response.find(ATTRIBUTE.ErrorCode)
  const error = at < 0 ? undefined : readErrorCode(response, at)
  if (error === undefined) return undefined
  const alternateAt = response.find(ATTRIBUTE.AlternateServer)
  const alternate = new TransportAddress()
  const found = alternateAt >= 0 && readAddress(response, alternateAt, alternate)
  return { ...error, alternate: found ? alternate : undefined }
}

function readAllocated(response: StunReader): ClientEvent | undefined {
  const relayed: TransportAddress[] = []
  let at = response.find(ATTRIBUTE.XorRelayedAddress)
  while (at >= 0 && relayed.length < RELAYED_MAX) {
    const address = new TransportAddress()
    if (!readXorAddress(response, at, address)) return undefined
    relayed.push(address)
    at = response.find(ATTRIBUTE.XorRelayedAddress, at)
  }
  const mapped = readMapped(response)
  const lifetimeSeconds = readLifetime(response)
  if (relayed.length === 0 || mapped === undefined || lifetimeSeconds === undefined) return undefined
  return { kind: 'allocated', relayed, mapped, lifetimeSeconds }
}

function readMapped(response: StunReader): TransportAddress | undefined {
  const at = response.find(ATTRIBUTE.XorMappedAddress)
  const mapped = new TransportAddress()
  return at >= 0 && readXorAddress(response, at, mapped) ? mapped : undefined
}

function readLifetime(response: StunReader): number | undefined {
  const at = response.find(ATTRIBUTE.Lifetime)
  return at < 0 ? undefined : readUint32Value(response, at)
}
