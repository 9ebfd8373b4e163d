import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const SCRIPT = `
const [kind, port, first, frame, frames] = process.argv.slice(1)
const { connect } = await import(kind === 'tls' ? 'node:tls' : 'node:net')
const socket = connect({ port: Number(port), host: '127.0.0.1', noDelay: true, rejectUnauthorized: false })
socket.on('error', () => process.exit(0)).on('close', () => process.exit(0))
socket.once(kind === 'tls' ? 'secureConnect' : 'connect', () => {
  socket.write(Buffer.from(first, 'hex'))
  for (let i = 0; i < Number(frames); i++) socket.write(Buffer.from(frame, 'hex'))
  socket.on('data', (data) => socket.write(data))
})
console.log('ready')`

/** A client in a process of its own that sends frames, and sends back for ever what it gets. */
export async function echoChild(
  kind: 'tcp' | 'tls',
  port: number,
  { first, frame, frames }: { first: Buffer; frame: Buffer; frames: number },
): Promise<ChildProcess> {
  const args = [kind, String(port), first.toString('hex'), frame.toString('hex'), String(frames)]
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout!, 'data')
  return child
}
