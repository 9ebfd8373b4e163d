import { execFile } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** uclient waits for ever for a server that is silent. */
const TIMEOUT_MS = 20_000
/** See `uclientWithChannels`; one try in sixteen succeeds. */
const CHANNEL_TRIES_MAX = 300

export interface UclientResult {
  readonly output: string
  readonly code: number | null
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** Where turnutils_uclient is; throws a sentence that says what to install. */
export function findUclient(): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const found = folders.map((folder) => join(folder, 'turnutils_uclient')).find(isExecutable)
  if (!found) throw new Error('turnutils_uclient is missing: install the Debian package coturn')
  return found
}

/** One run of coturn's client: its exit code says nothing about loss, so that its byte counts are read. */
export function uclient(args: readonly string[]): Promise<UclientResult> {
  return new Promise((resolve) => {
    execFile(findUclient(), args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      const output = stdout + stderr
      const totals = [...output.matchAll(/tot_send_bytes ~ (\d+), tot_recv_bytes ~ (\d+)/g)].at(-1)
      resolve({
        output,
        code: error ? (typeof error.code === 'number' ? error.code : null) : 0,
        sentBytes: Number(totals?.[1] ?? 0),
        receivedBytes: Number(totals?.[2] ?? 0),
      })
    })
  })
}

/**
 * Runs uclient until it draws channel numbers that exist: it takes them at random from 0x4000-0x7FFF (RFC 5766),
 * of which RFC 8656 §12 leaves 0x4000-0x4FFF; a run that draws another is refused with 400 at once.
 */
export async function uclientWithChannels(args: readonly string[]): Promise<UclientResult> {
  for (let attempt = 1; ; attempt++) {
    const result = await uclient(args)
    const refused = /channel bind: error 400/.test(result.output)
    if (!refused || attempt === CHANNEL_TRIES_MAX) return result
  }
}

/** Two UDP sockets on neighbouring ports that send everything back: uclient sends RTP to one, RTCP to the other. */
export async function echoPair(host: string): Promise<{ port: number; close: () => void }> {
  for (;;) {
    const first = await echo(host, 0)
    const { port } = first.address()
    const second = port % 2 === 0 ? await echo(host, port + 1).catch(() => undefined) : undefined
    if (!second) {
      first.close()
      continue
    }
    return {
      port,
      close() {
        first.close()
        second.close()
      },
    }
  }
}

async function echo(host: string, port: number): Promise<dgram.Socket> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (message, from) => socket.send(message, from.port, from.address))
  socket.bind(port, host)
  await once(socket, 'listening')
  return socket
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
