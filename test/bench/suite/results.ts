import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Figures of one run, by name. */
export type Figures = Readonly<Record<string, number>>

/** One server in one case, over all its runs. */
export interface Entry {
  readonly case: string
  readonly server: string
  readonly runs: readonly Figures[]
}

/** What a part of the suite measured, on how many occasions ever. */
export interface PartResults {
  readonly date: string
  readonly command: string
  readonly entries: readonly Entry[]
}

/** All that `docs/performance.json` holds. */
export interface Results {
  readonly machine: Readonly<Record<string, string>>
  readonly parts: Readonly<Record<string, PartResults>>
}

export const RESULTS_FILE = fileURLToPath(new URL('../../../docs/performance.json', import.meta.url))

/** One run of one server in one case. */
export interface Sample {
  readonly case: string
  readonly server: string
  readonly figures: Figures
}

export function readResults(file: string): Results | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Results) : undefined
}

export function writeResults(file: string, results: Results): void {
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
}

/** Puts the samples of a part in the place of what stood for their cases and servers, or with `add` beside it. */
export function merged(
  results: Results,
  part: string,
  head: Pick<PartResults, 'date' | 'command'>,
  samples: readonly Sample[],
  add: boolean,
): Results {
  const before = results.parts[part]?.entries ?? []
  const keys = [...new Set([...before, ...samples].map(keyOf))]
  const entries = keys.map((key): Entry => {
    const old = before.find((entry) => keyOf(entry) === key)
    const own = samples.filter((sample) => keyOf(sample) === key)
    const { case: name, server } = old ?? own[0]!
    const kept = add || own.length === 0 ? (old?.runs ?? []) : []
    return { case: name, server, runs: [...kept, ...own.map(({ figures }) => rounded(figures))] }
  })
  const grouped = [...new Set(entries.map((entry) => entry.case))].flatMap((name) =>
    entries.filter((entry) => entry.case === name),
  )
  return { ...results, parts: { ...results.parts, [part]: { ...head, entries: grouped } } }
}

function keyOf(one: Pick<Entry, 'case' | 'server'>): string {
  return `${one.case}\n${one.server}`
}

/** Six digits are more than any of them is worth. */
function rounded(figures: Figures): Figures {
  return Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(6))]),
  )
}
