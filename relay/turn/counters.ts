import { ERROR } from '../stun/error-codes.ts'
import { METHOD } from '../stun/methods.ts'
import type { AllocationEnd } from './contract.ts'
import { DROP_REASONS, type DropReason } from './drops.ts'
import { newOffloadedData, type OffloadedData } from './offload.ts'
import { PEER_RULES, type PeerRule } from './peer-policy.ts'
import { REFUSAL_REASONS, type RefusalReason } from './refusals.ts'
import type { ConnectionEnd } from './tcp/peer-connections.ts'

const ALLOCATION_ENDS = [
  'refresh-zero',
  'expired',
  'link-closed',
  'revoked',
  'relay-failed',
  'shutdown',
] as const satisfies readonly AllocationEnd[]

/** What became of connections to and from peers (RFC 6062). */
const CONNECTION_EVENTS = [
  'connected',
  'accepted',
  'bound',
  'connect-failed',
  'connect-timeout',
  'bind-timeout',
  'closed',
] as const satisfies readonly (ConnectionEnd | 'connected' | 'accepted' | 'bound')[]

const SUCCESS = 200

/** What the state machine counted since it was made; numbers only, every key there from the start. */
export class TurnCounters {
  /** Responses by the RFC's method name and error code; 200 is success. */
  readonly responses: Readonly<Record<string, Record<number, number>>> = Object.fromEntries(
    Object.keys(METHOD).map((name) => [name, zeros([SUCCESS, ...Object.values(ERROR)])]),
  )
  readonly refusals: Record<RefusalReason, number> = zeros(REFUSAL_REASONS)
  /** Peers of 403s, by the rule that refused them. */
  readonly peerRules: Record<PeerRule, number> = zeros(PEER_RULES)
  readonly drops: Record<DropReason, number> = zeros(DROP_REASONS)
  readonly closed: Record<AllocationEnd, number> = zeros(ALLOCATION_ENDS)
  readonly peerConnections: Record<(typeof CONNECTION_EVENTS)[number], number> = zeros(CONNECTION_EVENTS)
  opened = 0
  /** Relayed application data that came from clients. */
  clientPackets = 0
  clientBytes = 0
  /** Relayed application data that came from peers. */
  peerPackets = 0
  peerBytes = 0
  /** What of that passed below the machine. */
  readonly offloaded: OffloadedData = newOffloadedData()

  countResponse(method: string, code: number = SUCCESS): void {
    const codes = this.responses[method]
    if (codes?.[code] !== undefined) codes[code]++
  }
}

function zeros<K extends string | number>(keys: readonly K[]): Record<K, number> {
  return Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>
}
