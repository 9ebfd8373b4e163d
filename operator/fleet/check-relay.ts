import { createHmac } from 'node:crypto'
import { formatRestUsername } from '../../relay/api/rest-credential.ts'
import { probeRelay } from './probe.ts'
import { type RelayChecker, reportedListeners } from './registry.ts'

const CREDENTIAL_SECONDS = 120
/** Allocations of checks are counted apart from those of users. */
const CHECK_USER = 'turnfleet-check'

/** The checker of the real fleet: an echo through every listener of the relay's public address. */
export function createRelayChecker(nowMs: () => number = Date.now): RelayChecker {
  return async ({ address, cluster, report }, signal) => {
    const key = cluster?.keyRing?.keys[0]
    if (!cluster || !key)
      return { passed: false, message: 'there is no key ring yet to make a credential with' }
    const own = reportedListeners(report)
    const expiresUnixSeconds = Math.floor(nowMs() / 1000) + CREDENTIAL_SECONDS
    const username = formatRestUsername({ expiresUnixSeconds, user: CHECK_USER })
    return await probeRelay({
      address,
      listeners: own.length > 0 ? own : cluster.listeners,
      username,
      credential: createHmac('sha1', key.secret).update(username).digest('base64'),
      // Whether traffic passes is the question here; what the certificate says has a condition of its own.
      tls: { insecure: true },
      signal,
    })
  }
}
