import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Background, background, until } from '../cluster/command.ts'
import { WEB_ADDRESS } from './world.ts'

const SERVER = fileURLToPath(new URL('../../examples/video-call/server.ts', import.meta.url))

export interface WebAppOptions {
  port: number
  turnfleetUrl: string
  apiKey: string
  cluster?: string
  /** PEM of the operator's authority. */
  operatorCaFile: string
  /** Certificate of the page. */
  certFile: string
  keyFile: string
  directory: string
}

/** Runs the example application as its README says, on the internet of the test. */
export async function startWebApp(options: WebAppOptions): Promise<Background & { url: string }> {
  const { port, directory } = options
  const log = join(directory, `web-app-${port}.log`)
  const app = background(process.execPath, [SERVER], {
    log,
    env: {
      PATH: process.env.PATH,
      HOST: WEB_ADDRESS,
      PORT: String(port),
      TLS_CERT_FILE: options.certFile,
      TLS_KEY_FILE: options.keyFile,
      TURNFLEET_URL: options.turnfleetUrl,
      TURNFLEET_API_KEY: options.apiKey,
      NODE_EXTRA_CA_CERTS: options.operatorCaFile,
      ...(options.cluster ? { TURNFLEET_CLUSTER: options.cluster } : {}),
    },
  })
  const url = `https://${WEB_ADDRESS}${port === 443 ? '' : `:${port}`}/`
  const { connect } = await import('node:net')
  await until('the web application listens', () => {
    return new Promise<boolean>((resolve) => {
      const socket = connect(port, WEB_ADDRESS, () => resolve(true))
      socket.on('error', () => resolve(false))
      socket.on('connect', () => socket.destroy())
    })
  })
  return { ...app, url }
}
