import type { AllocationOwner } from './allocation.ts'
import { parseNetwork } from './network.ts'
import { type IsLiveRelay, PeerPolicy, type PeerPolicyOptions } from './peer-policy.ts'

export interface NamedPeerPolicy extends PeerPolicyOptions {
  readonly name: string
}

/** The peer policies of a configuration: the one for all, and those that a credential may name. */
export class PeerPolicies {
  readonly #default: PeerPolicy
  readonly #named: ReadonlyMap<string, PeerPolicy>
  /** For a name that is gone: nobody is a peer. */
  readonly #none: PeerPolicy

  /** Throws an Error that names the entry that is no address or CIDR block. */
  constructor(options: PeerPolicyOptions, named: readonly NamedPeerPolicy[], isLiveRelay: IsLiveRelay) {
    this.#default = new PeerPolicy(options, isLiveRelay)
    this.#named = new Map(named.map((one) => [one.name, new PeerPolicy(one, isLiveRelay)]))
    this.#none = this.#default.narrowed([])
  }

  has(name: string): boolean {
    return this.#named.has(name)
  }

  /** Which peers somebody may have: those of the policy that the credential names, else the realm, and of them those that it lists. */
  of({ claims, realm }: Pick<AllocationOwner, 'claims' | 'realm'>): PeerPolicy {
    const name = claims?.peerPolicy ?? realm.peerPolicy
    const policy = name === undefined ? this.#default : (this.#named.get(name) ?? this.#none)
    return claims?.peers ? policy.narrowed(claims.peers.map(parseNetwork)) : policy
  }
}
