import { z } from 'zod'
import { type Schema, specSchema } from './crd.ts'
import { brokenName, brokenRules } from './rules.ts'
import { turnClusterStatus } from './status.ts'
import { GROUP, KIND, type TurnCluster, turnClusterSpec, VERSION } from './turn-cluster.ts'

export type ParsedTurnCluster = { cluster: TurnCluster } | { errors: string[] }

const envelope = z.object({
  apiVersion: z.literal(`${GROUP}/${VERSION}`),
  kind: z.literal(KIND),
  metadata: z.object({
    name: z.string().min(1),
    namespace: z.string().min(1).default('default'),
    uid: z.string().default(''),
    generation: z.int().default(1),
    resourceVersion: z.string().optional(),
    deletionTimestamp: z.union([z.string(), z.date()]).nullish(),
    labels: z.record(z.string(), z.string()).nullish(),
    annotations: z.record(z.string(), z.string()).nullish(),
  }),
  spec: z.unknown().optional(),
  status: z.unknown().optional(),
})

/**
 * Reads a TurnCluster from the API or from a file and fills in its defaults. `unknownFields: 'refuse'` finds
 * typing errors in a file; objects of the API may have fields of a newer version. A status that cannot be read
 * counts as none: the operator writes it anew.
 */
export function parseTurnCluster(
  raw: unknown,
  unknownFields: 'refuse' | 'ignore' = 'ignore',
): ParsedTurnCluster {
  const outer = envelope.safeParse(raw)
  if (!outer.success) return { errors: outer.error.issues.map((issue) => issueMessage(issue, '')) }
  const { metadata, spec: rawSpec = {}, status: rawStatus } = outer.data
  const unknown = unknownFields === 'refuse' ? unknownFieldsOf(rawSpec, specSchema(), 'spec') : []
  const spec = turnClusterSpec.safeParse(rawSpec)
  if (!spec.success)
    return { errors: [...spec.error.issues.map((issue) => issueMessage(issue, 'spec')), ...unknown] }
  const name = brokenName(metadata.name)
  const errors = [...(name ? [name] : []), ...brokenRules(spec.data), ...unknown]
  if (errors.length > 0) return { errors }
  const status = turnClusterStatus.safeParse(rawStatus)
  return { cluster: { metadata: objectMeta(metadata), spec: spec.data, status: status.data ?? {} } }
}

function objectMeta(metadata: z.infer<typeof envelope>['metadata']): TurnCluster['metadata'] {
  const { name, namespace, uid, generation, resourceVersion, deletionTimestamp, labels, annotations } =
    metadata
  const deletedAt = deletionTimestamp instanceof Date ? deletionTimestamp.toISOString() : deletionTimestamp
  return {
    name,
    namespace,
    uid,
    generation,
    ...(resourceVersion !== undefined && { resourceVersion }),
    ...(deletedAt && { deletionTimestamp: deletedAt }),
    ...(labels && { labels }),
    ...(annotations && { annotations }),
  }
}

function issueMessage(issue: z.core.$ZodIssue, prefix: string): string {
  const parts = [...(prefix ? [prefix] : []), ...issue.path.map(String)]
  const path = parts.reduce(
    (text, part) => (/^\d+$/.test(part) ? `${text}[${part}]` : text ? `${text}.${part}` : part),
    '',
  )
  return `${path || 'the object'}: ${issue.message}`
}

function unknownFieldsOf(value: unknown, schema: Schema, path: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => unknownFieldsOf(item, schema.items ?? {}, `${path}[${index}]`))
  }
  if (typeof value !== 'object' || value === null || !schema.properties) return []
  return Object.entries(value).flatMap(([name, field]) => {
    const known = schema.properties?.[name]
    if (known) return unknownFieldsOf(field, known, `${path}.${name}`)
    return [`${path}.${name}: there is no such field`]
  })
}
