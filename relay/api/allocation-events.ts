import { z } from 'zod'

/** Events that one report carries; what does not fit waits for the next. */
export const EVENTS_PER_REPORT_MAX = 250

/** What happened to an allocation, as JSON: a line of a relay's `/events`, and of its reports. */
const allocationEvent = z.object({
  kind: z.enum(['opened', 'refreshed', 'closed']),
  /** Unix milliseconds. */
  atMs: z.number(),
  /** Grows by one an event within a process of the relay. */
  sequence: z.int().min(1),
  /** Process-unique number of the allocation. */
  allocation: z.int(),
  username: z.string().max(1024),
  keyId: z.string().max(128),
  realm: z.string().max(256),
  transport: z.string().max(16),
  client: z.string().max(64),
  relayed: z.array(z.string().max(64)).max(8),
  /** Of `refreshed` and `closed`: since it was opened, both directions by who sent. */
  traffic: z
    .object({
      durationMs: z.number(),
      clientBytes: z.number(),
      clientPackets: z.number(),
      peerBytes: z.number(),
      peerPackets: z.number(),
    })
    .optional(),
  /** Of `refreshed`. */
  lifetimeSeconds: z.int().optional(),
  /** Of `closed`: refresh-zero, expired, link-closed, revoked, relay-failed or shutdown. */
  reason: z.string().max(32).optional(),
})

/** Events since the last report that was answered; `dropped` counts those that were lost since the relay's start. */
export const eventBatch = z.object({
  dropped: z.int().min(0),
  events: z.array(allocationEvent).max(EVENTS_PER_REPORT_MAX),
})

export type AllocationEventJson = z.infer<typeof allocationEvent>
export type EventBatch = z.infer<typeof eventBatch>
