import { execFileSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { wholeNumber } from '../options.ts'
import { requirePrograms } from '../programs.ts'
import { markdownTable, spread, spreadText } from '../spread.ts'
import { type Direction, type Framing, Line } from './line.ts'

const USAGE = `usage: npm run bench -- forwarding [options]

  What the kernel path takes of a core for each packet, from the interface that it comes in by to the one that it
  leaves by and the receiving end of that: packets that are forwarded, less packets that are dropped where they
  come in. Everything is done on one core, so that nothing is left out. As root.

  --runs N      (5)
  --packets N   of each run (200000)
`
const CORE = '1'
const FRAMINGS: readonly Framing[] = ['channel', 'indication']
const DIRECTIONS: readonly Direction[] = ['up', 'down']
const BYTES = [160, 1200]

/** What the kernel path costs in all, and what it loses. */
export async function forwarding(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: 'string', default: '5' },
      packets: { type: 'string', default: '200000' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  requirePrograms('taskset', 'ip', 'nft')
  execFileSync('taskset', ['-cp', CORE, String(process.pid)], { stdio: 'ignore' })
  const [runs, packets] = [wholeNumber('runs', values.runs), wholeNumber('packets', values.packets)]
  const line = new Line()
  try {
    await line.start()
    const forwarded = measure(line, runs, packets)
    line.cut()
    const dropped = measure(line, runs, packets)
    const rows = [...forwarded].map(([name, each]) => {
      const without = spread(dropped.get(name)!.map(([nanoseconds]) => nanoseconds)).median
      const cost = spread(each.map(([nanoseconds]) => nanoseconds - without))
      const rate = 1e9 / spread(each.map(([nanoseconds]) => nanoseconds)).median
      const lost = each.reduce((sum, [, arrived]) => sum + Math.max(0, packets - arrived), 0)
      return [name, spreadText(cost, 0), String(Math.round(rate)), String(lost)]
    })
    const headings = ['packets', 'ns of a core per packet (min / median / max)', 'sent/s', 'lost']
    process.stdout.write(`${markdownTable([headings, ...rows])}\n`)
  } finally {
    await line.remove()
  }
}

/** By the name of what was sent: nanoseconds and arrivals of each run. */
function measure(line: Line, runs: number, packets: number): Map<string, [number, number][]> {
  const results = new Map<string, [number, number][]>()
  for (let run = 0; run < runs; run++) {
    for (const framing of FRAMINGS) {
      for (const direction of DIRECTIONS) {
        for (const bytes of BYTES) {
          const name = `${framing}, ${direction}, ${bytes} bytes`
          const result = line.send(framing, direction, bytes, packets)
          results.set(name, [...(results.get(name) ?? []), result])
        }
      }
    }
  }
  return results
}
