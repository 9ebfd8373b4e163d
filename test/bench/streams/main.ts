import { writeFileSync } from 'node:fs'
import { selfSigned } from '../../../relay/io/testing/certificate.ts'
import { benchNetwork } from '../network.ts'
import { requirePrograms } from '../programs.ts'
import { compareOffered } from './offered.ts'
import { streamsOptions, USAGE } from './options.ts'
import { compareUnderWay } from './under-way.ts'

/**
 * Compares servers by what they relay between streams and UDP peers: in a second of CPU time, with some packets of
 * each flow under way at any time, or at offered rates.
 */
export async function streams(args: string[]): Promise<void> {
  const options = streamsOptions(args)
  if (!options) {
    process.stdout.write(USAGE)
    return
  }
  requirePrograms('turnserver', 'taskset', 'ip')
  const certificate = await selfSigned('bench.example.org')
  const network = benchNetwork()
  try {
    process.stdout.write(`${network.description}\n`)
    const compare = options.rates ? compareOffered : compareUnderWay
    const results = await compare(options, network, certificate)
    if (!options.json) return
    const report = { description: network.description, ...results }
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  } finally {
    network.remove()
  }
}
