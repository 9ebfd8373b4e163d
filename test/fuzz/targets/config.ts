import assert from 'node:assert/strict'
import { relayConfig } from '../../../relay/api/config.ts'
import { FileRefused, parseYaml } from '../../../relay/control/yaml-file.ts'
import { nodeCrypto } from '../../../relay/io/node-crypto.ts'
import { TurnServer } from '../../../relay/turn/server.ts'
import { turnServerConfig } from '../../../relay/turn/server-config.ts'
import type { Target } from '../target.ts'

const WHOLE = `realm: turn.example.org
software: x
listeners:
  - {protocol: udp, address: 203.0.113.10, port: 3478}
  - {protocol: tls, address: '::', port: 443}
relay: {addresses: [{bind: 10.0.0.1, advertise: 203.0.113.10}, {advertise: '2001:db8::1'}], ports: {min: 50000, max: 60000}}
tls: {certFile: a, keyFile: b}
credentials: {keys: [{id: k, secret: s}], users: [{username: u, password: p}]}
nonceKeys: [{id: n, secret: s}]
peers: {mode: private, allow: [10.0.0.0/8, 'fd00::/8'], deny: [10.0.0.1], tcp: false, siblingPorts: {min: 1, max: 2}}
limits: {allocations: 10, allocationsPerUser: 3, allocationLifetimeSeconds: 600, streams: 1}
control: {address: 127.0.0.1, port: 9641}
operator: {url: 'https://x', tokenFile: t, intervalSeconds: 2.5}
drain: {maxDurationSeconds: 1, alternates: [{address: 203.0.113.11, port: 443, protocol: tls, domain: two.example.org}]}
peerPolicies: [{name: media, mode: private, allow: [10.1.0.0/16], deny: [10.1.9.0/24]}]
realms:
  - {realm: other.example.org, peerPolicy: media, serverNames: ['*.example.org'], origins: ['https://a'], limits: {allocations: 2}}
  - {realm: s, credentials: {thirdParty: {serverName: t, keys: [{id: n, algorithm: A128GCM, key: AAAAAAAAAAAAAAAAAAAAAA==}]}}}
workers: 2
datapath: auto
`
const SMALL = 'realm: r\nlisteners: [{protocol: udp, port: 3478}]\nrelay: {}\n'
const ODD = [
  'a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n',
  '<<: {realm: r}\n? [a]\n: !!binary AAAA\n__proto__: {a: 1}\nd: 2001-01-01\n',
  '%YAML 1.2\n---\n- |\n  x\n- >-\n  y\n...\n---\nz\n',
]
const WORDS =
  '0 -1 1e9 .inf .nan ~ true 65536 "" [] {} &a *a !!str !!set !!int << ? | > # --- \n \t 0.0.0.0 ::ffff:1.2.3.4 fe80::1%lo 1.2.3.4/33 ::/129 \u0000 \u{1f600} [[[[[[[[ {a:{a:{a:'.split(
    ' ',
  )

/** The relay's configuration file: any text is a configuration that a relay starts with, or is refused with its lines. */
export const config: Target = {
  code: /\/relay\/|node_modules\/(yaml|zod)\//,
  seeds: [WHOLE, SMALL, '', ...ODD].map(bytes),
  dictionary: [...WORDS, ...(WHOLE.match(/[a-zA-Z]+(?=:)/g) ?? []).map((field) => `${field}: `)].map(bytes),
  run(input) {
    const text = new TextDecoder().decode(input)
    try {
      const parsed = parseYaml('/etc/relay.yaml', text, relayConfig)
      new TurnServer({ config: turnServerConfig(parsed), crypto: nodeCrypto })
    } catch (error) {
      if (!(error instanceof FileRefused)) throw error
      checkMessage(error.message, text.split(/\r\n|\r|\n/).length)
    }
  },
}

function checkMessage(message: string, lineCount: number): void {
  const first = /^relay\.yaml:(\d+): ./s.exec(message)
  assert.ok(first, `no file and line: ${message}`)
  assert.ok(Number(first[1]) >= 1 && Number(first[1]) <= lineCount, `no such line: ${message}`)
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
