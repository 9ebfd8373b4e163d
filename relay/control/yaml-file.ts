import { basename } from 'node:path'
import { type Document, isCollection, isMap, isPair, isScalar, LineCounter, parseDocument, visit } from 'yaml'
import type { z } from 'zod'

/** A file that was refused: one line for each fault, `relay.yaml:12: listeners[0].port: …`. */
export class FileRefused extends Error {
  override readonly name = 'FileRefused'
}

const MAX_FAULTS = 20

/** Reads YAML text by a schema, an empty one as `{}`; throws FileRefused with the line and field of every fault. */
export function parseYaml<S extends z.ZodType>(
  file: string,
  text: string,
  schema: S,
  empty: unknown = {},
): z.output<S> {
  const lines = new LineCounter()
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    logLevel: 'error',
  })
  const name = basename(file)
  const fault = (offset: number | undefined, what: string) =>
    `${name}:${offset === undefined ? 1 : lines.linePos(offset).line}: ${what}`
  if (document.errors.length > 0) {
    throw refused(document.errors.map((error) => fault(error.pos[0], `not valid YAML: ${error.message}`)))
  }
  const content = contentOf(document, fault) ?? empty
  const result = schema.safeParse(content, { reportInput: true })
  if (result.success) return result.data
  throw refused(
    result.error.issues.flatMap(faultsOf).map(({ path, message }) => {
      const field = fieldText(path)
      return fault(offsetOf(document.contents, path), field ? `${field}: ${message}` : message)
    }),
  )
}

/** Aliases are only followed here: one without an anchor, or too many of them, is the file's fault too. */
function contentOf(
  document: Document.Parsed,
  fault: (offset: number | undefined, what: string) => string,
): unknown {
  try {
    return document.toJS()
  } catch (error) {
    let offset: number | undefined
    visit(document, {
      Alias: (_key, alias) => {
        if (!alias.resolve(document)) offset ??= alias.range?.[0]
      },
    })
    throw refused([fault(offset, `not valid YAML: ${(error as Error).message}`)])
  }
}

interface Fault {
  readonly path: PropertyKey[]
  readonly message: string
}

function refused(faults: string[]): FileRefused {
  const more = faults.length - MAX_FAULTS
  return new FileRefused(
    [...faults.slice(0, MAX_FAULTS), ...(more > 0 ? [`… and ${more} more`] : [])].join('\n'),
  )
}

/** One fault a field: an unknown key is a fault of its own line. */
function faultsOf(issue: z.core.$ZodIssue): Fault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...issue.path, key], message: 'there is no such field' }))
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return [{ path: issue.path, message: 'is missing' }]
  }
  return [{ path: issue.path, message: issue.message }]
}

/** `listeners[0].port` */
function fieldText(path: readonly PropertyKey[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index > 0 ? '.' : ''}${String(part)}`))
    .join('')
}

/** Where a field stands, or where the nearest block around it does. */
function offsetOf(root: unknown, path: readonly PropertyKey[]): number | undefined {
  let node = root
  let offset: number | undefined
  for (const part of path) {
    const child = childOf(node, part)
    if (!child) break
    offset = child.offset ?? offset
    node = child.value
  }
  return offset
}

function childOf(
  node: unknown,
  part: PropertyKey,
): { offset: number | undefined; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === part)
    return pair && { offset: isScalar(pair.key) ? pair.key.range?.[0] : undefined, value: pair.value }
  }
  if (!isCollection(node) || typeof part !== 'number') return undefined
  const item = node.items[part]
  return isCollection(item) || isScalar(item) ? { offset: item.range?.[0], value: item } : undefined
}
