import { selfSigned } from '../../../relay/io/testing/certificate.ts'
import { compareServers } from '../compare.ts'
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
  const certificate = await selfSigned('bench.example.org')
  await compareServers(options, (network) => {
    process.stdout.write(`${network.description}\n`)
    const compare = options.rates ? compareOffered : compareUnderWay
    return compare(options, network, certificate)
  })
}
