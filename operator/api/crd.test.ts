import assert from 'node:assert/strict'
import { test } from 'node:test'
import { customResourceDefinition, type Schema, specSchema, statusSchema } from './crd.ts'
import { turnClusterSpec } from './turn-cluster.ts'

function* fieldsOf(schema: Schema, path: string): Generator<[string, Schema]> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield [`${path}.${name}`, field]
    yield* fieldsOf(field, `${path}.${name}`)
    if (field.items) yield* fieldsOf(field.items, `${path}.${name}[]`)
  }
}

const everyField = [...fieldsOf(specSchema(), 'spec'), ...fieldsOf(statusSchema(), 'status')]

test('every field says what it means', () => {
  assert.deepEqual(
    everyField
      .filter(([, field]) => !field.description || !/[.)]$/.test(field.description))
      .map(([path]) => path),
    [],
  )
})

test('every list, map and free string has a bound, so that the cost of the rules has one', () => {
  const unbounded = everyField.filter(([, field]) => {
    if (field.type === 'array') return field.maxItems === undefined
    if (field.additionalProperties) return field.maxProperties === undefined
    return (
      field.type === 'string' && !field.enum && field.maxLength === undefined && field.format === undefined
    )
  })
  assert.deepEqual(
    unbounded.map(([path]) => path),
    [],
  )
})

test('the schema holds nothing that a structural schema may not', () => {
  const text = JSON.stringify(customResourceDefinition())
  for (const word of [
    '$schema',
    '$ref',
    '"const"',
    '"additionalProperties":false',
    'oneOf',
    'propertyNames',
  ]) {
    assert.ok(!text.includes(word), word)
  }
})

test('the defaults of the schema are those of the parser', () => {
  const { realm: _realm, ...parsed } = turnClusterSpec.parse({ realm: 'a' })
  const properties = Object.entries(specSchema().properties ?? {})
  const defaults = Object.fromEntries(
    properties
      .filter(([, field]) => field.default !== undefined)
      .map(([name, field]) => [name, field.default]),
  )
  assert.deepEqual(defaults, parsed)
})

test('listeners have no default in the schema, where it would come back into the list that a user applies', () => {
  assert.equal(specSchema().properties?.listeners?.default, undefined)
})

test('scale, status and the printer columns are there', () => {
  const [version] = customResourceDefinition().spec.versions
  assert.deepEqual(version?.subresources.scale, {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  })
  assert.deepEqual(
    version?.additionalPrinterColumns.map(({ name }) => name),
    ['Ready', 'Relays', 'Draining', 'Allocations', 'Util%', 'Reason', 'Age'],
  )
})
