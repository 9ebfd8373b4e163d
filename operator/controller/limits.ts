/** Every time and number that the decisions turn on. */

/** A published relay that has been silent for this long is unpublished (longer where it reports less often). */
const SILENCE_SECONDS = 4
/** A relay that has been silent for this long is Lost. */
export const LOST_SECONDS = 15
/** After the operator's start, relays that its own status calls Ready stay so until they had time to report. */
export const RECOVERY_SECONDS = 20
/** A relay that ended is replaced after this age at the earliest, so that a broken one makes no hot loop. */
export const LEAST_RELAY_AGE_SECONDS = 30
/** A relay is checked through its public address this often. */
export const CHECK_INTERVAL_SECONDS = 60
/** A check that failed is repeated after this time. */
export const CHECK_RETRY_SECONDS = 3
/** Relays on their way to Ready at the same time, where fewer than this are Ready already. */
export const CREATE_STEP = 4
/** A relay that is not Ready after this time makes the cluster Degraded. */
export const SLOW_START_SECONDS = 300
/** Time between two reports of a relay, for fleets of up to 100 relays; more relays report less often. */
const REPORT_SECONDS = 1
const RELAYS_PER_REPORT_SECOND = 100
/** Alternates that a draining relay is told. */
export const MAX_ALTERNATES = 8
/** Public addresses of one relay. */
export const MAX_ADDRESSES = 8
/** A status that differs in load figures only is written when it has differed for so long. */
export const LOAD_STATUS_SECONDS = 10
/** The loop looks at a cluster again after this time: while relays report, and while there are none. */
export const RECONCILE_SECONDS = { busy: 2, idle: 10 } as const
/** A certificate whose end is nearer than this makes the cluster Degraded. */
export const CERTIFICATE_WARNING_SECONDS = 3 * 24 * 3600
/** URIs in the status. */
export const MAX_STATUS_URIS = 16

/** Seconds between two reports in a fleet of `relays`. */
export function reportInterval(relays: number): number {
  return Math.max(REPORT_SECONDS, relays / RELAYS_PER_REPORT_SECOND)
}

/** Silence after which a relay is no longer published, in a fleet of `relays`. */
export function silenceLimit(relays: number): number {
  return Math.max(SILENCE_SECONDS, 2 * reportInterval(relays) + 2)
}
