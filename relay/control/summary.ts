import type { RelayConfig } from '../api/config.ts'
import type { BoundListener } from '../io/io.ts'
import type { ChosenShards } from '../shard/create-shards.ts'
import type { AddressPair } from './host-addresses.ts'
import type { Settings } from './settings.ts'

/** How many allocations the configuration allows and the ports of the busiest family hold. */
export function capacityOf({ limits, relay }: RelayConfig, addresses: readonly AddressPair[]): number {
  const ports = relay.ports.max - relay.ports.min + 1
  const ipv6 = addresses.filter(({ advertise }) => advertise.includes(':')).length
  return Math.min(limits.allocations, ports * Math.max(ipv6, addresses.length - ipv6))
}

interface InForce {
  readonly generation: number
  readonly config: RelayConfig
  readonly addresses: readonly AddressPair[]
  readonly listeners: readonly BoundListener[]
  readonly certificate: Settings['certificate']
  readonly chosen: ChosenShards
}

/** What the log says of settings that are in force. */
export function summaryOf({ generation, config, addresses, listeners, certificate, chosen }: InForce) {
  return {
    generation,
    realm: config.realm,
    addresses: addresses.map(({ advertise }) => advertise),
    listeners: listeners.map(({ protocol, address, port }) => ({ protocol, address, port })),
    keys: config.credentials.keys.map(({ id }) => id),
    users: config.credentials.users.length,
    certificate: certificate?.fingerprint,
    datapath: chosen.datapath,
    workers: chosen.workers,
  }
}
