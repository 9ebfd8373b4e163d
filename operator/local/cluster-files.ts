import { readFile } from 'node:fs/promises'
import { type Document, LineCounter, parseAllDocuments } from 'yaml'
import { parseTurnCluster } from '../api/defaults.ts'
import { canonicalJson, contentHash } from '../api/hash.ts'
import type { TurnCluster } from '../api/turn-cluster.ts'

export interface ReadClusters {
  clusters: TurnCluster[]
  /** Sentences that begin with file and line. */
  problems: string[]
}

/** Reads the TurnClusters of a file; what is wrong in one document does not stop the others. */
export async function readClusterFile(path: string): Promise<ReadClusters> {
  try {
    return parseClusters(path, await readFile(path, 'utf8'))
  } catch (error) {
    return { clusters: [], problems: [`${path}: ${(error as Error).message}`] }
  }
}

export function parseClusters(path: string, text: string): ReadClusters {
  const lines = new LineCounter()
  const read: ReadClusters = { clusters: [], problems: [] }
  for (const document of parseAllDocuments(text, { lineCounter: lines })) {
    if (!('errors' in document)) continue
    const { cluster, problems } = parseDocument(document)
    if (cluster) read.clusters.push(cluster)
    for (const { offset, message } of problems) {
      read.problems.push(`${path}:${lines.linePos(offset).line}: ${message}`)
    }
  }
  if (read.clusters.length === 0 && read.problems.length === 0) {
    read.problems.push(`${path}: there is no TurnCluster in this file`)
  }
  return read
}

interface Problem {
  offset: number
  message: string
}

function parseDocument(document: Document.Parsed): { cluster?: TurnCluster; problems: Problem[] } {
  const [error] = document.errors
  if (error) {
    return { problems: [{ offset: error.pos[0], message: error.message.split('\n', 1)[0] ?? 'is not YAML' }] }
  }
  const raw: unknown = document.toJS()
  if (raw === null) return { problems: [] }
  const parsed = parseTurnCluster(raw, 'refuse')
  if ('cluster' in parsed) return { cluster: withGeneration(parsed.cluster), problems: [] }
  return { problems: parsed.errors.map((message) => ({ offset: offsetOf(document, message), message })) }
}

/** Files have no API server that counts generations: the hash of the spec stands for it. */
function withGeneration(cluster: TurnCluster): TurnCluster {
  const { namespace, name } = cluster.metadata
  const generation = Number.parseInt(contentHash(canonicalJson(cluster.spec)).slice(0, 8), 16)
  return {
    ...cluster,
    metadata: { ...cluster.metadata, uid: contentHash(`${namespace}/${name}`), generation },
  }
}

/** Where in the file the field lies that a message begins with, or the part of its path that exists. */
function offsetOf(document: Document.Parsed, message: string): number {
  const [field = ''] = message.split(/[: ]/, 1)
  const path = field.split(/[.[\]]+/).filter((part) => part !== '')
  for (const candidate of [path, ['spec', ...path]]) {
    const found = deepest(document, candidate)
    if (found !== undefined) return found
  }
  return document.range[0]
}

function deepest(document: Document.Parsed, path: string[]): number | undefined {
  for (let length = path.length; length > 0; length--) {
    const keys = path.slice(0, length).map((part) => (/^\d+$/.test(part) ? Number(part) : part))
    const node: unknown = document.getIn(keys, true)
    const range = typeof node === 'object' && node && 'range' in node ? node.range : undefined
    if (Array.isArray(range) && typeof range[0] === 'number') return range[0]
  }
  return undefined
}
