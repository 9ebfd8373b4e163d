import { z } from 'zod'

/** Realms beside the default one: `realms` of a TurnCluster. */

const allocations = z.int().min(1).max(65_536).optional()

const furtherRealm = z.object({
  realm: z.string().min(1).max(127).describe('Name of the realm.'),
  listeners: z
    .array(z.string().max(15))
    .max(8)
    .default([])
    .meta({ 'x-kubernetes-list-type': 'set' })
    .describe(
      'Names of the listeners whose clients are challenged for this realm. Browsers find a realm by its port only.',
    ),
  peerPolicy: z
    .string()
    .max(63)
    .optional()
    .describe('The policy of peerPolicies that holds for its clients in place of peers.'),
  limits: z
    .object({
      allocations: allocations.describe('Allocations of all its users, on one relay.'),
      allocationsPerUser: allocations.describe('Allocations of one of its users, on one relay.'),
    })
    .prefault({})
    .describe('Limits beside those of the relays.'),
})

export const furtherRealms = z
  .array(furtherRealm)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['realm'] })
  .default([])
  .describe(
    'Further realms on the same relays. Their keys are made of the key ring, one for each realm; /v1/ice gives a credential of the realm that is asked for.',
  )
