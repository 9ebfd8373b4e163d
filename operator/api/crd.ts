import { z } from 'zod'
import { MAX_CLUSTER_NAME, SPEC_RULES, TRANSITION_RULES } from './rules.ts'
import { turnClusterStatus } from './status.ts'
import { GROUP, KIND, PLURAL, turnClusterSpec, VERSION } from './turn-cluster.ts'

/** A structural OpenAPI v3 schema as Kubernetes wants it. */
export interface Schema {
  type?: string
  description?: string
  default?: unknown
  enum?: unknown[]
  format?: string
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  maxItems?: number
  minItems?: number
  maxProperties?: number
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  additionalProperties?: Schema
  anyOf?: Schema[]
  'x-kubernetes-int-or-string'?: boolean
  'x-kubernetes-preserve-unknown-fields'?: boolean
  'x-kubernetes-validations'?: Validation[]
  'x-kubernetes-list-type'?: string
  'x-kubernetes-list-map-keys'?: string[]
}

interface Validation {
  rule: string
  message: string
  messageExpression?: string
}

/** Schema of `spec`, with the rules as CEL where they stand. */
export function specSchema(): Schema {
  const schema = structural(z.toJSONSchema(turnClusterSpec, { io: 'input', target: 'openapi-3.0' }) as Schema)
  for (const rule of SPEC_RULES) {
    const validation: Validation = { rule: rule.cel, message: rule.message }
    if (rule.messageCel) validation.messageExpression = rule.messageCel
    validationsAt(schema, rule.at).push(validation)
  }
  for (const { at, cel, message } of TRANSITION_RULES) validationsAt(schema, at).push({ rule: cel, message })
  return schema
}

export function statusSchema(): Schema {
  return structural(z.toJSONSchema(turnClusterStatus, { io: 'input', target: 'openapi-3.0' }) as Schema)
}

/** The CustomResourceDefinition of TurnCluster. */
export function customResourceDefinition() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      names: {
        kind: KIND,
        listKind: `${KIND}List`,
        plural: PLURAL,
        singular: KIND.toLowerCase(),
        shortNames: ['tc'],
        categories: ['turn'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: rootSchema() },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: PRINTER_COLUMNS,
        },
      ],
    },
  }
}

const READY = '.status.conditions[?(@.type=="Ready")]'
const PRINTER_COLUMNS = [
  {
    name: 'Ready',
    type: 'string',
    jsonPath: `${READY}.status`,
    description: 'Whether clients can be served.',
  },
  {
    name: 'Relays',
    type: 'integer',
    jsonPath: '.status.readyReplicas',
    description: 'Relays that clients are sent to.',
  },
  {
    name: 'Draining',
    type: 'integer',
    jsonPath: '.status.drainingReplicas',
    description: 'Relays that drain.',
  },
  {
    name: 'Allocations',
    type: 'integer',
    jsonPath: '.status.allocations.active',
    description: 'Live allocations.',
  },
  {
    name: 'Util%',
    type: 'integer',
    jsonPath: '.status.utilizationPercent',
    description: 'Share of the capacity in use.',
  },
  { name: 'Reason', type: 'string', jsonPath: `${READY}.reason`, description: 'Why it is ready, or is not.' },
  {
    name: 'Age',
    type: 'date',
    jsonPath: '.metadata.creationTimestamp',
    description: 'Time since it was created.',
  },
]

function rootSchema(): Schema {
  return {
    type: 'object',
    description: 'A fleet of TURN relays with public addresses, under one realm and one ring of keys.',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
      kind: { type: 'string', description: 'Kind of this object.' },
      metadata: { type: 'object' },
      spec: { ...specSchema(), description: 'The fleet that is wanted.' },
      status: { ...statusSchema(), description: 'The fleet that there is; written by the operator.' },
    },
    'x-kubernetes-validations': [
      {
        rule: `self.metadata.name.size() <= ${MAX_CLUSTER_NAME}`,
        message: `metadata.name may have at most ${MAX_CLUSTER_NAME} characters: the names of the pods begin with it`,
      },
    ],
  }
}

/** Turns what zod writes into what Kubernetes accepts. */
function structural(schema: Schema): Schema {
  const result: Schema = { ...schema }
  if (isIntOrString(schema)) {
    delete result.type
    result.anyOf = [{ type: 'integer' }, { type: 'string' }]
    result['x-kubernetes-int-or-string'] = true
    return result
  }
  if (schema.type === 'integer') result.format = 'int64'
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete result.maximum
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete result.minimum
  if (schema.type === 'array') result['x-kubernetes-list-type'] ??= 'atomic'
  if (schema.items) result.items = structural(schema.items)
  if (schema.properties) {
    result.properties = Object.fromEntries(
      Object.entries(schema.properties).map(([name, property]) => [name, structural(property)]),
    )
    if (schema.default !== undefined) result.default = filledDefault(result)
  }
  if (schema.additionalProperties) {
    if (Object.keys(schema.additionalProperties).length === 0) {
      delete result.additionalProperties
      result['x-kubernetes-preserve-unknown-fields'] = true
    } else {
      result.additionalProperties = structural(schema.additionalProperties)
    }
  }
  return result
}

/** The API server judges a default before it fills in what lies deeper, so the default must be whole. */
function filledDefault(schema: Schema): Record<string, unknown> {
  const entries = Object.entries(schema.properties ?? {}).filter(
    ([, property]) => property.default !== undefined,
  )
  return Object.fromEntries(entries.map(([name, property]) => [name, property.default]))
}

function isIntOrString(schema: Schema): boolean {
  return (
    schema.anyOf?.length === 2 && schema.anyOf[0]?.type === 'integer' && schema.anyOf[1]?.type === 'string'
  )
}

function validationsAt(schema: Schema, at: string): Validation[] {
  let place: Schema | undefined = schema
  for (const part of at.split('.').filter((name) => name !== '')) {
    place = place?.properties?.[part.replace('[]', '')]
    if (part.endsWith('[]')) place = place?.items
  }
  if (!place) throw new Error(`a rule stands at ${at}, where the schema has no field`)
  place['x-kubernetes-validations'] ??= []
  return place['x-kubernetes-validations']
}
