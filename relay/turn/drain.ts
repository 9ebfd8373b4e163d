import type { AddressFamily } from '../stun/address.ts'
import type { ClientTransport } from './contract.ts'
import type { TurnCore } from './core.ts'
import { type Refusal, redirect, refuse } from './outcome.ts'

/**
 * What a draining relay answers to a new Allocate: 300 with an alternate of the client's family, or 508. TLS
 * and DTLS clients cannot follow an address, as the alternate's certificate names a host.
 */
export function drainRefusal(
  core: TurnCore,
  transport: ClientTransport,
  family: AddressFamily,
): Refusal | undefined {
  if (!core.draining) return undefined
  return redirection(core, transport, family) ?? refuse('draining')
}

/** The 300 of a draining relay, where the client can follow it (RFC 8489 §10). */
export function redirection(
  core: TurnCore,
  transport: ClientTransport,
  family: AddressFamily,
): Refusal | undefined {
  if (!core.draining || (transport !== 'udp' && transport !== 'tcp')) return undefined
  const alternate = core.alternates.find((address) => address.family === family)
  return alternate && redirect(alternate)
}
