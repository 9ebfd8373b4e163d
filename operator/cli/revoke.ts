import { readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { printable } from '../fleet/probe-advice.ts'
import { type ApiAccess, askApi } from './api-request.ts'
import type { Output } from './check.ts'

const USAGE = `turnfleet revoke --api URL --cluster NAMESPACE/NAME (--user NAME | --tenant NAME | --key-id ID)
turnfleet revoke --api URL --cluster NAMESPACE/NAME (--list | --undo ID)

Ends the calls of a user, a tenant or everyone with credentials of a key, on every relay of a fleet, and
refuses those credentials until they could not be valid any more.

  --api URL              the turnfleet to ask, e.g. http://127.0.0.1:8080
  --api-key KEY          its API key with "revoke: true", or a Kubernetes token; or in TURNFLEET_API_KEY
  --cluster NS/NAME      the TurnCluster
  --for DURATION         refuse for so long, such as 90m or 48h, in place of the lifetime of credentials
  --list                 show what is revoked
  --undo ID              take a revocation back
  --ca FILE              trust the certificate authorities in this PEM file
  --insecure             accept any certificate

Exit status: 0 done and every relay has it, 1 done and not every relay has said so, 2 it cannot be done.
`

/** Relays that report every second have it by then. */
const PATIENCE_MS = 15_000
const LOOK_EVERY_MS = 100

/** A mistake in the command line. */
class UsageError extends Error {}

const view = z.object({
  generation: z.number(),
  revocation: z.object({ id: z.string() }).optional(),
  revocations: z.array(
    z.object({
      id: z.string(),
      user: z.string().optional(),
      tenant: z.string().optional(),
      keyId: z.string().optional(),
      until: z.string(),
    }),
  ),
  relays: z.object({ reporting: z.number(), acknowledged: z.number() }),
})

/** `turnfleet revoke`: returns the exit status. */
export async function runRevoke(
  args: readonly string[],
  out: Output,
  err: Output,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  try {
    const options = parse(args, env)
    if (options.help) {
      out.write(USAGE)
      return 0
    }
    return await carryOut(options, out)
  } catch (error) {
    err.write(`turnfleet revoke: ${error instanceof Error ? error.message : String(error)}\n`)
    if (error instanceof UsageError) err.write(`\n${USAGE}`)
    return 2
  }
}

function parse(args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        api: { type: 'string', default: '' },
        'api-key': { type: 'string', default: env.TURNFLEET_API_KEY ?? '' },
        cluster: { type: 'string', default: '' },
        user: { type: 'string' },
        tenant: { type: 'string' },
        'key-id': { type: 'string' },
        for: { type: 'string' },
        list: { type: 'boolean', default: false },
        undo: { type: 'string' },
        ca: { type: 'string' },
        insecure: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

async function carryOut(options: ReturnType<typeof parse>, out: Output): Promise<number> {
  const { api, cluster, user, tenant, 'key-id': keyId, list, undo, insecure } = options
  if (api === '' || !/^[^/]+\/[^/]+$/.test(cluster)) throw new UsageError('give --api and --cluster')
  const whom = { ...(user && { user }), ...(tenant && { tenant }), ...(keyId && { keyId }) }
  const wishes = [list, undo !== undefined, Object.keys(whom).length > 0].filter(Boolean)
  if (wishes.length !== 1) throw new UsageError('say whom to revoke, or --list, or --undo ID')
  const access = {
    api,
    apiKey: options['api-key'],
    tls: { insecure, ca: options.ca && (await readFile(options.ca, 'utf8')) },
  }
  const path = `/v1/clusters/${cluster}/revocations`
  if (list) return show(await ask(access, 'GET', path), out)
  const atMs = performance.now()
  const done = undo
    ? await ask(access, 'DELETE', `${path}/${encodeURIComponent(undo)}`)
    : await ask(access, 'POST', path, { ...whom, ...(options.for && { for: options.for }) })
  if (done.revocation) out.write(`revoked as ${done.revocation.id}\n`)
  return await untilAcknowledged(() => ask(access, 'GET', path), atMs, out)
}

async function ask(access: ApiAccess, method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) {
  const answer = view.safeParse(await askApi(access, { method, path, ...(body && { body }) }))
  if (answer.success) return answer.data
  throw new Error(`${access.api} does not answer as turnfleet does: check --api`)
}

function show({ revocations, relays }: z.infer<typeof view>, out: Output): number {
  for (const { id, until, ...whom } of revocations) {
    const names = Object.entries(whom).map(([what, name]) => `${what} ${printable(name ?? '')}`)
    out.write(`${id}  until ${until}  ${names.join(', ')}\n`)
  }
  out.write(
    `${revocations.length} revocations; ${relays.acknowledged} of ${relays.reporting} relays have them\n`,
  )
  return 0
}

async function untilAcknowledged(
  look: () => Promise<z.infer<typeof view>>,
  sinceMs: number,
  out: Output,
): Promise<number> {
  for (;;) {
    const { relays } = await look()
    const elapsedMs = performance.now() - sinceMs
    const all = relays.acknowledged === relays.reporting
    if (all || elapsedMs > PATIENCE_MS) {
      const seconds = (elapsedMs / 1000).toFixed(1)
      out.write(`${relays.acknowledged} of ${relays.reporting} relays have it after ${seconds} s\n`)
      return all ? 0 : 1
    }
    await setTimeout(LOOK_EVERY_MS)
  }
}
