import { LoopWatch } from './loop-delay.ts'

// Loaded into a relay before anything else: at each SIGUSR2 it says how its event loop did since the last one.
const watch = new LoopWatch()
process.on('SIGUSR2', () => void process.stderr.write(`loop-delay ${JSON.stringify(watch.take())}\n`))
