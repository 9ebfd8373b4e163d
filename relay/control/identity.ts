import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { RelayConfig } from '../api/config.ts'
import type { RelayStatus } from './status.ts'

export interface IdentityFlags {
  readonly name?: string | undefined
  readonly uid?: string | undefined
  readonly cluster?: string | undefined
}

/** What a relay calls itself: flags before the environment before the file; a relay of nobody's makes it up. */
export function identityOf(
  flags: IdentityFlags,
  environment: NodeJS.ProcessEnv,
  config: RelayConfig,
): RelayStatus['identity'] {
  const { identity } = config
  return {
    name: flags.name ?? environment.TURNFLEET_RELAY_NAME ?? identity?.name ?? hostname(),
    uid: flags.uid ?? environment.TURNFLEET_RELAY_UID ?? identity?.uid ?? randomUUID(),
    cluster: flags.cluster ?? environment.TURNFLEET_CLUSTER ?? identity?.cluster ?? 'standalone/relay',
  }
}
