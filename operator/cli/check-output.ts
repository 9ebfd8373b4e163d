import type { UrlCheck } from '../fleet/probe.ts'
import type { StepResult } from '../fleet/probe-run.ts'

const STEP_COLUMN = 14
const RESULT_COLUMN = 8
const TIME_COLUMN = 10

/** The checks as text: a block for each URL, a line for each step, and what failed at the end. */
export function formatChecks(checks: readonly UrlCheck[]): string {
  const blocks = checks.map(({ url, ok, steps }) => [
    `${url}: ${ok ? 'works' : 'fails'}`,
    ...steps.map(formatStep),
    '',
  ])
  return `${[...blocks.flat(), summary(checks)].join('\n')}\n`
}

function formatStep({ step, ok, durationMs, message }: StepResult): string {
  const time = `${durationMs.toFixed(1)} ms`
  return `  ${step.padEnd(STEP_COLUMN)}${(ok ? 'ok' : 'failed').padEnd(RESULT_COLUMN)}${time.padStart(TIME_COLUMN)}  ${message}`
}

function summary(checks: readonly UrlCheck[]): string {
  const failed = checks.filter(({ ok }) => !ok)
  const works = checks.length - failed.length
  if (failed.length === 0) return checks.length === 1 ? 'The URL works.' : `All ${works} URLs work.`
  return `${works} of ${checks.length} URLs work; ${failed.map(({ url }) => url).join(', ')} failed.`
}
