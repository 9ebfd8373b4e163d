import { z } from 'zod'
import { challengeProblem, credentialsConfig } from './credentials-config.ts'
import { peerPolicyName } from './signed-credential.ts'

/** Realms beside the default one: the block `realms` of a relay's configuration file. */

export const realmName = z.string().min(1).max(127)

const allocations = z.int().min(1).max(65_536).optional()

const furtherRealm = z.strictObject({
  realm: realmName.describe('Name of the realm.'),
  credentials: credentialsConfig
    .omit({ revocationsFile: true })
    .extend({
      deriveKeys: z
        .boolean()
        .default(false)
        .describe(
          'Makes keys of the realm from those of the default one, so that a fleet keeps one ring: see docs/credentials.md.',
        ),
    })
    .prefault({})
    .describe(
      'Who may use the relay by this realm; nobody of another one. Of a keysFile the nonceKeys are not used.',
    ),
  origins: z
    .array(
      z
        .string()
        .max(267)
        .regex(/^[a-z][a-z0-9+.-]*:\/\/[^/]+$/, 'must be an origin such as https://app.example.org'),
    )
    .max(64)
    .default([])
    .describe('Values of ORIGIN whose clients are challenged for this realm. No browser sends it.'),
  serverNames: z
    .array(
      z
        .string()
        .max(253)
        .regex(/^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/, 'must be a DNS name, or one behind "*."'),
    )
    .max(64)
    .default([])
    .describe(
      'Names that clients of TLS and DTLS ask for who are challenged for this realm: the host of their turns: URL.',
    ),
  peerPolicy: peerPolicyName
    .optional()
    .describe('The policy of peerPolicies that holds for its clients in place of peers.'),
  limits: z
    .strictObject({
      allocations: allocations.describe('Allocations of all its users.'),
      allocationsPerUser: allocations.describe(
        'Allocations of one of its users, where that is fewer than elsewhere.',
      ),
    })
    .prefault({})
    .describe('Limits beside those of the relay.'),
})

export const furtherRealms = z.array(furtherRealm).max(16)

export type FurtherRealm = z.infer<typeof furtherRealm>

/** What of a configuration realms depend on. */
interface Surroundings {
  readonly realm: string
  readonly realms: readonly FurtherRealm[]
  readonly peerPolicies: readonly { readonly name: string }[]
  readonly listeners: readonly { readonly port: number; readonly realm?: string | undefined }[]
}

/** What is wrong with the realms of a configuration, each with its path. */
export function realmProblems({
  realm,
  realms,
  peerPolicies,
  listeners,
}: Surroundings): [(string | number)[], string][] {
  const names = [realm, ...realms.map((one) => one.realm)]
  const problems: [(string | number)[], string][] = []
  for (const [index, one] of realms.entries()) {
    const path = ['realms', index]
    if (names.indexOf(one.realm) < index + 1)
      problems.push([[...path, 'realm'], `"${one.realm}" stands there twice`])
    const challenge = challengeProblem(one.realm, one.credentials)
    if (challenge) problems.push([[...path, 'credentials', 'thirdParty'], challenge])
    if (one.peerPolicy !== undefined && !peerPolicies.some(({ name }) => name === one.peerPolicy))
      problems.push([[...path, 'peerPolicy'], `peerPolicies has no "${one.peerPolicy}"`])
  }
  for (const [index, listener] of listeners.entries()) {
    if (listener.realm === undefined) continue
    const path = ['listeners', index, 'realm']
    if (!names.includes(listener.realm)) problems.push([path, `realms has no "${listener.realm}"`])
    if (listener.port === 0) problems.push([path, 'needs a port that is not left to the system'])
  }
  return problems
}
