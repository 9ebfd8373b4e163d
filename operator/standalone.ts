import { readFile } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { DEFAULT_PORT, parseOptions, type StandaloneOptions, USAGE } from './local/options.ts'
import { freeLoopbackPort, freeTcpPort } from './local/port-plan.ts'
import { StateDirectory } from './local/state-directory.ts'

/** `npm start`: a fleet on this machine. The composition is in `local-operator.ts`. */

const PORT_TRIES = 50

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2), process.env)
  if (options === 'help') {
    process.stdout.write(USAGE)
    return
  }
  const port = await choosePort(options)
  const state = new StateDirectory(options.state)
  try {
    // What is imported from here on starts faster the next time, and needs less memory.
    enableCompileCache(state.compileCache)
    const [{ LocalOperator }, { parseApiKeys }] = await Promise.all([
      import('./local-operator.ts'),
      import('./http/api-keys.ts'),
    ])
    const apiKeys = options.apiKeysFile ? parseApiKeys(await readFile(options.apiKeysFile, 'utf8')) : []
    await new LocalOperator(options, state, port, apiKeys).run()
  } finally {
    state.release()
  }
}

/** The port for the console; throws where the one that the user named is taken. */
async function choosePort({ host, port, portGiven }: StandaloneOptions): Promise<number> {
  if (port === 0) return await freeLoopbackPort()
  const found = await freeTcpPort(host, port, portGiven ? 1 : PORT_TRIES)
  if (found === undefined) {
    throw new Error(`port ${port} of ${host} is taken or not allowed: choose another one with --port`)
  }
  if (!portGiven && found !== DEFAULT_PORT) {
    say(`another program has port ${DEFAULT_PORT}: the console is at port ${found}; --port chooses one`)
  }
  return found
}

function say(message: string): void {
  process.stdout.write(`${message}\n`)
}

main().catch((error: unknown) => {
  process.stderr.write(`turnfleet: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
