import { z } from 'zod'
import { CONDITION_TYPES, RELAY_STATES } from './turn-cluster.ts'

/** `status` of a TurnCluster: what the operator found and decided. */

/** Entries of `status.relays`; further relays are only counted. */
export const MAX_STATUS_RELAYS = 100

const count = z.int().min(0)

const condition = z.object({
  type: z.enum(CONDITION_TYPES).describe('Name of the condition.'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  reason: z.string().max(64).describe('Why, as one CamelCase word.'),
  message: z.string().max(2048).describe('Why, and what to do, as a sentence.'),
  observedGeneration: count.describe('Generation of the spec that this is about.'),
  lastTransitionTime: z.string().meta({ format: 'date-time' }).describe('When its status changed last.'),
})

const relay = z.object({
  name: z.string().max(253).describe('Name of the pod.'),
  node: z.string().max(253).optional().describe('Node that it runs on.'),
  address: z.string().max(64).optional().describe('Its first public address.'),
  state: z.enum(RELAY_STATES).describe('Where it is between Pending and Drained.'),
  reason: z.string().max(64).optional().describe('Why it is in that state, where it is not Ready.'),
  allocations: count.optional().describe('Live allocations; absent while they are unknown.'),
})

export const turnClusterStatus = z.object({
  observedGeneration: count.optional().describe('Generation of the spec that this status is about.'),
  conditions: z
    .array(condition)
    .max(16)
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] })
    .optional()
    .describe(
      'Ready, Progressing, Degraded, AddressesResolved, TLSReady, CredentialsReady, ScalingLimited, NetworksKnown.',
    ),
  replicas: count.optional().describe('Relays that exist, draining ones too.'),
  readyReplicas: count.optional().describe('Relays that clients are sent to.'),
  drainingReplicas: count
    .optional()
    .describe('Relays that take no new clients and wait for their last one to leave.'),
  selector: z.string().max(1024).optional().describe('Label selector of the relay pods, for /scale.'),
  allocations: z
    .object({
      active: count.describe('Live allocations on relays that are not draining.'),
      draining: count.describe('Live allocations on draining relays.'),
      capacity: count.describe('Allocations that the ready relays can carry.'),
    })
    .optional()
    .describe('Live allocations of the fleet.'),
  utilizationPercent: count.optional().describe('Active allocations as a percentage of the capacity.'),
  autoscaling: z
    .object({
      desired: count.describe('Number of relays wanted.'),
      binding: z.string().max(64).describe('Which constraint decided.'),
      message: z.string().max(1024).describe('The decision in words.'),
      time: z.string().meta({ format: 'date-time' }).describe('When it was decided.'),
    })
    .optional()
    .describe('The last scaling decision.'),
  relays: z.array(relay).max(MAX_STATUS_RELAYS).optional().describe('The relays, at most 100 of them.'),
  relaysOmitted: count.optional().describe('Relays that are not in the list.'),
  uris: z.array(z.string().max(512)).max(64).optional().describe('TURN URIs of the first ready relays.'),
})
