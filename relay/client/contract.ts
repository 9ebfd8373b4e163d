import type { AddressFamily, TransportAddress } from '../stun/address.ts'

/** A request that the client makes; what it fails at is named by it. */
type ClientStep = 'binding' | 'allocate' | 'refresh' | 'permission' | 'channel'

/** Why a request failed: the server refused, never answered, or answered what nobody can use. */
export type FailureCause = 'refused' | 'timeout' | 'malformed'

/** What the client tells its owner; drained with `nextEvent` after each call. */
export type ClientEvent =
  /** The answer to a Binding request: our address as the server sees it. */
  | { readonly kind: 'mapped'; readonly mapped: TransportAddress }
  | {
      readonly kind: 'allocated'
      /** One relayed address, or one of each family. */
      readonly relayed: readonly TransportAddress[]
      readonly mapped: TransportAddress
      readonly lifetimeSeconds: number
    }
  | { readonly kind: 'refreshed'; readonly lifetimeSeconds: number }
  | { readonly kind: 'permitted'; readonly peers: readonly TransportAddress[] }
  | { readonly kind: 'bound'; readonly channel: number; readonly peer: TransportAddress }
  /** From a peer; `data` is a view of the buffer handed in. */
  | { readonly kind: 'data'; readonly peer: TransportAddress; readonly data: Uint8Array }
  | {
      readonly kind: 'failed'
      readonly step: ClientStep
      readonly cause: FailureCause
      /** The STUN error code of a refusal, 0 otherwise. */
      readonly code: number
      readonly reason: string
      /** Where a 300 (Try Alternate) sends us (RFC 8489 §10). */
      readonly alternate?: TransportAddress
    }
  /** The allocation was given back. */
  | { readonly kind: 'closed' }

/** What an Allocate may ask for (RFC 8656 §7.1). */
export interface AllocateOptions {
  readonly lifetimeSeconds?: number
  /** REQUESTED-ADDRESS-FAMILY; absent: the server chooses. */
  readonly family?: AddressFamily
  /** ADDITIONAL-ADDRESS-FAMILY: an IPv6 address besides the IPv4 one. */
  readonly dual?: boolean
  readonly dontFragment?: boolean
}

/** A request with all that is needed to make it again after a 401 or 438. */
export type ClientRequest =
  | { readonly step: 'binding' }
  | { readonly step: 'allocate'; readonly options: AllocateOptions }
  | { readonly step: 'refresh'; readonly lifetimeSeconds: number | undefined }
  | { readonly step: 'permission'; readonly peers: readonly TransportAddress[] }
  | { readonly step: 'channel'; readonly channel: number; readonly peer: TransportAddress }
