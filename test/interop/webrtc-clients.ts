import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { type CallOptions, type CallResult, callThroughRelay } from './data-channel.ts'
import { Firefox } from './firefox.ts'

const CHROMIUM = '/usr/bin/chromium'
const CHROMIUM_ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--ignore-certificate-errors']
const PROCESS = fileURLToPath(new URL('./webrtc-process.ts', import.meta.url))
/** What a native client may take beyond the call itself to start and to end. */
const START_AND_END_MS = 10_000
const PAGE_SCRIPT = `(options) => (${callThroughRelay.toString()})(globalThis.RTCPeerConnection, options)`

/** A WebRTC implementation with which calls can be made through a relay. */
export interface WebRtcClient {
  readonly name: string
  readonly version: string
  /** Both ends of a call, at the same client. */
  call(options: CallOptions): Promise<CallResult>
  close(): Promise<void>
}

export async function chromiumClient(): Promise<WebRtcClient> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    headless: true,
    args: CHROMIUM_ARGUMENTS,
  })
  const page = await browser.newPage()
  return {
    name: 'Chromium',
    version: browser.version(),
    call: (options) => page.evaluate<CallResult>(`(${PAGE_SCRIPT})(${JSON.stringify(options)})`),
    close: () => browser.close(),
  }
}

/** Firefox takes only certificates that it trusts: `caFiles` are the authorities it is given. */
export async function firefoxClient(caFiles: readonly string[]): Promise<WebRtcClient> {
  const firefox = await Firefox.launch(caFiles)
  return {
    name: 'Firefox ESR',
    version: firefox.version,
    call: (options) => firefox.evaluate<CallResult>(PAGE_SCRIPT, options),
    close: () => firefox.close(),
  }
}

/** libwebrtc in Node. */
export const wrtcClient = () => nativeClient('@roamhq/wrtc', 'wrtc')

/** libdatachannel with libjuice in Node; its TURN is over UDP only. */
export const nodeDatachannelClient = () => nativeClient('node-datachannel', 'node-datachannel')

function nativeClient(name: string, implementation: string): WebRtcClient {
  return {
    name,
    version: packageVersion(name),
    call: (options) =>
      new Promise((resolve, reject) => {
        const args = [PROCESS, implementation, JSON.stringify(options)]
        const timeout = options.timeoutMs + START_AND_END_MS
        execFile(process.execPath, args, { timeout, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
          const line = stdout.split('\n').find((text) => text.startsWith('{'))
          const result = line ? (JSON.parse(line) as CallResult | { failed: string }) : undefined
          if (!result) reject(error ?? new Error(`${name} said nothing: ${stderr}`))
          else if ('failed' in result) reject(new Error(result.failed))
          else resolve(result)
        })
      }),
    close: async () => {},
  }
}

/** The version of an npm package that is installed. */
export function packageVersion(name: string): string {
  const paths = createRequire(import.meta.url).resolve.paths(name) ?? []
  for (const folder of paths) {
    try {
      const text = readFileSync(`${folder}/${name}/package.json`, 'utf8')
      return (JSON.parse(text) as { version: string }).version
    } catch {
      // Not in this folder.
    }
  }
  throw new Error(`${name} is not installed: run npm ci`)
}
