import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { markdownTable, spread, spreadText } from '../test/bench/spread.ts'
import { PARTS, type Part } from '../test/bench/suite/parts.ts'
import type { Entry, Results } from '../test/bench/suite/results.ts'

const DOCUMENT = 'docs/performance.md'
const RESULTS = 'docs/performance.json'
const BEGIN = '<!-- generated: measured -->'
const END = '<!-- end of what is generated -->'
const MACHINE_WORDS: Readonly<Record<string, string>> = {
  cpu: '',
  cores: 'cores',
  kernel: '',
  node: 'Node',
  openssl: 'OpenSSL',
  coturn: 'coturn',
  pion: 'pion/turn',
}

/** `docs/performance.md` with the tables that `docs/performance.json` makes between its markers. */
export function performanceDocument(root: string): string {
  const text = readFileSync(join(root, DOCUMENT), 'utf8')
  return filled(text, JSON.parse(readFileSync(join(root, RESULTS), 'utf8')) as Results)
}

/** Puts the tables of results between the markers of a document. */
export function filled(document: string, results: Results): string {
  const [begin, end] = [document.indexOf(BEGIN), document.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${DOCUMENT} needs the lines ${BEGIN} and ${END}`)
  const parts = Object.entries(PARTS).flatMap(([name, part]) => section(part, results.parts[name]))
  const body = [machineText(results.machine), ...parts].join('\n\n')
  return `${document.slice(0, begin + BEGIN.length)}\n${body}\n${document.slice(end)}`
}

function section(part: Part, measured: Results['parts'][string] | undefined): string[] {
  if (!measured || measured.entries.length === 0) return []
  const { about, columns, compared } = part
  const headings = columns.map(({ heading, spread: all }) =>
    all ? `${heading} (min / median / max)` : heading,
  )
  const rows = measured.entries.map((entry) => [
    entry.case,
    entry.server,
    ...columns.map(({ figure, digits, spread: all }) => cell(entry, figure, digits, all ?? false)),
    ...(compared ? [besideCoturn(entry, measured.entries, compared)] : []),
    String(entry.runs.length),
  ])
  const table = markdownTable([
    ['case', 'server', ...headings, ...(compared ? ['beside coturn'] : []), 'runs'],
    ...rows,
  ])
  return [`${about} Measured on ${measured.date}: \`${measured.command}\`.`, table]
}

function cell(entry: Entry, figure: string, digits: number, all: boolean): string {
  const values = valuesOf(entry, figure)
  if (values.length === 0) return ''
  return all ? spreadText(spread(values), digits) : spread(values).median.toFixed(digits)
}

/** How many times better than coturn in the same case. */
function besideCoturn(
  entry: Entry,
  entries: readonly Entry[],
  { figure, better }: NonNullable<Part['compared']>,
): string {
  const coturn = entries.find((one) => one.case === entry.case && one.server === 'coturn')
  const [own, theirs] = [entry, coturn].map((one) => (one ? valuesOf(one, figure) : []))
  if (!own?.length || !theirs?.length || entry === coturn) return ''
  const ratio = spread(own).median / spread(theirs).median
  return `${(better === 'more' ? ratio : 1 / ratio).toFixed(2)} ×`
}

function valuesOf({ runs }: Entry, figure: string): number[] {
  return runs.flatMap((run) => run[figure] ?? [])
}

function machineText(machine: Results['machine']): string {
  const words = Object.entries(MACHINE_WORDS).flatMap(([name, word]) => {
    const value = machine[name]
    if (value === undefined) return []
    return [name === 'cores' ? `${value} ${word}` : `${word} ${value}`.trim()]
  })
  return `${words.join(', ')}. "Beside coturn" is how many times better the median is than that of coturn in the same case.`
}
