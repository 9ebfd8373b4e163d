import { formatTurnUri, parseTurnUri, type TurnUri } from '../../relay/client/turn-uri.ts'
import { type ProbeOptions, ProbeRun, type StepResult } from './probe-run.ts'

export interface UrlCheck {
  readonly url: string
  readonly ok: boolean
  readonly steps: readonly StepResult[]
}

/** Allocates twice through a TURN URL, lets the two send to each other, and says how each step went; never rejects. */
export async function checkUrl(url: string, options: ProbeOptions): Promise<UrlCheck> {
  let uri: TurnUri
  try {
    uri = parseTurnUri(url)
    if (uri.protocol === 'dtls')
      throw new Error(`"${url}" is TURN over DTLS, which this check does not speak`)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { url, ok: false, steps: [{ step: 'resolve', ok: false, durationMs: 0, message }] }
  }
  const steps = await new ProbeRun(uri, options).run()
  return { url, ok: steps.every(({ ok }) => ok), steps }
}

export interface RelayProbe extends ProbeOptions {
  /** Literal IP address. */
  readonly address: string
  readonly listeners: readonly { readonly protocol: 'UDP' | 'TCP' | 'TLS'; readonly port: number }[]
}

/** Checks one relay through each of its listeners at once; never rejects. */
export async function probeRelay(probe: RelayProbe): Promise<{ passed: boolean; message: string }> {
  const checks = await Promise.all(
    probe.listeners.map(async ({ protocol, port }) => {
      const uri = { protocol: PROTOCOLS[protocol], host: probe.address, port }
      const { ok, steps } = await checkUrl(formatTurnUri(uri), probe)
      const durationMs = steps.reduce((sum, step) => sum + step.durationMs, 0)
      return {
        name: `${protocol} ${port}`,
        ok,
        durationMs,
        failure: steps.find((step) => !step.ok)?.message ?? '',
      }
    }),
  )
  const failed = checks.filter(({ ok }) => !ok)
  if (failed.length > 0) {
    return { passed: false, message: failed.map(({ name, failure }) => `${name}: ${failure}`).join('; ') }
  }
  const slowestMs = Math.max(0, ...checks.map(({ durationMs }) => durationMs))
  const names = checks.map(({ name }) => name).join(', ')
  return { passed: true, message: `echo through ${names} of ${probe.address} in ${Math.ceil(slowestMs)} ms` }
}

const PROTOCOLS = { UDP: 'udp', TCP: 'tcp', TLS: 'tls' } as const
