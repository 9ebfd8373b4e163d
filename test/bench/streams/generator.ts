import { SocketLoop } from '../packets/socket-loop.ts'
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
  | { readonly kind: 'end'; readonly seconds: number; readonly packets: number }

const REVIVE_MS = 100
const OPEN_TIMEOUT_MS = 10_000

function main(): void {
  const options = JSON.parse(process.argv[2] ?? '{}') as GeneratorOptions
  const loop = new SocketLoop()
  const flows = Array.from({ length: options.flows }, () => new Flow(loop, options))
  const deadline = performance.now() + OPEN_TIMEOUT_MS
  while (!flows.every(({ ready }) => ready)) {
    loop.turn(1)
    if (performance.now() > deadline) throw new Error('not every flow got an answer')
  }
  for (const flow of flows) flow.start()
  run(loop, flows, options.warmUpSeconds)
  const before = total(flows)
  say({ kind: 'start' })
  const seconds = run(loop, flows, options.seconds)
  say({ kind: 'end', seconds, packets: total(flows) - before })
  process.exit(0)
}

/** Keeps packets going for a time; returns how long it was. */
function run(loop: SocketLoop, flows: readonly Flow[], seconds: number): number {
  const start = performance.now()
  let now = start
  for (let reviveAt = start + REVIVE_MS; now < start + seconds * 1000; now = performance.now()) {
    loop.turn(1)
    if (now < reviveAt) continue
    for (const flow of flows) flow.revive()
    reviveAt = now + REVIVE_MS
  }
  return (now - start) / 1000
}

function total(flows: readonly Flow[]): number {
  return flows.reduce((sum, { relayed }) => sum + relayed, 0)
}

function say(line: GeneratorLine): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

main()
