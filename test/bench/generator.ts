import { setTimeout as sleep } from 'node:timers/promises'
import { Flow, type FlowOptions } from './flow.ts'

/** What the benchmark tells its load generator, as JSON in the first argument. */
export interface GeneratorOptions extends FlowOptions {
  readonly flows: number
  readonly warmUpSeconds: number
  readonly seconds: number
}

/** What the generator says, one JSON line each: `start` and `end` bound what is measured. */
export type GeneratorLine =
  | { readonly kind: 'start' }
  | { readonly kind: 'end'; readonly seconds: number; readonly packets: number; readonly lost: number }

const REVIVE_MS = 100

async function main(): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as GeneratorOptions
  const flows = Array.from({ length: options.flows }, () => new Flow(options))
  for (const flow of flows) await flow.open()
  const reviver = setInterval(() => {
    for (const flow of flows) flow.revive()
  }, REVIVE_MS)
  for (const flow of flows) flow.start()
  await sleep(options.warmUpSeconds * 1000)
  const before = total(flows)
  const started = performance.now()
  say({ kind: 'start' })
  await sleep(options.seconds * 1000)
  const after = total(flows)
  say({
    kind: 'end',
    seconds: (performance.now() - started) / 1000,
    packets: after.relayed - before.relayed,
    lost: after.lost - before.lost,
  })
  clearInterval(reviver)
  for (const flow of flows) flow.close()
}

function total(flows: readonly Flow[]): { relayed: number; lost: number } {
  return {
    relayed: flows.reduce((sum, flow) => sum + flow.relayed, 0),
    lost: flows.reduce((sum, flow) => sum + flow.lost, 0),
  }
}

function say(line: GeneratorLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

await main()
