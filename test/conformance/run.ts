import { Broken, type CaseResult, type ConformanceCase, NotTested } from './case.ts'
import { type Target, Trial } from './trial.ts'

const CASE_TIMEOUT_MS = 12_000
/** Cases under way at once: most of them wait for a server that should be silent. */
const CONCURRENCY = 8

/** After that no other case is begun, so that a run against a server that answers little stays within a minute. */
const BEGIN_WITHIN_MS = 45_000

/** Runs cases against a server; results in the order of the cases. */
export async function runCases(
  cases: readonly ConformanceCase[],
  target: Target,
  beginWithinMs = BEGIN_WITHIN_MS,
): Promise<CaseResult[]> {
  const end = performance.now() + beginWithinMs
  const due = cases.filter(({ over }) => !over || over.includes(target.transport))
  const results = new Map<ConformanceCase, CaseResult>()
  const queue = [...due]
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (let one = queue.shift(); one; one = queue.shift()) {
        results.set(one, await runCase(performance.now() < end ? one : unbegun(one), target))
      }
    }),
  )
  return due.map((one) => results.get(one)!)
}

/** A case for which no time is left. */
function unbegun(one: ConformanceCase): ConformanceCase {
  return {
    ...one,
    run: async () => {
      throw new NotTested('no time left')
    },
  }
}

async function runCase(one: ConformanceCase, target: Target): Promise<CaseResult> {
  const trial = new Trial(target)
  const { id, section, level, rule } = one
  const result = (outcome: CaseResult['outcome'], came: string): CaseResult => ({
    id,
    section,
    level,
    rule,
    transport: target.transport,
    outcome,
    came,
  })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Broken(`not done after ${CASE_TIMEOUT_MS} ms`)), CASE_TIMEOUT_MS)
  })
  try {
    return result('pass', await Promise.race([one.run(trial), late]))
  } catch (error) {
    if (error instanceof NotTested) return result('skipped', error.message)
    return result('fail', (error as Error).message)
  } finally {
    clearTimeout(timer)
    await trial.close()
  }
}
