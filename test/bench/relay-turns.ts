import { execFileSync } from 'node:child_process'
import type { BenchNetwork } from './network.ts'

const READ = `fetch('http://127.0.0.1:9641/metrics').then((answer) => answer.text()).then(console.log)`

/** How often the event loops of our relay have been away from waiting so far, and how often for long. */
export interface RelayTurns {
  readonly all: number
  readonly over500us: number
  readonly over1ms: number
}

/** Read from the relay that runs in the server's place; undefined where another server does. */
export function relayTurns(network: BenchNetwork): RelayTurns | undefined {
  const [program = '', ...args] = network.at('server', [process.execPath, '-e', READ])
  try {
    const text = execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const below = (bound: string) =>
      Number(
        new RegExp(`^turnfleet_relay_loop_turn_seconds_bucket\\{le="${bound}"\\} (\\d+)$`, 'm').exec(
          text,
        )?.[1],
      )
    const all = below('\\+Inf')
    return { all, over500us: all - below('0\\.0005'), over1ms: all - below('0\\.001') }
  } catch {
    return undefined
  }
}

/** What came since an earlier reading. */
export function turnsSince(before: RelayTurns, network: BenchNetwork): RelayTurns | undefined {
  const now = relayTurns(network)
  return (
    now && {
      all: now.all - before.all,
      over500us: now.over500us - before.over500us,
      over1ms: now.over1ms - before.over1ms,
    }
  )
}
