import type { CaseResult, Level } from './case.ts'

export function failures(results: readonly CaseResult[], level: Level): CaseResult[] {
  return results.filter((one) => one.outcome === 'fail' && one.level === level)
}

/** The results for a person: a line each, and what was broken in full. */
export function text(results: readonly CaseResult[]): string {
  const width = Math.max(...results.map(({ id }) => id.length))
  const lines = results.map(
    ({ outcome, level, id, section, came }) =>
      `${outcome.padEnd(7)} ${level.padEnd(6)} ${id.padEnd(width)}  ${section}: ${came}`,
  )
  const broken = results.filter(({ outcome }) => outcome === 'fail')
  const details = broken.map(({ id, rule, came }) => `${id}\n  expected: ${rule}\n  came:     ${came}`)
  const count = (outcome: CaseResult['outcome']) => results.filter((one) => one.outcome === outcome).length
  const musts = failures(results, 'MUST').length
  return [
    ...lines,
    '',
    ...details,
    `${count('pass')} passed, ${count('fail')} failed (${musts} of them MUST), ${count('skipped')} skipped`,
  ].join('\n')
}
