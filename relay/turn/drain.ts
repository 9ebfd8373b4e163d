import type { Alternate } from '../api/alternate.ts'
import type { TransportAddress } from '../stun/address.ts'
import { parseAddress } from '../stun/address-text.ts'
import type { ClientTransport } from './contract.ts'
import type { TurnCore } from './core.ts'
import { type Refusal, refuse } from './outcome.ts'
import type { Request } from './request.ts'

/** A way in to another relay. */
export interface OtherRelay {
  readonly address: TransportAddress
  /** Undefined: UDP and TCP. */
  readonly transport: ClientTransport | undefined
  /** The name in its certificate. */
  readonly domain: string | undefined
}

/** Those whose address is one. */
export function parseAlternates(alternates: readonly Alternate[]): OtherRelay[] {
  return alternates.flatMap(({ address: text, port, protocol, domain }) => {
    const address = parseAddress(text, port)
    return address ? [{ address, transport: protocol, domain }] : []
  })
}

/** What a draining relay answers to a new Allocate: 300 with another relay that the client can follow to, or 508. */
export function drainRefusal(core: TurnCore, request: Request): Refusal | undefined {
  if (!core.draining) return undefined
  return redirection(core, request) ?? refuse('draining')
}

/**
 * The 300 of a draining relay, where the client can follow it (RFC 8489 §10): with an address of its family first,
 * and one of the other family where there is one. Clients of TLS and DTLS need the name in the certificate besides,
 * and look for it only where they know RFC 8489, as those do who sign with MESSAGE-INTEGRITY-SHA256: browsers would
 * compare the certificate with the bare address.
 */
export function redirection(core: TurnCore, request: Request): Refusal | undefined {
  // The ways in to the other relays are those of the default realm.
  if (!core.draining || request.realm !== core.realms[0]) return undefined
  const { client, from, owner, reader } = request
  const secure = from.transport === 'tls' || from.transport === 'dtls'
  if (secure && !(owner && reader.hasIntegritySha256)) return undefined
  const ways = core.alternates.filter(({ transport, domain }) =>
    secure
      ? transport === from.transport && domain !== undefined
      : (transport ?? from.transport) === from.transport,
  )
  const first = ways.find(({ address }) => address.family === client.family)
  if (!first) return undefined
  const { domain } = first
  const other = ways.find((one) => one.address.family !== client.family && one.domain === domain)
  return {
    ...refuse('redirected'),
    redirect: { address: first.address, otherFamily: other?.address, domain: secure ? domain : undefined },
  }
}
