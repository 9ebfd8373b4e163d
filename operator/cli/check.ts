import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { checkUrl, type UrlCheck } from '../fleet/probe.ts'
import type { ProbeTls } from '../fleet/probe-connection.ts'
import { askIceServers, type CheckTarget } from './check-api.ts'
import { formatChecks } from './check-output.ts'

const USAGE = `turnfleet check URL… --username NAME --credential PASSWORD
turnfleet check --api URL [--api-key KEY] [--cluster NAMESPACE/NAME]

Allocates twice through each TURN URL and lets the two allocations send to each other.

  --username NAME        the TURN username
  --credential PASSWORD  its password; or in TURNFLEET_CREDENTIAL
  --api URL              ask this turnfleet for URLs and credentials, e.g. http://127.0.0.1:8080
  --api-key KEY          its API key; or in TURNFLEET_API_KEY
  --cluster NS/NAME      the TurnCluster to ask for, where there are several
  --ca FILE              trust the certificate authorities in this PEM file
  --insecure             accept any certificate
  --json                 print the results as JSON

Exit status: 0 all URLs work, 1 one of them does not, 2 the command cannot be carried out.
`

/** Checks that run at the same time. */
const PARALLEL = 6
const URLS_MAX = 100

/** What is written to. */
export interface Output {
  write(text: string): unknown
}

/** A mistake in the command line. */
class UsageError extends Error {}

/** `turnfleet check`: returns the exit status. */
export async function runCheck(
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
    const tls = { insecure: options.insecure, ca: options.ca && (await readFile(options.ca, 'utf8')) }
    const checks = await checkAll(await targetsOf(options, tls), tls)
    out.write(options.json ? `${JSON.stringify(checks, undefined, 2)}\n` : formatChecks(checks))
    return checks.every(({ ok }) => ok) ? 0 : 1
  } catch (error) {
    err.write(`turnfleet check: ${error instanceof Error ? error.message : String(error)}\n`)
    if (error instanceof UsageError) err.write(`\n${USAGE}`)
    return 2
  }
}

function parse(args: readonly string[], env: Readonly<Record<string, string | undefined>>) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        username: { type: 'string' },
        credential: { type: 'string', default: env.TURNFLEET_CREDENTIAL ?? '' },
        api: { type: 'string' },
        'api-key': { type: 'string', default: env.TURNFLEET_API_KEY ?? '' },
        cluster: { type: 'string' },
        ca: { type: 'string' },
        insecure: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    return { ...values, urls: positionals }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

async function targetsOf(options: ReturnType<typeof parse>, tls: ProbeTls): Promise<CheckTarget[]> {
  const { urls, username, credential, api, cluster } = options
  if (urls.length > URLS_MAX) throw new UsageError(`at most ${URLS_MAX} URLs can be checked at once`)
  if (api !== undefined) {
    if (urls.length > 0) throw new UsageError('give URLs or --api, not both')
    return await askIceServers({ api, apiKey: options['api-key'], cluster, tls })
  }
  if (urls.length === 0) throw new UsageError('give at least one TURN URL, or --api')
  if (username === undefined || credential === '') {
    throw new UsageError('TURN URLs need --username and --credential; --api fetches a credential by itself')
  }
  return urls.map((url) => ({ url, username, credential }))
}

/** Checks all targets, a few at a time; the results are in their order. */
async function checkAll(targets: readonly CheckTarget[], tls: ProbeTls): Promise<UrlCheck[]> {
  const results: UrlCheck[] = []
  const waiting = targets.entries()
  const worker = async () => {
    for (const [index, { url, username, credential }] of waiting) {
      results[index] = await checkUrl(url, { username, credential, tls })
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  return results
}
