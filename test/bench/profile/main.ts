import { parseArgs } from 'node:util'
import { benchNetwork } from '../network.ts'
import { requirePrograms } from '../programs.ts'
import { markdownTable } from '../spread.ts'
import { type Frame, groupOf } from './groups.ts'
import { PATHS, profilePath } from './paths.ts'

const FUNCTIONS_SHOWN = 15
const USAGE = `usage: npm run bench -- profile [options]

  --path NAME       of ${Object.keys(PATHS).join(', ')} (batched)

Needs perf (Debian: linux-perf) and root.
`

/** Shows where the CPU time of a server goes, by kind of work and by function. */
export async function profile(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { path: { type: 'string', default: 'batched' }, help: { type: 'boolean', default: false } },
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  if (!PATHS[values.path]) throw new Error(`--path: there is no ${values.path}\n\n${USAGE}`)
  requirePrograms('perf', 'taskset', 'ip')
  const network = benchNetwork({ wire: values.path === 'kernel' })
  try {
    const frames = await profilePath(values.path, network)
    const groups = shares(frames.map(groupOf))
    const functions = shares(frames.map(nameOf)).slice(0, FUNCTIONS_SHOWN)
    const percent = ([name, share]: readonly [string, number]) => [name, (share * 100).toFixed(1)]
    process.stdout.write(
      `${markdownTable([['kind of work', '%'], ...groups.map(percent)])}\n\n${markdownTable([['function', '%'], ...functions.map(percent)])}\n`,
    )
  } finally {
    network.remove()
  }
}

/** The share of each name among all, the largest first. */
function shares(names: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .map(([name, count]): [string, number] => [name, count / names.length])
    .toSorted((a, b) => b[1] - a[1])
}

/** A function of ours by its own name and file. */
function nameOf({ symbol }: Frame): string {
  const own = /^JS:[*+~^']*(\S*) (?:file:\/\/)?\S*\/(relay\/\S+?):\d+/.exec(symbol)
  return own ? `${own[1]} (${own[2]})` : symbol
}
