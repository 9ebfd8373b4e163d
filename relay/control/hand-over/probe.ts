import { randomBytes } from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import net from 'node:net'
import type { ListeningSocket } from '../../io/hand-over.ts'
import { CLASS, METHOD } from '../../stun/methods.ts'
import { StunWriter } from '../../stun/writer.ts'

const TRANSACTION_BYTES = 12
const TRANSACTION_AT = 8
const TRIES = 4
const TRY_MS = 500

type Place = Pick<ListeningSocket, 'transport' | 'address' | 'port'>

/** Sends a Binding request to a listener of this process, and rejects where no answer comes. */
export async function probe({ transport, address, port }: Place): Promise<void> {
  const transaction = randomBytes(TRANSACTION_BYTES)
  const request = new StunWriter(64).start(METHOD.Binding, CLASS.Request, transaction).finish().slice()
  const host = address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address
  const ask = transport === 'udp' ? askUdp : askTcp
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const answer = await ask(host, port, request).catch(() => undefined)
    if (answer && transaction.compare(answer, TRANSACTION_AT, TRANSACTION_AT + TRANSACTION_BYTES) === 0)
      return
  }
  throw new Error(`${transport.toUpperCase()} ${address}:${port} does not answer a Binding request`)
}

async function askUdp(host: string, port: number, request: Uint8Array): Promise<Buffer> {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  try {
    socket.send(request, port, host)
    const [answer] = await once(socket, 'message', { signal: AbortSignal.timeout(TRY_MS) })
    return answer as Buffer
  } finally {
    socket.close()
  }
}

async function askTcp(host: string, port: number, request: Uint8Array): Promise<Buffer> {
  const socket = net.connect(port, host)
  try {
    socket.write(request)
    const [answer] = await once(socket, 'data', { signal: AbortSignal.timeout(TRY_MS) })
    return answer as Buffer
  } finally {
    socket.destroy()
  }
}
