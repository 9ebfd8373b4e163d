import { setTimeout as sleep } from 'node:timers/promises'
import { type CycleOptions, runCycle } from './cycle.ts'

/** What the benchmark tells this process, as JSON in the first argument. */
export interface CyclesOptions extends CycleOptions {
  /** Allocations that live at any time. */
  readonly concurrent: number
  /** Before anything is measured: what is compiled while it runs has been. */
  readonly warmUpCycles: number
  readonly seconds: number
}

/** What it says, one JSON line each: `start` and `end` bound what is measured. */
export type CyclesLine =
  | { readonly kind: 'start' }
  | { readonly kind: 'end'; readonly seconds: number; readonly cycles: number; readonly failed: number }

const LOOK_MS = 20

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as CyclesOptions
  const ended = { whole: 0, failed: 0 }
  let running = true
  const next = (): void => {
    if (!running) return
    runCycle(options, (whole) => {
      ended[whole ? 'whole' : 'failed']++
      next()
    })
  }
  for (let i = 0; i < options.concurrent; i++) next()
  while (ended.whole + ended.failed < options.warmUpCycles) await sleep(LOOK_MS)
  const before = { ...ended }
  const started = performance.now()
  say({ kind: 'start' })
  await sleep(options.seconds * 1000)
  say({
    kind: 'end',
    seconds: (performance.now() - started) / 1000,
    cycles: ended.whole - before.whole,
    failed: ended.failed - before.failed,
  })
  running = false
}

function say(line: CyclesLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await main()
