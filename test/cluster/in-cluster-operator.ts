import { pino } from 'pino'
import { inClusterConnection } from '../../operator/kube/credentials.ts'
import { parseOptions } from '../../operator/kube/options.ts'
import { Operator } from '../../operator/main.ts'

/**
 * The operator as it runs in a pod, with a service account mounted at the directory of its first argument and
 * every relay's check passed: what a test measures.
 */
const [directory = '', ...args] = process.argv.slice(2)
const options = parseOptions(args, process.env)
const connection = await inClusterConnection(process.env, directory)
if (options === 'help' || !connection) throw new Error('usage: in-cluster-operator.ts DIRECTORY [options]')
const operator = new Operator(options, {
  connection,
  log: pino({ level: 'warn' }),
  checker: async () => ({ passed: true, message: 'echoed' }),
})
process.once('SIGTERM', () => void operator.stop().then(() => process.exit(0)))
await operator.start()
