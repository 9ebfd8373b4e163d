import type { LoadReport } from '../../relay/api/load-report.ts'
import { realmKey } from '../../relay/api/realm-keys.ts'
import type { PublishedCluster } from '../controller/contract.ts'
import { restCredential } from '../credentials/issue.ts'
import { nodeCrypto } from './node-crypto.ts'
import { probeRelay } from './probe.ts'
import type { RelayChecker } from './registry.ts'
import type { CheckOutcome } from './relay-checks.ts'

const CREDENTIAL_SECONDS = 120
/** Allocations of checks are counted apart from those of users. */
const CHECK_USER = 'turnfleet-check'
const PROTOCOLS = ['UDP', 'TCP', 'TLS'] as const

/** The checker of the real fleet: an echo through every listener of the relay's public address. */
export function createRelayChecker(nowMs: () => number = Date.now): RelayChecker {
  return async ({ address, cluster, report }, signal) => {
    const key = cluster?.keyRing?.keys[0]
    if (!cluster || !key)
      return { passed: false, message: 'there is no key ring yet to make a credential with' }
    const own = listenersOf(report)
    const expiresUnixSeconds = Math.floor(nowMs() / 1000) + CREDENTIAL_SECONDS
    const listeners = own.length > 0 ? own : cluster.listeners
    const outcomes = [...new Set(listeners.map(({ realm }) => realm))].map((realm) =>
      probeRelay({
        address,
        listeners: listeners.filter((listener) => listener.realm === realm),
        ...restCredential(
          realm === undefined ? key : realmKey(nodeCrypto, key, realm),
          expiresUnixSeconds,
          CHECK_USER,
          nodeCrypto,
        ),
        // Whether traffic passes is the question here; what the certificate says has a condition of its own.
        tls: { insecure: true },
        signal,
      }),
    )
    return together(await Promise.all(outcomes))
  }
}

function together(outcomes: readonly CheckOutcome[]): CheckOutcome {
  const failed = outcomes.filter(({ passed }) => !passed)
  const told = failed.length > 0 ? failed : outcomes
  return { passed: failed.length === 0, message: told.map(({ message }) => message).join('; ') }
}

/** Relays that share a machine have ports of their own. */
function listenersOf(report: LoadReport | undefined): PublishedCluster['listeners'] {
  return (report?.listeners ?? []).flatMap(({ protocol, port, realm }) => {
    const known = PROTOCOLS.find((name) => name === protocol.toUpperCase())
    return known ? [{ protocol: known, port, ...(realm !== undefined && { realm }) }] : []
  })
}
