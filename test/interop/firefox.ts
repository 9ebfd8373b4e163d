import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const PROGRAM = 'firefox-esr'
const START_TIMEOUT_MS = 60_000
const PREFERENCES: Readonly<Record<string, boolean | number | string>> = {
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.relay_only': false,
  'remote.active-protocols': 1,
  'app.update.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'toolkit.startup.max_resumed_crashes': -1,
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** A headless Firefox with a profile of its own, driven by WebDriver BiDi. */
export class Firefox {
  readonly #child: ChildProcess
  readonly #profile: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, Waiting>()
  #commands = 0
  version = ''

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#child = child
    this.#profile = profile
    this.#socket = socket
    socket.onmessage = ({ data }) => this.#hear(String(data))
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('Firefox ended'))
      this.#waiting.clear()
    }
  }

  /** Trusts the authorities in `caFiles`; throws a sentence that says what to install where there is no Firefox. */
  static async launch(caFiles: readonly string[]): Promise<Firefox> {
    const profile = await mkdtemp(join(tmpdir(), 'turnfleet-firefox-'))
    await trust(profile, caFiles)
    const lines = Object.entries(PREFERENCES).map(
      ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
    )
    await writeFile(join(profile, 'user.js'), lines.join(''))
    const child = spawn(
      PROGRAM,
      ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' },
      },
    )
    try {
      const socket = new WebSocket(`${await debuggingUrl(child)}/session`)
      const opened = Promise.withResolvers<void>()
      socket.onopen = () => opened.resolve()
      socket.onerror = () => opened.reject(new Error('Firefox refused the BiDi connection'))
      await opened.promise
      const firefox = new Firefox(child, profile, socket)
      const session = (await firefox.#command('session.new', { capabilities: {} })) as {
        capabilities: { browserVersion: string }
      }
      firefox.version = session.capabilities.browserVersion
      return firefox
    } catch (error) {
      await end(child, profile)
      throw error
    }
  }

  /** Runs a function's source in a page with one JSON argument, and returns what its promise gives. */
  async evaluate<Result>(source: string, argument: unknown): Promise<Result> {
    const tree = (await this.#command('browsingContext.getTree', {})) as { contexts: { context: string }[] }
    const answer = (await this.#command('script.evaluate', {
      expression: `(${source})(${JSON.stringify(argument)}).then((value) => JSON.stringify(value))`,
      target: { context: tree.contexts[0]!.context },
      awaitPromise: true,
    })) as { type: string; result?: { value: string }; exceptionDetails?: { text: string } }
    if (answer.type !== 'success') throw new Error(answer.exceptionDetails?.text ?? 'the script failed')
    return JSON.parse(answer.result!.value) as Result
  }

  async close(): Promise<void> {
    this.#socket.close()
    await end(this.#child, this.#profile)
  }

  #command(method: string, params: object): Promise<unknown> {
    const id = ++this.#commands
    this.#socket.send(JSON.stringify({ id, method, params }))
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
    })
  }

  #hear(text: string): void {
    const answer = JSON.parse(text) as { id?: number; result?: unknown; error?: string; message?: string }
    const waiting = answer.id === undefined ? undefined : this.#waiting.get(answer.id)
    if (!waiting || answer.id === undefined) return
    this.#waiting.delete(answer.id)
    if (answer.error === undefined) waiting.resolve(answer.result)
    else waiting.reject(new Error(`${answer.error}: ${answer.message}`))
  }
}

/** The address that Firefox prints once it listens. */
function debuggingUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    const fail = (why: string) => reject(new Error(`${why}: ${output.slice(-2000)}`))
    const timer = setTimeout(() => fail('Firefox did not listen in time'), START_TIMEOUT_MS)
    child.once('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      if (error.code === 'ENOENT') output = 'install the Debian package firefox-esr'
      fail(`${PROGRAM} could not be started`)
    })
    child.once('close', () => fail('Firefox ended'))
    child.stderr?.on('data', (data) => {
      if (output.length < 100_000) output += String(data)
      const url = /WebDriver BiDi listening on (ws:\S+)/.exec(output)?.[1]
      if (!url) return
      clearTimeout(timer)
      resolve(url)
    })
  })
}

async function trust(profile: string, caFiles: readonly string[]): Promise<void> {
  const certutil = (...args: string[]) => promisify(execFile)('certutil', ['-d', `sql:${profile}`, ...args])
  await certutil('-N', '--empty-password')
  for (const [i, caFile] of caFiles.entries()) {
    await certutil('-A', '-t', 'C,,', '-n', `test ${i}`, '-i', caFile)
  }
}

async function end(child: ChildProcess, profile: string): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}
