import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { selfSigned } from '../../relay/io/testing/certificate.ts'
import { bindingRequest } from '../../relay/io/testing/frames.ts'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'

const BINDING_SUCCESS = Buffer.from('0101', 'hex')
/** What a client offers, and what is chosen: ours where it is among them, else the first. */
const CASES: Record<string, [offered: string[], chosen: string]> = {
  'nothing, as browsers do': [[], 'No ALPN negotiated'],
  'stun.turn': [['stun.turn'], 'ALPN protocol: stun.turn'],
  'stun.nat-discovery': [['stun.nat-discovery'], 'ALPN protocol: stun.nat-discovery'],
  'stun.turn among others': [['h2', 'http/1.1', 'stun.turn'], 'ALPN protocol: stun.turn'],
  'names of others only': [['http/1.1', 'h2'], 'ALPN protocol: http/1.1'],
}
const skip = reasonToSkip()

for (const datapath of ['portable', 'batched'] as const) {
  const unable = datapath === 'batched' && process.platform !== 'linux' ? 'batched is for Linux' : skip
  describe(`RFC 7443: openssl s_client that offers by ALPN (${datapath})`, {
    skip: unable,
    timeout: 30_000,
  }, () => {
    let relay: RelayChild
    let port: number
    before(async () => {
      relay = new RelayChild()
      const { cert, key } = await selfSigned('localhost')
      relay.write('tls.crt', cert)
      relay.write('tls.key', key)
      const listeners = [{ protocol: 'tls' as const, address: '127.0.0.1', port: 0 }]
      const tls = { certFile: 'tls.crt', keyFile: 'tls.key' }
      relay.writeConfig(loopbackConfig({ listeners, tls, datapath }))
      relay.spawn()
      port = (await relay.ready()).listeners[0]!.port
    })
    after(() => relay.stop())

    for (const [name, [offered, chosen]] of Object.entries(CASES)) {
      for (const version of ['-tls1_2', '-tls1_3']) {
        it(`${name} is served (${version.slice(1)})`, async () => {
          const alpn = offered.length > 0 ? ['-alpn', offered.join(',')] : []
          const said = await binding(port, [version, ...alpn])
          assert.ok(said.includes(chosen), said.toString('latin1'))
        })
      }
    }

    it('RFC 8446 §4.6.3: a key update that asks for one is answered, and the stream goes on', async () => {
      const client = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_3', '-msg'], {
        stdio: ['pipe', 'pipe', 'ignore'],
      })
      const ended = once(client, 'close')
      const said = chunks(client.stdout)
      client.stdin.write(bindingRequest(7))
      await said.until(bindingRequest(7).subarray(4))
      // Its command for a key update that asks for one.
      client.stdin.write('K\n')
      await said.until('>>> TLS 1.3, Handshake [length 0005], KeyUpdate')
      client.stdin.write(bindingRequest(8))
      await said.until('<<< TLS 1.3, Handshake [length 0005], KeyUpdate')
      await said.until(bindingRequest(8).subarray(4))
      client.kill()
      await ended
    })
  })
}

/** What a program says, to be waited for. */
function chunks(stream: Readable): { until(part: Buffer | string): Promise<void> } {
  let said = Buffer.alloc(0)
  stream.on('data', (data: Buffer) => {
    said = Buffer.concat([said, data])
  })
  return {
    until: async (part) => {
      while (!said.includes(part)) await once(stream, 'data')
    },
  }
}

/** All that s_client says until it has got the answer to a Binding request. */
async function binding(port: number, args: readonly string[]): Promise<Buffer> {
  const connect = ['s_client', '-connect', `127.0.0.1:${port}`, '-nocommands', ...args]
  const client = spawn('openssl', connect, { stdio: ['pipe', 'pipe', 'ignore'] })
  let said = Buffer.alloc(0)
  const ended = once(client, 'close')
  const answer = bindingRequest(7).subarray(4)
  client.stdin.on('error', () => undefined)
  client.stdin.write(bindingRequest(7))
  client.stdout.on('data', (data: Buffer) => {
    said = Buffer.concat([said, data])
    const at = said.indexOf(answer)
    if (at >= 4 && said.subarray(at - 4, at - 2).equals(BINDING_SUCCESS)) client.kill()
  })
  await ended
  assert.ok(said.includes(answer), `no answer: ${said.toString('latin1')}`)
  return said
}

function reasonToSkip(): string | false {
  try {
    execFileSync('openssl', ['version'])
    return false
  } catch {
    return 'openssl is missing: install the Debian package openssl'
  }
}
