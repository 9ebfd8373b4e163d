import { z } from 'zod'
import { eventBatch } from './allocation-events.ts'
import { ALTERNATES_MAX, alternate } from './alternate.ts'
import { revocationList } from './revocations.ts'

/** `POST /v1/relays/{uid}/report`: what a relay tells the operator every few seconds, and what it is told. */
export const loadReport = z.object({
  uid: z.string().min(1).max(128),
  name: z.string().min(1).max(253),
  /** `namespace/name` of the TurnCluster. */
  cluster: z.string().min(1).max(317),
  version: z.string().max(64),
  /** Grows by one a report within a process; a smaller one is a restart. */
  sequence: z.int().min(0),
  startedAtMs: z.number(),
  state: z.enum(['starting', 'serving', 'draining', 'drained']),
  /** True once new allocations are refused for good, so that `allocations` cannot rise. */
  drainAcknowledged: z.boolean(),
  /** Whether the next relay may have its listeners, or has them; absent: neither. */
  handOver: z.enum(['offered', 'done']).optional(),
  allocations: z.int().min(0),
  capacity: z.int().min(0),
  allocationsOpenedTotal: z.int().min(0),
  /** Relayed bytes and packets, both directions, since start. */
  bytesTotal: z.number().min(0),
  packetsTotal: z.number().min(0),
  /** Those of them that the kernel forwarded; absent: as none. */
  offloadedPacketsTotal: z.number().min(0).optional(),
  /** Public addresses in force. */
  addresses: z.array(z.string()).max(8),
  listeners: z
    .array(z.object({ protocol: z.string(), port: z.int(), realm: z.string().max(127).optional() }))
    .max(32),
  /** Ids of the credential keys that verify, the signing one first. */
  keyIds: z.array(z.string()).max(16),
  /** SHA-256 of the certificate in use, hex, and its end. */
  tls: z.object({ fingerprint: z.string(), notAfterMs: z.number() }).optional(),
  /** Why the newest configuration, keys or certificate was refused; the last good one serves. */
  problems: z.array(z.object({ reason: z.string().max(64), message: z.string().max(1024) })).max(16),
  /** Generation of the revocations in force. */
  revocations: z.int().min(0).optional(),
  /** Where the operator asked for them. */
  events: eventBatch.optional(),
  rssBytes: z.number().min(0),
  cpuSecondsTotal: z.number().min(0),
})

export const directives = z.object({
  drain: z.boolean(),
  /** Where a draining relay sends new clients, best first. */
  alternates: z.array(alternate).max(ALTERNATES_MAX),
  intervalSeconds: z.number().min(0.2).max(60),
  /** Whether reports are to carry allocation events; absent: no. */
  events: z.boolean().optional(),
  /** Replaces the relay's where its generation is higher; absent: it has the newest. */
  revocations: revocationList.optional(),
})

export type LoadReport = z.infer<typeof loadReport>
export type Directives = z.infer<typeof directives>

/** Audience of the projected service-account token that authenticates a report. */
export const REPORT_TOKEN_AUDIENCE = 'turnfleet.dev/operator'
