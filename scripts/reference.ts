import { z } from 'zod'
import { type Schema, specSchema, statusSchema } from '../operator/api/crd.ts'
import { SPEC_RULES, TRANSITION_RULES } from '../operator/api/rules.ts'
import { relayConfig } from '../relay/api/config.ts'
import { type MetricSpec, RELAY_METRICS } from '../relay/api/metrics.ts'
import { DROPS } from '../relay/turn/drops.ts'
import { OTHER_PEER_RULES } from '../relay/turn/peer-policy.ts'
import { REFUSALS } from '../relay/turn/refusals.ts'
import { SPECIAL_RULES } from '../relay/turn/special-networks.ts'

/** Every field of the TurnCluster and of the relay's configuration file, and every reason, as Markdown. */
export function reference(): string {
  const relay = z.toJSONSchema(relayConfig, { io: 'input', target: 'openapi-3.0' }) as Schema
  const parts = [
    '# Reference',
    'This page is generated from the schemas by `npm run generate`.',
    '## TurnCluster: `spec`',
    table(specSchema()),
    'The API server also refuses a spec in these cases:',
    [...SPEC_RULES, ...TRANSITION_RULES].map((rule) => `- ${rule.message}`).join('\n'),
    '## TurnCluster: `status`',
    table(statusSchema()),
    '## Configuration file of a relay',
    table(relay),
    '## Metrics of a relay',
    'Served by `/metrics` of its control port. Beside them come those of the process, `turnfleet_relay_process_…` and `turnfleet_relay_nodejs_…`.',
    metrics(),
    '## Why a request is refused',
    'The label `reason` of `turnfleet_relay_refusals_total`, and the field `reason` of the log line `request refused`.',
    refusals(),
    '### Rules that refuse a peer',
    'The label `rule` of `turnfleet_relay_refused_peers_total`. Of a 403 the field `reason` of the log line carries the rule too, as `peer-special:private-use`, and `network` the entry or block.',
    peerRules(),
    '## Why a packet is dropped',
    'The label `reason` of `turnfleet_relay_drops_total`. Dropped packets are counted and not logged.',
    drops(),
  ]
  return `${parts.join('\n\n')}\n`
}

function metrics(): string {
  const rows = Object.entries<MetricSpec>(RELAY_METRICS).map(([name, { kind, labels = [], help }]) =>
    row([`\`${name}\``, kind, labels.map((label) => `\`${label}\``).join(', '), `${help}.`]),
  )
  return ['| Metric | Kind | Labels | Meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function refusals(): string {
  const rows = Object.entries(REFUSALS).map(([reason, { code, means, remedy }]) =>
    row([`\`${reason}\``, String(code), means, remedy]),
  )
  return ['| Reason | Code | Meaning | What to do |', '|---|---|---|---|', ...rows].join('\n')
}

function peerRules(): string {
  const others = Object.entries(OTHER_PEER_RULES)
  const special = Object.entries(SPECIAL_RULES).map(([rule, networks]) => [rule, `${networks.join(', ')}.`])
  const rows = [...others, ...special].map(([rule, what = '']) => row([`\`${rule}\``, what]))
  return ['| Rule | Refuses |', '|---|---|', ...rows].join('\n')
}

function drops(): string {
  const rows = Object.entries(DROPS).map(([reason, means]) => row([`\`${reason}\``, means]))
  return ['| Reason | Meaning |', '|---|---|', ...rows].join('\n')
}

function table(schema: Schema): string {
  const rows = fields(schema, '').map(row)
  return ['| Field | Type | Default | Meaning |', '|---|---|---|---|', ...rows].join('\n')
}

function fields(schema: Schema, prefix: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = `${prefix}${name}`
    const required = schema.required?.includes(name) ?? false
    const own = [`\`${path}\``, typeOf(field), defaultOf(field, required), field.description ?? '']
    return [own, ...fields(field, `${path}.`), ...(field.items ? fields(field.items, `${path}[].`) : [])]
  })
}

function typeOf(field: Schema): string {
  if (field.enum) return field.enum.map((value) => `\`${value}\``).join(', ')
  if (field.anyOf) return [...new Set(field.anyOf.map(typeOf))].join(' or ')
  if (field.type === 'array') return `list of ${typeOf(field.items ?? {})}`
  if (field.additionalProperties && Object.keys(field.additionalProperties).length > 0) {
    return `map of ${typeOf(field.additionalProperties)}`
  }
  const bounds = [field.minimum, field.maximum].map((bound) =>
    bound === undefined || Math.abs(bound) === Number.MAX_SAFE_INTEGER ? undefined : bound,
  )
  const type = field.type ?? 'any'
  if (bounds.every((bound) => bound === undefined)) return type
  return `${type}, ${bounds[0] ?? ''}…${bounds[1] ?? ''}`
}

function defaultOf(field: Schema, required: boolean): string {
  if (required) return 'required'
  if (field.default === undefined) return ''
  // The default of a block stands at its fields, unless they have none of their own.
  const fields = Object.values(field.properties ?? {})
  if (field.type === 'object' && fields.some((each) => each.default !== undefined)) return ''
  if (JSON.stringify(field.default) === '{}') return ''
  return `\`${JSON.stringify(field.default)}\``
}

function row(cells: readonly string[]): string {
  return `| ${cells.map(cell).join(' | ')} |`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
