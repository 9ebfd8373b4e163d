import { parseArgs } from 'node:util'
import { benchNetwork } from '../network.ts'
import { wholeNumber } from '../options.ts'
import { requirePrograms } from '../programs.ts'
import { thisMachine } from './machine.ts'
import { MEASURES, type SuiteContext } from './measures.ts'
import { PARTS } from './parts.ts'
import { merged, RESULTS_FILE, type Results, readResults, type Sample, writeResults } from './results.ts'

const NAMES = Object.entries(PARTS).map(([name, { letter }]) => `${letter} ${name}`)
const USAGE = `usage: npm run bench -- all [options]

Measures all parts and writes them into docs/performance.json, which the tables of docs/performance.md are made of by
\`npm run generate\`. What is measured takes the place of what stood there for the same cases and servers.

  --only LIST       parts by letter or name: ${NAMES.join(', ')}
  --case TEXT       only cases whose name has this in it
  --servers LIST    instead of those that each part compares
  --runs N          of each (3)
  --seconds S       of each measurement (2)
  --add             further runs, beside those that are there
  --fresh           forget all that was measured before, as on another machine
`

/** Runs the suite or parts of it; each run of a part is kept as soon as it is done. */
export async function all(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      case: { type: 'string', default: '' },
      servers: { type: 'string' },
      runs: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '2' },
      add: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  const [parts, runs] = [partsOf(values.only), wholeNumber('runs', values.runs)]
  const head = {
    date: new Date().toISOString().slice(0, 10),
    command: ['npm run bench -- all', ...args.filter((arg) => arg !== '--add' && arg !== '--fresh')].join(
      ' ',
    ),
  }
  requirePrograms('turnserver', 'taskset', 'ip')
  let results = resultsHere(values.fresh)
  for (const part of parts) {
    const network = benchNetwork({ wire: PARTS[part]?.wire ?? false })
    try {
      for (let run = 1; run <= runs; run++) {
        const samples = await measured(part, {
          network,
          seconds: wholeNumber('seconds', values.seconds),
          servers: values.servers,
          wanted: (name) => name.includes(values.case),
          packets: results.parts.packets?.entries ?? [],
        })
        results = merged(results, part, head, samples, values.add || run > 1)
        writeResults(RESULTS_FILE, results)
      }
    } finally {
      network.remove()
    }
  }
}

async function measured(part: string, context: SuiteContext): Promise<Sample[]> {
  const samples: Sample[] = []
  for await (const sample of MEASURES[part]!(context)) {
    samples.push(sample)
    const figures = Object.entries(sample.figures).map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    process.stdout.write(`${part}: ${sample.case}: ${sample.server.padEnd(18)} ${figures.join('  ')}\n`)
  }
  return samples
}

function partsOf(only: string | undefined): string[] {
  if (only === undefined) return Object.keys(PARTS)
  return only.split(',').map((wanted) => {
    const found = Object.entries(PARTS).find(([name, { letter }]) => wanted === name || wanted === letter)
    if (found) return found[0]
    throw new Error(`--only: there is no part ${wanted}, only ${NAMES.join(', ')}`)
  })
}

/** Figures of different machines are not put beside each other. */
function resultsHere(fresh: boolean): Results {
  const machine = thisMachine()
  const before = readResults(RESULTS_FILE)
  if (fresh || !before) return { machine, parts: {} }
  const other = Object.keys(machine).filter((name) => before.machine[name] !== machine[name])
  if (other.length === 0) return before
  throw new Error(
    `docs/performance.json is of a machine with another ${other.join(', ')}: measure all anew with --fresh`,
  )
}
