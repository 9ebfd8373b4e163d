import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TurnClusterStatus } from '../../operator/api/turn-cluster.ts'
import { command, until } from '../cluster/command.ts'
import { INTERNET } from '../cluster/network.ts'
import { nodeLogs } from '../cluster/node.ts'
import type { World } from './world.ts'

/** What the scenarios ask and tell the installed turnfleet. */

/** Namespace of the release. */
export const OPERATOR_NAMESPACE = 'turnfleet-system'
/** Namespace of the TurnClusters. */
export const NAMESPACE = 'turn'
/** Name of the release, and so of the operator's Deployment, Service and account. */
export const OPERATOR = 'turnfleet'

/** Text of a TurnCluster; documentation addresses are not public ones, so that the test's internet is allowed. */
export function turnCluster(name: string, spec: Record<string, unknown>): string {
  return JSON.stringify({
    apiVersion: 'turnfleet.dev/v1alpha1',
    kind: 'TurnCluster',
    metadata: { name, namespace: NAMESPACE },
    spec: { realm: 'turn.example.org', peers: { allow: [INTERNET] }, ...spec },
  })
}

/** Applies a TurnCluster and answers after how many milliseconds `kubectl wait` saw it Ready. */
export async function applyAndWait({ plane }: World, manifest: string): Promise<number> {
  const { name } = (JSON.parse(manifest) as { metadata: { name: string } }).metadata
  const startedAt = performance.now()
  await plane.kubectl(['apply', '-f', '-'], manifest)
  await plane.kubectl([
    'wait',
    '-n',
    NAMESPACE,
    '--for=condition=Ready',
    `turncluster/${name}`,
    '--timeout=60s',
  ])
  return performance.now() - startedAt
}

export async function statusOf({ plane }: World, name: string): Promise<TurnClusterStatus> {
  const object = await plane.kubectl(['get', '-n', NAMESPACE, 'turncluster', name, '-o', 'json'])
  return (JSON.parse(object) as { status?: TurnClusterStatus }).status ?? {}
}

/** Names of the relay pods of a cluster that are there, going or not. */
export async function relayPods(
  { plane }: World,
  name: string,
): Promise<{ name: string; node: string; going: boolean }[]> {
  const selector = `turnfleet.dev/cluster=${name}`
  const list = await plane.kubectl(['get', '-n', NAMESPACE, 'pods', '-l', selector, '-o', 'json'])
  const { items } = JSON.parse(list) as {
    items: { metadata: { name: string; deletionTimestamp?: string }; spec: { nodeName?: string } }[]
  }
  return items.map(({ metadata, spec }) => ({
    name: metadata.name,
    node: spec.nodeName ?? '',
    going: metadata.deletionTimestamp !== undefined,
  }))
}

export interface Ice {
  iceServers: { urls: string[]; username: string; credential: string }[]
  ttl: number
}

/** The credentials endpoint as an application's server calls it. */
export class IceEndpoint {
  readonly url: string
  readonly #ca: string
  readonly #apiKey: string

  constructor(url: string, ca: string, apiKey: string) {
    this.url = url
    this.#ca = ca
    this.#apiKey = apiKey
  }

  async ask(cluster: string): Promise<Ice> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${this.#apiKey}` }
    const sent = request(`${this.url}/v1/ice`, { method: 'POST', ca: this.#ca, headers, agent: false })
    sent.end(JSON.stringify({ cluster: `${NAMESPACE}/${cluster}`, user: 'load' }))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const body = await text(response)
    if (response.statusCode !== 200) throw new Error(`/v1/ice answered ${response.statusCode}: ${body}`)
    return JSON.parse(body) as Ice
  }
}

/** Addresses of the relays that an answer names. */
export function addressesOf({ iceServers }: Ice): string[] {
  return [...new Set(iceServers.flatMap(({ urls }) => urls.map((url) => url.split(':')[1]!)))].sort()
}

/** Writes of one service account to the API server, from the audit log, that are no mere questions. */
export async function writesOf(world: World, account: string, sinceMs: number): Promise<string[]> {
  return (await requestsOf(world, account))
    .filter(({ stageTimestamp }) => Date.parse(stageTimestamp) >= sinceMs)
    .filter(({ verb, objectRef }) => WRITING.has(verb) && !QUESTIONS.has(objectRef?.resource ?? ''))
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`)
}

/** What one service account has asked for without the right to it: the chart's RBAC lacks something. */
export async function refusalsOf(world: World, account: string): Promise<string[]> {
  return (await requestsOf(world, account))
    .filter(({ responseStatus }) => responseStatus?.code === 403)
    .map(({ verb, requestURI }) => `${verb} ${requestURI}`)
}

async function requestsOf({ plane }: World, account: string): Promise<AuditEvent[]> {
  const name = `system:serviceaccount:${OPERATOR_NAMESPACE}:${account}`
  const lines = (await readFile(join(plane.directory, 'audit.log'), 'utf8')).trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as AuditEvent).filter(({ user }) => user.username === name)
}

interface AuditEvent {
  verb: string
  requestURI: string
  stageTimestamp: string
  user: { username: string }
  objectRef?: { resource: string }
  responseStatus?: { code: number }
}

const WRITING = new Set(['create', 'update', 'patch', 'delete', 'deletecollection'])
/** Created, but never stored. */
const QUESTIONS = new Set(['tokenreviews', 'subjectaccessreviews'])

/** The process of the relay with that name; only the test's own processes are seen. */
export async function relayProcess(name: string): Promise<number> {
  const pids = (await command('pgrep', ['-f', '/app/relay/main.ts'])).trim().split('\n').map(Number)
  for (const pid of pids) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (environment.split('\0').includes(`TURNFLEET_RELAY_NAME=${name}`)) return pid
  }
  throw new Error(`no process of relay ${name} is found`)
}

/** Resident memory, in MiB, of the processes whose command line holds that pattern; only the test's own are seen. */
export async function residentMiB(pattern: string): Promise<number[]> {
  const pids = await command('pgrep', ['-f', pattern])
  const sizes = await Promise.all(
    pids
      .trim()
      .split('\n')
      .map(async (pid) => {
        const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
        return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
      }),
  )
  return sizes.filter((size) => size > 5).map((size) => Math.round(size))
}

/** Waits until a cluster has so many ready relays and no other. */
export async function untilRelays(
  world: World,
  name: string,
  count: number,
  timeoutMs: number,
): Promise<void> {
  await until(
    `${name} has ${count} ready relays`,
    async () => {
      const { readyReplicas, replicas } = await statusOf(world, name)
      return readyReplicas === count && replicas === count
    },
    { timeoutMs, everyMs: 500 },
  )
}

/** Everything that helps to understand a failure. */
export async function dump(world: World): Promise<string> {
  const { plane, nodes } = world
  const ask = (...args: string[]) =>
    plane.kubectl(args).catch((error: Error) => `${args.join(' ')}: ${error.message}`)
  const parts = [
    await ask('get', 'nodes,pods', '-A', '-o', 'wide'),
    await ask('get', 'turnclusters', '-A', '-o', 'yaml'),
    await ask('get', 'events', '-A', '--sort-by=.lastTimestamp'),
    await ask('logs', '-n', OPERATOR_NAMESPACE, '-l', 'app.kubernetes.io/component=operator', '--tail=80'),
    await ask('logs', '-n', NAMESPACE, '-l', 'app.kubernetes.io/component=relay', '--tail=40', '--prefix'),
  ]
  for (const node of nodes) parts.push(await nodeLogs(node, 8))
  return parts.join('\n')
}
