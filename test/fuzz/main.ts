import { parseArgs } from 'node:util'
import { addFinding, corpusFile, readCorpus, writeCorpus } from './corpus.ts'
import { Fuzzer, type FuzzResult } from './fuzzer.ts'
import { TARGETS } from './targets.ts'

const USAGE = `usage: npm run fuzz -- --target ${Object.keys(TARGETS).join('|')} [--seconds 60] [--seed 1] [--keep]`

const { values } = parseArgs({
  options: {
    target: { type: 'string', default: '' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
})
const target = TARGETS[values.target]
const seconds = Number(values.seconds)
const seed = Number(values.seed ?? Date.now() % 2 ** 32)
if (!target || !(seconds > 0) || !Number.isInteger(seed)) {
  console.error(USAGE)
  process.exit(2)
}

const began = performance.now()
const tell = ({ runs, corpus, covered }: FuzzResult) => {
  const elapsed = (performance.now() - began) / 1000
  console.log(
    `${values.target}: ${elapsed.toFixed(0)} s, ${runs} inputs (${(runs / elapsed).toFixed(0)}/s), ${covered} characters of code covered, corpus ${corpus.length}`,
  )
}
console.log(`${values.target}: seed ${seed}`)
const result = new Fuzzer(target, seed).run([...readCorpus(values.target), ...target.seeds], seconds, tell)
tell(result)
if (values.keep) writeCorpus(values.target, result.corpus)
if (result.finding) {
  const { input, error } = result.finding
  addFinding(values.target, input, error instanceof Error ? error.message : String(error))
  console.error(error)
  console.error(
    `${values.target}: found the above; the input (${input.length} bytes) is now in ${corpusFile(values.target)}`,
  )
  process.exitCode = 1
}
