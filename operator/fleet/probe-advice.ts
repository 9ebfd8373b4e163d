import type { TurnUri } from '../../relay/client/turn-uri.ts'
import { formatAddress } from '../../relay/stun/address-text.ts'
import { ERROR } from '../../relay/stun/error-codes.ts'
import { RequestFailed } from './probe-session.ts'

/** What a check does, in this order; TLS only where the URL asks for it. */
export type ProbeStep = 'resolve' | 'connect' | 'tls' | 'authenticate' | 'allocate' | 'permission' | 'echo'

const TEXT_MAX = 500

/** One sentence: what failed and what to do next. */
export function explain(step: ProbeStep, error: unknown, uri: TurnUri, relayed?: string): string {
  if (error instanceof RequestFailed && error.failure.cause === 'refused') return explainRefusal(step, error)
  const timeout = isTimeout(error)
  const text = error instanceof Error ? error.message : String(error)
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  switch (step) {
    case 'resolve':
      return timeout
        ? `no answer from DNS about ${uri.host}: check the resolver of this machine`
        : `${uri.host} has no address (${code ?? text}): check the spelling and the DNS record`
    case 'connect':
      return explainConnect(uri, timeout, code, text)
    case 'tls':
      return explainTls(uri, timeout, code, text)
    case 'echo':
      return `the allocation stands but no data came through${relayed ? ` ${relayed}` : ''} (${timeout ? 'timeout' : text}): open the relay's UDP port range in its firewall, and check that its advertised address is its own`
    default:
      return `${timeout ? 'no answer from the relay' : text}: see the relay's log`
  }
}

/** Text from the other end as logs and terminals may show it: bounded, without control characters. */
export function printable(text: string): string {
  return text.slice(0, TEXT_MAX).replaceAll(/\p{C}/gu, '?')
}

/** Whether a limit of ours or the client's retransmissions ran out. */
export function isTimeout(error: unknown): boolean {
  if (error instanceof RequestFailed) return error.failure.cause === 'timeout'
  return error instanceof Error && error.name === 'TimeoutError'
}

function explainConnect(uri: TurnUri, timeout: boolean, code: string | undefined, text: string): string {
  const where = `${uri.host} ${uri.protocol === 'udp' ? 'UDP' : 'TCP'} port ${uri.port}`
  if (timeout) {
    return `no answer from ${where}: a firewall drops it or nothing is there; check the port, and try a URL with transport=tcp or turns:`
  }
  if (code === 'ECONNREFUSED') {
    return `nothing listens on ${where}: check the port of the URL, and that the relay runs with this listener`
  }
  return `${where} cannot be reached (${code ?? text}): check the route and the firewalls between here and there`
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_GET_ISSUER_CERT',
])

function explainTls(uri: TurnUri, timeout: boolean, code: string | undefined, text: string): string {
  if (timeout)
    return `${uri.host} does not answer the TLS handshake: check that port ${uri.port} is a TLS listener`
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `the certificate is not for ${uri.host}: use a name that is in it, or issue one for this name (${text})`
  }
  if (code === 'CERT_HAS_EXPIRED') return `the certificate of ${uri.host} has expired: renew it`
  if (code !== undefined && UNTRUSTED.has(code)) {
    return `the certificate of ${uri.host} is not from a trusted authority (${code}): serve the whole chain, name the authority with --ca, or pass --insecure to check the rest`
  }
  return `no TLS with ${uri.host} port ${uri.port} (${code ?? text}): check that this port is a TLS listener with a certificate`
}

/** By error code: what to do about a refusal. */
const REFUSALS: Readonly<Record<number, string>> = {
  [ERROR.BadRequest]: 'the relay takes the request for malformed: see its log',
  [ERROR.Unauthenticated]:
    'the relay refuses the credential: it is wrong or has expired, or the relay does not have its key',
  [ERROR.Forbidden]: 'the relay forbids it: see its log for the rule',
  [ERROR.AllocationMismatch]: 'the relay still has an allocation of this address and port: try again',
  [ERROR.StaleNonce]:
    'the relay calls every nonce stale: something between changes our address or port with each packet',
  [ERROR.AddressFamilyNotSupported]: 'the relay has no address of this family to relay with',
  [ERROR.WrongCredentials]: 'the allocation belongs to another username',
  [ERROR.UnsupportedTransportProtocol]: 'the relay does not relay UDP',
  [ERROR.AllocationQuotaReached]:
    'this user has as many allocations as it may (486): wait until some end, or raise limits.allocationsPerUser',
  [ERROR.InsufficientCapacity]: 'the relay is full (508): add relays, or raise limits.allocationsPerRelay',
  [ERROR.ServerError]: 'the relay failed (500): see its log',
}

function explainRefusal(step: ProbeStep, { failure }: RequestFailed): string {
  if (failure.code === ERROR.TryAlternate) {
    const target = failure.alternate ? ` to ${formatAddress(failure.alternate)}` : ''
    return `the relay is draining and sends new clients${target} (300): ask for fresh relay addresses`
  }
  if (step === 'permission' && failure.code === ERROR.Forbidden) {
    return 'the relay does not let a client reach its own relayed address (403): allow that address in peers.allow to have the echo checked'
  }
  const said = failure.reason === '' ? `${failure.code}` : `${failure.code} ${failure.reason}`
  return REFUSALS[failure.code] ?? `the relay answered ${said}: see its log`
}
